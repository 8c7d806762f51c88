package engine

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

func TestFirstFetchBringsEverythingOnceAndLeavesIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		g := mailtest.Generator{Seed: 1}
		const n = 250
		for i := range n {
			w.pop.Maildrop[alice].Deliver(g.Message(i))
		}
		a := w.signIn(alice)
		rows := w.list(a.ID, api.Inbox)
		if len(rows) != n {
			t.Fatalf("%d messages fetched, want %d", len(rows), n)
		}
		for i, r := range rows { // newest first
			source, err := w.Source(t.Context(), api.MessageRef{Account: a.ID, ID: r.ID})
			if err != nil || string(source) != string(g.Message(n-1-i)) {
				t.Fatalf("message %d is not what the server had: %v", i, err)
			}
			if !r.Unread || r.From.Addr == "" || r.Subject == "" {
				t.Fatalf("row %d: %+v", i, r)
			}
		}
		if left := len(w.pop.Maildrop[alice].Contents()); left != n {
			t.Errorf("%d messages left on the server, want all %d", left, n)
		}
		now := w.accountNow(a.ID)
		if now.Sync.State != api.SyncIdle || now.Sync.Last.IsZero() || now.Folders[0].Total != n || now.Folders[0].Unread != n || !now.Sealed {
			t.Errorf("account %+v", now)
		}
		if news := w.seen.newMail(); news != nil {
			t.Errorf("what was there before is no news: %v", news)
		}
		progress := false
		for _, e := range w.seen.all() {
			progress = progress || e.Account != nil && e.Account.Sync.State == api.Syncing && e.Account.Sync.Done > 0 && e.Account.Sync.Total == n
		}
		if !progress {
			t.Error("no progress was told")
		}
	})
}

// A server whose watch ends at once must not have the client run in circles.

// cutAt is a server's connection that ends when the client says a word.

func TestErrorsMarkTheAccountAndKeepTheMail(t *testing.T) {
	for _, test := range []struct {
		name   string
		server mailtest.Server
		want   api.Code
	}{
		{"stall", silent{}, api.CodeServerTimeout},
		{"nonsense", says("HTTP/1.1 400 Bad Request\r\n\r\n"), api.CodeServerProtocol},
		{"close", says(""), api.CodeServerClosed},
		{"refusing greeting", says("-ERR [SYS/TEMP] come back later\r\n"), api.CodeServerRefused},
		{"endless line", mailtest.ServerFunc(func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(strings.Repeat("x", 4096))); err != nil {
					return
				}
			}
		}), api.CodeServerProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.pop.Maildrop[alice].Deliver(letter("kept", "x"))
				a := w.signIn(alice)
				w.gateway.serve(wire.POP3S, test.server)
				time.Sleep(defaultPoll + defaultAnswer + time.Second)
				synctest.Wait()
				now := w.accountNow(a.ID)
				if problemCode(now.Sync.Problem) != test.want {
					t.Errorf("problem %v, want %s", now.Sync.Problem, test.want)
				}
				if now.Sync.Last.IsZero() || len(w.list(a.ID, api.Inbox)) != 1 {
					t.Error("what was stored is gone")
				}
				w.gateway.serve(wire.POP3S, w.pop)
				w.pop.Maildrop[alice].Deliver(letter("after", "x"))
				time.Sleep(2*mostBackoff + 2*defaultAnswer)
				synctest.Wait()
				if now := w.accountNow(a.ID); now.Sync.State != api.SyncIdle || now.Folders[0].Total != 2 {
					t.Errorf("it did not recover: %+v", now.Sync)
				}
			})
		})
	}
}

type silent struct{}

func (silent) ServeConn(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func says(greeting string) mailtest.Server {
	return mailtest.ServerFunc(func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		if greeting != "" {
			_, _ = io.Copy(io.Discard, c)
		}
	})
}

// A cut anywhere in a fetch keeps what came whole, and each message arrives exactly once in the end.

func TestFetchCutAnywhere(t *testing.T) {
	for cut := int64(2000); cut < 120_000; cut += 7919 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				g := mailtest.Generator{Seed: 5, Median: 1000}
				const n = 40
				for i := range n {
					w.pop.Maildrop[alice].Deliver(g.Message(i))
				}
				cuts := 0
				w.gateway.mu.Lock()
				w.gateway.faults = func(service wire.ServiceName, _ int) *mailtest.Faults {
					if cuts++; service == wire.POP3S && cuts <= 2 {
						return &mailtest.Faults{CutAfter: cut}
					}
					return nil
				}
				w.gateway.mu.Unlock()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				wantMailbox(t, w, a.ID, g, n)
			})
		})
	}
}

// wantMailbox checks that the inbox has the first n messages of g, each once, unchanged.

func wantMailbox(t *testing.T, w *world, id api.AccountID, g mailtest.Generator, n int) {
	t.Helper()
	rows := w.list(id, api.Inbox)
	if len(rows) != n {
		t.Fatalf("%d messages, want %d", len(rows), n)
	}
	want := make(map[string]bool)
	for i := range n {
		want[string(g.Message(i))] = true
	}
	for _, r := range rows {
		source, err := w.Source(t.Context(), api.MessageRef{Account: id, ID: r.ID})
		if err != nil || !want[string(source)] {
			t.Fatalf("message %d: changed or twice (%v)", r.ID, err)
		}
		delete(want, string(source))
	}
}

func TestServerOfTheOldKind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.NoCapa, w.pop.NoPipelining = true, true
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a := w.signIn(alice)
		if w.only(a.ID, api.Inbox).Subject != "x" {
			t.Error("not fetched")
		}
	})
}

func TestTooLargeMessageIsLeftAndSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.limits.Message = 2_000_000
		w.start()
		defer w.halt()
		w.pop.Maildrop[alice].Deliver(letter("small", "x"))
		w.pop.Maildrop[alice].Deliver(letter("large", strings.Repeat("x", 70)+strings.Repeat("\r\n"+strings.Repeat("y", 78), 30_000)))
		w.pop.Maildrop[alice].Deliver(letter("small too", "x"))
		a := w.signIn(alice)
		if n := len(w.list(a.ID, api.Inbox)); n != 2 {
			t.Errorf("%d messages, want the two small ones", n)
		}
		s := w.accountNow(a.ID).Sync
		if s.State != api.SyncIdle || problemCode(s.Problem) != api.CodeTooLarge {
			t.Errorf("sync %+v", s)
		}
	})
}

// A server that understates a message's size costs that message and no other.

func TestMessageLargerThanItsListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.limits.Message = 100_000
		liar := func(c net.Conn) {
			r := newLines(c)
			r.say("+OK")
			for {
				switch verb, arg := r.command(); verb {
				case "STAT":
					r.say("+OK 3 300")
				case "UIDL":
					r.say("+OK", "1 a", "2 b", "3 c", ".")
				case "LIST":
					r.say("+OK", "1 100", "2 100", "3 100", ".")
				case "RETR":
					r.say("+OK", "Subject: "+arg, "")
					for i := 0; arg == "2" && i < 3000 && r.err == nil; i++ {
						r.say(strings.Repeat("z", 76))
					}
					r.say(".")
				case "CAPA":
					r.say("-ERR what?")
				case "":
					return
				default:
					r.say("+OK")
				}
			}
		}
		w.gateway.servers[wire.POP3S] = mailtest.ServerFunc(liar)
		w.start()
		defer w.halt()
		a := w.signIn(alice)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.list(a.ID, api.Inbox)); n != 2 {
			t.Errorf("%d messages", n)
		}
		if s := w.accountNow(a.ID).Sync; s.State != api.SyncIdle || problemCode(s.Problem) != api.CodeTooLarge {
			t.Errorf("sync %+v", s)
		}
	})
}

// The polls of a maildrop in which nothing changes do not list it each time; all of them together miss nothing.

func TestErasedMessageIsNotFetchedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("gone", "x"))
		a := w.signIn(alice)
		id := w.only(a.ID, api.Inbox).ID
		if err := w.Erase(t.Context(), api.Erase{Account: a.ID, IDs: []api.MessageID{id}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * defaultPoll)
		synctest.Wait()
		if rows := w.list(a.ID, api.Inbox); len(rows) != 0 {
			t.Errorf("it is back: %v", rows)
		}
	})
}

// A message at which the server always falls over holds up none of the others.
func TestMessageThatCutsEverySession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range 10 {
			w.pop.Maildrop[alice].Deliver(letter(fmt.Sprint(i), "x"))
		}
		w.pop.NoPipelining = true
		w.gateway.serve(wire.POP3S, mailtest.ServerFunc(func(c net.Conn) {
			w.pop.ServeConn(&cutAt{Conn: c, word: "RETR 7\r\n"})
		}))
		a := w.signIn(alice)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.list(a.ID, api.Inbox)); n != 9 {
			t.Errorf("%d messages", n)
		}
		if s := w.accountNow(a.ID).Sync; problemCode(s.Problem) != api.CodeServerClosed && s.State != api.Syncing {
			t.Errorf("sync %+v", s)
		}
	})
}
