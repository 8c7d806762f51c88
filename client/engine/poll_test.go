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

func TestMaildropInUse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.serve(wire.POP3S, mailtest.Script(t, mailtest.Say("+OK\r\n"), mailtest.Hear("CAPA"), mailtest.Say("-ERR\r\n"), mailtest.Hear("USER "+alice), mailtest.Say("+OK\r\n"),
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
