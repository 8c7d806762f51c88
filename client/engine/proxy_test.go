package engine

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
)

// spoils are what nobody on the way may find in what he has seen: who, with which password, in whatever form it is
// said, and what the mail says.
func spoils(user, password string, texts ...string) []string {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return append([]string{
		user, password, b64(user), b64(password), b64("\x00" + user + "\x00" + password), b64(user + "\x00" + user + "\x00" + password),
	}, texts...)
}

// asked are commands that nobody says before TLS who has asked for it.
var asked = []string{"AUTH ", "APOP ", "USER ", "PASS ", "STAT", "RETR ", "MAIL FROM", "RCPT TO"}

// found are those of them that he finds.
func found(seen []byte, spoils []string) (all []string) {
	for _, s := range spoils {
		if bytes.Contains(seen, []byte(s)) {
			all = append(all, s)
		}
	}
	return all
}

// interception is what somebody on the way does, and what the client makes of it.
type interception struct {
	name     string
	security api.Security
	pinned   bool
	attack   func(p *mailtest.Proxy, protocol api.Protocol, foreign *mailtest.Authority)
	want     api.Code
	reason   string
}

// interceptions: he takes the offer of TLS away, shows a certificate of his own, or slips something in between the agreement
// and the handshake.
var interceptions = []interception{
	{name: "nobody", security: api.STARTTLS, attack: listen},
	{name: "nobody, pinned", security: api.STARTTLS, pinned: true, attack: listen},
	{name: "strips", security: api.STARTTLS, want: api.CodeNoTLS, attack: strip},
	{name: "swaps", security: api.STARTTLS, want: api.CodeCertificate, reason: trust.UnknownAuthority, attack: swap},
	{name: "swaps what is pinned", security: api.STARTTLS, pinned: true, want: api.CodeCertificate, reason: trust.PinChanged, attack: swap},
	{name: "swaps from the first octet", security: api.TLS, want: api.CodeCertificate, reason: trust.UnknownAuthority, attack: swap},
	{name: "swaps from the first octet what is pinned", security: api.TLS, pinned: true, want: api.CodeCertificate, reason: trust.PinChanged, attack: swap},
	{name: "injects", security: api.STARTTLS, want: api.CodeServerProtocol, attack: inject},
	{name: "forges what is announced", security: api.STARTTLS, attack: forge},
}

func listen(*mailtest.Proxy, api.Protocol, *mailtest.Authority) {}

func strip(p *mailtest.Proxy, _ api.Protocol, _ *mailtest.Authority) { p.Strip = true }

func swap(p *mailtest.Proxy, _ api.Protocol, foreign *mailtest.Authority) {
	c := foreign.Server("pop.example.org", "smtp.example.org", "127.0.0.1")
	p.Certificate = &c
}

func inject(p *mailtest.Proxy, protocol api.Protocol, _ *mailtest.Authority) {
	p.Inject = map[api.Protocol]string{api.POP3: "+OK injected\r\n", api.SMTP: "250 injected\r\n"}[protocol]
}

func forge(p *mailtest.Proxy, _ api.Protocol, _ *mailtest.Authority) { p.Forge = hinder }

// hinder announces what would keep the client from its work if it were believed after the handshake too.
func hinder(line string) string {
	switch {
	case strings.HasPrefix(line, "UIDL"), strings.HasPrefix(line, "USER"), strings.HasPrefix(line, "SASL"):
		return "X" + line
	case strings.HasPrefix(line, "250-SIZE"), strings.HasPrefix(line, "250 SIZE"):
		return line[:4] + "SIZE 10\r\n"
	case strings.HasPrefix(line, "250-AUTH"), strings.HasPrefix(line, "250 AUTH"):
		return line[:4] + "AUTH XNONE\r\n"
	}
	return line
}

// eachInterception tries everything that somebody on the way can do, on the way to either server.
func eachInterception(t *testing.T, try func(t *testing.T, protocol api.Protocol, x interception)) {
	for _, protocol := range []api.Protocol{api.POP3, api.SMTP} {
		for _, x := range interceptions {
			t.Run(fmt.Sprint(protocol, " ", x.name), func(t *testing.T) { try(t, protocol, x) })
		}
	}
}

// begin does it.
func (x interception) begin(t *testing.T, p *mailtest.Proxy, protocol api.Protocol) {
	x.attack(p, protocol, mailtest.NewAuthority(t))
}

// check wants the client to have refused what is to be refused and done the rest, and whoever was on the way to have got
// nothing of it.
func (x interception) check(t *testing.T, p *mailtest.Proxy, protocol api.Protocol, problem *api.Problem, done bool, secrets []string) {
	t.Helper()
	if problemCode(problem) != x.want || done != (x.want == "") {
		t.Fatalf("done: %v, problem %v", done, problem)
	}
	if x.reason != "" && (problem.Certificate == nil || problem.Certificate.Reason != x.reason || problem.Certificate.Protocol != protocol) {
		t.Errorf("certificate %+v", problem.Certificate)
	}
	for who, seen := range map[string][]byte{"said": p.Said(), "heard": p.Heard()} {
		if len(seen) == 0 && x.security == api.STARTTLS {
			t.Errorf("nothing was %s: he was not on the way", who)
		}
		want := secrets
		if who == "said" {
			want = append(secrets[:len(secrets):len(secrets)], asked...)
		}
		if got := found(seen, want); len(got) > 0 {
			t.Errorf("what was %s has %q", who, got)
		}
	}
}

// Somebody on the way gets nothing but the refusal of the client, whatever he does, while an account is lived with.
func TestSomebodyOnTheWay(t *testing.T) {
	eachInterception(t, func(t *testing.T, protocol api.Protocol, x interception) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p := newProvider(w, dora)
			w.startTrusting(p.authority)
			defer w.halt()
			pop, post := &mailtest.Proxy{Server: p.pop}, &mailtest.Proxy{Server: p.post}
			ports := map[api.Protocol]int{api.POP3: 110, api.SMTP: 587}
			if x.security == api.TLS {
				ports = map[api.Protocol]int{api.POP3: 995, api.SMTP: 465}
				pop.Server, post.Server = sealedBy(p.tls, p.pop), sealedBy(p.tls, p.post)
				pop.Implicit, post.Implicit = true, true
			}
			servers := &api.Servers{
				POP3: api.Server{Host: "pop.example.org", Port: ports[api.POP3], Security: x.security},
				SMTP: api.Server{Host: "smtp.example.org", Port: ports[api.SMTP], Security: x.security},
			}
			if x.pinned {
				servers.POP3.Pin, servers.SMTP.Pin = p.pin(), p.pin()
			}
			a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Servers: servers})
			// from now on there is somebody
			proxy := pop
			if protocol == api.SMTP {
				proxy = post
			}
			x.begin(t, proxy, protocol)
			w.gateway.serveAt(fmt.Sprint("pop.example.org:", ports[api.POP3]), pop, nil)
			w.gateway.serveAt(fmt.Sprint("smtp.example.org:", ports[api.SMTP]), post, nil)
			p.pop.Maildrop[dora].Deliver(letter("arriving", "a word from afar"))
			id := w.send(api.Draft{Account: a.ID, To: to(alice), Subject: "leaving", Text: "a word from here"})
			time.Sleep(defaultPoll + time.Second)
			synctest.Wait()

			problem := w.accountNow(a.ID).Sync.Problem
			done := len(w.list(a.ID, api.Inbox)) == 1
			if protocol == api.SMTP {
				problem, done = w.row(a.ID, id).Problem, w.row(a.ID, id).State == api.StateSent
			}
			x.check(t, proxy, protocol, problem, done, spoils(dora, doraPW, "arriving", "leaving", "a word", "postern.test"))
			if problem != nil {
				lines := w.transcript(api.WireQuery{Account: a.ID, Session: problem.Session}).Lines
				wantOrder(t, lines, "Connecting to ", "Connected", "Failed: "+string(x.want))
			}
		})
	})
}

// startTrusting starts an engine that believes this authority alone.
func (w *world) startTrusting(a *mailtest.Authority) {
	w.t.Helper()
	c := w.config()
	c.Roots = a.Pool()
	engine, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.runEngine(engine)
}

// sealedBy is a server inside TLS from the first octet.
func sealedBy(config *tls.Config, s mailtest.Server) mailtest.Server {
	return mailtest.ServerFunc(func(c net.Conn) {
		sealed := tls.Server(c, config)
		defer sealed.Close()
		s.ServeConn(sealed)
	})
}
