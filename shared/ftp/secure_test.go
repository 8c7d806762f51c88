package ftp_test

import (
	"crypto/tls"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
)

// secured logs in by AUTH TLS.
func secured(t *testing.T, server *mailtest.FTP, config *tls.Config, o ftp.Options) (*ftp.Client, error) {
	t.Helper()
	o.Dial = server.Dial
	c := ftp.New(mailtest.Connect(t, server, nil), &o)
	t.Cleanup(func() { c.Close() })
	if err := c.AuthTLS(t.Context(), config); err != nil {
		return c, err
	}
	return c, c.Login(t.Context(), "bob", "bob-pw")
}

// Data under TLS that ends without TLS having said so: what cannot be shown to be whole is not taken for it.
func TestNoNotice(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	config := &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
	for _, c := range []struct {
		name   string
		mend   func(*mailtest.FTP)
		size   int64
		intact bool
	}{
		{"size told", func(*mailtest.FTP) {}, 7, true},
		{"size asked for", func(*mailtest.FTP) {}, -1, true},
		{"size not to be had", func(f *mailtest.FTP) { f.NoSize = true }, -1, false},
		{"too short", func(*mailtest.FTP) {}, 8, false},
	} {
		server := mailtest.NewFTP()
		server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
		server.NoNotice = true
		server.Files.Put("/a", []byte("content"))
		c.mend(server)
		client, err := secured(t, server, config, ftp.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if _, err := client.Retr(t.Context(), "a", 0, c.size, &got); (err == nil) != c.intact || err != nil && !errors.Is(err, ftp.ErrTruncated) || got.String() != "content" {
			t.Errorf("%s: %q, %v", c.name, got.String(), err)
		}
		alive(t, client)
		var last error
		entries := 0
		for e, err := range client.List(t.Context(), "") {
			if last = err; e.Name == "a" {
				entries++
			}
		}
		if !errors.Is(last, ftp.ErrTruncated) || entries != 1 {
			t.Errorf("%s: a listing of %d, then %v", c.name, entries, last)
		}
		alive(t, client)
	}
}

// The data connection's certificate is checked as the control connection's was, pins included, and the password is never sent where that
// fails.
func TestCertificates(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	good, other := authority.Server(), authority.Server("elsewhere.test")
	for name, options := range map[string]trust.Options{
		"a name": {ServerName: "localhost", Roots: authority.Pool()},
		"a pin":  {ServerName: "localhost", Pins: []string{trust.Fingerprint(good.Leaf.Raw)}},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.NewFTP()
			shown := 0
			server.TLS = &tls.Config{SessionTicketsDisabled: true, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if shown++; shown > 1 {
					return &other, nil
				}
				return &good, nil
			}}
			server.Files.Put("/a", []byte("content"))
			c, err := secured(t, server, trust.Config(options), ftp.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var refused *trust.CertificateError
			if n, err := c.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.As(err, &refused) || n != 0 {
				t.Errorf("another certificate for the data: %v", err)
			}
			alive(t, c)
			var said []string
			if c, err := secured(t, server, trust.Config(options), ftp.Options{Trace: func(e ftp.Exchange) { said = append(said, e.Line) }}); !errors.As(err, &refused) || c.State().Phase != ftp.Closed {
				t.Errorf("another certificate for the control connection: %v", err)
			}
			if slices.ContainsFunc(said, func(l string) bool { return strings.HasPrefix(l, "USER") }) {
				t.Errorf("said %q", said)
			}
		})
	}
}

// A server that demands that the session be resumed, and cannot: its words are in the error.
func TestNoTickets(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	server := mailtest.NewFTP()
	server.TLS = &tls.Config{SessionTicketsDisabled: true, Certificates: []tls.Certificate{authority.Server()}}
	server.Reuse = true
	server.Files.Put("/a", []byte("content"))
	c, err := secured(t, server, &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}, ftp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var refused *ftp.Error
	if _, err := c.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.As(err, &refused) || refused.Code != 522 || !errors.Is(err, ftp.ErrNeedsTLS) {
		t.Errorf("%v", err)
	}
	alive(t, c)
}

// PROT P refused: no data in plain text unless it is allowed.
func TestNoPROT(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	server := mailtest.NewFTP()
	server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
	server.NoPROT = true
	server.Files.Put("/a", []byte("content"))
	config := &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
	var refused *ftp.Error
	c, err := secured(t, server, config, ftp.Options{})
	if !errors.As(err, &refused) || refused.Command != "PROT" || c.State().Phase != ftp.Ready {
		t.Errorf("%v, state %+v", err, c.State())
	}
	if _, err := c.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.Is(err, ftp.ErrPlaintext) || len(server.Dialed()) != 0 {
		t.Errorf("%v", err)
	}
	c, err = secured(t, server, config, ftp.Options{AllowPlaintextData: true})
	if err != nil || c.State().Private {
		t.Fatalf("%v, state %+v", err, c.State())
	}
	if n, err := c.Retr(t.Context(), "a", 0, 7, io.Discard); err != nil || n != 7 {
		t.Errorf("%d octets, %v", n, err)
	}
}

// What comes before the handshake is refused after the server has agreed to it, and nothing is said under TLS.
func TestInjection(t *testing.T) {
	for _, injected := range []string{"230 you are in\r\n", "2", "\x16\x03\x03"} {
		conn := mailtest.Connect(t, mailtest.Script(t, mailtest.Say("220 ready\r\n"), mailtest.Hear("AUTH TLS"),
			mailtest.Say("234 go ahead\r\n"+injected), mailtest.HearClose()), nil)
		c := ftp.New(conn, nil)
		if err := c.AuthTLS(t.Context(), &tls.Config{ServerName: "localhost"}); !errors.Is(err, ftp.ErrProtocol) || c.State().Phase != ftp.Closed {
			t.Errorf("%q: %v", injected, err)
		}
	}
}
