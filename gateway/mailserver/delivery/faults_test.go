package delivery

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// faults are what a peer may do in place of an answer.
var faults = map[string]mailtest.SMTPFault{
	"cut":                  {Cut: true},
	"cut in a line":        {Reply: "250 o", Cut: true},
	"cut in a reply":       {Reply: "250-o\r\n", Cut: true},
	"stall":                {Stall: true},
	"stall in a line":      {Reply: "25", Stall: true},
	"flood of lines":       {Reply: strings.Repeat("250-more\r\n", 20_000)},
	"flood without a line": {Reply: strings.Repeat("2", 200_000)},
	"two replies":          {Reply: "250 ok\r\n250 ok\r\n"},
	"NUL":                  {Reply: "2\x0050 ok\r\n"},
	"8-bit":                {Reply: "\xff\xfe\r\n"},
	"another protocol":     {Reply: "+OK\r\n"},
	"huge":                 {Reply: "25000000000000 ok\r\n"},
	"a reply for later":    {Reply: "354 go\r\n"},
	"a challenge":          {Reply: "334 \r\n"},
	"refused for now":      {Reply: "451 4.3.0 later\r\n"},
	"refused":              {Reply: "550 5.7.1 no\r\n"},
	"refused, no words":    {Reply: "550\r\n"},
	"going away":           {Reply: "421 4.3.2 bye\r\n", Cut: true},
	"going away, slowly":   {Reply: "421 4.3.2 bye\r\n"},
}

// TestEveryStage is the table of outcomes: whatever a peer does at whatever stage, the message is delivered to each recipient by
// exactly one host, or not at all and that is said; it is of unknown fate after its last word only, and then no other host is
// given it; nothing is left running, and the next message goes.
func TestEveryStage(t *testing.T) {
	for _, mode := range []string{"lock-step", "pipelined", "chunks"} {
		stages := []string{"", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"}
		last := "."
		if mode == "chunks" {
			stages, last = []string{"BDAT", "BDAT LAST"}, "BDAT LAST"
		}
		for _, stage := range stages {
			for name, fault := range faults {
				t.Run(fmt.Sprintf("%s/%s/%s", mode, stage, name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						stageFault(t, mode, stage, last, fault)
					})
				})
			}
		}
	}
}

func stageFault(t *testing.T, mode, stage, last string, fault mailtest.SMTPFault) {
	w := newWorld(t)
	w.domain("example.org", "10 mx1.example.org 192.0.2.1", "20 mx2.example.org 192.0.2.2")
	faulty := true
	build := func(fault func(string) *mailtest.SMTPFault) *mailtest.SMTP {
		return stranger(func(s *mailtest.SMTP) {
			s.Pipelining, s.Chunking, s.Fault = mode != "lock-step", mode == "chunks", fault
		})
	}
	first := build(func(at string) *mailtest.SMTPFault {
		if at == stage && faulty {
			return &fault
		}
		return nil
	})
	second := build(nil)
	w.serve("192.0.2.1", first)
	w.serve("192.0.2.2", second)
	content := hello
	if mode == "chunks" {
		content += strings.Repeat("x", 2000) + "\r\n" // chunks are for long lines
	}
	d := w.deliverer()
	began := time.Now()
	results, transcript := d.Deliver(t.Context(), "example.org", message(content, "b@example.org", "c@example.org"))
	if took := time.Since(began); took > 30*time.Minute {
		t.Errorf("it took %v", took)
	}
	synctest.Wait() // for the peers to read what they were sent
	had := len(first.Received()) + len(second.Received())
	for _, r := range results {
		switch r.Outcome {
		case Delivered, Relayed:
			if said250 := stage == last && strings.HasPrefix(fault.Reply, "250 ok\r\n"); had != 1 && !said250 {
				t.Errorf("%s, and %d have it\n%s", r.Outcome, had, said(transcript))
			}
		case Deferred, Failed:
			if had != 0 || r.Enhanced == "" || r.Text == "" && r.Local {
				t.Errorf("%+v, and %d have it", r, had)
			}
		case Unknown:
			if stage != last || len(second.Received()) > 0 {
				t.Errorf("unknown at %q\n%s", stage, said(transcript))
			}
		default:
			t.Errorf("no outcome")
		}
	}
	// Cut, stalled, or talking nonsense before the last word: the next host has it.
	if lost := fault.Cut || fault.Stall; lost && stage != last && stage != "QUIT" && len(second.Received()) != 1 {
		t.Errorf("the second host was not asked\n%s", said(transcript))
	}
	if lost := (fault.Cut && !strings.HasPrefix(fault.Reply, "421")) || fault.Stall; lost && stage == last {
		want(t, results[0], "unknown 4.4.2", transcript)
	}
	faulty = false
	d.Forget("example.org")
	results, transcript = d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
	want(t, results[0], "delivered", transcript)
}

// TestCutAtEveryOctet: the connection is cut at each octet that the peer says.
func TestCutAtEveryOctet(t *testing.T) {
	heard := 0
	for at := int64(-1); heard == 0 || at <= int64(heard); at++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			peer := stranger()
			w.domain("example.org", "10 mx1.example.org 192.0.2.1", "20 mx2.example.org 192.0.2.2")
			second := stranger()
			w.serve("192.0.2.2", second)
			conn := &listened{}
			d := w.deliverer(func(c *Config) {
				c.Dialer = dialerFunc(func(address string) (net.Conn, error) {
					if address == "192.0.2.2:25" {
						return mailtest.Connect(t, second, nil), nil
					}
					conn.Conn = mailtest.Connect(t, peer, &mailtest.Faults{CutAfter: at})
					return conn, nil
				})
			})
			results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
			if at == 0 { // never
				heard = conn.octets
				want(t, results[0], "delivered", transcript)
				return
			}
			synctest.Wait() // for the peer to read what it was sent
			one, two := len(peer.Received()), len(second.Received())
			switch r := results[0]; r.Outcome {
			case Delivered:
				if one+two != 1 {
					t.Errorf("cut after %d: %d and %d have it", at, one, two)
				}
			case Unknown:
				if one != 1 || two != 0 {
					t.Errorf("cut after %d: unknown; %d and %d have it", at, one, two)
				}
			default:
				t.Errorf("cut after %d: %+v", at, r)
			}
		})
	}
	if heard < 100 {
		t.Errorf("heard %d octets", heard)
	}
}

// listened counts what is heard.
type listened struct {
	net.Conn
	mu     sync.Mutex
	octets int
}

func (l *listened) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.octets += n
	return n, err
}
