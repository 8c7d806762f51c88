package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/certificate/acmetest"
)

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// site is an HTTPS server, and one of HTTP, with a certificate by ACME.
type site struct {
	acme *ACME
	tls  net.Listener
	stop func()
	log  *lines
}

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func startSite(t *testing.T, c ACMEConfig, page, plain net.Listener) *site {
	t.Helper()
	s := &site{tls: page, log: new(lines)}
	c.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	c.Names = []string{"mail.example"}
	var err error
	if s.acme, err = NewACME(c); err != nil {
		t.Fatal(err)
	}
	silent := log.New(io.Discard, "", 0)
	web := &http.Server{TLSConfig: Page(s.acme), ErrorLog: silent, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })}
	http80 := &http.Server{ErrorLog: silent, Handler: s.acme.Challenge(http.NotFoundHandler())}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = web.ServeTLS(page, "", "") })
	parts.Go(func() { _ = http80.Serve(plain) })
	parts.Go(func() { s.acme.Run(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); web.Close(); http80.Close(); parts.Wait() })
	t.Cleanup(s.stop)
	return s
}

// await waits until a client that asks for name is shown a certificate that the authority has signed.
func (s *site) await(t *testing.T, a *acmetest.Authority) *x509.Certificate {
	t.Helper()
	for patience := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := tls.Dial("tcp", s.tls.Addr().String(), &tls.Config{ServerName: "mail.example", RootCAs: a.Roots})
		if err == nil {
			defer conn.Close()
			return conn.ConnectionState().PeerCertificates[0]
		}
		if time.Now().After(patience) {
			t.Fatalf("%v\n%s", err, s.log)
		}
	}
}

func TestACME(t *testing.T) {
	for _, challenge := range []string{"tls-alpn-01", "http-01"} {
		t.Run(challenge, func(t *testing.T) {
			page, plain := listener(t), listener(t)
			a := acmetest.Start(t, port(plain), port(page))
			c := ACMEConfig{Directory: a.Directory, Root: a.Root, Dir: t.TempDir(), Email: "postmaster@mail.example"}
			if challenge == "http-01" {
				c.HTTP = plain.Addr()
			} else {
				c.TLS = page.Addr()
			}
			s := startSite(t, c, page, plain)
			leaf := s.await(t, a)
			if got, err := s.acme.Certificate(&tls.ClientHelloInfo{}); err != nil || !got.Leaf.Equal(leaf) {
				t.Errorf("without a name: %v", err)
			}
			if _, err := s.acme.Certificate(&tls.ClientHelloInfo{ServerName: "other.example"}); err == nil {
				t.Error("there is a certificate for a name that was not asked for")
			}
			// Strangers ask for whatever names they like, as those who point theirs at this address do. They get no certificate, none is
			// asked for, and nothing is kept.
			before := a.Orders()
			for i := range 20 {
				for _, protocols := range [][]string{{"h2", "http/1.1"}, {"acme-tls/1"}} {
					name := fmt.Sprintf("stranger%d.example", i)
					conn, err := tls.Dial("tcp", page.Addr().String(), &tls.Config{ServerName: name, NextProtos: protocols, InsecureSkipVerify: true})
					if err == nil {
						conn.Close()
						t.Errorf("%s is shown a certificate", name)
					}
				}
				r, _ := http.NewRequest(http.MethodGet, "http://"+plain.Addr().String()+"/.well-known/acme-challenge/..%2f..%2facme", nil)
				r.Host = fmt.Sprintf("..%%2fstranger%d.example", i)
				answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				if answer.Body.Close(); answer.StatusCode == http.StatusOK {
					t.Errorf("a challenge that is none: %v", answer.Status)
				}
			}
			if n := a.Orders() - before; before == 0 || n != 0 {
				t.Errorf("%d certificates are asked for, after %d", n, before)
			}
			if err := filepath.WalkDir(c.Dir, func(path string, _ os.DirEntry, err error) error {
				if strings.Contains(path, "stranger") {
					t.Errorf("%s is kept", path)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
			s.stop()

			// After a restart it is still there, and nobody needs to be asked.
			page, plain = listener(t), listener(t)
			a.Stop()
			if c.TLS != nil {
				c.TLS = page.Addr()
			} else {
				c.HTTP = plain.Addr()
			}
			again := startSite(t, c, page, plain)
			if got := again.await(t, a); !got.Equal(leaf) {
				t.Error("after a restart there is another certificate")
			}
		})
	}
}

func TestACMENeedsAWay(t *testing.T) {
	if _, err := NewACME(ACMEConfig{Names: []string{"mail.example"}}); err == nil || !strings.Contains(err.Error(), "--http") {
		t.Errorf("without a listener: %v", err)
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := ACMEConfig{Names: []string{"mail.example"}, Root: root, TLS: &net.TCPAddr{}, Logger: slog.New(slog.DiscardHandler)}
	if _, err := NewACME(c); err == nil || !strings.Contains(err.Error(), "root.pem") {
		t.Errorf("a root that is none: %v", err)
	}
}
