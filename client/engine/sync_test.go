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
	"github.com/postern-mail/postern/shared/tunnel"
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

func TestPollBringsNewMailAndTellsOfIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.pop.Maildrop[alice].Deliver(letter("one", "1"))
		w.pop.Maildrop[alice].Deliver(letter("two", "2"))
		time.Sleep(defaultPoll + time.Second)
		synctest.Wait()
		if rows := w.list(a.ID, api.Inbox); len(rows) != 2 {
			t.Fatalf("rows %v", rows)
		}
		if news := w.seen.newMail(); len(news) != 1 || news[0] != 2 {
			t.Errorf("news %v, want one of two messages", news)
		}
		sessions := w.gateway.streams(wire.POP3S)
		time.Sleep(10 * defaultPoll)
		synctest.Wait()
		if n := w.gateway.streams(wire.POP3S) - sessions; n < 9 || n > 11 {
			t.Errorf("%d polls in ten poll intervals", n)
		}
		if rows := w.list(a.ID, api.Inbox); len(rows) != 2 {
			t.Errorf("polling fetched again: %v", rows)
		}
	})
}

func TestWatchBringsMailAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.NoWait = false
		a := w.signIn(alice)
		for i := range 3 {
			time.Sleep(time.Minute)
			began := time.Now()
			w.pop.Maildrop[alice].Deliver(letter(fmt.Sprint("m", i), "x"))
			synctest.Wait()
			if n := len(w.list(a.ID, api.Inbox)); n != i+1 || time.Since(began) > time.Second {
				t.Fatalf("%d messages after %v", n, time.Since(began))
			}
		}
		sessions := w.gateway.streams(wire.POP3S)
		time.Sleep(longestWatch - time.Second)
		if n := w.gateway.streams(wire.POP3S); n != sessions {
			t.Errorf("%d sessions while nothing happened", n-sessions)
		}
		if err := w.SyncNow(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := w.gateway.streams(wire.POP3S); n != sessions+1 {
			t.Errorf("SyncNow made %d sessions, want one", n-sessions)
		}
	})
}

// A server whose watch ends at once must not have the client run in circles.
func TestWatchThatIsCutFallsBackToPolling(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.NoWait = false
		w.gateway.serve(wire.POP3S, mailtest.ServerFunc(func(c net.Conn) {
			w.pop.ServeConn(&cutAt{Conn: c, word: "XWAIT"})
		}))
		w.signIn(alice)
		before := w.gateway.streams(wire.POP3S)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := w.gateway.streams(wire.POP3S) - before; n > 40 || n < 10 {
			t.Errorf("%d sessions in ten minutes", n)
		}
	})
}

// cutAt is a server's connection that ends when the client says a word.
type cutAt struct {
	net.Conn
	word string
}

func (c *cutAt) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if strings.Contains(string(p[:n]), c.word) {
		c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

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

func TestMaildropInUse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.serve(wire.POP3S, mailtest.Script(t, mailtest.Say("+OK\r\n"), mailtest.Hear("USER "+alice), mailtest.Say("+OK\r\n"),
			mailtest.Hear("PASS "+alicePW), mailtest.Say("-ERR [IN-USE] another client has it\r\n")))
		before := w.gateway.streams(wire.POP3S)
		time.Sleep(defaultPoll + 6*time.Second)
		synctest.Wait()
		if p := w.accountNow(a.ID).Sync.Problem; problemCode(p) != api.CodeMaildropLocked || p.Detail != "another client has it" {
			t.Errorf("problem %v", p)
		}
		if n := w.gateway.streams(wire.POP3S) - before; n != len(inUsePauses)+1 {
			t.Errorf("%d quick attempts, want %d", n, len(inUsePauses)+1)
		}
		w.gateway.serve(wire.POP3S, w.pop)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := w.accountNow(a.ID).Sync; s.State != api.SyncIdle {
			t.Errorf("not taken up again: %+v", s)
		}
	})
}

func TestPasswordThatNoLongerWorksIsNotTriedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		changed := &mailtest.POP3{Password: map[string]string{alice: "changed"}, Maildrop: w.pop.Maildrop, NoWait: true}
		w.gateway.serve(wire.POP3S, changed)
		time.Sleep(10 * defaultPoll)
		synctest.Wait()
		s := w.accountNow(a.ID).Sync
		if problemCode(s.Problem) != api.CodeWrongPassword {
			t.Fatalf("problem %v", s.Problem)
		}
		before := w.gateway.streams(wire.POP3S)
		time.Sleep(time.Hour)
		w.gateway.set(tunnel.Offline)
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		if n := w.gateway.streams(wire.POP3S) - before; n != 0 {
			t.Errorf("tried %d times more", n)
		}
		w.gateway.serve(wire.POP3S, w.pop)
		if err := w.SyncNow(t.Context(), ""); err != nil { // the user says so
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.accountNow(a.ID).Sync; s.State != api.SyncIdle || s.Problem != nil {
			t.Errorf("after SyncNow: %+v", s)
		}
	})
}

func TestServerWithoutUIDL(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.NoUIDL = true
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a := w.signIn(alice)
		s := w.accountNow(a.ID).Sync
		if s.State != api.SyncError || problemCode(s.Problem) != api.CodeServerRefused || !strings.Contains(s.Problem.Detail, "UIDL") {
			t.Errorf("sync %+v", s)
		}
	})
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

func TestOfflineIsNoErrorOfTheAccount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		time.Sleep(5 * defaultPoll)
		synctest.Wait()
		if s := w.accountNow(a.ID).Sync; s.State != api.SyncIdle {
			t.Errorf("sync %+v", s)
		}
		if s, _ := w.Status(t.Context()); s.Gateway.State != api.Offline || problemCode(s.Gateway.Problem) != api.CodeGatewayOffline || len(s.Gateway.Domains) != 1 {
			t.Errorf("gateway %+v", s.Gateway)
		}
		w.pop.Maildrop[alice].Deliver(letter("meanwhile", "x"))
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		if w.only(a.ID, api.Inbox).Subject != "meanwhile" {
			t.Error("not fetched when the gateway came back")
		}
	})
}

// The polls of a maildrop in which nothing changes do not list it each time; all of them together miss nothing.
func TestQuietMaildropIsNotListedAtEachPoll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		lists := 0
		exchange := false
		w.gateway.serve(wire.POP3S, mailtest.ServerFunc(func(c net.Conn) {
			uid := "a"
			if exchange {
				uid = "b"
			}
			r := newLines(c)
			r.say("+OK")
			for {
				switch verb, _ := r.command(); verb {
				case "STAT":
					r.say("+OK 1 12")
				case "UIDL":
					lists++
					r.say("+OK", "1 "+uid, ".")
				case "LIST":
					r.say("+OK", "1 12", ".")
				case "RETR":
					r.say("+OK", "Subject: "+uid, ".")
				case "CAPA":
					r.say("-ERR what?")
				case "":
					return
				default:
					r.say("+OK")
				}
			}
		}))
		a := w.signIn(alice)
		time.Sleep(wholeLookEvery - time.Minute)
		synctest.Wait()
		if lists != 2 { // one that fetched, one that found nothing more
			t.Errorf("listed %d times", lists)
		}
		exchange = true // one goes, another of its size comes
		time.Sleep(wholeLookEvery)
		synctest.Wait()
		if n := len(w.list(a.ID, api.Inbox)); n != 2 {
			t.Errorf("%d messages", n)
		}
	})
}

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
