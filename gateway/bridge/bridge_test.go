package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// gateway is a bridge behind an HTTP server on loopback.
type gateway struct {
	*Bridge
	url string
}

func start(t testing.TB, c Config) gateway {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, b)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.Shutdown(ctx)
		srv.Close()
	})
	return gateway{b, srv.URL}
}

// webSocket is the client's end, raw.
func (g gateway) webSocket(t testing.TB, h http.Header) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	return websocket.Dial(t.Context(), g.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPHeader: h})
}

func (g gateway) dial(t testing.TB, hello wire.Hello) (*tunnel.Session, error) {
	t.Helper()
	ws, _, err := g.webSocket(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	hello.Version = wire.Version
	return tunnel.Client(t.Context(), wsconn.New(ws), hello, nil)
}

func (g gateway) session(t testing.TB) *tunnel.Session {
	t.Helper()
	s, err := g.dial(t, wire.Hello{Client: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// serveTCP listens on loopback and serves each connection by f.
func serveTCP(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { defer c.Close(); f(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

func pop3(address string) map[wire.ServiceName]string {
	return map[wire.ServiceName]string{wire.POP3: address}
}

var embedded = wire.Open{Service: wire.POP3}

func openStream(t testing.TB, s *tunnel.Session) *tunnel.Conn {
	t.Helper()
	c, err := s.Open(t.Context(), embedded)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*tunnel.Conn)
}

// eventually waits for what no event tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEcho(t *testing.T) {
	info := &wire.Embedded{Hostname: "postern.test", Domains: []string{"postern.test"}, Services: []wire.Service{{Name: wire.POP3, Port: 2110}}}
	g := start(t, Config{Server: "postern test", Embedded: info, Services: pop3(serveTCP(t, echo))})
	s := g.session(t)
	w := s.Welcome()
	if w.Server != "postern test" || w.Embedded == nil || w.Embedded.Hostname != "postern.test" || w.Limits.Streams != 64 || w.Session == "" {
		t.Errorf("welcome: %+v", w)
	}
	var wg sync.WaitGroup
	for range 8 {
		c := openStream(t, s)
		data := make([]byte, 3<<20)
		_, _ = rand.Read(data)
		wg.Go(func() {
			_, _ = c.Write(data)
			_ = c.CloseWrite() // kept as a half close: the echo goes on
		})
		wg.Go(func() {
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes back, %v", len(got), err)
			}
			_ = c.Close()
		})
	}
	wg.Wait()
	eventually(t, "streams do not end", func() bool { return g.Stats().Streams == 0 })
	st := g.Stats()
	if st.Sessions != 1 || st.SessionsTotal != 1 || st.StreamsTotal != 8 || st.BytesUp != 24<<20 || st.BytesDown != 24<<20 {
		t.Errorf("%+v", st)
	}
	_ = s.Close()
	eventually(t, "the session does not end", func() bool { return g.Stats().Sessions == 0 })
}

func TestHandshakeRefusals(t *testing.T) {
	g := start(t, Config{})
	for name, test := range map[string]struct {
		header http.Header
		sub    []string
		status int
	}{
		"cross-site":     {http.Header{"Origin": {"https://evil.example"}}, []string{wire.Subprotocol}, http.StatusForbidden},
		"no subprotocol": {nil, nil, http.StatusBadRequest},
		"another":        {nil, []string{"postern.v2"}, http.StatusBadRequest},
	} {
		_, resp, err := websocket.Dial(t.Context(), g.url+wire.Path, &websocket.DialOptions{Subprotocols: test.sub, HTTPHeader: test.header})
		if err == nil || resp == nil || resp.StatusCode != test.status {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	resp, err := http.Get(g.url + wire.Path)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a plain request: %d", resp.StatusCode)
	}
	ws, _, err := g.webSocket(t, http.Header{"Origin": {g.url}})
	if err != nil {
		t.Fatalf("own origin: %v", err)
	}
	if ws.Subprotocol() != wire.Subprotocol {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	_ = ws.CloseNow()
}

func reason(err error) wire.Reason {
	var no *wire.RefusedError
	if errors.As(err, &no) {
		return no.Reason
	}
	return ""
}

func TestToken(t *testing.T) {
	g := start(t, Config{Token: "open sesame", Limits: Limits{TokenDelay: time.Millisecond}})
	for token, want := range map[string]wire.Reason{"": wire.BadToken, "open": wire.BadToken, "open sesame!": wire.BadToken, "open sesame": ""} {
		s, err := g.dial(t, wire.Hello{Token: token})
		if reason(err) != want {
			t.Errorf("%q: %v", token, err)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

func TestSessionsPerClient(t *testing.T) {
	g := start(t, Config{Limits: Limits{SessionsPerClient: 2}})
	a, b := g.session(t), g.session(t)
	if _, err := g.dial(t, wire.Hello{}); reason(err) != wire.TooMany {
		t.Errorf("the third: %v", err)
	}
	_, _ = a, b.Close()
	eventually(t, "the second does not end", func() bool { return g.Stats().Sessions == 1 })
	g.session(t)
}

// Connections that say nothing are let in beyond the limit only a little, and not for long.
func TestSilentConnectionsAreFew(t *testing.T) {
	g := start(t, Config{Limits: Limits{SessionsPerClient: 2, Handshake: 200 * time.Millisecond}})
	refused := 0
	for range 20 {
		ws, resp, err := g.webSocket(t, nil)
		if err != nil && resp.StatusCode == http.StatusTooManyRequests {
			refused++
			continue
		}
		defer ws.CloseNow()
		ws.CloseRead(t.Context())
	}
	if refused != 14 {
		t.Errorf("%d of 20 refused", refused)
	}
	eventually(t, "silent connections stay", func() bool { return g.Stats().Sessions == 0 })
}

func TestTooManyStreams(t *testing.T) {
	g := start(t, Config{Services: pop3(serveTCP(t, echo)), Limits: Limits{Streams: 3}})
	s := g.session(t)
	var last *tunnel.Conn
	for range 3 {
		last = openStream(t, s)
	}
	if _, err := s.Open(t.Context(), embedded); !errors.Is(err, tunnel.ErrTooMany) {
		t.Errorf("the fourth: %v", err)
	}
	_ = last.Close()
	eventually(t, "a closed stream's place is not free again", func() bool {
		c, err := s.Open(t.Context(), embedded)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// The target's reset is not an end, nor is the client's.
func TestCutsStayCuts(t *testing.T) {
	got := make(chan error, 1)
	address := serveTCP(t, func(c *net.TCPConn) {
		command := make([]byte, 4)
		_, _ = io.ReadFull(c, command)
		if string(command) == "cut!" {
			_, _ = c.Write([]byte("half"))
			_, _ = io.ReadFull(c, command)
			_ = c.SetLinger(0)
			return // closes
		}
		_, err := io.Copy(io.Discard, c)
		got <- err
	})
	g := start(t, Config{Services: pop3(address)})
	s := g.session(t)
	c := openStream(t, s)
	_, _ = c.Write([]byte("cut!"))
	_, _ = io.ReadFull(c, make([]byte, 4))
	_, _ = c.Write([]byte("now!"))
	if _, err := io.ReadAll(c); !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("the client reads %v", err)
	}

	c = openStream(t, s)
	_, _ = c.Write([]byte("half a command"))
	eventually(t, "nothing went up", func() bool { return g.Stats().BytesUp >= 8+14 })
	c.Abort()
	if err := <-got; err == nil {
		t.Error("the target takes the client's cut for an end")
	}

	c = openStream(t, s)
	_, _ = c.Write([]byte("a whole command"))
	_ = c.Close()
	if err := <-got; err != nil {
		t.Errorf("the target takes the client's end for a cut: %v", err)
	}
}

func TestIdleStreamsEnd(t *testing.T) {
	closed := make(chan struct{})
	address := serveTCP(t, func(c *net.TCPConn) {
		_, _ = io.Copy(io.Discard, c)
		close(closed)
	})
	g := start(t, Config{Services: pop3(address), Limits: Limits{IdleTimeout: 100 * time.Millisecond}})
	c := openStream(t, g.session(t))
	if _, err := io.ReadAll(c); !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("the client reads %v", err)
	}
	<-closed
}

// A client that takes nothing costs the gateway a bounded amount of memory, whatever the target has to say.
func TestStalledReaderIsBounded(t *testing.T) {
	const size = 64 << 20
	var sent atomicInt
	address := serveTCP(t, func(c *net.TCPConn) {
		block := make([]byte, 64<<10)
		for range size / len(block) {
			n, err := c.Write(block)
			sent.add(n)
			if err != nil {
				return
			}
		}
	})
	for _, name := range []string{"the stream is not read", "the WebSocket is not read"} {
		t.Run(name, func(t *testing.T) {
			sent.set(0)
			g := start(t, Config{Services: pop3(address), Limits: Limits{DeadAfter: time.Minute}})
			before := heap()
			var held int64
			if name == "the stream is not read" {
				c := openStream(t, g.session(t))
				defer c.Close()
				held = settle(&sent)
				if down := g.Stats().BytesDown; down > 1<<20+64<<10 {
					t.Errorf("%d bytes went to a client that reads none", down)
				}
			} else {
				ws, _, err := g.webSocket(t, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer ws.CloseNow()
				raw := &unread{MessageConn: wsconn.New(ws), stop: make(chan struct{})}
				s, err := tunnel.Client(t.Context(), raw, wire.Hello{Version: wire.Version}, &tunnel.Options{Window: 256 << 20, Linger: time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				c := openStream(t, s)
				raw.hold()
				defer c.Close()
				held = settle(&sent)
			}
			if held > size/2 {
				t.Errorf("the target could send %d of %d bytes", held, size)
			}
			if grown := heap() - before; grown > 8<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

// settle waits until a counter stands still: what can be held is held.
func settle(n *atomicInt) int64 {
	last, since := int64(-1), time.Now()
	for time.Since(since) < 300*time.Millisecond {
		if now := n.get(); now != last {
			last, since = now, time.Now()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return last
}

type atomicInt struct {
	mu sync.Mutex
	n  int64
}

func (a *atomicInt) add(n int)   { a.mu.Lock(); a.n += int64(n); a.mu.Unlock() }
func (a *atomicInt) set(n int64) { a.mu.Lock(); a.n = n; a.mu.Unlock() }
func (a *atomicInt) get() int64  { a.mu.Lock(); defer a.mu.Unlock(); return a.n }

// unread is a client's WebSocket that stops reading.
type unread struct {
	tunnel.MessageConn
	mu   sync.Mutex
	held bool
	stop chan struct{}
	once sync.Once
}

func (u *unread) hold() { u.mu.Lock(); u.held = true; u.mu.Unlock() }
func (u *unread) Read(ctx context.Context) ([]byte, error) {
	u.mu.Lock()
	held := u.held
	u.mu.Unlock()
	if held {
		<-u.stop
		return nil, io.EOF
	}
	return u.MessageConn.Read(ctx)
}
func (u *unread) Close(reason string) error {
	u.once.Do(func() { close(u.stop) })
	return u.MessageConn.Close(reason)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Broken peers cost their own session and no other.
func TestBrokenPeers(t *testing.T) {
	g := start(t, Config{Services: pop3(serveTCP(t, echo)), Limits: Limits{Handshake: 300 * time.Millisecond}})
	good := openStream(t, g.session(t))
	garbage := make([]byte, 32<<10)
	_, _ = rand.Read(garbage)
	for name, attack := range map[string]func(*websocket.Conn) error{
		"garbage": func(ws *websocket.Conn) error { return ws.Write(t.Context(), websocket.MessageBinary, garbage) },
		"text":    func(ws *websocket.Conn) error { return ws.Write(t.Context(), websocket.MessageText, []byte("hello")) },
		"a long message": func(ws *websocket.Conn) error {
			return ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 1<<20))
		},
		"silence":         func(*websocket.Conn) error { return nil },
		"an abrupt close": func(ws *websocket.Conn) error { return ws.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			ws, _, err := g.webSocket(t, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			_ = attack(ws) // may fail: the gateway may have closed already
			for err = nil; err == nil; {
				_, _, err = ws.Read(t.Context()) // until it has closed
			}
			eventually(t, "the broken session stays", func() bool { return g.Stats().Sessions == 1 })
			if _, err := good.Write([]byte("still here")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(good, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// panicky is a Dialer, and a connection, with a fault.
type panicky struct {
	net.Conn
	inDial bool
}

func (p panicky) DialContext(context.Context, string, string) (net.Conn, error) {
	if p.inDial {
		panic("in dial")
	}
	return p, nil
}
func (panicky) Read([]byte) (int, error) { panic("in read") }
func (panicky) Close() error             { return nil }

func TestPanicCostsItsStream(t *testing.T) {
	for _, inDial := range []bool{true, false} {
		var log safeBuffer
		g := start(t, Config{Services: pop3("127.0.0.1:1"), Dialer: panicky{inDial: inDial}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		s := g.session(t)
		c, err := s.Open(t.Context(), embedded)
		if inDial && reason(err) != wire.Internal {
			t.Errorf("open: %v", err)
		}
		if !inDial {
			if _, err := io.ReadAll(c); !errors.Is(err, tunnel.ErrReset) {
				t.Errorf("read: %v", err)
			}
			_ = c.Close()
		}
		eventually(t, "the panic is not logged", func() bool { return strings.Contains(log.String(), "panic") })
		if s.Err() != nil {
			t.Errorf("it cost the session: %v", s.Err())
		}
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *safeBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func TestLogHoldsNoPayloadAndNoToken(t *testing.T) {
	var log safeBuffer
	g := start(t, Config{
		Token: "the-token", Services: pop3(serveTCP(t, echo)), Limits: Limits{TokenDelay: time.Millisecond},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	_, _ = g.dial(t, wire.Hello{Token: "a-guess"})
	s, err := g.dial(t, wire.Hello{Token: "the-token", Client: "client\u00a0x"})
	if err == nil {
		t.Error("a client's name with a space that cannot be printed passes")
	}
	s, err = g.dial(t, wire.Hello{Token: "the-token", Client: "agent/1"})
	if err != nil {
		t.Fatal(err)
	}
	c := openStream(t, s)
	_, _ = c.Write([]byte("PASS secret-payload\r\n"))
	_, _ = io.ReadFull(c, make([]byte, 10))
	_ = c.Close()
	_, _ = s.Open(t.Context(), open("denied.example", 995))
	_ = s.Close()
	eventually(t, "the session's end is not logged", func() bool { return strings.Contains(log.String(), "session closed") })
	for _, secret := range []string{"the-token", "a-guess", "secret-payload"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
	for _, wanted := range []string{"denied.example", "agent/1", "reason=denied", "reason"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log does not hold %q:\n%s", wanted, log.String())
		}
	}
}

func TestShutdown(t *testing.T) {
	g := start(t, Config{Services: pop3(serveTCP(t, echo))})
	idle, busy := g.session(t), g.session(t)
	c := openStream(t, busy)
	ended := make(chan error, 1)
	go func() { ended <- g.Shutdown(t.Context()) }()
	<-busy.Draining()
	<-idle.Done() // without streams there is nothing to wait for
	if !errors.Is(idle.Err(), tunnel.ErrSessionClosed) {
		t.Errorf("the idle session: %v", idle.Err())
	}
	if _, err := busy.Open(t.Context(), embedded); reason(err) != wire.Draining {
		t.Errorf("a new stream: %v", err)
	}
	if _, resp, err := g.webSocket(t, nil); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new session: %v", err)
	}
	_, _ = c.Write([]byte("bye")) // what is open goes on
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	_ = c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-busy.Done()
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	g := start(t, Config{Services: pop3(serveTCP(t, echo))})
	s := g.session(t)
	c := openStream(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.Draining(); cancel() }()
	if err := g.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := io.ReadAll(c); !errors.Is(err, tunnel.ErrSessionClosed) && !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("the stream: %v", err)
	}
	if st := g.Stats(); st.Sessions != 0 || st.Streams != 0 {
		t.Errorf("%+v", st)
	}
}
