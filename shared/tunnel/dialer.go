package tunnel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Dialer keeps a session with the gateway: it connects, and when the session ends it connects again. Fill in the fields
// and call Run; the methods may be called from any goroutine, before Run and after it too.
type Dialer struct {
	Connect func(context.Context) (MessageConn, error) // makes a WebSocket; called by Run, one call at a time
	Hello   wire.Hello                                 // its Token can be changed by Present
	Options *Options
	Backoff Backoff
	Clock   Clock // nil: time's own

	subscribers subscribers

	mu      sync.Mutex
	session *Session
	kicks   chan struct{} // holds one
}

// Backoff says how long a Dialer waits between attempts. Zero fields mean the defaults.
type Backoff struct {
	// Min is the wait after the first failure; each failure after it doubles the wait. Default 0.5 s: a gateway that
	// restarts is back in about that.
	Min time.Duration
	// Max bounds the wait. Default 30 s.
	Max time.Duration
	// Refused is the wait after a refusal that asking again does not mend (version, token). Default 60 s.
	Refused time.Duration
	// Stable is how long a session must have lived for the doubling to begin anew. Default 30 s.
	Stable time.Duration
	// Jitter returns a number from 0 up to 1: each wait is between half of itself and the whole, so that the clients
	// of a gateway that restarts do not come back all at once. Default math/rand/v2's Float64.
	Jitter func() float64
}

// Clock is the time as a Dialer sees it.
type Clock interface {
	Now() time.Time
	// After returns a channel that gets the time after d, and a function that makes an end of it.
	After(d time.Duration) (fired <-chan time.Time, stop func())
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }
func (wallClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// wait is how long to wait after a number of failures in a row, the last of which was err.
func (b Backoff) wait(failures int, err error) time.Duration {
	def(&b.Min, 500*time.Millisecond)
	def(&b.Max, 30*time.Second)
	def(&b.Refused, time.Minute)
	if b.Jitter == nil {
		b.Jitter = rand.Float64
	}
	d := b.Min
	for ; failures > 1 && d < b.Max; failures-- {
		d *= 2
	}
	d = min(d, b.Max)
	var no *wire.RefusedError
	if errors.As(err, &no) && no.Permanent() {
		d = b.Refused
	}
	return time.Duration(float64(d) * (0.5 + 0.5*b.Jitter()))
}

// Run connects, and connects again, until ctx ends; it returns ctx's error. The session and its conns end with it.
func (d *Dialer) Run(ctx context.Context) error {
	clock := d.Clock
	if clock == nil {
		clock = wallClock{}
	}
	stable := d.Backoff.Stable
	def(&stable, 30*time.Second)
	retired := &retirement{}
	defer retired.end()

	var last error
	for failures := 0; ; {
		d.subscribers.publish(State{Phase: Connecting, Err: last})
		s, err := d.connect(ctx)
		if err == nil {
			began := clock.Now()
			d.enter(s)
			err = d.stay(ctx, s)
			d.leave()
			retired.add(s)
			if clock.Now().Sub(began) >= stable {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			d.subscribers.publish(State{Phase: Offline, Err: ctx.Err()})
			return ctx.Err()
		}
		failures++
		last = err
		wait := d.Backoff.wait(failures, err)
		d.subscribers.publish(State{Phase: Offline, RetryAt: clock.Now().Add(wait), Err: err})
		fired, stop := clock.After(wait)
		select {
		case <-fired:
		case <-d.kicked():
		case <-ctx.Done():
		}
		stop()
	}
}

// connect makes a session. It returns in time even if Connect does not, as a browser's WebSocket may not.
func (d *Dialer) connect(ctx context.Context) (*Session, error) {
	o := d.Options.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, 2*o.Handshake)
	type result struct {
		mc  MessageConn
		err error
	}
	made := make(chan result, 1)
	go func() {
		mc, err := d.Connect(ctx)
		made <- result{mc, err}
	}()
	defer cancel()
	select {
	case r := <-made:
		if r.err != nil {
			return nil, r.err
		}
		d.mu.Lock()
		hello := d.Hello
		d.mu.Unlock()
		return Client(ctx, r.mc, hello, d.Options)
	case <-ctx.Done():
		go func() {
			if r := <-made; r.err == nil {
				_ = r.mc.Close("late")
			}
		}()
		return nil, ctx.Err()
	}
}

func (d *Dialer) enter(s *Session) {
	d.mu.Lock()
	d.session = s
	d.mu.Unlock()
	welcome := s.Welcome()
	d.subscribers.publish(State{Phase: Online, Welcome: &welcome})
}

func (d *Dialer) leave() {
	d.mu.Lock()
	d.session = nil
	d.mu.Unlock()
}

// stay returns when the session is of no more use, and why.
func (d *Dialer) stay(ctx context.Context, s *Session) error {
	for {
		select {
		case <-s.Done():
			return s.Err()
		case <-s.Draining():
			return &wire.RefusedError{Reason: wire.Draining}
		case <-d.kicked():
			s.probe()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// retirement holds sessions that get no more streams, until those they have are done. A draining gateway ends them.
type retirement struct {
	sessions   []*Session
	goroutines sync.WaitGroup
}

func (r *retirement) add(s *Session) {
	live := r.sessions[:0]
	for _, old := range append(r.sessions, s) {
		if old.mux.alive() == nil {
			live = append(live, old)
		} else {
			r.goroutines.Go(func() { _ = old.Close() })
		}
	}
	r.sessions = live
}

func (r *retirement) end() {
	for _, s := range r.sessions {
		r.goroutines.Go(func() { _ = s.Close() })
	}
	r.goroutines.Wait()
}

// Open opens a stream in the session there is, or returns ErrOffline at once. Its other errors are those of
// Session.Open.
func (d *Dialer) Open(ctx context.Context, open wire.Open) (net.Conn, error) {
	d.mu.Lock()
	s := d.session
	d.mu.Unlock()
	if s == nil {
		return nil, ErrOffline
	}
	conn, err := s.Open(ctx, open)
	if errors.Is(err, ErrSessionClosed) {
		err = fmt.Errorf("%w: %w", ErrOffline, err)
	}
	return conn, err
}

// State is what a subscriber was told last, or is about to be.
func (d *Dialer) State() State { return d.subscribers.current() }

// Subscribe has fn called with the state as it is and then with each new one, in order, one call at a time, without a
// lock held. A slow fn misses states in between, never the last. A call may still be under way when cancel returns.
func (d *Dialer) Subscribe(fn func(State)) (cancel func()) { return d.subscribers.subscribe(fn) }

// Present gives the access token for the sessions to come, and tries the gateway with it now.
func (d *Dialer) Present(token string) {
	d.mu.Lock()
	d.Hello.Token = token
	d.mu.Unlock()
	d.Kick()
}

// Kick is for when something says that the network has changed: a Dialer that waits tries now, and one that is online
// makes sure that its session lives.
func (d *Dialer) Kick() { notify(d.kicked()) }

func (d *Dialer) kicked() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kicks == nil {
		d.kicks = make(chan struct{}, 1)
	}
	return d.kicks
}
