package mailserver

import (
	"crypto/tls"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

// page signs in as an administrator's page does.
func (s *Server) page(t testing.TB, user string) (*control.Client, error) {
	c := control.NewClient(tls.Client(s.dial(t, Control), s.pinned()), control.Limits{})
	return c, c.Login(t.Context(), sasl.Credentials{User: user, Password: password})
}

// An administrator sees over the network what waits, as it changes, page by page; who is none does not come in.
func TestAdministratorsPage(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Control = "127.0.0.1:0"
	s := start(t, cfg)
	if _, err := s.page(t, alice); kind(err) != control.Denied {
		t.Fatalf("who is no administrator: %v", err)
	}
	must(t, s.Admin().SetAdmin(t.Context(), "Alice@postern.test", true))
	if err := s.Admin().SetAdmin(t.Context(), "nobody@postern.test", true); kind(err) != control.NotFound {
		t.Errorf("an account that is not: %v", err)
	}
	c, err := s.page(t, alice)
	must(t, err)
	users, err := c.Users(t.Context())
	if err != nil || !users[0].Admin || users[1].Admin {
		t.Errorf("%+v %v", users, err)
	}
	// A new password leaves her what she is, after she has signed in by it.
	must(t, s.Admin().SetPassword(t.Context(), alice, password))
	if _, err := c.Users(t.Context()); kind(err) != control.Denied {
		t.Errorf("after a new password: %v", err)
	}
	c, err = s.page(t, alice)
	must(t, err)

	v, err := c.ViewQueue(t.Context(), control.QueueFilter{})
	must(t, err)
	if v.Matching != 0 || v.Waiting != 0 || len(v.Rows) != 0 || time.Since(v.Now) > time.Minute {
		t.Errorf("an empty queue: %+v", v)
	}
	watch, err := s.page(t, alice)
	must(t, err)
	changed := make(chan uint64, 1)
	go func() {
		n, err := watch.WatchQueue(t.Context(), v.Revision)
		if err != nil {
			t.Error(err)
		}
		changed <- n
	}()
	var to []string
	for i := range 5 {
		to = append(to, fmt.Sprintf("u%d@far.example", i))
	}
	s.submit(t, bob, "Subject: x\r\n\r\nhello\r\n", to...)
	if n := <-changed; n <= v.Revision {
		t.Errorf("revision %d after %d", n, v.Revision)
	}
	var seen []string
	f := control.QueueFilter{Text: "FAR.example", Limit: 2}
	for {
		v, err = c.ViewQueue(t.Context(), f)
		must(t, err)
		if v.Matching != 5 || v.Waiting != 5 || v.Held != 0 {
			t.Errorf("%+v", v)
		}
		if len(v.Rows) == 0 {
			break
		}
		for _, r := range v.Rows {
			seen = append(seen, r.Recipient)
			f.After = r.ID
		}
	}
	if !slices.Equal(seen, to) {
		t.Errorf("page by page: %v", seen)
	}
	if n, err := c.ChangeQueue(t.Context(), control.Hold, control.QueueFilter{Text: "u3@"}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	v, err = c.ViewQueue(t.Context(), control.QueueFilter{State: "held"})
	if err != nil || v.Matching != 1 || v.Held != 1 || v.Waiting != 4 || v.Rows[0].Recipient != "u3@far.example" {
		t.Errorf("%+v %v", v, err)
	}
	must(t, s.Admin().SetAdmin(t.Context(), alice, false))
	if _, err := c.Users(t.Context()); kind(err) != control.Denied {
		t.Errorf("an administrator no more: %v", err)
	}
}

// Every change of the queue is one of its revision; what changes nothing is none.
func TestQueueRevision(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	ctx := t.Context()
	last := uint64(0)
	moved := func(what string, want bool) {
		t.Helper()
		n, _ := s.store.QueueRevision()
		if n > last != want {
			t.Errorf("%s: %d after %d", what, n, last)
		}
		last = n
	}
	moved("the beginning", true)
	s.submit(t, bob, "Subject: x\r\n\r\nlocal\r\n", alice)
	moved("mail for somebody here", false)
	s.submit(t, bob, "Subject: x\r\n\r\nfar\r\n", "x@far.example")
	moved("mail for another server", true)
	claimed, err := s.store.Claim(ctx, "far.example", time.Now(), 10, 1)
	must(t, err)
	moved("claim", true)
	if _, err := s.store.Claim(ctx, "far.example", time.Now(), 10, 2); err != nil || len(claimed) != 1 {
		t.Error(err)
	}
	moved("a claim of nothing", false)
	must(t, s.store.Unclaim(ctx, 1))
	moved("unclaim", true)
	for action, want := range map[control.QueueAction]bool{control.Release: false} {
		_, err := s.Admin().ChangeQueue(ctx, action, control.QueueFilter{})
		must(t, err)
		moved(string(action), want)
	}
	for _, action := range []control.QueueAction{control.Retry, control.Hold, control.Release, control.Drop} {
		n, err := s.Admin().ChangeQueue(ctx, action, control.QueueFilter{})
		must(t, err)
		moved(string(action), true)
		if n != 1 {
			t.Errorf("%s: %d", action, n)
		}
	}
}

// POP3 tells an administrator's page, after the login, that there is more to show.
func TestPOP3TellsAdministrators(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	must(t, s.Admin().SetAdmin(t.Context(), alice, true))
	for user, want := range map[string]bool{alice: true, bob: false} {
		c := pop3.New(tls.Client(s.dial(t, POP3S), s.pinned()), nil)
		caps, err := c.Capa(t.Context())
		must(t, err)
		if _, there := caps.Args("X-POSTERN-ADMIN"); there {
			t.Error("told to who has not logged in")
		}
		_, err = c.Auth(t.Context(), sasl.Credentials{User: user, Password: password}, "")
		must(t, err)
		caps, err = c.Capa(t.Context())
		must(t, err)
		if _, there := caps.Args("X-POSTERN-ADMIN"); there != want {
			t.Errorf("%s: %v", user, caps.Lines)
		}
		must(t, c.Quit(t.Context()))
	}
}
