package e2e

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/controld"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/pop3"
)

// The journey from one server to the other: Alice writes to Carol, whose server believes hers; Carol answers; and what goes wrong on
// the way waits and arrives, or comes back in words that a person understands.
func TestDemoWorld(t *testing.T) {
	g := startGateway(t)
	alice, carol := startBrowser(t, "alice"), startBrowser(t, "carol")
	alice.Go(g.URL())
	alice.SignInDemo("alice")
	carol.Go(g.URL())
	carol.Until("three people are offered", q("demo-alice")+` && `+q("demo-bob")+` && `+q("demo-carol")+` !== null`)
	carol.shot("world-signin")
	carol.SignInDemo("carol")

	alice.Compose("carol@elsewhere.test", "Hello over there", "Dear Carol,\n\ndoes this reach you?\n\nAlice")
	carol.Open("Hello over there")
	carol.Until("the text arrived", body+`.includes("does this reach you?")`)
	carol.shot("world-carol-reads")
	for _, text := range g.maildrop("carol", "carol@elsewhere.test") {
		if !strings.Contains(text, "Subject: Hello over there") {
			continue
		}
		for _, want := range []string{
			"Authentication-Results: mail.elsewhere.test", "spf=pass smtp.mailfrom=postern.test", "dkim=pass header.d=postern.test", "dmarc=pass header.from=postern.test",
			"Received: from postern.test ([192.0.2.25])", "with ESMTPS",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("what arrived does not say %q:\n%.3000s", want, text)
			}
		}
	}
	carol.Click("reply")
	carol.Type("compose-body", "It does. ")
	carol.Click("compose-send")
	alice.Open("Re: Hello over there")
	alice.Until("the answer is there", body+`.includes("It does.")`)

	// A server that wants to see it twice has it half an hour later, which is now.
	world := g.world()
	fault := func(kind control.FaultKind) {
		t.Helper()
		if _, err := world.SetFault(t.Context(), control.Fault{Domain: "elsewhere.test", Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	fault(control.FaultGreylist)
	alice.Compose("carol@elsewhere.test", "Twice if need be", "It waits.")
	g.await("the message waits, tried once", func() bool {
		rows, err := world.ListQueue(t.Context(), control.QueueFilter{})
		return err == nil && len(rows) == 1 && rows[0].Attempts == 1 && rows[0].State == "waiting"
	})
	if _, err := world.SetClock(t.Context(), control.ClockChange{Jump: 40 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	carol.Open("Twice if need be")

	// What is refused comes back.
	fault(control.FaultPermanent)
	alice.Compose("carol@elsewhere.test", "Unwanted", "It comes back.")
	alice.Open("Not delivered: Unwanted")
	alice.Until("it says what happened", body+`.includes("It could not be delivered, and will not be tried again")`)
	alice.Until("to whom", body+`.includes("carol@elsewhere.test")`)
	alice.Until("and why", body+`.includes("this server does not want that message")`)
	alice.shot("world-bounce")

	// What is tried for five days is given up after them, and the time is short where the clock is fast.
	fault(control.FaultTemporary)
	if _, err := world.SetClock(t.Context(), control.ClockChange{Rate: control.MaxClockRate}); err != nil {
		t.Fatal(err)
	}
	alice.Compose("carol@elsewhere.test", "Patience", "It waits.")
	alice.Open("Not delivered yet: Patience")
	alice.Until("the delay is explained", body+`.includes("You need not do anything")`)
	if _, err := world.SetClock(t.Context(), control.ClockChange{Jump: 4 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	alice.Open("Not delivered: Patience")
	alice.Until("the end is explained", body+`.includes("the time for that is over")`)
	alice.shot("world-given-up")
}

// world asks the gateway that runs.
func (g *gateway) world() *control.Client {
	g.t.Helper()
	c, err := controld.Dial(g.t.Context(), g.dir)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

// await waits for what the gateway does by itself.
func (g *gateway) await(what string, done func() bool) {
	g.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("in vain: %s", what)
		}
	}
}

// maildrop is what an account of the second server has, as any mail program sees it.
func (g *gateway) maildrop(who, user string) (list []string) {
	g.t.Helper()
	at := regexp.MustCompile(`(?s)And elsewhere\.test.*?POP3 +(127\.0\.0\.1:\d+)`).FindStringSubmatch(g.log.String())
	if at == nil {
		g.t.Fatalf("the banner has no second server:\n%s", g.log)
	}
	conn, err := net.Dial("tcp", at[1])
	if err != nil {
		g.t.Fatal(err)
	}
	c := pop3.New(conn, &pop3.Options{AllowPlaintextAuth: true})
	defer c.Close()
	// The page may have the maildrop for a moment.
	g.await("the maildrop is free", func() bool { return c.Login(g.t.Context(), user, g.password(who)) == nil })
	l, err := c.List(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	err = c.RetrAll(g.t.Context(), l, func(_ int, body io.Reader) error {
		b, err := io.ReadAll(body)
		list = append(list, string(b))
		return err
	})
	if err != nil || len(list) == 0 {
		g.t.Fatalf("%d messages, %v", len(list), err)
	}
	if err := c.Quit(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	return list
}
