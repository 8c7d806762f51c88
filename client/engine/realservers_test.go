//go:build unix

package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// directGateway is a gateway that is not there: it connects to loopback addresses itself.
type directGateway struct{}

func (directGateway) Open(ctx context.Context, o wire.Open) (net.Conn, error) {
	if ip := net.ParseIP(o.Host); ip == nil || !ip.IsLoopback() {
		return nil, &wire.RefusedError{Reason: wire.Denied, Detail: o.Host}
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
}

func (directGateway) State() tunnel.State {
	return tunnel.State{Phase: tunnel.Online, Welcome: &wire.Welcome{Version: wire.Version}}
}

func (directGateway) Subscribe(func(tunnel.State)) func() { return func() {} }
func (directGateway) Present(string)                      {}
func (directGateway) Kick()                               {}

// eventually waits for what an event brings about.
func eventually(t *testing.T, changed <-chan struct{}, what string, done func() bool) {
	t.Helper()
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	for !done() {
		select {
		case <-changed:
		case <-patience.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// An account with Dovecot and Postfix, set up by hand: nobody vouches for the certificate, the user trusts it, mail comes,
// a reply goes, and all of it is still so after a restart, under a passphrase.
func TestAccountWithRealServers(t *testing.T) {
	bed := testbed.Start(t)
	carol := bed.Users[2]
	if carol.Name != "carol" {
		t.Fatalf("the bed's third user is %s", carol.Name)
	}
	for _, test := range []struct {
		name       string
		pop3, smtp int
		security   api.Security
		sealed     bool
		popAuth    string
	}{
		{name: "TLS", pop3: bed.POP3S, smtp: bed.Submissions, security: api.TLS, sealed: true},
		{name: "STARTTLS, SCRAM", pop3: bed.POP3, smtp: bed.Submission, security: api.STARTTLS, sealed: true, popAuth: "SCRAM-SHA-256"},
		{name: "in the clear", pop3: bed.POP3, smtp: bed.Submission, security: api.Plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := make(chan struct{}, 1)
			vault, fs := newMemVault(), store.NewMemFS()
			start := func() (*Engine, func()) {
				e, err := New(Config{FS: fs, Gateway: directGateway{}, Vault: vault, cost: cheap, Poll: 200 * time.Millisecond, Logf: func(format string, args ...any) {
					if strings.Contains(fmt.Sprintf(format, args...), carol.Password) {
						t.Error("a password in the log")
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				e.Subscribe(func(api.Event) { ask(changed) })
				ran := make(chan error, 1)
				go func() { ran <- e.Run(context.Background()) }()
				return e, func() {
					e.Close()
					if err := <-ran; err != nil {
						t.Error(err)
					}
				}
			}
			e, stop := start()
			email := "carol@" + bed.Domain
			marker := "real-" + strconv.Itoa(os.Getpid()) + "-" + strings.ReplaceAll(strings.ReplaceAll(test.name, " ", "-"), ",", "")
			bed.Deliver(t, "carol", []byte("From: Bob <bob@"+bed.Domain+">\r\nTo: <"+email+">\r\nSubject: to "+marker+"\r\nMessage-ID: <"+marker+"@x>\r\nDate: "+
				time.Now().Format(time.RFC1123Z)+"\r\n\r\nA question.\r\n"))

			r := api.SignIn{Email: email, Password: carol.Password, Keep: true, Name: "Carol", Servers: &api.Servers{
				POP3: api.Server{Host: bed.Host, Port: test.pop3, Security: test.security, User: carol.Name, Auth: test.popAuth},
				SMTP: api.Server{Host: bed.Host, Port: test.smtp, Security: test.security, User: carol.Name},
			}}
			if test.security != api.Plain {
				for _, side := range []struct {
					protocol api.Protocol
					server   *api.Server
				}{{api.POP3, &r.Servers.POP3}, {api.SMTP, &r.Servers.SMTP}} {
					_, err := e.SignIn(t.Context(), r)
					c := api.AsProblem(err).Certificate
					if code(err) != api.CodeCertificate || c == nil || c.Protocol != side.protocol || c.Reason != trust.UnknownAuthority ||
						c.Fingerprint != trust.Fingerprint(bed.Certificate.Certificate[0]) {
						t.Fatalf("an authority that nobody knows: %v, %+v", err, c)
					}
					side.server.Pin = c.Fingerprint
				}
			}
			wrong := r
			wrong.Password = "wrong"
			if _, err := e.SignIn(t.Context(), wrong); code(err) != api.CodeWrongPassword {
				t.Fatalf("a wrong password: %v", err)
			}
			a, err := e.SignIn(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if a.Sealed != test.sealed {
				t.Errorf("sealed: %v", a.Sealed)
			}
			question := func() (found api.Row) {
				p, err := e.List(t.Context(), api.ListQuery{Folder: api.Inbox, Query: marker, Limit: 1})
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Rows) > 0 {
					found = p.Rows[0]
				}
				return found
			}
			eventually(t, changed, "the question", func() bool { return question().ID != 0 })
			if m, err := e.Message(t.Context(), api.MessageRef{Account: a.ID, ID: question().ID}); err != nil || !strings.Contains(m.Text, "A question.") {
				t.Fatalf("%+v, %v", m, err)
			}
			id, err := e.Send(t.Context(), api.Draft{Account: a.ID, To: []api.Address{question().From}, Subject: "Re: " + marker, Text: "An answer.",
				InReplyTo: "<" + marker + "@x>", Answers: question().ID})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, changed, "the answer on its way", func() bool {
				p, err := e.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Sent, Query: marker, Limit: 1})
				return err == nil && len(p.Rows) == 1 && p.Rows[0].ID == id && p.Rows[0].State == api.StateSent
			})
			if got := string(bed.Await(t, "bob", "Re: "+marker)); !strings.Contains(got, "An answer.") || !strings.Contains(got, "Carol <"+email+">") {
				t.Errorf("Bob has %q", got)
			}
			if err := e.SetPassphrase(t.Context(), api.Passphrase{New: "a passphrase"}); err != nil {
				t.Fatal(err)
			}
			stop()

			e, stop = start()
			defer func() { stop() }()
			eventually(t, changed, "that it is locked", func() bool {
				s, err := e.Status(t.Context())
				return err == nil && s.Vault == api.VaultLocked && problemCode(s.Accounts[0].Sync.Problem) == api.CodeLocked
			})
			if err := e.Unlock(t.Context(), "a passphrase"); err != nil {
				t.Fatal(err)
			}
			eventually(t, changed, "a fetch", func() bool {
				s, err := e.Status(t.Context())
				return err == nil && s.Accounts[0].Sync.State == api.SyncIdle && s.Accounts[0].Sync.Problem == nil && !s.Accounts[0].Sync.Last.IsZero()
			})
		})
	}
}
