package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/wire"
)

func (w *world) transcript(q api.WireQuery) api.WirePage {
	w.t.Helper()
	p, err := w.Wire(w.t.Context(), q)
	if err != nil {
		w.t.Fatalf("Wire: %v", err)
	}
	return p
}

// said is a transcript as a person saves it.
func said(lines []api.WireLine) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%-6s %-13s %s\n", l.Who, l.State, l.Text)
	}
	return b.String()
}

// wantOrder wants these pieces in the transcript, in this order.
func wantOrder(t *testing.T, lines []api.WireLine, pieces ...string) {
	t.Helper()
	text, at := said(lines), 0
	for _, p := range pieces {
		i := strings.Index(text[at:], p)
		if i < 0 {
			t.Fatalf("%q is not where it belongs in\n%s", p, text)
		}
		at += i + len(p)
	}
}

func TestTranscriptOfASignInAndASend(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("question", "a word that nobody needs to see"))
		a := w.signIn(alice)
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "a hidden subject", Text: "a hidden word"})
		synctest.Wait()
		p := w.transcript(api.WireQuery{Account: a.ID})
		wantOrder(t, p.Lines,
			"note                 Connecting to mail.postern.test:1 through the gateway",
			"note                 Sealed by TLS 1.3, TLS_",
			"server AUTHORIZATION +OK",
			"client AUTHORIZATION AUTH PLAIN ****",
			"server AUTHORIZATION +OK",
			"client TRANSACTION   RETR 1",
			"server TRANSACTION   ... ",
			"Closed after ")
		text := said(p.Lines)
		plain := base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00" + alicePW))
		for _, secret := range []string{alicePW, base64.StdEncoding.EncodeToString([]byte(alicePW)), plain, "hidden", "a word that nobody"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the transcript:\n%s", secret, text)
			}
		}
		wantOrder(t, p.Lines, "AUTH PLAIN ****", "MAIL FROM:<"+alice+">", "RCPT TO:<"+bob+">", "DATA", "... ", "250 2.0.0 taken", "QUIT")
		if len(p.Sessions) < 2 || p.Sessions[0].Protocol != api.POP3 || p.Sessions[0].TLS == "" || p.Sessions[0].Ended.IsZero() || p.Sessions[0].Problem != nil {
			t.Errorf("sessions %+v", p.Sessions)
		}
		var last uint64
		for _, l := range p.Lines {
			if l.Seq <= last || l.At.IsZero() || l.Session == 0 {
				t.Fatalf("after %d comes %+v", last, l)
			}
			last = l.Seq
		}
		smtp := p.Sessions[len(p.Sessions)-1]
		one := w.transcript(api.WireQuery{Account: a.ID, Session: smtp.ID, Limit: 3})
		if len(one.Lines) != 3 || one.Lines[0].Session != smtp.ID || len(one.Sessions) != len(p.Sessions) {
			t.Errorf("three lines of session %d: %+v", smtp.ID, one.Lines)
		}
		rest := w.transcript(api.WireQuery{Account: a.ID, Session: smtp.ID, After: one.Lines[2].Seq})
		whole := w.transcript(api.WireQuery{Account: a.ID, Session: smtp.ID})
		if said(one.Lines)+said(rest.Lines) != said(whole.Lines) {
			t.Errorf("in two parts:\n%s%s\nas a whole:\n%s", said(one.Lines), said(rest.Lines), said(whole.Lines))
		}
	})
}

// A server that repeats the password does not put it into the transcript.
func TestTranscriptHidesASecretThatTheServerRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newWireLog(&account{e: &Engine{Config: Config{}.withDefaults()}})
		r := log.begin(api.POP3, "x:1")
		r.conceal(alicePW)
		r.take(api.ServerSays, "AUTHORIZATION", "-ERR "+alicePW+" or "+base64.StdEncoding.EncodeToString([]byte(alicePW)))
		r.end(&api.Problem{Code: api.CodeWrongPassword, Technical: "it said " + alicePW})
		p, err := log.query(t.Context(), api.WireQuery{})
		if err != nil || len(p.Lines) != 4 {
			t.Fatalf("%v, %v", p, err)
		}
		if text := said(p.Lines) + p.Sessions[0].Problem.Technical; strings.Contains(text, alicePW) || !strings.Contains(text, "-ERR **** or ****") {
			t.Errorf("transcript\n%s", text)
		}
	})
}

// What a fetch of many messages says does not push out what matters: the beginning, the end, and what was refused.
func TestTranscriptOfAFloodIsThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newWireLog(&account{e: &Engine{Config: Config{}.withDefaults()}})
		r := log.begin(api.POP3, "x:110")
		const n = 10_000
		r.pop3(pop3.Exchange{Line: "+OK ready", State: pop3.Authorization})
		for i := range n {
			r.pop3(pop3.Exchange{Sent: true, Line: fmt.Sprintf("RETR %d", i+1), State: pop3.Transaction})
			if i == n/2 {
				r.pop3(pop3.Exchange{Line: "-ERR gone", State: pop3.Transaction})
				continue
			}
			r.pop3(pop3.Exchange{Line: "+OK 1234 octets", State: pop3.Transaction})
			r.pop3(pop3.Exchange{Line: "... 1234 octets", State: pop3.Transaction})
		}
		r.pop3(pop3.Exchange{Sent: true, Line: "QUIT", State: pop3.Transaction})
		r.end(nil)
		p, err := log.query(t.Context(), api.WireQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Lines) > headLines+tailLines+3 {
			t.Errorf("%d lines are kept", len(p.Lines))
		}
		wantOrder(t, p.Lines, "+OK ready", "RETR 1\n", " lines left out, from “RETR 27” to “RETR 5001”", "-ERR gone",
			" lines left out, from “RETR 5002” to “RETR 99", "RETR 10000", "QUIT", "Closed after 0s")
		all := 1 + 1 + 3*n - 1 + 1 + 1 // a note, the greeting, one line less of the one refused, QUIT, a note
		kept := 0
		for _, l := range p.Lines {
			var gap int
			if _, err := fmt.Sscanf(l.Text, "… %d lines", &gap); err != nil {
				gap = 1
			}
			kept += gap
		}
		if kept != all {
			t.Errorf("%d lines are shown or counted, of %d", kept, all)
		}
		// who has followed is told of what he has missed, not of what he has seen
		half := p.Lines[len(p.Lines)/2]
		for _, l := range p.Lines {
			if strings.HasPrefix(l.Text, "… ") {
				half = l
			}
		}
		p, _ = log.query(t.Context(), api.WireQuery{After: half.Seq - 10})
		if !strings.HasPrefix(p.Lines[0].Text, "… 10 lines left out") {
			t.Errorf("first of the rest: %q", p.Lines[0].Text)
		}
	})
}

// However much a server says, the transcript has its bound.
func TestTranscriptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newWireLog(&account{e: &Engine{Config: Config{}.withDefaults()}})
		long := "-ERR " + strings.Repeat("é", 5000)
		for i := range 100 {
			r := log.begin([]api.Protocol{api.POP3, api.SMTP}[i%2], fmt.Sprintf("host%d:1", i))
			for range 1000 {
				r.take(api.ServerSays, "TRANSACTION", long)
			}
			if i%3 == 0 {
				r.end(&api.Problem{Code: api.CodeServerRefused})
			} else {
				r.end(nil)
			}
		}
		octets, quiet := 0, 0
		for _, r := range log.sessions {
			octets += r.octets()
			if r.session.Problem == nil {
				quiet++
			}
			if n := len(r.lines(nil, 0)); n > headLines+tailLines+2*markedLines+1 {
				t.Errorf("%d lines", n)
			}
		}
		failures := keptFailures[api.POP3] + keptFailures[api.SMTP]
		most := wireOctets + (failures+1)*(headLines+tailLines+markedLines)*(lineOctets+130)
		if octets > most || len(log.sessions)-quiet != failures || quiet > 2*quietSessions || quiet == 0 {
			t.Errorf("%d octets (at most %d) in %d sessions, %d of them quiet", octets, most, len(log.sessions), quiet)
		}
	})
}

func TestTranscriptWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		p := w.transcript(api.WireQuery{Account: a.ID})
		after := p.Lines[len(p.Lines)-1].Seq
		type answer struct {
			api.WirePage
			error
		}
		answers := make(chan answer, 1)
		ctx, cancel := context.WithCancel(t.Context())
		wait := func() {
			p, err := w.Wire(ctx, api.WireQuery{Account: a.ID, After: after, Wait: true})
			answers <- answer{p, err}
		}
		go wait()
		synctest.Wait()
		select {
		case a := <-answers:
			t.Fatalf("there was nothing to say, but %+v", a)
		default:
		}
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		time.Sleep(followPause)
		got := <-answers
		if got.error != nil || len(got.Lines) < 10 || got.Lines[0].Seq <= after { // what comes together is told together
			t.Fatalf("answer %+v", got)
		}
		after = got.Lines[len(got.Lines)-1].Seq
		go wait()
		synctest.Wait()
		cancel()
		if got = <-answers; code(got.error) != api.CodeCanceled {
			t.Errorf("after the caller went away: %+v", got)
		}
		ctx = t.Context()
		go wait()
		synctest.Wait()
		w.halt()
		if got = <-answers; code(got.error) != api.CodeCanceled {
			t.Errorf("after the engine's end: %+v", got)
		}
		w.start()
	})
}

// What failed can be read after a restart, under the numbers by which it is linked; what went well is gone.
func TestTranscriptOfFailuresSurvivesARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "good"})
		synctest.Wait()
		w.post.failOnce("DATA", "cut")
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		row := w.row(a.ID, id)
		if row.Problem == nil || row.Problem.Session == 0 {
			t.Fatalf("row %+v", row)
		}
		before := w.transcript(api.WireQuery{Account: a.ID, Session: row.Problem.Session})
		wantOrder(t, before.Lines, "Connecting", "DATA", "Failed: server-closed")
		all := w.transcript(api.WireQuery{Account: a.ID})
		w.halt()
		time.Sleep(time.Second) // some time passes, even in a world that takes none for what it does
		w.gateway.refuse = errors.New("nothing new")
		w.start()
		after := w.transcript(api.WireQuery{Account: a.ID, Session: row.Problem.Session})
		if said(after.Lines) != said(before.Lines) || len(after.Lines) == 0 || after.Lines[0].Seq != before.Lines[0].Seq {
			t.Errorf("before\n%s\nafter\n%s", said(before.Lines), said(after.Lines))
		}
		for _, s := range after.Sessions {
			if s.ID <= all.Lines[len(all.Lines)-1].Seq && s.Problem == nil {
				t.Errorf("session %+v", s)
			}
		}
		fresh := w.transcript(api.WireQuery{Account: a.ID, After: all.Lines[len(all.Lines)-1].Seq})
		if len(fresh.Lines) == 0 {
			t.Error("no line of this run is above those of the last")
		}
		w.gateway.refuse = nil
	})
}

// A server that cannot be reached all night does not take the place of what failed in the evening.
func TestTranscriptOfTheSameFailureIsKeptOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.failOnce("RCPT", "550 5.1.1 nobody")
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		w.gateway.refuse = &wireRefused
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "t"})
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		p := w.transcript(api.WireQuery{Account: a.ID})
		failed := make(map[api.Code]int)
		for _, s := range p.Sessions {
			if s.Problem != nil && s.Protocol == api.SMTP {
				failed[s.Problem.Code]++
			}
		}
		if failed[api.CodeRecipientRefused] != 1 || failed[api.CodeServerUnreachable] != 1 {
			t.Errorf("failures %v", failed)
		}
		w.gateway.refuse = nil
	})
}

var wireRefused = wire.RefusedError{Reason: wire.Unreachable, Detail: "mail.postern.test"}

// A slot that a power cut tore is empty, and the others are read.
func TestTornTranscript(t *testing.T) {
	s := keptSession{Session: api.WireSession{ID: 7, Protocol: api.SMTP, Problem: &api.Problem{Code: api.CodeServerClosed}}}
	for i := range 300 {
		s.Lines = append(s.Lines, api.WireLine{Seq: uint64(i + 7), Who: api.ServerSays, Text: strings.Repeat("x", 300) + fmt.Sprint(i)})
	}
	p, err := encodeSlot(s)
	if err != nil || len(p) > slotSize {
		t.Fatalf("%d octets, %v", len(p), err)
	}
	got, ok := decodeSlot(append(p[:len(p):len(p)], 0, 0, 0))
	if !ok || got.Session.ID != 7 || got.Lines[0].Text != s.Lines[0].Text || got.Lines[len(got.Lines)-1].Text != s.Lines[299].Text {
		t.Errorf("read back: %v, %d lines", ok, len(got.Lines))
	}
	for _, torn := range [][]byte{nil, p[:4], p[:len(p)-1], make([]byte, slotSize)} {
		if _, ok := decodeSlot(torn); ok {
			t.Errorf("%d octets of it are taken for a transcript", len(torn))
		}
	}
	p[len(p)/2] ^= 1
	if _, ok := decodeSlot(p); ok {
		t.Error("a flipped bit goes unnoticed")
	}
}

func BenchmarkTranscript(b *testing.B) {
	log := newWireLog(&account{e: &Engine{Config: Config{}.withDefaults()}})
	r := log.begin(api.POP3, "x:110")
	e := pop3.Exchange{Line: "+OK 1234 octets", State: pop3.Transaction}
	for b.Loop() {
		r.pop3(e)
	}
}
