package mailserver

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// comeback is what a sender reads of a message that a server did not take.
type comeback struct {
	status string   // RFC 3463, or how it begins
	words  []string // of the text, in order
	doubt  bool     // the other server may have it, and the log says so
}

// What comes back from servers that do not take a message, or hang up, says in words what has happened.
func TestWhatComesBack(t *testing.T) {
	const always = 1 << 30
	for name, c := range map[string]struct {
		sink *sink
		comeback
	}{
		"not now, for too long":      {&sink{refuses: "450 4.2.1 come back later"}, comeback{"4.2.1", []string{"could not be delivered", "dan@there.test", "tried again and again", "450 4.2.1 come back later", "What you can do"}, false}},
		"never":                      {&sink{refuses: "550 5.7.1 not from you"}, comeback{"5.7.1", []string{"could not be delivered", "dan@there.test", "550 5.7.1 not from you", "What you can do"}, false}},
		"hangs up at once":           {&sink{cuts: "", times: always}, comeback{"4.4.", []string{"could not be delivered", "dan@there.test", "tried again and again"}, false}},
		"hangs up at DATA":           {&sink{cuts: "DATA", times: always}, comeback{"4.4.2", []string{"could not be delivered", "dan@there.test", "tried again and again", "connection failed"}, false}},
		"hangs up after it all":      {&sink{cuts: ".", times: always}, comeback{"4.4.2", []string{"dan@there.test", "may have been delivered"}, true}},
		"hung up after it all, once": {&sink{cuts: ".", times: 1, refuses: "450 4.2.1 come back later"}, comeback{"4.2.1", []string{"dan@there.test", "450 4.2.1 come back later", "may have arrived all the same"}, true}},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, c.sink.serve(t)) })
	}
}

// The same from programs that others wrote to be such servers.
func TestWhatComesBackFromSinks(t *testing.T) {
	sinks := testbed.StartSinks(t)
	for name, c := range map[string]struct {
		address string
		comeback
	}{
		"tempfail":        {sinks.Tempfail, comeback{"4.2.1", []string{"could not be delivered", "dan@there.test", "tried again and again", "450 4.2.1 come back later", "What you can do"}, false}},
		"hardfail":        {sinks.Hardfail, comeback{"5.1.1", []string{"could not be delivered", "dan@there.test", "550 5.1.1 nobody of that name", "look whether the address is spelled rightly"}, false}},
		"drop":            {sinks.Drop, comeback{"4.4.2", []string{"could not be delivered", "dan@there.test", "tried again and again", "connection failed"}, false}},
		"drop at the end": {sinks.DropLate, comeback{"4.4.2", []string{"dan@there.test", "may have been delivered"}, true}},
		"nobody is there": {"127.0.0.1:1", comeback{"4.4.1", []string{"could not be delivered", "dan@there.test", "tried again and again"}, false}},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, c.address) })
	}
}

// check sends a message to the server at that address, and reads what comes back.
func (c comeback) check(t *testing.T, address string) {
	t.Parallel() // it waits, mostly
	var log lockedBuffer
	n := &neighbours{}
	n.lead("there.test", address)
	cfg := n.sending(t.TempDir())
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Sending.Schedule.Delay, cfg.Sending.Schedule.GiveUp = -1, time.Second
	here := start(t, cfg)
	here.submit(t, alice, "From: alice@postern.test\r\nTo: dan@there.test\r\nSubject: is it there?\r\n\r\nHello.\r\n", "dan@there.test")
	raw := []byte(here.await(t, alice, "Final-Recipient: rfc822; dan@there.test"))
	report, ok := mail.Reader{}.Report(raw)
	if !ok || len(report.Recipients) != 1 || report.Recipients[0].Final != "dan@there.test" || report.Recipients[0].Action != "failed" || !strings.HasPrefix(report.Recipients[0].Status, c.status) {
		t.Errorf("the report is %+v", report)
	}
	text := strings.Join(strings.Fields(mail.Reader{}.Parse(raw).Text), " ")
	for rest, i := text, 0; i < len(c.words); i++ {
		_, after, found := strings.Cut(rest, c.words[i])
		if !found {
			t.Errorf("%q is not said, in its place, in: %s", c.words[i], text)
		}
		rest = after
	}
	if !strings.Contains(text, "Subject: is it there?") {
		t.Errorf("which message it was is not said: %s", text)
	}
	if doubt := strings.Contains(log.String(), "may get it twice"); doubt != c.doubt {
		t.Errorf("the log has its doubts: %v, and should have: %v\n%s", doubt, c.doubt, log.String())
	}
	if n := here.tally(t); n != 0 {
		t.Errorf("%d rows wait still", n)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
