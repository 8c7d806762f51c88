package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/smtp"
)

// A problem leads to the line of the transcript that it is about, whatever was said after it.
func TestFaultLine(t *testing.T) {
	reply := func(command string, code int, enhanced, text string) error {
		return &smtp.Error{Command: command, Code: code, Enhanced: enhanced, Text: text}
	}
	for _, c := range []struct {
		name     string
		protocol api.Protocol
		lines    []string // "C " and "S ", "# " a remark
		p        *api.Problem
		want     string
	}{
		{"of several replies that were pipelined, the one that is quoted", api.SMTP,
			[]string{"C MAIL FROM:<a@x>", "C RCPT TO:<b@x>", "C DATA", "S 250 2.1.0 fine", "S 550 5.1.1 <b@x>: nobody", "S 503 5.5.1 no recipients", "C RSET", "S 250 fine"},
			problemOf(reply("RCPT TO:<b@x>", 550, "5.1.1", "<b@x>: nobody")), "550 5.1.1 <b@x>: nobody"},
		{"the last of the same", api.SMTP, []string{"S 220 hi", "S 550 5.1.1 nobody", "# the next message", "S 550 5.1.1 nobody (once more)", "S 221 bye"},
			problemOf(reply("RCPT TO:<b@x>", 550, "5.1.1", "nobody (once more)")), "550 5.1.1 nobody (once more)"},
		{"the first of several lines", api.SMTP, []string{"S 250 fine", "S 554-5.7.1 This is spam", "S 554-5.7.1 or it looks like it", "S 554 5.7.1 and we do not care", "C QUIT", "S 221 bye"},
			problemOf(reply(".", 554, "5.7.1", "This is spam\nor it looks like it\nand we do not care")), "554-5.7.1 This is spam"},
		{"a reply that was cleaned before it was quoted", api.SMTP, []string{"S 220 hi", "S 552 5.3.4 \x01too\x02 large", "C QUIT"},
			problemOf(reply(".", 552, "5.3.4", "too large")), "552 5.3.4 \x01too\x02 large"},
		{"the last thing said before a cut, whatever was refused before", api.SMTP, []string{"S 502 no EHLO", "C HELO x", "S 250 fine", "C MAIL FROM:<a@x>", "# a remark"},
			&api.Problem{Code: api.CodeServerClosed, Technical: "EOF"}, "MAIL FROM:<a@x>"},
		{"of a server that says nothing, what was tried", api.SMTP, []string{}, &api.Problem{Code: api.CodeServerTimeout}, "Connecting to x:1 through the gateway"},
		{"a refusal with a response code", api.POP3, []string{"S +OK hi", "C PASS ****", "S -ERR [IN-USE] another session", "C QUIT", "S -ERR what"},
			&api.Problem{Code: api.CodeMaildropLocked, Technical: "pop3: PASS refused [IN-USE]: another session"}, "-ERR [IN-USE] another session"},
		{"a refusal without a word", api.POP3, []string{"S +OK hi", "C PASS ****", "S -ERR", "C QUIT", "S +OK bye"},
			&api.Problem{Code: api.CodeWrongPassword, Technical: "pop3: PASS refused"}, "-ERR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newWireLog(&account{e: &Engine{Config: Config{}.withDefaults()}})
				r := log.begin(c.protocol, "x:1")
				for _, l := range c.lines {
					who, text, _ := strings.Cut(l, " ")
					r.take(map[string]api.Speaker{"C": api.ClientSays, "S": api.ServerSays, "#": api.Remark}[who], "", text)
				}
				early := r.linked(c.p)
				r.end(nil)
				late := r.linked(c.p)
				r.end(c.p)
				page, err := log.query(t.Context(), api.WireQuery{})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range []*api.Problem{early, page.Sessions[0].Problem} {
					if got := lineOf(page, p.Line); got != c.want || p.Session != r.id() {
						t.Errorf("line %q of session %d, want %q", got, p.Session, c.want)
					}
				}
				if got := lineOf(page, late.Line); len(c.lines) > 0 && got != c.want {
					t.Errorf("after the end: %q, want %q", got, c.want)
				}
				if r.linked(late) != late {
					t.Error("a problem is linked twice")
				}
			})
		})
	}
}

func lineOf(p api.WirePage, seq uint64) string {
	for _, l := range p.Lines {
		if l.Seq == seq {
			return l.Text
		}
	}
	return fmt.Sprintf("(no line %d)", seq)
}

// Failed sends and failed fetches lead there, in a session that went on, and after a restart.
func TestFailuresLeadToTheirLine(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var full atomic.Bool
		w.pop.Fault = func(stage string, _ int) *mailtest.POP3Fault {
			if stage != "UIDL" || !full.Load() {
				return nil
			}
			return &mailtest.POP3Fault{Answer: "-ERR [SYS/TEMP] the disk is full\r\n"}
		}
		a := w.signIn(alice)
		line := func(what string, p *api.Problem, want string) {
			t.Helper()
			if p == nil {
				t.Fatalf("%s: no problem", what)
			}
			if got := lineOf(w.transcript(api.WireQuery{Account: a.ID, Session: p.Session}), p.Line); got != want {
				t.Errorf("%s: line %q, want %q", what, got, want)
			}
		}
		w.post.failOnce("RCPT", "550 5.1.1 nobody of that name")
		refused := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "refused"})
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "taken, in the same session"})
		synctest.Wait()
		line("a refused message", w.row(a.ID, refused).Problem, "550 5.1.1 nobody of that name")

		w.post.failOnce("DATA", "cut")
		cut := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "cut"})
		synctest.Wait()
		line("a message that was cut", w.row(a.ID, cut).Problem, "DATA")

		full.Store(true)
		w.pop.Maildrop[alice].Deliver(letter("question", "to be fetched"))
		_ = w.SyncNow(t.Context(), a.ID)
		synctest.Wait()
		line("a fetch", w.accountNow(a.ID).Sync.Problem, "-ERR [SYS/TEMP] the disk is full")

		w.halt()
		time.Sleep(time.Second)
		w.gateway.refuse = errors.New("nothing new")
		w.start()
		line("after a restart", w.row(a.ID, refused).Problem, "550 5.1.1 nobody of that name")
		w.gateway.refuse = nil
	})
}
