package engine

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// refusing is a server that answers the password with that line.
func refusing(answer string, attempts *int) mailtest.Server {
	return mailtest.ServerFunc(func(c net.Conn) {
		r := newLines(c)
		r.say("+OK")
		for {
			switch verb, _ := r.command(); verb {
			case "PASS":
				*attempts++
				r.say(answer)
			case "CAPA":
				r.say("-ERR what?")
			case "":
				return
			default:
				r.say("+OK")
			}
		}
	})
}

// A server that drops the line after some messages: each session brings as many, nothing is fetched twice, and the pauses
// do not grow while it gets on.
func TestServerThatDropsTheLineAfterSomeMessages(t *testing.T) {
	for _, test := range []struct{ n, after int }{{60, 1}, {60, 7}, {350, 130}} {
		t.Run(fmt.Sprint(test.after), func(t *testing.T) {
			d := &maildrop{}
			all, subjects := numbered(test.n)
			inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
				given := 0
				d.step = func(at string) bool {
					switch at {
					case "PASS heard":
						given = 0
					case "RETR answered":
						given++
					}
					return given == test.after && at == "RETR heard"
				}
				d.deliver(all...)
				began := time.Now()
				for len(w.list(a, api.Inbox)) < min(test.n, api.MaxListLimit) && time.Since(began) < time.Hour {
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if test.n <= api.MaxListLimit {
					wantHere(t, w, a, subjects...)
				}
				if a := w.accountNow(a); a.Folders[0].Total != test.n {
					t.Errorf("%d messages", a.Folders[0].Total)
				}
				sessions := (test.n + test.after - 1) / test.after
				if took := time.Since(began); took > time.Duration(sessions)*5*time.Second+2*time.Minute {
					t.Errorf("%d sessions took %v", sessions, took)
				}
				answered := d.count("RETR") - sessions // the last of each session was not
				if answered > test.n+1 {
					t.Errorf("%d messages given, for %d", answered, test.n)
				}
			})
		})
	}
}

// The line drops in the middle of removing: less is removed at a time, until it works.
func TestServerThatDropsTheLineWhileRemoving(t *testing.T) {
	const n, after = 50, 6
	d := &maildrop{}
	all, _ := numbered(n)
	inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(all...)
		w.fetchNow(a)
		deleted := 0
		d.step = func(at string) bool {
			switch at {
			case "PASS heard":
				deleted = 0
			case "DELE answered":
				deleted++
			}
			return deleted == after && at == "DELE answered"
		}
		d.removing = func(gone []dropped) { wantDurable(t, w, gone) }
		w.configure(a, leave(api.LeaveNever, 0))
		began := time.Now()
		for len(d.left()) > 0 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		wantLeft(t, d)
		if n := len(w.list(a, api.Inbox)); n != 50 {
			t.Errorf("%d messages here", n)
		}
	})
}

// A session that is cut in the middle of a message keeps those before it, in the batch not yet flushed too.
func TestCutKeepsWhatCameWhole(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d := &maildrop{}
		w.gateway.serve(wire.POP3S, d)
		a := w.signIn(alice).ID
		all, _ := numbered(10)
		d.deliver(all...)
		cuts := 0
		d.step = func(at string) bool {
			if at == "RETR half answered" {
				cuts++
			}
			return cuts == 5 && at == "RETR half answered"
		}
		w.fetchNow(a)
		if n := len(w.list(a, api.Inbox)); n != 4 {
			t.Errorf("%d messages, want the four that came whole", n)
		}
	})
}
