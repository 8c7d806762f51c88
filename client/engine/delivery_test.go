package engine

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

const (
	carol = "carol@example.org"
	dave  = "dave@example.org"
)

// answerRecipients makes the server answer RCPT by address; "" takes it.
func (p *postOffice) answerRecipients(answers map[string]string) {
	p.failAt(func(step, arg string) string {
		if step == "RCPT" {
			return answers[arg]
		}
		return ""
	})
}

func (w *world) open(account api.AccountID, id api.MessageID) api.Message {
	w.t.Helper()
	m, err := w.Message(w.t.Context(), api.MessageRef{Account: account, ID: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// outcome is who fared how, in a line.
func outcome(list []api.Recipient) string {
	var parts []string
	for _, r := range list {
		s := r.Addr[:strings.IndexByte(r.Addr, '@')] + " " + string(r.State)
		if r.Problem != nil {
			s += " (" + r.Problem.Detail + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// envelopes are the recipients of each message that the server took.
func (p *postOffice) envelopes() (list []string) {
	for _, l := range p.letters() {
		list = append(list, strings.Join(l.to, " "))
	}
	return list
}

// Who is put off is tried again, alone; who is served never again; in the end the message says who was refused. A restart
// in the middle changes nothing.
func TestRecipientsFareApart(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted", dave: "550 5.1.1 no such person"})
				id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Bcc: to(dave), Subject: "s"})
				synctest.Wait()
				m := w.open(a.ID, id)
				if m.State != api.StateDeferred || m.Folder != api.Outbox || m.Problem == nil || m.Problem.Code != api.CodeRecipientRefused ||
					outcome(m.Recipients) != "carol deferred (greylisted), dave failed (no such person), bob sent" &&
						outcome(m.Recipients) != "bob sent, carol deferred (greylisted), dave failed (no such person)" {
					t.Fatalf("after the first attempt: %s, %v, %s", m.State, m.Problem, outcome(m.Recipients))
				}
				for _, r := range m.Recipients {
					if r.State == api.StateFailed && (r.Problem.Means == "" || r.Problem.Session != m.Session || r.Problem.Code != api.CodeRecipientRefused) {
						t.Errorf("the problem of %s: %+v", r.Addr, *r.Problem)
					}
				}
				if restart {
					w.halt()
					w.start()
				}
				time.Sleep(retryPauses[0])
				synctest.Wait()
				if got := w.post.envelopes(); !slices.Equal(got, []string{bob}) {
					t.Fatalf("while carol is still put off: %q", got)
				}
				w.post.failAt(nil)
				time.Sleep(time.Hour)
				synctest.Wait()
				if got := w.post.envelopes(); !slices.Equal(got, []string{bob, carol}) {
					t.Errorf("envelopes %q", got)
				}
				m = w.open(a.ID, id)
				if m.Folder != api.Sent || m.State != api.StateSent || m.Problem == nil || m.Problem.Detail != dave+" (no such person)" ||
					!strings.Contains(outcome(m.Recipients), "dave failed (no such person)") || strings.Count(outcome(m.Recipients), " sent") != 2 {
					t.Errorf("in the end: %s, %v, %s", m.State, m.Problem, outcome(m.Recipients))
				}
				if l := w.post.letters(); messageID(l[0].content) != messageID(l[1].content) {
					t.Error("they got different messages")
				}
			})
		})
	}
}

func TestRecipientsOfASimpleMessage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
		if got := outcome(w.open(a.ID, id).Recipients); got != "bob queued, carol queued" {
			t.Errorf("before: %s", got)
		}
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		m := w.open(a.ID, id)
		if got := outcome(m.Recipients); got != "bob sent, carol sent" || m.Problem != nil || m.Note != "" {
			t.Errorf("after: %s, %v", got, m.Problem)
		}
		if m.Session == 0 || len(w.transcript(api.WireQuery{Account: a.ID, Session: m.Session}).Lines) == 0 {
			t.Errorf("the row links to session %d, of which nothing is known", m.Session)
		}
	})
}

// A server that takes so many recipients at once is given the others at once.
func TestTooManyRecipientsForOneTransaction(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		n := 0
		w.post.failAt(func(step, _ string) string {
			switch step {
			case "MAIL":
				n = 0
			case "RCPT":
				if n++; n > 10 {
					return "452 4.5.3 too many recipients"
				}
			}
			return ""
		})
		var all []string
		for i := range 25 {
			all = append(all, fmt.Sprintf("r%d@example.org", i))
		}
		began := time.Now()
		id := w.send(api.Draft{Account: a.ID, To: to(all...), Subject: "s"})
		synctest.Wait()
		var got []string
		for _, l := range w.post.letters() {
			got = append(got, l.to...)
		}
		if m := w.open(a.ID, id); !slices.Equal(got, all) || m.State != api.StateSent || m.Problem != nil || time.Since(began) > 0 {
			t.Errorf("after %v: %s, %v, in %d messages: %v", time.Since(began), m.State, m.Problem, len(w.post.letters()), got)
		}
	})
}

// A message that is refused as such after some have it is sent, to those.
func TestMessageRefusedForTheRest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted"})
		id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
		synctest.Wait()
		w.post.failOnce("dot", "554 5.7.1 spam")
		time.Sleep(time.Hour)
		synctest.Wait()
		m := w.open(a.ID, id)
		if got := outcome(m.Recipients); m.Folder != api.Sent || m.State != api.StateSent || !strings.Contains(got, "bob sent") || !strings.Contains(got, "carol failed (spam)") || m.Problem == nil {
			t.Errorf("%s in %s, %s, %v", m.State, m.Folder, got, m.Problem)
		}
	})
}

// The outcome of a later attempt that is unknown is unknown for those alone whom it was for.
func TestUnknownForTheRest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted"})
		id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
		synctest.Wait()
		w.post.failOnce("answer", "cut")
		time.Sleep(time.Hour)
		synctest.Wait()
		m := w.open(a.ID, id)
		if got := outcome(m.Recipients); m.State != api.StateUnknown || !strings.Contains(got, "bob sent") || !strings.Contains(got, "carol unknown") {
			t.Errorf("%s, %s", m.State, got)
		}
		if err := w.Retry(t.Context(), api.MessageRef{Account: a.ID, ID: id}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.post.envelopes(); !slices.Equal(got, []string{bob, carol, carol}) {
			t.Errorf("envelopes %q", got)
		}
	})
}

func TestRetryAsksAgainForTheRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.answerRecipients(map[string]string{bob: "550 5.1.1 nobody", carol: "550 5.1.1 nobody either"})
		id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
		synctest.Wait()
		if m := w.open(a.ID, id); m.State != api.StateFailed || outcome(m.Recipients) != "bob failed (nobody), carol failed (nobody either)" {
			t.Fatalf("%s, %s", m.State, outcome(m.Recipients))
		}
		w.post.failAt(nil)
		if err := w.Retry(t.Context(), api.MessageRef{Account: a.ID, ID: id}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.post.envelopes(); !slices.Equal(got, []string{bob + " " + carol}) {
			t.Errorf("envelopes %q", got)
		}
	})
}

// A message taken back after some have it is a draft to the others.
func TestUnsendOfWhatSomeHave(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted"})
		id := w.send(api.Draft{Account: a.ID, To: to("bob@POSTERN.test", carol), Cc: to(bob), Subject: "s", Receipt: true})
		synctest.Wait()
		d, err := w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: id})
		if err != nil || len(d.To) != 1 || d.To[0].Addr != carol || len(d.Cc) != 0 || !d.Receipt {
			t.Errorf("draft %+v, %v", d, err)
		}
	})
}

func (w *world) identities(id api.AccountID, list ...api.Identity) {
	a, err := w.account(id)
	if err != nil {
		w.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rec.Settings.Identities = list
}

func TestIdentityOfADraft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.identities(a.ID, api.Identity{Name: "Alice", Addr: alice}, api.Identity{Name: "The Office", Addr: "office@example.org"})
		d, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, To: to(bob), Subject: "s", Identity: "Office@example.org", Receipt: true})
		if err != nil {
			t.Fatal(err)
		}
		if r := w.only(a.ID, api.Drafts); r.From.Addr != "office@example.org" || r.From.Name != "The Office" {
			t.Errorf("in Drafts from %v", r.From)
		}
		if d, err = w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: d.ID}); err != nil || d.Identity != "Office@example.org" || !d.Receipt {
			t.Errorf("draft %+v, %v", d, err)
		}
		w.send(d)
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		l := w.post.letters()
		if len(l) != 2 || l[0].from != "office@example.org" || !strings.Contains(l[0].content, "From: The Office <office@example.org>\r\n") ||
			!strings.Contains(messageID(l[0].content), "@example.org>") || l[1].from != alice {
			t.Errorf("sent %+v", l)
		}
		w.identities(a.ID, api.Identity{Addr: alice})
		if _, err := w.Send(t.Context(), api.Draft{Account: a.ID, To: to(bob), Identity: "office@example.org"}); code(err) != api.CodeBadRequest {
			t.Errorf("from an address that is no longer the account's: %v", err)
		}
	})
}

func TestReceiptOfDelivery(t *testing.T) {
	for _, test := range []struct {
		extensions []string
		wanted     bool
		mail, rcpt []string
		note       string
	}{
		{nil, false, nil, nil, ""},
		{[]string{"DSN"}, false, nil, nil, ""},
		{[]string{"DSN"}, true, []string{"RET=HDRS", "ENVID="}, []string{"NOTIFY=SUCCESS,FAILURE,DELAY"}, ""},
		{nil, true, nil, nil, noReceipt},
	} {
		t.Run(fmt.Sprint(test.extensions, test.wanted), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.post.extensions = test.extensions
				a := w.signIn(alice)
				id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s", Receipt: test.wanted})
				synctest.Wait()
				l := w.post.letters()
				if len(l) != 1 {
					t.Fatalf("%d sent", len(l))
				}
				for i, want := range [][]string{test.mail, test.rcpt} {
					for _, piece := range []string{"RET=", "ENVID=", "NOTIFY="} {
						if len(want) == 0 && strings.Contains(l[0].params[i], piece) {
							t.Errorf("%q in %q", piece, l[0].params[i])
						}
					}
					for _, piece := range want {
						if !strings.Contains(l[0].params[i], piece) {
							t.Errorf("no %q in %q", piece, l[0].params[i])
						}
					}
				}
				m := w.open(a.ID, id)
				if test.mail != nil && !strings.Contains(l[0].params[0], "ENVID="+strings.ReplaceAll(strings.Trim(m.MessageID, "<>"), "+", "+2B")) {
					t.Errorf("MAIL %q of %s", l[0].params[0], m.MessageID)
				}
				if m.Note != test.note || m.Problem != nil {
					t.Errorf("note %q, %v", m.Note, m.Problem)
				}
			})
		})
	}
}

// A refusal does not cost the session: what comes after goes over the same.
func TestSessionOutlivesRefusals(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		var ids []api.MessageID
		for i := range 4 {
			ids = append(ids, w.send(api.Draft{Account: a.ID, To: to(fmt.Sprintf("r%d@example.org", i)), Subject: fmt.Sprint(i)}))
		}
		w.post.failAt(func(step, arg string) string {
			switch {
			case step == "RCPT" && arg == "r0@example.org":
				return "550 5.1.1 nobody"
			case step == "dot" && len(w.post.taken) == 1: // its lock is held
				return "554 5.7.1 spam"
			}
			return ""
		})
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		var states []string
		for _, id := range ids {
			states = append(states, string(w.row(a.ID, id).State))
		}
		if n := w.gateway.streams(wire.Submissions); n != 1 || states[0] != "failed" || states[1] != "sent" {
			t.Errorf("%d sessions, %v", n, states)
		}
		p := w.transcript(api.WireQuery{Account: a.ID, Session: w.row(a.ID, ids[0]).Problem.Session})
		wantOrder(t, p.Lines, "RCPT TO:<r0@example.org>", "550 5.1.1 nobody", "RCPT TO:<r1@example.org>", "Failed: ")
	})
}

// A server that ends the session after each message, with a word or without, gets the next at once over a new one.
func TestSessionThatEndsBetweenMessages(t *testing.T) {
	for _, how := range []string{"421 4.7.0 one message a session", "cut"} {
		t.Run(how, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.gateway.set(tunnel.Offline)
				for i := range 3 {
					w.send(api.Draft{Account: a.ID, To: to(bob), Subject: fmt.Sprint(i)})
				}
				mails := 0
				w.post.failAt(func(step, _ string) string {
					switch step {
					case "greeting":
						mails = 0
					case "MAIL":
						if mails++; mails > 1 {
							return how
						}
					}
					return ""
				})
				began := time.Now()
				w.gateway.set(tunnel.Online)
				synctest.Wait()
				if n := len(w.list(a.ID, api.Sent)); n != 3 || len(w.post.letters()) != 3 || time.Since(began) > 0 {
					t.Errorf("%d in Sent, %d taken after %v", n, len(w.post.letters()), time.Since(began))
				}
			})
		})
	}
}

// What was put off because the server was not to be reached is tried when the gateway is back, or the user asks; what
// the server put off waits.
func TestReturnOfTheNetworkHurries(t *testing.T) {
	for _, test := range []struct {
		name  string
		how   string
		again func(w *world)
		sent  bool
	}{
		{"cut, gateway back", "cut", func(w *world) { w.gateway.set(tunnel.Offline); synctest.Wait(); w.gateway.set(tunnel.Online) }, true},
		{"cut, asked", "cut", func(w *world) { _ = w.SyncNow(w.t.Context(), "") }, true},
		{"refused, gateway back", "451 4.3.0 not now", func(w *world) { w.gateway.set(tunnel.Offline); synctest.Wait(); w.gateway.set(tunnel.Online) }, false},
		{"refused, asked", "451 4.3.0 not now", func(w *world) { _ = w.SyncNow(w.t.Context(), "") }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.post.failOnce("MAIL", test.how)
				id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateDeferred {
					t.Fatalf("row %+v", r)
				}
				test.again(w)
				synctest.Wait()
				if r := w.row(a.ID, id); (r.State == api.StateSent) != test.sent {
					t.Errorf("row %+v", r)
				}
				time.Sleep(retryPauses[0])
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateSent || len(w.post.letters()) != 1 {
					t.Errorf("in the end %+v", r)
				}
			})
		})
	}
}

// severedConn is a server's connection that ends when it has read or written so many octets.
type severedConn struct {
	net.Conn
	read, written int // octets left; -1: without end
	cut           bool
}

func (c *severedConn) Read(p []byte) (int, error) {
	if c.read == 0 || c.cut {
		c.sever()
		return 0, io.EOF
	}
	if c.read > 0 {
		p = p[:min(len(p), c.read)]
	}
	n, err := c.Conn.Read(p)
	if c.read > 0 {
		c.read -= n
	}
	return n, err
}

func (c *severedConn) Write(p []byte) (int, error) {
	if c.written < 0 && !c.cut {
		return c.Conn.Write(p)
	}
	if c.written < len(p) {
		_, _ = c.Conn.Write(p[:c.written])
		c.sever()
		return 0, io.ErrClosedPipe
	}
	c.written -= len(p)
	return c.Conn.Write(p)
}

func (c *severedConn) sever() {
	c.cut, c.written = true, 0
	c.Close()
}

// closely is where every octet is tried: about the final dot, and about the answers to DATA and to it. Elsewhere it is one of
// so many.
var closely = map[string]struct{ stride, from, to int }{"client": {31, 455, 475}, "server": {17, 180, 198}}

// Wherever what either side says is cut, the server gets the message once, or its fate is unknown
// and it is not sent again.
func TestSubmissionCutAnywhere(t *testing.T) {
	for _, extensions := range [][]string{nil, {"PIPELINING"}} {
		for _, dir := range []string{"client", "server"} {
			t.Run(fmt.Sprint(dir, extensions), func(t *testing.T) {
				states, unknown := make(map[api.OutboxState]int), 0
				for n := 0; ; n++ {
					if c := closely[dir]; n%c.stride != 0 && (n < c.from || n > c.to) {
						continue
					}
					var cut bool
					inWorld(t, func(t *testing.T, w *world) {
						w.post.extensions = extensions
						a := w.signIn(alice)
						var conn *severedConn
						server := mailtest.ServerFunc(func(c net.Conn) {
							if conn == nil {
								conn = &severedConn{Conn: c, read: -1, written: -1}
								if dir == "client" {
									conn.read = n
								} else {
									conn.written = n
								}
								c = conn
							}
							w.post.ServeConn(c)
						})
						w.gateway.serve(wire.Submissions, server)
						id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s", Text: "t"})
						synctest.Wait()
						cut = conn != nil && conn.cut
						first, taken := w.row(a.ID, id).State, len(w.post.letters())
						if states[first]++; first == api.StateUnknown && states[first] == 1 {
							unknown = n
						}
						time.Sleep(2 * time.Minute)
						synctest.Wait()
						last, all := w.row(a.ID, id).State, len(w.post.letters())
						switch first {
						case api.StateDeferred:
							if taken != 0 || last != api.StateSent || all != 1 {
								t.Errorf("cut after %d octets: put off, %d taken; then %s, %d taken", n, taken, last, all)
							}
						case api.StateUnknown:
							if last != api.StateUnknown || all != taken || all > 1 {
								t.Errorf("cut after %d octets: unknown, %d taken; then %s, %d taken", n, taken, last, all)
							}
						case api.StateSent:
							if all != 1 {
								t.Errorf("cut after %d octets: sent, and %d taken", n, all)
							}
						default:
							t.Errorf("cut after %d octets: %s", n, first)
						}
					})
					if !cut || t.Failed() {
						break
					}
				}
				t.Logf("%v, the first unknown after %d octets", states, unknown)
				if states[api.StateDeferred] < 5 || states[api.StateUnknown] < 2 || states[api.StateSent] == 0 {
					t.Errorf("not every way of ending was seen: %v", states)
				}
			})
		}
	}
}

// A fate from before there were any is read as the problem it is.
func TestFateOfAnEarlierVersion(t *testing.T) {
	f := decodeFate([]byte(`{"code":"server-closed","detail":"mail.postern.test","technical":"EOF"}`))
	if f.problem == nil || f.problem.Code != api.CodeServerClosed || f.session != 0 || f.recipients != nil {
		t.Errorf("%+v", f)
	}
	for _, b := range [][]byte{nil, []byte("{}"), []byte("junk"), []byte(`{"attempt":7}`)} {
		if f := decodeFate(b); f.problem != nil {
			t.Errorf("%s: %+v", b, f)
		}
	}
	e := store.Entry{Delivery: &store.Delivery{To: []string{bob}}}
	if got := outcome(recipientsOf(&e, api.StateSent)); got != "bob sent" {
		t.Error(got)
	}
}

// The mark that a message may have been sent is on the device before its end is on the wire, also where a server is given
// it in chunks, and no earlier.
func TestMarkBeforeTheEndOfAMessage(t *testing.T) {
	for _, test := range []struct {
		name                 string
		pipelining, chunking bool
		size                 int
		end                  string
		during               string // a stage within the message; "" for none
	}{
		{"DATA", false, false, 10, ".", ""},
		{"DATA, pipelined", true, false, 200 << 10, ".", ""},
		{"BDAT", true, true, 3 << 20, "BDAT LAST", "BDAT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p := newProvider(w, dora)
				p.post.Pipelining, p.post.Chunking = test.pipelining, test.chunking
				a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Servers: atExample(p)})
				own, err := w.account(a.ID)
				if err != nil {
					t.Fatal(err)
				}
				at := make(map[string][]string) // the states at each stage
				p.post.Fault = func(stage string) *mailtest.SMTPFault {
					for _, e := range own.box.List(outbox, nil, 0, 1).Entries {
						at[stage] = append(at[stage], e.Delivery.State)
					}
					return nil
				}
				text := strings.Repeat("Some seventy characters of text, so that there are lines of a good length.\n", 1+test.size/74)
				id := w.send(api.Draft{Account: a.ID, To: to(alice), Subject: "s", Text: text})
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateSent {
					t.Fatalf("row %+v", r)
				}
				if got := at[test.end]; !slices.Equal(got, []string{stateCommitting}) {
					t.Errorf("at the end: %v of %v", got, at)
				}
				for _, stage := range []string{"MAIL", "RCPT"} {
					if got := at[stage]; !slices.Equal(got, []string{string(api.StateSending)}) {
						t.Errorf("at %s: %v", stage, got)
					}
				}
				if test.during != "" && (len(at[test.during]) == 0 || at[test.during][0] != string(api.StateSending)) {
					t.Errorf("at %s: %v", test.during, at[test.during])
				}
			})
		})
	}
}

// A power cut at any moment while recipients fare apart gives nobody the message twice, nor forgets anybody, unless the
// message says that it does not know.
func TestPowerCutWhileRecipientsFareApart(t *testing.T) {
	queued := false
	atEveryMoment(t, func(_ *testing.T, w *world) {
		queued = false
		puts := 0
		w.post.failAt(func(step, arg string) string {
			if step == "RCPT" && arg == carol {
				if puts++; puts == 1 {
					return "450 4.7.1 greylisted"
				}
			}
			return ""
		})
	}, func(t *testing.T, w *world) {
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true}); err != nil {
			return
		}
		if _, err := w.Send(t.Context(), api.Draft{Account: accountID(alice), To: to(bob, carol), Subject: "s"}); err != nil {
			return
		}
		queued = true
		time.Sleep(retryPauses[0] + time.Second)
		synctest.Wait()
	}, func(t *testing.T, w *world) {
		id := accountID(alice)
		if s, _ := w.Status(t.Context()); len(s.Accounts) == 0 {
			if queued {
				t.Error("the account is gone")
			}
			return
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		got := make(map[string]int)
		for _, l := range w.post.letters() {
			for _, addr := range l.to {
				got[addr]++
			}
		}
		rows := append(w.list(id, api.Outbox), w.list(id, api.Sent)...)
		switch {
		case len(rows) == 0 && !queued && len(got) == 0:
		case len(rows) == 1 && rows[0].State == api.StateSent && got[bob] == 1 && got[carol] == 1:
		case len(rows) == 1 && rows[0].State == api.StateUnknown && got[bob] <= 1 && got[carol] <= 1:
		default:
			t.Errorf("bob has it %d times, carol %d; rows %+v", got[bob], got[carol], rows)
		}
	})
}
