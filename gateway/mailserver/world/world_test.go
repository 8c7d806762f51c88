package world

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/controld"
	"github.com/postern-mail/postern/gateway/mailserver/queue"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// database/sql ends its opener when the DB is closed, a moment after Close returns.
		goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

const (
	alice    = "alice@postern.test"
	carol    = "carol@elsewhere.test"
	password = "correct horse battery"
	patience = time.Minute
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wires is a Dialer that notes what is dialled.
type wires struct {
	net.Dialer
	mu      sync.Mutex
	dialled []string
}

func (w *wires) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, address)
	w.mu.Unlock()
	return w.Dialer.DialContext(ctx, network, address)
}

// configuration is one of two servers, as alike as the real ones.
func configuration(dir string) Config {
	const anywhere = "127.0.0.1:0"
	server := func(name, hostname, domain string) Server {
		return Server{Config: mailserver.Config{
			Dir: filepath.Join(dir, name), Hostname: hostname, Domains: []string{domain},
			SMTP: anywhere, Submission: anywhere, POP3: anywhere,
			Logger: slog.New(slog.DiscardHandler), Limits: mailserver.Limits{AuthFailureDelay: -1},
			Receiving: mailserver.Receiving{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
			Sending:   &mailserver.Sending{},
		}}
	}
	return Config{SlowLink: 50_000, Servers: []Server{server("a", "postern.test", "postern.test"), server("b", "mail.elsewhere.test", "elsewhere.test")}}
}

// stage is a world that is served, with alice and carol in it.
type stage struct {
	*testing.T
	*World
	wires  *wires
	here   *mailserver.Server // alice's
	there  *mailserver.Server // carol's
	events <-chan queue.Event // of alice's queue
}

func open(t *testing.T, mend ...func(*Config)) *stage {
	t.Helper()
	c := configuration(t.TempDir())
	wires := &wires{}
	c.Dialer = wires
	for _, m := range mend {
		m(&c)
	}
	w, err := Open(t.Context(), c)
	must(t, err)
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- w.Serve(ctx) }()
	s := &stage{T: t, World: w, wires: wires, here: w.Servers()[0], there: w.Servers()[1]}
	var unsubscribe func()
	s.events, unsubscribe = s.here.Events(1000)
	t.Cleanup(func() {
		unsubscribe()
		cancel()
		must(t, <-served)
		for _, a := range wires.dialled { // whatever the test was about
			if at, err := netip.ParseAddrPort(a); err != nil || !at.Addr().IsLoopback() {
				t.Errorf("%s was dialled", a)
			}
		}
	})
	must(t, s.here.EnsureUser(t.Context(), mailserver.Account{Email: alice, Name: "Alice", Password: password}))
	must(t, s.there.EnsureUser(t.Context(), mailserver.Account{Email: carol, Name: "Carol", Password: password}))
	return s
}

// submit sends as a user.
func (s *stage) submit(at *mailserver.Server, from, to, subject string) {
	s.Helper()
	conn, err := net.Dial("tcp", at.Addr(mailserver.Submission).String())
	must(s, err)
	c := smtp.New(conn, nil)
	defer c.Close()
	must(s, c.StartTLS(s.Context(), &tls.Config{InsecureSkipVerify: true}))
	_, err = c.Auth(s.Context(), sasl.Credentials{User: from, Password: password}, "")
	must(s, err)
	text := fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%s@test>\r\n\r\nHello.\r\n", from, to, subject, strings.ReplaceAll(subject, " ", "-"))
	_, err = c.Send(s.Context(), smtp.Envelope{From: from, To: []string{to}, Size: int64(len(text))}, strings.NewReader(text))
	must(s, err)
}

// maildrop is all that an account has.
func (s *stage) maildrop(at *mailserver.Server, user string) (list []string) {
	s.Helper()
	conn, err := net.Dial("tcp", at.Addr(mailserver.POP3).String())
	must(s, err)
	c := pop3.New(conn, &pop3.Options{AllowPlaintextAuth: true})
	defer c.Close()
	must(s, c.Login(s.Context(), user, password))
	l, err := c.List(s.Context())
	must(s, err)
	must(s, c.RetrAll(s.Context(), l, func(_ int, body io.Reader) error {
		b, err := io.ReadAll(body)
		list = append(list, string(b))
		return err
	}))
	must(s, c.Quit(s.Context()))
	return list
}

// next is what comes of the next attempt.
func (s *stage) next() queue.Event {
	s.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(patience):
		s.Fatal("nothing comes of it")
	}
	return queue.Event{}
}

// travel puts the clock forward to what comes next of a row.
func (s *stage) travel(to time.Time) {
	s.Helper()
	if jump := to.Sub(s.Clock().Now()); jump > 0 {
		_, err := s.SetClock(s.Context(), control.ClockChange{Jump: jump})
		must(s, err)
	}
}

// reports are those that alice has had: what became of which recipient.
func (s *stage) reports() (list []string) {
	s.Helper()
	for _, text := range s.maildrop(s.here, alice) {
		if r, ok := (mail.Reader{}).Report([]byte(text)); ok {
			list = append(list, r.Recipients[0].Action+" "+r.Recipients[0].Status+" "+r.Recipients[0].Final)
		}
	}
	slices.Sort(list)
	return list
}

// The journey: alice writes, her server looks up the other's, speaks SMTP with it under TLS, and it believes her; and back.
func TestJourney(t *testing.T) {
	s := open(t)
	s.submit(s.here, alice, carol, "over there")
	if e := s.next(); e.Kind != queue.Delivered || !strings.HasPrefix(e.TLS, "TLS 1.3") || !strings.Contains(e.Server, "mail.elsewhere.test (198.51.100.25)") {
		t.Errorf("%+v", e)
	}
	got := s.maildrop(s.there, carol)
	if len(got) != 1 {
		t.Fatalf("carol has %q", got)
	}
	for _, want := range []string{
		"Return-Path: <alice@postern.test>", "Received: from postern.test ([192.0.2.25])", "with ESMTPS",
		"Authentication-Results: mail.elsewhere.test", "spf=pass smtp.mailfrom=postern.test", "dkim=pass header.d=postern.test", "dmarc=pass header.from=postern.test",
	} {
		if !strings.Contains(got[0], want) {
			t.Errorf("carol's message does not say %q:\n%s", want, got[0])
		}
	}
	if strings.Contains(got[0], "X-Postern-Junk") {
		t.Error("it is junk")
	}

	// One date is for all: the answer is of the day after tomorrow.
	if _, err := s.SetClock(t.Context(), control.ClockChange{Jump: 48 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	back, cancel := s.there.Events(10)
	defer cancel()
	s.submit(s.there, carol, alice, "and back")
	select {
	case e := <-back:
		if e.Kind != queue.Delivered {
			t.Errorf("%+v", e)
		}
	case <-time.After(patience):
		t.Fatal("the answer does not leave")
	}
	if got := s.maildrop(s.here, alice); len(got) != 1 || !strings.Contains(got[0], "Received: from mail.elsewhere.test ([198.51.100.25])") || !strings.Contains(got[0], "dmarc=pass header.from=elsewhere.test") ||
		!strings.Contains(got[0], s.Clock().Now().Format("2 Jan 2006 ")) {
		t.Errorf("alice has %q", got)
	}
}

// Who only says that he is alice is not believed: his address is not her server's.
func TestForgery(t *testing.T) {
	s := open(t, func(c *Config) {
		for i := range c.Servers {
			c.Servers[i].Receiving.Exempt = nil
		}
	})
	conn, err := net.Dial("tcp", s.there.Addr(mailserver.SMTP).String())
	must(t, err)
	c := smtp.New(conn, nil)
	defer c.Close()
	_, err = c.Send(t.Context(), smtp.Envelope{From: alice, To: []string{carol}}, strings.NewReader("From: <"+alice+">\r\nSubject: forged\r\n\r\nHello.\r\n"))
	must(t, err)
	if got := s.maildrop(s.there, carol); len(got) != 1 || !strings.Contains(got[0], "spf=softfail") || !strings.Contains(got[0], "dmarc=fail") || !strings.Contains(got[0], "X-Postern-Junk: yes") {
		t.Errorf("carol has %q", got)
	}
}

// What is for another domain, or another machine, is nobody's: it comes back at once, and nothing is dialled.
func TestBeyondTheWorld(t *testing.T) {
	s := open(t)
	for to, status := range map[string]string{"x@example.org": "5.1.2", "x@[192.0.2.77]": "5.4.4", "x@[127.0.0.1]": "5.4.4", "nobody@elsewhere.test": "5.1.1"} {
		s.submit(s.here, alice, to, "lost")
		if e := s.next(); e.Kind != queue.Failed || e.Enhanced != status {
			t.Errorf("%s: %+v", to, e)
		}
		if want := "failed " + status + " " + to; !slices.Contains(s.reports(), want) {
			t.Errorf("no report says %q: %q", want, s.reports())
		}
	}
}

// What becomes of a message, by fault.
func TestFaults(t *testing.T) {
	const minutes = time.Minute
	for _, c := range []struct {
		kind    control.FaultKind
		last    time.Duration // 0: until the end
		comes   []string      // of the attempts, the first ones
		reports []string      // to alice
		copies  int           // that carol has in the end
	}{
		{control.FaultGreylist, 0, []string{"deferred 451 4.7.1", "delivered 250 2.0.0"}, nil, 1},
		{control.FaultTemporary, 10 * minutes, []string{"deferred 451 4.3.2", "delivered 250 2.0.0"}, nil, 1},
		{control.FaultTemporary, 5 * 60 * minutes, []string{"deferred 451 4.3.2", "deferred 451 4.3.2", "deferred 451 4.3.2"}, []string{"delayed 4.3.2 " + carol}, 1},
		{control.FaultTemporary, 0, []string{"deferred 451 4.3.2"}, []string{"delayed 4.3.2 " + carol, "failed 4.3.2 " + carol}, 0},
		{control.FaultPermanent, 10 * minutes, []string{"failed 550 5.7.1"}, []string{"failed 5.7.1 " + carol}, 0},
		{control.FaultDropData, 10 * minutes, []string{"deferred 451 4.4.2", "delivered 250 2.0.0"}, nil, 1},
		{control.FaultDropDot, 10 * minutes, []string{"unknown 451 4.4.2", "delivered 250 2.0.0"}, nil, 2}, // nobody can know
		{control.FaultSlow, 0, []string{"delivered 250 2.0.0"}, nil, 1},
		{control.FaultDown, 20 * minutes, []string{"deferred 451 4.4.1", "delivered 250 2.0.0"}, nil, 1},
		{control.FaultDown, 0, []string{"deferred 451 4.4.1"}, []string{"delayed 4.4.1 " + carol, "failed 4.4.1 " + carol}, 0},
	} {
		t.Run(fmt.Sprint(c.kind, " for ", c.last), func(t *testing.T) {
			s := open(t)
			state, err := s.SetFault(t.Context(), control.Fault{Domain: "Elsewhere.test", Kind: c.kind, For: c.last})
			must(t, err)
			if len(state.Faults) != 1 || state.Faults[0].Domain != "elsewhere.test" || state.Faults[0].Kind != c.kind || state.Faults[0].For > c.last {
				t.Errorf("%+v", state.Faults)
			}
			began := s.Clock().Now()
			s.submit(s.here, alice, carol, "hello")
			for i := 0; ; i++ {
				e := s.next()
				if got := fmt.Sprintf("%s %d %s", e.Kind, e.Code, e.Enhanced); i < len(c.comes) && got != c.comes[i] {
					t.Errorf("attempt %d: %s (%s), want %s", i+1, got, e.Text, c.comes[i])
				}
				if i > 100 {
					t.Fatal("it never ends")
				}
				if e.Kind != queue.Deferred && e.Kind != queue.Unknown {
					if i < len(c.comes)-1 {
						t.Errorf("over after %d attempts", i+1)
					}
					break
				}
				state, err := s.ShowWorld(t.Context())
				must(t, err)
				if state.Servers[0].Waiting != 1 {
					t.Errorf("%d messages wait", state.Servers[0].Waiting)
				}
				when := e.NextTry
				if c.kind == control.FaultDown { // it is left alone for up to half an hour, whatever is due there
					when = when.Add(30 * minutes)
				}
				s.travel(when)
			}
			if took := s.Clock().Now().Sub(began); c.copies == 0 && c.kind != control.FaultPermanent && took < 5*24*time.Hour {
				t.Errorf("given up after %v", took)
			}
			if got := s.reports(); !slices.Equal(got, c.reports) {
				t.Errorf("alice was told %q, want %q", got, c.reports)
			}
			if got := s.maildrop(s.there, carol); len(got) != c.copies {
				t.Errorf("carol has %d messages, want %d", len(got), c.copies)
			}
		})
	}
}

// A fault is of one way and no other, and ends when it is switched off; one for all is of every way.
func TestFaultOfOneWay(t *testing.T) {
	s := open(t)
	set := func(domain string, kind control.FaultKind) {
		t.Helper()
		_, err := s.SetFault(t.Context(), control.Fault{Domain: domain, Kind: kind})
		must(t, err)
	}
	ways := func(want string) {
		t.Helper()
		if got := fmt.Sprint(s.faults.kind("postern.test"), " ", s.faults.kind("elsewhere.test")); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	set("postern.test", control.FaultDown)
	ways("down off")
	set(control.AllDomains, control.FaultTemporary)
	ways("down 4xx")
	set("postern.test", control.FaultNone)
	ways("4xx 4xx")
	set("elsewhere.test", control.FaultSlow)
	ways("4xx slow")
	set(control.AllDomains, control.FaultNone)
	ways("off off")
	for _, f := range []control.Fault{
		{Domain: "example.org", Kind: control.FaultDown}, {Domain: "elsewhere.test", Kind: "flood"}, {Domain: "elsewhere.test", Kind: control.FaultDown, For: -1}, {Kind: control.FaultDown},
	} {
		if state, err := s.SetFault(t.Context(), f); err == nil {
			t.Errorf("%+v: %+v", f, state.Faults)
		}
	}
	ways("off off")
}

// A server that goes down takes the connections along that are kept for the next message.
func TestDownCutsWhatIsOpen(t *testing.T) {
	s := open(t)
	s.submit(s.here, alice, carol, "one")
	if e := s.next(); e.Kind != queue.Delivered {
		t.Fatalf("%+v", e)
	}
	must(t, s.fault(control.FaultDown))
	s.submit(s.here, alice, carol, "two")
	if e := s.next(); e.Kind != queue.Deferred || e.Enhanced != "4.4.1" {
		t.Errorf("%+v", e)
	}
	must(t, s.fault(control.FaultNone))
	n, err := s.here.Admin().ChangeQueue(t.Context(), control.Retry, control.QueueFilter{}) // at once: what was found is forgotten
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if e := s.next(); e.Kind != queue.Delivered {
		t.Errorf("%+v", e)
	}
}

func (s *stage) fault(kind control.FaultKind) error {
	_, err := s.SetFault(s.Context(), control.Fault{Domain: "elsewhere.test", Kind: kind})
	return err
}

// Commands reach the world by the socket of either server.
func TestWorldByCommand(t *testing.T) {
	dir, err := os.MkdirTemp("", "w") // a socket's path is short, and a test's folder is not
	must(t, err)
	defer os.RemoveAll(dir)
	s := open(t, func(c *Config) {
		for i, s := range configuration(dir).Servers {
			c.Servers[i].Dir = s.Dir
		}
	})
	for _, folder := range []string{"a", "b"} {
		c, err := controld.Dial(t.Context(), filepath.Join(dir, folder))
		must(t, err)
		defer c.Close()
		_, err = c.SetFault(t.Context(), control.Fault{Domain: "*", Kind: control.FaultSlow, For: time.Hour})
		must(t, err)
		state, err := c.SetClock(t.Context(), control.ClockChange{Rate: 60, Jump: time.Minute})
		must(t, err)
		if len(state.Servers) != 2 || state.Servers[1].Hostname != "mail.elsewhere.test" || state.Servers[1].Address != "198.51.100.25" || fmt.Sprint(state.Servers[1].Accounts) != "["+carol+"]" ||
			state.Servers[1].SMTP != s.there.Addr(mailserver.SMTP).String() || state.Rate != 60 || state.Ahead < time.Minute || len(state.Faults) != 1 || state.Faults[0].For > time.Hour {
			t.Errorf("%+v", state)
		}
	}
}

// Two servers are not home to one domain, and a port in use is not the end where any will do.
func TestOpen(t *testing.T) {
	c := configuration(t.TempDir())
	c.Servers[1].Domains = []string{"Postern.test"}
	if _, err := Open(t.Context(), c); err == nil {
		t.Error("two servers are home to one domain")
	}
	c = configuration(t.TempDir())
	c.Servers = append(c.Servers, c.Servers...)
	if _, err := Open(t.Context(), c); err == nil {
		t.Error("more servers than there is room for")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	for _, any := range []bool{true, false} {
		c = configuration(t.TempDir())
		c.Servers[1].POP3, c.Servers[1].AnyPort = taken.Addr().String(), any
		w, err := Open(t.Context(), c)
		if (err == nil) != any {
			t.Errorf("any port %v: %v", any, err)
		}
		if w != nil {
			must(t, w.Close())
		}
	}
}
