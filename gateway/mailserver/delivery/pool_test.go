package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// A connection is kept for the next message: for a while, for so many messages, and until it breaks.
func TestConnectionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		d := w.deliverer(func(c *Config) { c.Limits.Messages = 4 })
		send := func(dials int) {
			t.Helper()
			results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
			want(t, results[0], "delivered", transcript)
			if n := len(w.dials()); n != dials {
				t.Errorf("%d connections, want %d", n, dials)
			}
		}
		send(1)
		send(1)
		time.Sleep(29 * time.Second)
		send(1)
		time.Sleep(31 * time.Second) // it is idle for too long
		synctest.Wait()
		if w.open() != 0 {
			t.Errorf("%d connections are open", w.open())
		}
		for range 4 {
			send(2)
		}
		send(3) // four messages were sent
		destinations := func() int {
			d.pool.mu.Lock()
			defer d.pool.mu.Unlock()
			return len(d.pool.destinations)
		}
		if n := destinations(); n != 1 {
			t.Errorf("%d destinations", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := destinations(); n != 0 || w.open() != 0 {
			t.Errorf("%d destinations, %d connections", n, w.open())
		}
		checkPeers(t, peer)
	})
}

// The peer hung up meanwhile, with or without a word: the message goes over a new connection, and nothing is said of it.
func TestKeptConnectionHasBroken(t *testing.T) {
	for name, fault := range map[string]mailtest.SMTPFault{
		"a word":  {Reply: "421 4.4.2 idle too long\r\n", Cut: true},
		"no word": {Cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, peer := one(t)
				mails := 0
				peer.Fault = func(stage string) *mailtest.SMTPFault {
					if stage == "MAIL" {
						if mails++; mails == 2 {
							return &fault
						}
					}
					return nil
				}
				d := w.deliverer()
				for range 2 {
					results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
					want(t, results[0], "delivered", transcript)
				}
				if len(w.dials()) != 2 || len(peer.Received()) != 2 {
					t.Errorf("%d dials, %d messages", len(w.dials()), len(peer.Received()))
				}
			})
		})
	}
}

// A refusal leaves the connection for the next message.
func TestKeptAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t, func(s *mailtest.SMTP) { s.Refuse = map[string]string{"no@example.org": "550 5.1.1 nobody"} })
		d := w.deliverer()
		for i, to := range []string{"b@example.org", "no@example.org", "b@example.org"} {
			results, transcript := d.Deliver(t.Context(), "example.org", message(hello, to))
			want(t, results[0], []string{"delivered", "failed 5.1.1", "delivered"}[i], transcript)
		}
		if len(w.dials()) != 1 {
			t.Errorf("%d connections", len(w.dials()))
		}
		checkPeers(t, peer)
	})
}

// A thousand messages at once: so many connections to a destination, and so many in all.
func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var peers []*mailtest.SMTP
		var all, mostAll, mostOfOne atomic.Int32
		for i := range 20 {
			var here atomic.Int32
			p := stranger(func(s *mailtest.SMTP) {
				s.Fault = func(stage string) *mailtest.SMTPFault {
					if stage == "." {
						mostAll.Store(max(mostAll.Load(), all.Add(1)))
						mostOfOne.Store(max(mostOfOne.Load(), here.Add(1)))
						time.Sleep(time.Second)
						all.Add(-1)
						here.Add(-1)
					}
					return nil
				}
			})
			peers = append(peers, p)
			w.domain(fmt.Sprintf("d%d.test", i), fmt.Sprintf("10 mx%d.test 192.0.2.%d", i, i+1))
			w.serve(fmt.Sprintf("192.0.2.%d", i+1), p)
		}
		d := w.deliverer(func(c *Config) { c.Limits.PerDestination, c.Limits.Connections = 3, 10 })
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				domain := fmt.Sprintf("d%d.test", i%20)
				results, transcript := d.Deliver(t.Context(), domain, message(hello, "b@"+domain))
				want(t, results[0], "delivered", transcript)
			})
		}
		wg.Wait()
		for _, p := range peers {
			if n := len(p.Received()); n != 50 {
				t.Errorf("%d messages", n)
			}
		}
		if mostOfOne.Load() > 3 || mostAll.Load() > 10 {
			t.Errorf("%d messages at a time to one, %d to all", mostOfOne.Load(), mostAll.Load())
		}
		if taken, waiting := d.pool.open.inUse(); taken > 10 || waiting > 0 {
			t.Errorf("%d places taken, %d waiting", taken, waiting)
		}
	})
}

// Who waits for a turn waits no longer than its context, and takes nobody's place.
func TestWaitingForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		peer.Fault = func(stage string) *mailtest.SMTPFault {
			if stage == "." {
				time.Sleep(time.Minute)
			}
			return nil
		}
		d := w.deliverer(func(c *Config) { c.Limits.PerDestination = 1 })
		var wg sync.WaitGroup
		wg.Go(func() { d.Deliver(t.Context(), "example.org", message(hello, "b@example.org")) })
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			results, transcript := d.Deliver(ctx, "example.org", message(hello, "b@example.org"))
			want(t, results[0], "deferred 4.4.5", transcript)
		})
		synctest.Wait()
		wg.Go(func() {
			results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
			want(t, results[0], "delivered", transcript)
		})
		wg.Wait()
		if len(peer.Received()) != 2 || len(w.dials()) != 1 {
			t.Errorf("%d messages, %d connections", len(peer.Received()), len(w.dials()))
		}
	})
}

// A thousand messages for a dead server wait for it once, and are tried again after a moment.
func TestDeadIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.domain("example.org", "10 mx.example.org 192.0.2.1")
		w.slow["192.0.2.1:25"] = true
		d := w.deliverer(func(c *Config) { c.Limits.PerDestination = 1 })
		began := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
				want(t, results[0], "deferred 451 4.4.1", transcript)
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 30*time.Second || len(w.dials()) != 1 || w.asked["MX example.org"] != 1 {
			t.Errorf("%v, %d dials, %d look-ups", took, len(w.dials()), w.asked["MX example.org"])
		}
		peer := stranger()
		w.slow["192.0.2.1:25"] = false
		w.serve("192.0.2.1", peer)
		d.Forget("example.org") // somebody knows that it is back
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "delivered", transcript)
	})
}

// Half of the destinations are dead: the others are not held up for a moment.
func TestTheDeadHoldNobodyUp(t *testing.T) {
	for _, way := range []string{"does not answer", "does not greet"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				const domains = 300
				for i := range domains {
					address := fmt.Sprintf("198.51.%d.%d", i/200, i%200+1)
					w.domain(fmt.Sprintf("d%d.test", i), fmt.Sprintf("10 mx%d.test %s", i, address))
					switch {
					case i%2 == 0:
						w.serve(address, stranger())
					case way == "does not answer":
						w.slow[address+":25"] = true
					default:
						w.serve(address, stranger(func(s *mailtest.SMTP) {
							s.Fault = func(string) *mailtest.SMTPFault { return &mailtest.SMTPFault{Stall: true} }
						}))
					}
				}
				d := w.deliverer(func(c *Config) { c.Limits.Connections = 20 })
				began := time.Now()
				var mu sync.Mutex
				var slowest time.Duration
				var wg sync.WaitGroup
				for i := domains*4 - 1; i >= 0; i-- { // dead first
					wg.Go(func() {
						domain := fmt.Sprintf("d%d.test", i%domains)
						results, transcript := d.Deliver(t.Context(), domain, message(hello, "b@"+domain))
						if i%2 == 1 {
							want(t, results[0], "deferred", transcript)
							return
						}
						want(t, results[0], "delivered", transcript)
						mu.Lock()
						defer mu.Unlock()
						slowest = max(slowest, time.Since(began))
					})
				}
				wg.Wait()
				if slowest > time.Second {
					t.Errorf("a live destination waited for %v", slowest)
				}
			})
		})
	}
}

// A server that wants fewer connections gets fewer, and no message waits for another attempt because of it.
func TestCrowdedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		var mu sync.Mutex
		now, most := 0, 0
		peer.Fault = func(stage string) *mailtest.SMTPFault {
			mu.Lock()
			defer mu.Unlock()
			switch stage {
			case "":
				if now == 2 {
					return &mailtest.SMTPFault{Reply: "421 4.7.0 too many connections from you\r\n", Cut: true}
				}
				now++
				most = max(most, now)
			case ".":
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
			case "QUIT":
				now--
			}
			return nil
		}
		d := w.deliverer()
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
				want(t, results[0], "delivered", transcript)
			})
		}
		wg.Wait()
		if len(peer.Received()) != 40 || most > 2 || len(w.dials()) > 4 {
			t.Errorf("%d messages, %d connections at a time, dialled %d times", len(peer.Received()), most, len(w.dials()))
		}
	})
}

func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		if err := s.take(t.Context(), func() { t.Error("it was not full") }); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				defer cancel()
				full := false
				if err := s.take(ctx, func() { full = true }); err != nil {
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				if !full {
					t.Error("it was full")
				}
				s.leave()
			})
			synctest.Wait()
			if i == 2 {
				cancel() // this one gives up
			}
		}
		s.leave()
		wg.Wait()
		if !slices.Equal(order, []int{0, 1, 3, 4}) {
			t.Errorf("in the order %v", order)
		}
		if taken, waiting := s.inUse(); taken != 0 || waiting != 0 {
			t.Errorf("%d taken, %d waiting", taken, waiting)
		}
		s.limit(2)
		s.take(t.Context(), nil)
		s.take(t.Context(), nil)
		wg.Go(func() { s.take(t.Context(), nil) })
		synctest.Wait()
		s.limit(1)
		s.leave()
		if taken, waiting := s.inUse(); taken != 1 || waiting != 1 {
			t.Errorf("%d taken, %d waiting", taken, waiting)
		}
		s.limit(3)
		wg.Wait()
	})
}

func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Duration(0) // of a clock that is put forward
		r := newRemembered[int](func() time.Time { return time.Now().Add(ahead) }, time.Minute, 100)
		for i := range 60 {
			r.put(fmt.Sprint(i), i)
		}
		time.Sleep(59 * time.Second)
		if v, ok := r.get("7"); !ok || v != 7 {
			t.Error("forgotten too early")
		}
		for i := 60; i < 130; i++ {
			r.put(fmt.Sprint(i), i)
			if len(r.entries) > 100 {
				t.Fatalf("%d entries", len(r.entries))
			}
		}
		time.Sleep(time.Second)
		if _, ok := r.get("59"); ok {
			t.Error("remembered for too long")
		}
		if _, ok := r.get("129"); !ok {
			t.Error("forgotten too early")
		}
		if r.forget("129"); len(r.entries) > 100 {
			t.Error("too many")
		}
		if _, ok := r.get("129"); ok {
			t.Error("not forgotten")
		}
		r.put("a", 1)
		ahead = time.Minute
		if _, ok := r.get("a"); ok {
			t.Error("remembered by another clock")
		}
	})
}

func TestTranscript(t *testing.T) {
	r := recorder{now: time.Now, most: 10, length: 20}
	for i := range 1000 {
		r.note("line %d %s", i, strings.Repeat("x", 100))
	}
	if len(r.lines) != 10 || !strings.HasPrefix(r.lines[0].Text, "line 0 ") || !strings.HasPrefix(r.lines[9].Text, "line 999 ") {
		t.Errorf("%q", said(r.lines))
	}
	if got := r.lines[5].Text; got != "991 lines left out" {
		t.Errorf("%q", got)
	}
}
