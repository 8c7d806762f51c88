package trust_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handshake returns what the client says to a server with that certificate.
func handshake(t *testing.T, cert tls.Certificate, config *tls.Config) error {
	t.Helper()
	client, server := mailtest.Pipe(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
	}()
	err := tls.Client(client, config).Handshake()
	client.Close()
	<-done
	return err
}

func TestConfig(t *testing.T) {
	authority, stranger := mailtest.NewAuthority(t), mailtest.NewAuthority(t)
	good, other := authority.Server(), authority.Server()
	fingerprint := func(c tls.Certificate) string { return trust.Fingerprint(c.Certificate[0]) }
	withColons := strings.ToUpper(fingerprint(good)[:2] + ":" + fingerprint(good)[2:])
	self := mailtest.SelfSigned(t)

	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		o      trust.Options
		reason string // "" if believed
	}{
		{"good", good, trust.Options{ServerName: "localhost", Roots: authority.Pool()}, ""},
		{"good, by address", good, trust.Options{ServerName: "127.0.0.1", Roots: authority.Pool()}, ""},
		{"Mozilla does not know our authority", good, trust.Options{ServerName: "localhost"}, trust.UnknownAuthority},
		{"another authority", stranger.Server(), trust.Options{ServerName: "localhost", Roots: authority.Pool()}, trust.UnknownAuthority},
		{"wrong host", authority.Server("other.invalid"), trust.Options{ServerName: "localhost", Roots: authority.Pool()}, trust.WrongHost},
		{"no name", good, trust.Options{Roots: authority.Pool()}, trust.WrongHost},
		{"expired", authority.Expired(), trust.Options{ServerName: "localhost", Roots: authority.Pool()}, trust.Expired},
		{"not yet valid", authority.NotYet(), trust.Options{ServerName: "localhost", Roots: authority.Pool()}, trust.NotYetValid},
		{"valid by another clock", authority.Expired(), trust.Options{ServerName: "localhost", Roots: authority.Pool(),
			Time: func() time.Time { return time.Now().Add(-30 * time.Hour) }}, trust.NotYetValid}, // so is its authority, then
		{"self-signed", self, trust.Options{ServerName: "localhost", Roots: authority.Pool()}, trust.SelfSigned},
		{"pinned", self, trust.Options{ServerName: "localhost", Pins: []string{fingerprint(self)}}, ""},
		{"pinned, wrong host and expired", authority.Expired("other.invalid"), trust.Options{ServerName: "localhost"}, trust.Expired},
		{"one of several pins", good, trust.Options{ServerName: "localhost", Pins: []string{fingerprint(self), withColons}}, ""},
		{"pin changed", self, trust.Options{ServerName: "localhost", Pins: []string{fingerprint(good)}}, trust.PinChanged},
		{"pin changed to a good chain", other, trust.Options{ServerName: "localhost", Roots: authority.Pool(),
			Pins: []string{fingerprint(good)}}, trust.PinChanged},
		{"empty pin", self, trust.Options{ServerName: "localhost", Pins: []string{""}}, trust.PinChanged},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := handshake(t, c.cert, trust.Config(c.o))
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var refused *trust.CertificateError
			if !errors.As(err, &refused) {
				t.Fatalf("want %s, got %v", c.reason, err)
			}
			if refused.Reason != c.reason {
				t.Errorf("reason %s, want %s: %v", refused.Reason, c.reason, err)
			}
			if refused.Fingerprint != fingerprint(c.cert) || refused.Issuer == "" || refused.Subject == "" ||
				len(refused.Names) == 0 || !refused.NotAfter.Equal(c.cert.Leaf.NotAfter) {
				t.Errorf("it does not tell all: %+v", refused)
			}
			// What it tells is what makes the same certificate believed.
			c.o.Pins = []string{refused.Fingerprint}
			if err := handshake(t, c.cert, trust.Config(c.o)); err != nil {
				t.Errorf("pinned by its fingerprint: %v", err)
			}
		})
	}
}

// RFC 8996: TLS 1.0 and 1.1 are no more.
func TestOldVersions(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	client, server := mailtest.Pipe(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		tls.Server(server, &tls.Config{Certificates: []tls.Certificate{authority.Server()}, MinVersion: tls.VersionTLS10,
			MaxVersion: tls.VersionTLS11}).Handshake()
	}()
	err := tls.Client(client, trust.Config(trust.Options{ServerName: "localhost", Roots: authority.Pool()})).Handshake()
	client.Close()
	<-done
	if err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// An unknown certificate against Mozilla's roots: x509 must have been given them, and not the system's.
func TestMozilla(t *testing.T) {
	err := handshake(t, mailtest.NewAuthority(t).Server(), trust.Config(trust.Options{ServerName: "localhost"}))
	if !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Error(err)
	}
}
