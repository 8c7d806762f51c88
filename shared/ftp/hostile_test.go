package ftp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
)

// open logs in to a server in memory, in plain text.
func open(t *testing.T, server *mailtest.FTP, o ftp.Options) *ftp.Client {
	t.Helper()
	o.Dial, o.AllowPlaintextAuth = server.Dial, true
	c := ftp.New(mailtest.Connect(t, server, nil), &o)
	t.Cleanup(func() { c.Close() })
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	return c
}

// alive wants client and server to understand each other.
func alive(t *testing.T, c *ftp.Client) {
	t.Helper()
	if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" || c.State().Phase != ftp.Ready {
		t.Errorf("PWD: %q, %v, state %+v", dir, err, c.State())
	}
}

// PASV names another host: its port is dialled at the control connection's, and the transcript says so.
func TestPASVElsewhere(t *testing.T) {
	server := mailtest.NewFTP()
	server.NoEPSV, server.Host = true, "192,0,2,7"
	server.Files.Put("/a", []byte("content"))
	var notes []string
	c := open(t, server, ftp.Options{Trace: func(e ftp.Exchange) {
		if e.Note {
			notes = append(notes, e.Line)
		}
	}})
	var got strings.Builder
	if _, err := c.Retr(t.Context(), "a", 0, 7, &got); err != nil || got.String() != "content" {
		t.Errorf("%q, %v", got.String(), err)
	}
	if !slices.Contains(notes, "PASV names 192.0.2.7: its port is taken, and no host") {
		t.Errorf("the transcript notes %q", notes)
	}
	if ports := server.Dialed(); len(ports) != 1 {
		t.Errorf("dialled %v", ports)
	}
}

func TestAnswersOfPassiveMode(t *testing.T) {
	for _, c := range []struct {
		name, epsv, pasv string
		want             error
	}{
		{"EPSV without a port", "229 go (||||)\r\n", "", ftp.ErrProtocol},
		{"EPSV to port 0", "229 go (|||0|)\r\n", "", ftp.ErrProtocol},
		{"EPSV to port 65536", "229 go (|||65536|)\r\n", "", ftp.ErrProtocol},
		{"EPSV of another code", "200 go (|||21|)\r\n", "", ftp.ErrProtocol},
		{"EPSV in no brackets", "229 go |||21|\r\n", "", ftp.ErrProtocol},
		{"PASV of five numbers", "500 no\r\n", "227 (127,0,0,1,9)\r\n", ftp.ErrProtocol},
		{"PASV of 256", "500 no\r\n", "227 (127,0,0,1,256,1)\r\n", ftp.ErrProtocol},
		{"PASV to port 0", "500 no\r\n", "227 (127,0,0,1,0,0)\r\n", ftp.ErrProtocol},
		{"neither", "500 no\r\n", "502 no\r\n", ftp.ErrUnsupported},
		{"421", "421 bye\r\n", "", ftp.ErrBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewFTP()
			server.Fault = func(stage string, _ int) *mailtest.FTPFault {
				switch stage {
				case "EPSV":
					return &mailtest.FTPFault{Reply: c.epsv}
				case "PASV":
					return &mailtest.FTPFault{Reply: c.pasv}
				}
				return nil
			}
			client := open(t, server, ftp.Options{})
			if _, err := client.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			if closed := client.State().Phase == ftp.Closed; closed != (c.want != ftp.ErrUnsupported) {
				t.Errorf("closed: %v", closed)
			}
			if ports := server.Dialed(); len(ports) != 0 {
				t.Errorf("dialled %v", ports)
			}
		})
	}
}

// A data connection that never comes: its time ends, and the session goes on.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.NewFTP()
		server.Unreachable = true
		c := open(t, server, ftp.Options{Timeout: 20 * time.Second})
		start := time.Now()
		_, err := c.Retr(t.Context(), "a", 0, -1, io.Discard)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ftp.ErrNoData) || time.Since(start) != 40*time.Second { // by EPSV, and by PASV
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		alive(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Retr(ctx, "a", 0, -1, io.Discard); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ftp.ErrAborted) {
			t.Errorf("%v", err)
		}
		alive(t, c)
		c.Close()
	})
}

// Data that stands still, in either direction, is given up after DataTimeout; the session goes on.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.NewFTP()
		server.DataFaults = &mailtest.Faults{StallAfter: 3}
		server.Files.Put("/a", []byte("content"))
		c := open(t, server, ftp.Options{KeepAlive: 7 * time.Second})
		start := time.Now()
		n, err := c.Retr(t.Context(), "a", 0, -1, io.Discard)
		if n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%d octets after %v: %v", n, time.Since(start), err)
		}
		alive(t, c)
		for _, err := range c.List(t.Context(), "") {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a listing: %v", err)
			}
		}
		alive(t, c)
		c.Close()
	})
}

// Listings that never end, in lines or in one line, are broken off; the session goes on.
func TestEndlessListing(t *testing.T) {
	forever := func(text string) func(io.Writer, bool) {
		block := []byte(strings.Repeat(text, 1+(32<<10)/len(text)))
		return func(w io.Writer, _ bool) {
			for {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}
	}
	for name, text := range map[string]string{
		"facts": "type=file; a\r\n", "ls": "-rw-r--r-- 1 a b 1 Jan  1  2020 a\r\n", "empty lines": "\n", "nonsense": "nonsense\r\n",
		"one line": "a", "NUL": "\x00", "CR": "\r",
	} {
		for _, mlst := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", mlst), func(t *testing.T) {
				server := mailtest.NewFTP()
				server.NoMLST, server.Listing = !mlst, forever(text)
				c := open(t, server, ftp.Options{MaxEntries: 10_000})
				var last error
				count, before, most := 0, held(), uint64(0)
				for _, err := range c.List(t.Context(), "") {
					if last = err; err == nil {
						if count++; count%5_000 == 0 {
							most = max(most, held())
						}
					}
				}
				if most = max(most, held()); !errors.Is(last, ftp.ErrTooLong) || count > 10_000 || most > before+2<<20 {
					t.Errorf("%d entries, %d octets held, %d before, then %v", count, most, before, last)
				}
				alive(t, c)
			})
		}
	}
}

// A million names, in memory that ten would take too (measured: what is held while they come, above what was held before), and a loop
// that ends early.
func TestMillion(t *testing.T) {
	const count = 1_000_000
	for _, mlsd := range []bool{true, false} {
		server := mailtest.NewFTP()
		server.NoMLST = !mlsd
		server.Listing = func(w io.Writer, mlsd bool) {
			format := "-rw-r--r--    1 bob      users        %4d Feb 29 12:34 this is file %d\r\n"
			if mlsd {
				format = "type=file;size=%d;modify=20240229123456; this is file %d\r\n"
			}
			var b bytes.Buffer
			for i := range count {
				fmt.Fprintf(&b, format, i%1000, i)
				if b.Len() > 16<<10 || i == count-1 {
					if _, err := w.Write(b.Bytes()); err != nil {
						return
					}
					b.Reset()
				}
			}
		}
		c := open(t, server, ftp.Options{})
		seen, before, most := 0, held(), uint64(0)
		for e, err := range c.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if e.Name != fmt.Sprint("this is file ", seen) || e.Size != int64(seen%1000) || e.Kind != ftp.File || e.Modified.IsZero() {
				t.Fatalf("%d: %+v", seen, e)
			}
			if seen++; seen%100_000 == 0 {
				most = max(most, held())
			}
		}
		more := int64(most) - int64(before)
		t.Logf("MLSD %v: %d names, %d octets more than before", mlsd, seen, more)
		if seen != count || more > 2<<20 {
			t.Errorf("%d names, %d octets more than before", seen, more)
		}
		alive(t, c)
		for range c.List(t.Context(), "") {
			break // what is left is more than anybody wants to read
		}
		alive(t, c)
	}
}

// held is what is on the heap and reachable, in octets.
func held() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Names that are no names, or ways out of the folder, are shown, and cannot be sent.
func TestHostileNames(t *testing.T) {
	names := map[string]bool{
		"plain": true, "..": false, "../up": false, "a/b": false, "/etc/passwd": false, "a\x00b": false, "a\rDELE b": false, `..\up`: false, `a\..\..\b`: false,
		`a\b`: true, "...": true, "..a": true, "esc\x1b[2J": true, "gro\u202e.exe": true, "\xff\xfe": true, "a -> b": true, "-rf": true, " ": true,
	}
	server := mailtest.NewFTP()
	server.Listing = func(w io.Writer, mlsd bool) {
		for name := range names {
			if mlsd {
				fmt.Fprintf(w, "type=file; %s\r\n", name)
			} else {
				fmt.Fprintf(w, "-rw-r--r-- 1 a b 1 Jan  1  2020 %s\r\n", name)
			}
		}
		io.WriteString(w, "what is this\x1b[31m\r\n")
	}
	for _, mlst := range []bool{true, false} {
		server.NoMLST = !mlst
		c := open(t, server, ftp.Options{})
		seen, unknown := 0, 0
		for e, err := range c.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if shown := e.Shown(); strings.ContainsAny(shown, "\r\n\x00\x1b\u202e") || shown == "" {
				t.Errorf("shown as %q", shown)
			}
			path, err := e.Path("/dir")
			if e.Kind == ftp.Unknown {
				if unknown++; !errors.Is(err, ftp.ErrName) || e.Line != "what is this [31m" {
					t.Errorf("%+v: %q, %v", e, path, err)
				}
				continue
			}
			seen++
			usable, listed := names[e.Name]
			if !listed || usable != (err == nil) || err != nil && !errors.Is(err, ftp.ErrName) || usable && path != "/dir/"+e.Name {
				t.Errorf("%q: %q, %v", e.Name, path, err)
			}
		}
		if seen != len(names)-1 || unknown != 1 { // ".." is left out
			t.Errorf("%d names and %d unknown lines", seen, unknown)
		}
	}
	if path, err := (ftp.Entry{Name: "-rf", Kind: ftp.File}).Path(""); path != "./-rf" || err != nil {
		t.Errorf("%q, %v", path, err)
	}
}

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

// An account is wanted beside the password: that is said, and nothing more.
func TestAccount(t *testing.T) {
	server := mailtest.NewFTP()
	server.Account = true
	c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true})
	defer c.Close()
	var refused *ftp.Error
	if err := c.Login(t.Context(), "bob", "bob-pw"); !errors.Is(err, ftp.ErrAccount) || !errors.As(err, &refused) || refused.Explain() == "" || c.State().Phase != ftp.Opening {
		t.Errorf("%v", err)
	}
	for _, bad := range [][2]string{{"", "x"}, {"a\r\nPASS x", "x"}, {"a", "x\r\nDELE y"}, {"a", "\x00"}} {
		if err := c.Login(t.Context(), bad[0], bad[1]); !errors.Is(err, ftp.ErrArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A greeting may be long, may ask for patience, and may refuse.
func TestGreetings(t *testing.T) {
	for greeting, want := range map[string]error{
		"220-hello\r\n220-\r\n 230 not this\r\n123 nor this\r\n220 done\r\n": nil,
		"120 in two minutes\r\n220 now\r\n":                                  nil,
		"220\r\n":                                                            nil,
		"220 bare LF\n":                                                      nil,
		"421 too many\r\n":                                                   ftp.ErrBusy,
		"530 not you\r\n":                                                    ftp.ErrNotLoggedIn,
		"hello\r\n":                                                          ftp.ErrProtocol,
		"150 at once\r\n":                                                    ftp.ErrProtocol,
		"120 in two minutes\r\n120 and two more\r\n":                         ftp.ErrProtocol,
		"331 who?\r\n":                                                       ftp.ErrProtocol,
		"220-" + strings.Repeat("a\r\n220-", 20_000):                         ftp.ErrTooLong,
		"220 " + strings.Repeat("a", 20_000):                                 ftp.ErrTooLong,
		"* OK IMAP4rev1\r\n":                                                 ftp.ErrProtocol,
	} {
		server := mailtest.NewFTP()
		server.Greeting = greeting
		c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true})
		err := c.Login(t.Context(), "bob", "bob-pw")
		if !errors.Is(err, want) || (err == nil) != (c.State().Phase == ftp.Ready) || err != nil && c.State().Phase != ftp.Closed {
			t.Errorf("%.40q: %v, state %v", greeting, err, c.State().Phase)
		}
		c.Close()
	}
}

// Close while a transfer is under way ends it, from another goroutine.
func TestClose(t *testing.T) {
	server := mailtest.NewFTP()
	server.DataFaults = &mailtest.Faults{StallAfter: 3}
	server.Files.Put("/a", []byte("content"))
	c := open(t, server, ftp.Options{})
	reached := make(chan struct{})
	go func() {
		<-reached
		c.Close()
	}()
	_, err := c.Retr(t.Context(), "a", 0, -1, writerFunc(func(p []byte) (int, error) { close(reached); return len(p), nil }))
	if !errors.Is(err, net.ErrClosed) || c.State().Phase != ftp.Closed {
		t.Errorf("%v, state %+v", err, c.State())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A callback that panics leaves no session behind.
func TestPanic(t *testing.T) {
	server := mailtest.NewFTP()
	server.Files.Put("/a", []byte("content"))
	c := open(t, server, ftp.Options{})
	func() {
		defer func() { recover() }()
		for range c.List(t.Context(), "") {
			panic("in the loop")
		}
	}()
	if c.State().Phase != ftp.Closed {
		t.Errorf("state %+v", c.State())
	}
}
