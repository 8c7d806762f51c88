package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// TestModel: two ends that open, write, read, end, close, abort and set deadlines as it comes, over a line that splits and
// delays and cuts, get what a simple model says: each octet once and in order; io.EOF after all of them and a proper end, and
// otherwise an error that says what happened; and when all streams are closed, nothing is held for them.
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := drawPlay(r)
		var wrong []string
		synctest.Test(t, func(*testing.T) { wrong = p.run() })
		for _, w := range wrong {
			r.Error(w)
		}
	})
}

// play is one run of the model.
type play struct {
	piece    int           // the line hands out no more at a time
	delay    time.Duration // of the line
	unpaced  bool          // the gateway's end takes all that is written
	cut      int64         // after so many octets to the client; 0: never
	closed   time.Duration // when the client ends the session; 0: not before the end
	window   int
	seed     uint64
	dialogue []dialogue // one for each stream
}

// dialogue is what the two ends of a stream do.
type dialogue struct {
	after           time.Duration
	client, gateway part
}

// part is what one end does.
type part struct {
	size     int    // written in all, if nothing comes in between
	chunk    int    // at a time
	by       string // Write or ReadFrom
	end      string // after that: CloseWrite, Close or Abort
	from     string // how it reads: Read, WriteTo, or WriteTo a Taker
	pause    time.Duration
	stop     int    // it ends all after so many have been read; below zero: at the peer's end
	stops    string // by Close or Abort
	deadline time.Duration
}

func drawPlay(r *rapid.T) *play {
	p := &play{
		piece:   rapid.SampledFrom([]int{1, 11, 12, 13, 700, 4 << 10, wire.MaxMessage}).Draw(r, "piece"),
		delay:   rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, 50 * time.Millisecond}).Draw(r, "delay"),
		unpaced: rapid.Bool().Draw(r, "unpaced"),
		window:  rapid.SampledFrom([]int{1, 100 << 10, 1 << 20}).Draw(r, "window"),
		seed:    rapid.Uint64().Draw(r, "seed"),
	}
	most := min(2<<20, 3000*p.piece) // a run is to take some milliseconds
	size := rapid.Map(rapid.SampledFrom([]int{0, 1, 2, 1000, 1 << 16, 1 << 19, 1 << 21}), func(n int) int { return min(n, most) })
	if rapid.IntRange(0, 3).Draw(r, "fault") == 0 {
		p.cut = int64(rapid.IntRange(200, most).Draw(r, "cut"))
	}
	if rapid.IntRange(0, 5).Draw(r, "closes") == 0 {
		p.closed = time.Duration(rapid.IntRange(1, 500).Draw(r, "closed")) * time.Millisecond
	}
	one := rapid.Custom(func(r *rapid.T) part {
		return part{
			size:     size.Draw(r, "size"),
			chunk:    rapid.SampledFrom([]int{100, 5000, 64 << 10, 200 << 10}).Draw(r, "chunk") + rapid.IntRange(-99, 99).Draw(r, "more or less"),
			by:       rapid.SampledFrom([]string{"Write", "ReadFrom"}).Draw(r, "by"),
			end:      rapid.SampledFrom([]string{"CloseWrite", "CloseWrite", "CloseWrite", "Close", "Abort"}).Draw(r, "end"),
			from:     rapid.SampledFrom([]string{"Read", "WriteTo", "Taker"}).Draw(r, "from"),
			pause:    rapid.SampledFrom([]time.Duration{0, 0, 0, time.Millisecond, 100 * time.Millisecond}).Draw(r, "pause"),
			stop:     rapid.OneOf(rapid.Just(-1), rapid.Just(-1), size).Draw(r, "stop"),
			stops:    rapid.SampledFrom([]string{"Close", "Abort"}).Draw(r, "stops"),
			deadline: rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, time.Second}).Draw(r, "deadline"),
		}
	})
	p.dialogue = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) dialogue {
		return dialogue{
			after:  time.Duration(rapid.IntRange(0, 20).Draw(r, "after")) * 10 * time.Millisecond,
			client: one.Draw(r, "client"), gateway: one.Draw(r, "gateway"),
		}
	}), 1, 5).Draw(r, "dialogue")
	return p
}

// run plays it, and answers what the model does not allow.
func (p *play) run() (wrong []string) {
	// An Open may wait long behind a stream that goes octet by octet, each of them delayed.
	o := &tunnel.Options{Window: p.window, Linger: time.Second, DeadAfter: time.Hour, Handshake: time.Hour, OpenTimeout: time.Hour, Streams: 8}
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{CutAfterBytes: p.cut})
	var mine, theirs tunnel.MessageConn = p.rough(a, 1), p.rough(b, 2)
	if p.unpaced {
		theirs = unpaced{theirs}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stuck := time.AfterFunc(3*time.Hour, func() {
		wrong = append(wrong, "it hangs")
		a.Cut()
	})
	defer stuck.Stop()

	ends := make([]struct{ client, gateway end }, len(p.dialogue))
	var all sync.WaitGroup
	served := make(chan *tunnel.ServerSession, 1)
	all.Go(func() {
		s, err := tunnel.Serve(ctx, theirs, greet, o)
		served <- s
		if err != nil {
			return
		}
		_ = s.Each(func(r *tunnel.Request) {
			conn, err := r.Accept()
			if err != nil {
				return
			}
			i := r.Open.Port - 1
			ends[i].gateway.run(conn.(*tunnel.Conn), p.dialogue[i].gateway, 2*i+1)
		})
		_ = s.Close()
	})
	c, err := tunnel.Client(ctx, mine, hello, o)
	s := <-served
	if err == nil && s != nil {
		var streams sync.WaitGroup
		for i, d := range p.dialogue {
			streams.Go(func() {
				time.Sleep(d.after)
				conn, err := c.Open(ctx, wire.Open{Service: wire.POP3, Host: "a.example", Port: i + 1})
				if err == nil {
					ends[i].client.run(conn.(*tunnel.Conn), d.client, 2*i)
				}
			})
		}
		if p.closed > 0 {
			time.Sleep(p.closed)
			_ = c.Close()
		}
		streams.Wait()
		time.Sleep(time.Minute) // streams of whom no more is heard are gone by then
		if c.Err() == nil && s.Err() == nil {
			for name, held := range map[string]func() (int, int){"client": c.Held, "gateway": s.Held} {
				if streams, grown := held(); streams != 1 || grown != 0 {
					wrong = append(wrong, fmt.Sprintf("the %s has %d streams in the end, and windows have grown by %d", name, streams, grown))
				}
			}
		}
		for name, err := range map[string]error{"client": c.Err(), "gateway": s.Err()} {
			if errors.Is(err, tunnel.ErrProtocol) || err != nil && p.cut == 0 && p.closed == 0 {
				wrong = append(wrong, fmt.Sprintf("the %s's session ended by %v", name, err))
			}
		}
	}
	if err == nil {
		_ = c.Close()
	}
	all.Wait()
	lives := p.cut == 0 && p.closed == 0
	for i := range ends {
		e := &ends[i]
		if e.client.began && e.gateway.began {
			wrong = append(wrong, e.client.judge(fmt.Sprintf("%d, to the gateway", i), &e.gateway, lives)...)
			wrong = append(wrong, e.gateway.judge(fmt.Sprintf("%d, to the client", i), &e.client, lives)...)
		} else if lives {
			wrong = append(wrong, fmt.Sprintf("%d was not opened", i))
		}
	}
	return wrong
}

// end is what has become of one end of a stream.
type end struct {
	part
	began bool

	mu              sync.Mutex // of what the end's two directions both do
	closed, aborted bool

	wrote    int
	said     bool // all that there was, and the end
	writeErr error

	got      int
	readErr  error
	mistaken bool // other octets came than were sent
}

// octets are those of a direction from an offset on.
func octets(direction, at int, p []byte) {
	for i := range p {
		k := at + i
		p[i] = byte(k ^ k>>8*7 ^ k>>16*13 ^ direction*31)
	}
}

// run does the part of one end; direction tells its octets from others', and its peer's is beside it.
func (e *end) run(c *tunnel.Conn, p part, direction int) {
	e.part, e.began = p, true
	var both sync.WaitGroup
	both.Go(func() { e.write(c, direction) })
	both.Go(func() { e.read(c, direction^1) })
	both.Wait()
	_ = c.Close()
}

func (e *end) finish(c *tunnel.Conn, how string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch how {
	case "CloseWrite":
		_ = c.CloseWrite()
	case "Close":
		e.closed = true
		_ = c.Close()
	case "Abort":
		e.aborted = e.aborted || !e.closed // after a Close it does nothing
		e.closed = true
		c.Abort()
	}
}

func (e *end) write(c *tunnel.Conn, direction int) {
	for e.wrote < e.size && e.writeErr == nil {
		if e.deadline > 0 {
			_ = c.SetWriteDeadline(time.Now().Add(e.deadline))
		}
		n := min(e.chunk, e.size-e.wrote)
		if e.by == "Write" {
			p := make([]byte, n)
			octets(direction, e.wrote, p)
			n, e.writeErr = c.Write(p)
			clear(p)
		} else {
			var k int64
			k, e.writeErr = c.ReadFrom(&source{direction: direction, at: e.wrote, left: n})
			n = int(k)
		}
		e.wrote += n
		if errors.Is(e.writeErr, os.ErrDeadlineExceeded) {
			e.writeErr = nil
		}
	}
	if e.writeErr == nil {
		e.said = e.end != "Abort"
		e.finish(c, e.end)
	}
}

// source has a direction's octets, and gives some at a time.
type source struct{ direction, at, left int }

func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), s.left, 1+s.at*7%5000)
	octets(s.direction, s.at, p[:n])
	s.at += n
	s.left -= n
	return n, nil
}

func (e *end) read(c *tunnel.Conn, direction int) {
	to := &sink{e: e, direction: direction}
	p := make([]byte, e.chunk)
	for e.readErr == nil {
		if e.deadline > 0 {
			_ = c.SetReadDeadline(time.Now().Add(e.deadline))
		}
		switch e.from {
		case "Read":
			var n int
			n, e.readErr = c.Read(p)
			_, err := to.Write(p[:n])
			e.readErr = errors.Join(e.readErr, err)
		case "WriteTo":
			_, e.readErr = c.WriteTo(struct{ io.Writer }{to})
		default:
			_, e.readErr = c.WriteTo(to)
		}
		switch {
		case errors.Is(e.readErr, os.ErrDeadlineExceeded):
			e.readErr = nil
		case e.readErr == nil && e.from != "Read":
			e.readErr = io.EOF
		case errors.Is(e.readErr, errEnough):
			e.finish(c, e.stops)
		}
	}
}

var errEnough = errors.New("enough")

// sink is where a direction's octets go, and looks at them.
type sink struct {
	e         *end
	direction int
	turns     int
}

func (s *sink) take(p []byte) {
	want := make([]byte, len(p))
	octets(s.direction, s.e.got, want)
	s.e.mistaken = s.e.mistaken || !bytes.Equal(p, want)
	s.e.got += len(p)
}

func (s *sink) Write(p []byte) (int, error) {
	s.take(p)
	if s.e.stop >= 0 && s.e.got >= s.e.stop {
		return len(p), errEnough
	}
	time.Sleep(s.e.pause)
	return len(p), nil
}

// Take takes now all, now less, now nothing.
func (s *sink) Take(p []byte) int {
	if s.e.stop >= 0 || s.e.pause > 0 {
		return 0
	}
	s.turns++
	n := []int{len(p), len(p) / 2, 0, len(p), 1}[s.turns%5]
	s.take(p[:n])
	return n
}

// judge says what is wrong with what came of a direction, written by e and read by to.
func (e *end) judge(name string, to *end, lives bool) (wrong []string) {
	bad := func(format string, args ...any) {
		wrong = append(wrong, "stream "+name+": "+fmt.Sprintf(format, args...))
	}
	if to.mistaken {
		bad("what was read was not written")
	}
	if to.got > e.wrote {
		bad("%d were read and %d written", to.got, e.wrote)
	}
	is := func(err error) bool { return errors.Is(to.readErr, err) }
	switch {
	case is(errEnough):
	case is(io.EOF):
		if to.got != e.wrote || !e.said && (!e.closed || e.aborted) {
			bad("an end after %d of %d, %+v", to.got, e.wrote, e)
		}
	case is(tunnel.ErrReset):
		if !e.aborted {
			bad("read: %v", to.readErr)
		}
	case is(net.ErrClosed):
		if !to.closed {
			bad("read: %v", to.readErr)
		}
	case !is(tunnel.ErrSessionClosed) || lives:
		bad("read: %v", to.readErr)
	}
	switch {
	case e.writeErr == nil:
		if e.wrote != e.size {
			bad("%d of %d were written", e.wrote, e.size)
		}
	case errors.Is(e.writeErr, tunnel.ErrReset):
		if !to.closed {
			bad("write: %v", e.writeErr)
		}
	case errors.Is(e.writeErr, net.ErrClosed):
		if !e.closed {
			bad("write: %v", e.writeErr)
		}
	case !errors.Is(e.writeErr, tunnel.ErrSessionClosed) || lives:
		bad("write: %v", e.writeErr)
	}
	return wrong
}

// rough is a line that hands out what comes in pieces, late, and in memory that it uses again; and what was written is no more
// what it was.
type rough struct {
	*tunneltest.Conn
	piece     int
	delay     time.Duration
	random    *rand.Rand
	rest, buf []byte
}

func (p *play) rough(c *tunneltest.Conn, n uint64) *rough {
	return &rough{Conn: c, piece: p.piece, delay: p.delay, random: rand.New(rand.NewPCG(p.seed, n))}
}

func (l *rough) Read(ctx context.Context) (_ []byte, err error) {
	spoil(l.buf)
	if len(l.rest) == 0 {
		if l.rest, err = l.Conn.Read(ctx); err != nil {
			return nil, err
		}
		time.Sleep(l.delay)
	}
	n := min(len(l.rest), 1+l.random.IntN(l.piece))
	l.buf = append(l.buf[:0], l.rest[:n]...)
	l.rest = l.rest[n:]
	return l.buf, nil
}

func (l *rough) Write(ctx context.Context, p []byte) error {
	defer spoil(p)
	return l.Conn.Write(ctx, p)
}

func spoil(p []byte) {
	for i := range p {
		p[i] = 0xee
	}
}

// unpaced has its MessageConn paced.
type unpaced struct{ tunnel.MessageConn }

func (unpaced) InFlight() int { return inFlight }
