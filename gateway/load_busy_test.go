package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// message is how long the mail is that busy streams fetch and send, in octets.
const message = 32 << 10

// busy are clients who do nothing wrong: on each of their streams one exchange follows another, a small one by turns with a message
// fetched or sent. They do so at a pace, so that the machine is not full of them alone, and what slows them shows in how long it takes.
type busy struct {
	every time.Duration // an exchange of each stream begins

	ctx      context.Context
	stop     context.CancelFunc
	all      sync.WaitGroup
	sessions []*tunnel.Session

	mu    sync.Mutex
	since time.Time
	done  []int // exchanges of each stream
	bulk  int   // octets of messages
	trips []time.Duration
	total int64
	errs  []error
}

// speed is what busy clients had for some time.
type speed struct {
	rate        float64 // of messages, in MB/s
	median, p99 time.Duration
	least, most int // exchanges of a stream
}

func startBusy(t *testing.T, page, mail string, sessions, streams int, every time.Duration) *busy {
	t.Helper()
	b := &busy{every: every, done: make([]int, sessions*streams)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	t.Cleanup(func() { _, _ = b.finish() })
	for i := range sessions {
		s, err := dialFrom(t, page, addressOf(busyBlock, i))
		if err != nil {
			t.Fatal(err)
		}
		b.sessions = append(b.sessions, s)
		for n := range streams {
			c, err := s.Open(t.Context(), openAt(mail))
			if err != nil {
				t.Fatal(err)
			}
			b.all.Go(func() {
				if err := b.converse(c, i*streams+n); err != nil {
					b.mu.Lock()
					b.errs = append(b.errs, fmt.Errorf("stream %d: %w", i*streams+n, err))
					b.mu.Unlock()
				}
			})
		}
	}
	b.reset()
	return b
}

// dialFrom is a session of a proper client's from an address of its own.
func dialFrom(t *testing.T, page string, from netip.Addr) (*tunnel.Session, error) {
	t.Helper()
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}).DialContext}
	return dialBy(t, &http.Client{Transport: transport}, "http://"+page, wire.Hello{Client: "busy"}, nil)
}

// converse goes on until it is told to stop, which is between two exchanges.
func (b *busy) converse(c net.Conn, stream int) error {
	room := make([]byte, message)
	if err := greeted(c); err != nil {
		return err
	}
	due := time.Now().Add(b.every * time.Duration(stream%16) / 16)
	for n := 0; ; n++ {
		wait := time.NewTimer(time.Until(due))
		select {
		case <-wait.C:
		case <-b.ctx.Done():
			wait.Stop()
			return c.Close()
		}
		up, down := 32, 32
		switch n % 4 {
		case 1:
			down = message
		case 3:
			up = message
		}
		began := time.Now()
		_ = c.SetDeadline(began.Add(loadPatience))
		if err := exchange(c, uint64(stream)<<32|uint64(n), up, down, room); err != nil {
			return errors.Join(err, c.Close())
		}
		b.note(stream, n%2 == 0, time.Since(began))
		if due = due.Add(b.every); due.Before(began) {
			due = began // what was missed is not made up for
		}
	}
}

func (b *busy) note(stream int, small bool, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	b.done[stream]++
	if small {
		b.trips = append(b.trips, took)
	} else {
		b.bulk += message
	}
}

// reset begins to count anew.
func (b *busy) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.done)
	b.bulk, b.trips, b.since = 0, nil, time.Now()
}

// speed is what they have had since reset.
func (b *busy) speed() speed {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := speed{rate: float64(b.bulk) / 1e6 / time.Since(b.since).Seconds(), least: slices.Min(b.done), most: slices.Max(b.done)}
	if len(b.trips) > 0 {
		slices.Sort(b.trips)
		s.median, s.p99 = b.trips[len(b.trips)/2], b.trips[len(b.trips)*99/100]
	}
	return s
}

// finish stops them, and answers how many exchanges they have had in all.
func (b *busy) finish() (int64, error) {
	b.stop()
	b.all.Wait()
	for _, s := range b.sessions {
		b.errs = append(b.errs, s.Close())
	}
	return b.total, errors.Join(b.errs...) // nil are left out
}
