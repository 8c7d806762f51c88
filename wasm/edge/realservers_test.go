//go:build unix

package main_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/pop3suite"
	"github.com/postern-mail/postern/shared/mailtest/smtpsuite"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

const token = "open sesame, says Ali"

// tunnelled reaches a bed's servers through a Worker, and comes back when it is cut off.
type tunnelled struct {
	*tunnel.Dialer
	beneath atomic.Value // the net.Conn beneath the WebSocket that was made last
	online  chan struct{}
}

func throughWorker(t testing.TB, bed *testbed.Bed) *tunnelled {
	t.Helper()
	var allow []string
	for _, port := range []int{bed.POP3, bed.POP3S, bed.Submission, bed.Submissions} {
		allow = append(allow, bed.Address(port))
	}
	r := start(t, workerd.Options{Anywhere: true, Variables: map[string]string{"POSTERN_ALLOW": strings.Join(allow, ","), "POSTERN_TOKEN": token}})
	d := &tunnelled{online: make(chan struct{}, 10)}
	d.Dialer = &tunnel.Dialer{
		Hello: wire.Hello{Version: wire.Version, Client: "test", Token: token}, Backoff: tunnel.Backoff{Min: time.Millisecond},
		Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
			transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				if err == nil {
					d.beneath.Store(c)
				}
				return c, err
			}}
			ws, _, err := websocket.Dial(ctx, r.url()+wire.Path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{wire.Subprotocol}})
			if err != nil {
				return nil, err
			}
			return wsconn.New(ws), nil
		},
	}
	stop := d.Subscribe(func(s tunnel.State) {
		if s.Phase == tunnel.Online {
			d.online <- struct{}{}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); _ = d.Run(ctx) }()
	t.Cleanup(func() { stop(); cancel(); <-ran })
	<-d.online
	return d
}

func (d *tunnelled) open(t testing.TB, bed *testbed.Bed, service wire.ServiceName, port int) net.Conn {
	t.Helper()
	c, err := d.Open(t.Context(), wire.Open{Service: service, Host: bed.Host, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (d *tunnelled) openTLS(t testing.TB, bed *testbed.Bed, service wire.ServiceName, port int) net.Conn {
	t.Helper()
	return tls.Client(d.open(t, bed, service, port), bed.ClientTLS())
}

// A thousand messages come from Dovecot through the Worker, inside TLS that ends in the client. In the middle of them the
// WebSocket is cut; the client comes back and fetches the rest. Then a message is sent through Postfix, and arrives.
func TestThousandMessages(t *testing.T) {
	const count = 1000
	bed := testbed.Start(t)
	d := throughWorker(t, bed)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var want [][32]byte
	bed.DeliverAll(t, "bob", func(yield func([]byte) bool) {
		for i := range count {
			m := mailtest.Generator{Seed: 1, Median: 4096}.Message(i)
			want = append(want, sha256.Sum256(m))
			if !yield(m) {
				return
			}
		}
	})
	maildrop := func() (*pop3.Client, []pop3.Listing) {
		c := pop3.New(d.openTLS(t, bed, wire.POP3S, bed.POP3S), nil)
		t.Cleanup(func() { _ = c.Close() })
		if err := c.Login(ctx, "bob", "bob-pw"); err != nil {
			t.Fatal(err)
		}
		list, err := c.List(ctx)
		if err != nil || len(list) != count {
			t.Fatalf("%d messages are listed, %v", len(list), err)
		}
		return c, list
	}
	got, octets := 0, int64(0)
	fetch := func(c *pop3.Client, list []pop3.Listing, each func()) error {
		return c.RetrAll(ctx, list, func(number int, body io.Reader) error {
			h := sha256.New()
			n, err := io.Copy(h, body)
			if err != nil {
				return err
			}
			if [32]byte(h.Sum(nil)) != want[number-1] {
				t.Errorf("message %d was changed on its way", number)
			}
			got, octets = got+1, octets+n
			each()
			return nil
		})
	}

	c, list := maildrop()
	began := time.Now()
	if err := fetch(c, list, func() {}); err != nil || got != count {
		t.Fatalf("%d of %d messages: %v", got, count, err)
	}
	took := time.Since(began).Seconds()
	t.Logf("%d messages, %.1f MB in %.2f s: %.0f messages/s, %.1f MB/s", got, float64(octets)/1e6, took, float64(got)/took, float64(octets)/1e6/took)
	if err := c.Quit(ctx); err != nil {
		t.Error(err)
	}

	c, list = maildrop()
	got = 0
	err := fetch(c, list, func() {
		if got == count/2 {
			_ = d.beneath.Load().(net.Conn).Close()
		}
	})
	if got < count/2 || got == count || !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Fatalf("the line was cut after %d messages, %d came: %v", count/2, got, err)
	}
	<-d.online
	c, list = maildrop()
	if err := fetch(c, list[got:], func() {}); err != nil || got != count {
		t.Fatalf("after coming back, %d of %d messages: %v", got, count, err)
	}

	s := smtp.New(d.openTLS(t, bed, wire.Submissions, bed.Submissions), nil)
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Auth(ctx, sasl.Credentials{User: "bob", Password: "bob-pw"}, ""); err != nil {
		t.Fatal(err)
	}
	const message = "From: bob@example.test\r\nTo: alice@example.test\r\nSubject: through the Worker\r\n\r\nIt is sealed.\r\n"
	if _, err := s.Send(ctx, smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}}, strings.NewReader(message)); err != nil {
		t.Fatal(err)
	}
	bed.Await(t, "alice", "through the Worker")
	if err := s.Quit(ctx); err != nil {
		t.Error(err)
	}
}

// Whatever the clients do with a server natively, they do through the Worker: the suites of POP3 and SMTP.
func TestSuites(t *testing.T) {
	bed := testbed.Start(t)
	d := throughWorker(t, bed)
	user := bed.Users[0]
	t.Run("POP3, STLS", func(t *testing.T) {
		pop3suite.Run(t, pop3suite.Target{
			Dial:    func(t testing.TB) net.Conn { return d.open(t, bed, wire.POP3, bed.POP3) },
			DialTLS: func(t testing.TB) net.Conn { return d.openTLS(t, bed, wire.POP3S, bed.POP3S) },
			TLS:     bed.ClientTLS(), User: user.Name, Password: user.Password, Token: bed.Token(user.Name),
			Ways:    []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", pop3.WayUser, pop3.WayAPOP},
			Options: &pop3.Options{AllowPlaintextAuth: true},
			Deliver: func(t testing.TB, m []byte) { bed.Deliver(t, user.Name, m) },
		})
	})
	t.Run("SMTP, STARTTLS", func(t *testing.T) {
		smtpsuite.Run(t, smtpsuite.Target{
			Dial: func(t testing.TB) net.Conn { return d.open(t, bed, wire.Submission, bed.Submission) },
			TLS:  bed.ClientTLS(), User: user.Name, Password: user.Password, Token: bed.Token(user.Name),
			Mechanisms: []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"},
			Announces:  []string{"SMTPUTF8", "DSN", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"},
			From:       user.Name + "@" + bed.Domain, To: [2]string{"alice@" + bed.Domain, "bob@" + bed.Domain},
			Unknown: "nobody@" + bed.Domain, UTF8: "büro@" + bed.Domain,
			Await: func(t testing.TB, address, marker string) []byte {
				name, _, _ := strings.Cut(address, "@")
				if name == "büro" {
					name = "bob"
				}
				return bed.Await(t, name, marker)
			},
		})
	})
}
