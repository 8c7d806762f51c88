package tunnel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// clock is a tunnel.Clock that stands still until it is told to go on.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits chan wait // each call of After
}

type wait struct {
	d    time.Duration
	fire chan time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), waits: make(chan wait)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) After(d time.Duration) (<-chan time.Time, func()) {
	w := wait{d, make(chan time.Time, 1)}
	stopped := make(chan struct{})
	go func() {
		select {
		case c.waits <- w:
		case <-stopped:
		}
	}()
	return w.fire, sync.OnceFunc(func() { close(stopped) })
}

func echoGateway() *tunneltest.Gateway {
	return &tunneltest.Gateway{
		Welcome: welcome,
		Handle: func(open wire.Open) (func(net.Conn), *wire.RefusedError) {
			if open.Host != "" {
				return nil, &wire.RefusedError{Reason: wire.Denied}
			}
			return func(c net.Conn) {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}, nil
		},
	}
}

// running runs a Dialer against g until the test ends, and returns its states.
func running(t *testing.T, g *tunneltest.Gateway, d *tunnel.Dialer) <-chan tunnel.State {
	t.Helper()
	if d.Connect == nil {
		d.Connect = g.Connect
	}
	d.Hello = hello
	if d.Backoff.Jitter == nil {
		d.Backoff.Jitter = func() float64 { return 1 } // waits are whole
	}
	ctx, cancel := context.WithCancel(context.Background())
	states := make(chan tunnel.State, 100)
	unsubscribe := d.Subscribe(func(s tunnel.State) { states <- s })
	if s := <-states; s.Phase != tunnel.Offline || !s.RetryAt.IsZero() {
		t.Errorf("before Run: %+v", s)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		unsubscribe()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if s := d.State(); s.Phase != tunnel.Offline || !s.RetryAt.IsZero() {
			t.Errorf("after Run: %+v", s)
		}
		g.Close()
	})
	return states
}

// expect takes the next state.
func expect(t *testing.T, states <-chan tunnel.State, want tunnel.Phase) tunnel.State {
	t.Helper()
	select {
	case s := <-states:
		if s.Phase != want {
			t.Fatalf("%v, want %v (%v)", s.Phase, want, s.Err)
		}
		return s
	case <-time.After(30 * time.Second):
		t.Fatalf("no state, want %v", want)
	}
	panic("unreachable")
}

func echoes(t *testing.T, d *tunnel.Dialer) {
	t.Helper()
	c, err := d.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("hello"))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

func TestDialerReconnects(t *testing.T) {
	g, c := echoGateway(), newClock()
	d := &tunnel.Dialer{Clock: c}
	if _, err := d.Open(t.Context(), target); !errors.Is(err, tunnel.ErrOffline) {
		t.Errorf("before Run: %v", err)
	}
	states := running(t, g, d)
	expect(t, states, tunnel.Connecting)
	if s := expect(t, states, tunnel.Online); s.Welcome == nil || s.Welcome.Server != welcome.Server || s.Err != nil {
		t.Errorf("online: %+v", s)
	}
	echoes(t, d)
	var no *wire.RefusedError
	if _, err := d.Open(t.Context(), wire.Open{Service: wire.POP3, Host: "a.example", Port: 110}); !errors.As(err, &no) || no.Reason != wire.Denied {
		t.Errorf("a refused open: %v", err)
	}
	lost, err := d.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}

	g.SetDown(true)
	s := expect(t, states, tunnel.Offline)
	if !errors.Is(s.Err, tunnel.ErrSessionClosed) || s.RetryAt != c.Now().Add(500*time.Millisecond) {
		t.Errorf("cut: %+v", s)
	}
	if _, err := lost.Read(make([]byte, 1)); !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Errorf("its stream: %v", err)
	}
	_ = lost.Close()
	if _, err := d.Open(t.Context(), target); !errors.Is(err, tunnel.ErrOffline) {
		t.Errorf("open: %v", err)
	}
	// While the gateway is down, each wait is twice the last, up to the longest.
	for _, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000} {
		w := <-c.waits
		if w.d != want*time.Millisecond {
			t.Errorf("waits %v, want %v ms", w.d, want)
		}
		w.fire <- time.Time{}
		expect(t, states, tunnel.Connecting)
		if s := expect(t, states, tunnel.Offline); !errors.Is(s.Err, tunneltest.ErrDown) {
			t.Errorf("down: %v", s.Err)
		}
	}
	g.SetDown(false)
	<-c.waits // before the kick, which ends the wait
	d.Kick()  // tries now
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Online)
	echoes(t, d)

	// A session that did not live long does not end the doubling; one that did, does.
	g.Cut()
	expect(t, states, tunnel.Offline)
	if w := <-c.waits; w.d != 30*time.Second {
		t.Errorf("after a short session it waits %v", w.d)
	}
	d.Kick()
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Online)
	c.advance(time.Minute)
	g.Cut()
	expect(t, states, tunnel.Offline)
	if w := <-c.waits; w.d != 500*time.Millisecond {
		t.Errorf("after a long session it waits %v", w.d)
	}
}

func TestDialerWaitsLongerWhenRefused(t *testing.T) {
	for _, test := range []struct {
		reason wire.Reason
		wait   time.Duration
	}{
		{wire.BadToken, time.Minute}, {wire.BadVersion, time.Minute}, {wire.TooMany, 500 * time.Millisecond},
		{wire.Draining, 500 * time.Millisecond}, {"full-moon", 500 * time.Millisecond},
	} {
		g, c := echoGateway(), newClock()
		g.Greet = func(wire.Hello) error { return &wire.RefusedError{Reason: test.reason, Detail: "no"} }
		t.Run(string(test.reason), func(t *testing.T) {
			states := running(t, g, &tunnel.Dialer{Clock: c})
			expect(t, states, tunnel.Connecting)
			s := expect(t, states, tunnel.Offline)
			var no *wire.RefusedError
			if !errors.As(s.Err, &no) || no.Reason != test.reason || no.Detail != "no" {
				t.Errorf("%+v", s)
			}
			if w := <-c.waits; w.d != test.wait {
				t.Errorf("waits %v", w.d)
			}
		})
	}
}

func TestDialerJitter(t *testing.T) {
	for jitter, want := range map[float64]time.Duration{0: 250 * time.Millisecond, 0.5: 375 * time.Millisecond, 1: 500 * time.Millisecond} {
		g, c := echoGateway(), newClock()
		g.SetDown(true)
		t.Run("", func(t *testing.T) {
			running(t, g, &tunnel.Dialer{Clock: c, Backoff: tunnel.Backoff{Jitter: func() float64 { return jitter }}})
			if w := <-c.waits; w.d != want {
				t.Errorf("%v: waits %v, want %v", jitter, w.d, want)
			}
		})
	}
}

// A draining gateway's streams go on while the Dialer is already connecting anew.
func TestDialerLeavesADrainingGateway(t *testing.T) {
	g, c := echoGateway(), newClock()
	d := &tunnel.Dialer{Clock: c}
	states := running(t, g, d)
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Online)
	old, err := d.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	g.Notify(wire.Notice{Kind: "weather", Detail: "a kind that nobody knows"})
	g.Notify(wire.Notice{Kind: wire.NoticeDraining})
	s := expect(t, states, tunnel.Offline)
	var no *wire.RefusedError
	if !errors.As(s.Err, &no) || no.Reason != wire.Draining {
		t.Errorf("%+v", s)
	}
	(<-c.waits).fire <- time.Time{}
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Online)
	_, _ = old.Write([]byte("still"))
	if _, err := io.ReadFull(old, make([]byte, 5)); err != nil {
		t.Errorf("the old stream: %v", err)
	}
	_ = old.Close()
	echoes(t, d)
}

// A kick finds out at once that a session is dead, long before the keepalive does.
func TestKickProbesTheSession(t *testing.T) {
	g, c := echoGateway(), newClock()
	var server *tunneltest.Conn
	d := &tunnel.Dialer{Clock: c, Options: &tunnel.Options{Probe: 200 * time.Millisecond}, Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
		mc, err := g.Connect(ctx)
		if err == nil {
			server = mc.(*tunneltest.Conn)
		}
		return mc, err
	}}
	states := running(t, g, d)
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Online)
	d.Kick() // an answer comes
	server.Stall()
	d.Kick() // none does
	if s := expect(t, states, tunnel.Offline); !errors.Is(s.Err, tunnel.ErrSilent) {
		t.Errorf("%+v", s)
	}
}

// Connect may take as long as it likes, Run's end does not wait for it.
func TestDialerEndsThoughConnectHangs(t *testing.T) {
	release, closed := make(chan struct{}), make(chan struct{})
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	d := &tunnel.Dialer{Connect: func(context.Context) (tunnel.MessageConn, error) {
		<-release
		return a, nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	d.Subscribe(func(s tunnel.State) {
		if s.Phase == tunnel.Connecting {
			cancel()
		}
	})
	if err := d.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() {
		_, _ = b.Read(context.Background())
		close(closed)
	}()
	close(release)
	<-closed // what came too late is closed
}

// Subscribers hear states in order, without a lock held, and never miss the last.
func TestSubscribers(t *testing.T) {
	g, c := echoGateway(), newClock()
	g.SetDown(true)
	d := &tunnel.Dialer{Clock: c}
	hold, last := make(chan struct{}), make(chan tunnel.State, 1)
	calls := 0
	cancelSlow := d.Subscribe(func(s tunnel.State) {
		if calls++; calls == 1 {
			<-hold
		}
		if s.Phase == tunnel.Online {
			last <- s
		}
	})
	defer cancelSlow()
	var cancelSelf func()
	ready := make(chan struct{})
	cancelSelf = d.Subscribe(func(tunnel.State) {
		<-ready
		_ = d.State() // takes the lock
		cancelSelf()  // and again
	})
	close(ready)
	states := running(t, g, d)
	for range 30 {
		expect(t, states, tunnel.Connecting)
		expect(t, states, tunnel.Offline)
		(<-c.waits).fire <- time.Time{}
	}
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Offline)
	g.SetDown(false)
	(<-c.waits).fire <- time.Time{}
	expect(t, states, tunnel.Connecting)
	expect(t, states, tunnel.Online)
	close(hold)
	<-last
	if calls > 12 {
		t.Errorf("a slow subscriber was called %d times", calls)
	}
}
