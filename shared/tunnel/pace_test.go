package tunnel_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
)

// heedless is an end of a pipe that takes all that is written to it.
type heedless struct {
	*tunneltest.Conn
	written func(total int64)
}

const inFlight = 256 << 10

var _ tunnel.Unpaced = heedless{}

func (heedless) InFlight() int { return inFlight }

func (h heedless) Write(ctx context.Context, p []byte) error {
	err := h.Conn.Write(ctx, p)
	h.written(h.Sent())
	return err
}

// high is the highest of some numbers, and tells of the first over a limit.
type high struct {
	mu    sync.Mutex
	n     int64
	limit int64
	over  chan struct{}
	once  sync.Once
}

func (h *high) see(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n = max(h.n, n)
	if h.n >= h.limit {
		h.once.Do(func() { close(h.over) })
	}
}

func (h *high) get() int64 { h.mu.Lock(); defer h.mu.Unlock(); return h.n }

// A peer that has given a large window and then reads nothing is sent what may be in flight and no more; when it reads
// again, everything comes, in one piece.
func TestUnpacedIsPaced(t *testing.T) {
	const size = 8 << 20
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{Buffer: -1})
	sent := &high{limit: inFlight - 64<<10, over: make(chan struct{})}
	c, s := sessions(t, a, heedless{b, sent.see}, &tunnel.Options{Window: 64 << 20})
	client, server := conns(t, c, s)
	a.Stall()
	payload := random(size)
	wrote := make(chan error, 1)
	go func() {
		_, err := server.Write(payload)
		_ = server.Close()
		wrote <- err
	}()
	<-sent.over
	select {
	case err := <-wrote:
		t.Fatalf("%d bytes were written to a peer that reads nothing: %v", size, err)
	case <-time.After(100 * time.Millisecond): // it is to stay so
	}
	if n := sent.get(); n > inFlight+1024 {
		t.Errorf("%d bytes are in flight, %d may be", n, inFlight)
	}
	a.Resume()
	if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if c.Err() != nil || s.Err() != nil {
		t.Errorf("the session ended: %v, %v", c.Err(), s.Err())
	}
}

// A peer that says that it has read, and has not, gets no further for it: it does not know the numbers. In the end it is
// taken for stalled.
func TestUnpacedIsNotDeceived(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{Buffer: -1})
	sent := &high{limit: inFlight - 64<<10, over: make(chan struct{})}
	ctx := t.Context()
	go func() { // the client, by hand: a hello, a stream, windows without end, answers to pings that it has not seen
		say := func(frames ...[]byte) bool { return a.Write(ctx, bytes.Join(frames, nil)) == nil }
		say(yamuxFrame(windowUpdate, syn, 1, 0), packed(0, 1, helloBytes()), yamuxFrame(windowUpdate, syn, 3, 0), packed(0, 3, openBytes()))
		for n := uint32(0); say(yamuxFrame(windowUpdate, 0, 3, 1<<20), yamuxFrame(ping, ack, 0, n), yamuxFrame(ping, ack, 0, n|1<<31), yamuxFrame(ping, ack, 0, math.MaxUint32-n)); n++ {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}()
	s, err := tunnel.Serve(ctx, heedless{b, sent.see}, greet, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := s.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := r.Accept()
	if err != nil {
		t.Fatal(err)
	}
	n, err := conn.Write(make([]byte, 64<<20))
	if err == nil || !errors.Is(s.Err(), tunnel.ErrStalled) {
		t.Errorf("%d bytes were written, %v; the session: %v", n, err, s.Err())
	}
	if got := sent.get(); got > inFlight+1024 || got < inFlight/2 {
		t.Errorf("%d bytes were sent, %d may be in flight", got, inFlight)
	}
}

// A peer may send a ping for what it has sent, and no flood of them beside.
func TestPingsAreEarned(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{Buffer: -1}, tunneltest.Faults{Buffer: -1})
	ctx := t.Context()
	answers := make(chan uint32, 1000)
	go func() {
		defer close(answers)
		for {
			m, err := a.Read(ctx)
			if err != nil {
				return
			}
			for len(m) >= 12 {
				size := 12
				if m[1] == data {
					size += int(binary.BigEndian.Uint32(m[8:]))
				} else if m[1] == ping && m[3]&ack != 0 {
					answers <- binary.BigEndian.Uint32(m[8:])
				}
				m = m[size:]
			}
		}
	}()
	_ = a.Write(ctx, bytes.Join([][]byte{yamuxFrame(windowUpdate, syn, 1, 0), packed(0, 1, helloBytes()), yamuxFrame(windowUpdate, syn, 3, 0), packed(0, 3, openBytes())}, nil))
	s, err := tunnel.Serve(ctx, b, greet, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := s.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := r.Accept()
	if err != nil {
		t.Fatal(err)
	}
	const paid = 200 // five times what may come for nothing
	block := make([]byte, 16<<10)
	for i := range paid {
		_ = a.Write(ctx, append(packed(0, 3, block), yamuxFrame(ping, syn, 0, uint32(i+1))...))
		if _, err := io.ReadFull(conn, block); err != nil {
			t.Fatal(i, err)
		}
		<-answers
	}
	for range 100 {
		_ = a.Write(ctx, yamuxFrame(ping, syn, 0, 7))
	}
	<-s.Done()
	if !errors.Is(s.Err(), tunnel.ErrProtocol) {
		t.Errorf("a flood of pings: %v", s.Err())
	}
}

// An honest peer's pings are paid for by all that it has to send, however little of it is what a stream carries.
func TestCrumbsPayForPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in no time: nothing comes for nothing
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
		c, s := sessions(t, a, unpaced{b}, nil)
		client, server := conns(t, c, s)
		const crumbs = 350_000 // some 70 pings, of which 40 may come at once, and 21 for the octets alone
		go func() {
			for range crumbs {
				_, _ = server.Write([]byte{1})
			}
			_ = server.Close()
		}()
		if n, err := io.Copy(io.Discard, client); n != crumbs || err != nil {
			t.Errorf("%d octets came, %v; %v", n, err, c.Err())
		}
		_ = client.Close()
	})
}
