package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
	return g.sessionOf(t, "")
}

// sessionOf is that of somebody who has a token.
func (g gateway) sessionOf(t testing.TB, token string) *tunnel.Session {
	t.Helper()
	s, err := g.dial(t, wire.Hello{Client: "test", Token: token})
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

// pop3 is a mail server of the gateway's own that listens there.
func pop3(address string) []Embedded {
	return own(map[wire.ServiceName]string{wire.POP3: address})
}

func own(services map[wire.ServiceName]string) []Embedded {
	return []Embedded{{Info: wire.Embedded{Hostname: "postern.test", Domains: []string{"postern.test"}, Services: []wire.Service{{Name: wire.POP3, Port: 2110}}}, Services: services}}
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
	g := start(t, Config{Server: "postern test", Embedded: pop3(serveTCP(t, echo))})
	s := g.session(t)
	w := s.Welcome()
	if w.Server != "postern test" || w.Embedded == nil || w.Embedded.Hostname != "postern.test" || w.Limits.Streams != 32 || w.Session == "" {
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

// A site that comes from one /64 after the other gets no further than four of them.
func TestSessionsPerSite(t *testing.T) {
	b, err := New(Config{Limits: Limits{SessionsPerClient: 2, StreamsPerClient: 1}})
	if err != nil {
		t.Fatal(err)
	}
	prefix := func(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:%x::/64", i)) }
	var in []*session
	welcome, streams := 0, 0
	for i := range 100 {
		s, _ := b.enter(prefix(i), "", false)
		if s == nil {
			continue
		}
		in = append(in, s)
		if s.no == nil {
			welcome++
		}
		if b.hold(s, false) == nil {
			defer b.drop(s)
			streams++
		}
	}
	if welcome != 8 || len(in) != 24 || streams != 4 {
		t.Errorf("a site has %d sessions, %d more are told so, and %d streams; want 8, 16 and 4", welcome, len(in)-welcome, streams)
	}
	other, _ := b.enter(netip.MustParsePrefix("2001:db8:1::/64"), "", false)
	if other == nil || other.no != nil || b.hold(other, false) != nil {
		t.Error("the neighbour is shut out")
	}
	b.drop(other)
	b.leave(other)
	if n := len(b.clients); n != 24+1 {
		t.Errorf("%d clients and sites are remembered, want those that are there: 25", n)
	}
}

// Connections that say nothing are let in beyond the limit only a little, and not for long.
func TestSilentConnectionsAreFew(t *testing.T) {
	g := start(t, Config{Limits: Limits{SessionsPerClient: 2, Handshake: 2 * time.Second, TokenDelay: time.Millisecond}})
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
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo)), Limits: Limits{Streams: 3}})
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

// A client gets no more by more sessions, and all together no more than the gateway bears.
func TestStreamsPerClientAndInAll(t *testing.T) {
	for name, limits := range map[string]Limits{"per client": {StreamsPerClient: 3}, "in all": {StreamsInAll: 3}} {
		t.Run(name, func(t *testing.T) {
			g := start(t, Config{Embedded: pop3(serveTCP(t, echo)), Limits: limits})
			a, b := g.session(t), g.session(t)
			openStream(t, a)
			openStream(t, a)
			last := openStream(t, b)
			if _, err := b.Open(t.Context(), embedded); reason(err) != wire.TooMany {
				t.Errorf("the fourth: %v", err)
			}
			_ = last.Close()
			eventually(t, "a closed stream's place is not free again", func() bool {
				c, err := b.Open(t.Context(), embedded)
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
			_, _ = a.Close(), b.Close()
			eventually(t, "something stays counted", func() bool {
				g.mu.Lock()
				defer g.mu.Unlock()
				return g.held == 0 && len(g.clients) == 0
			})
		})
	}
}

// Of several servers of its own, the gateway opens the one that is asked for, and the first if none is named.
func TestServersBeside(t *testing.T) {
	say := func(word string) string {
		return serveTCP(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, word) })
	}
	var mu sync.Mutex
	introduced := map[string]int{}
	servers := append(pop3(say("first")), pop3(say("second"))...)
	servers[1].Info.Hostname, servers[1].Info.Domains = "mail.elsewhere.test", []string{"elsewhere.test"}
	for i := range servers {
		servers[i].Introduce = func(net.Addr, netip.Addr) func() {
			mu.Lock()
			defer mu.Unlock()
			introduced[servers[i].Info.Hostname]++
			return func() {}
		}
	}
	s := start(t, Config{Embedded: servers}).session(t)
	if w := s.Welcome(); len(w.Servers()) != 2 || w.Home("elsewhere.test").Hostname != "mail.elsewhere.test" {
		t.Errorf("welcome: %+v", w)
	}
	for server, want := range map[string]string{"": "first", "postern.test": "first", "Mail.Elsewhere.test": "second"} {
		c, err := s.Open(t.Context(), wire.Open{Service: wire.POP3, Server: server})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); string(got) != want || err != nil {
			t.Errorf("%q: %q, %v", server, got, err)
		}
		_ = c.Close()
	}
	for _, o := range []wire.Open{{Service: wire.POP3, Server: "example.org"}, {Service: wire.SMTP, Server: "mail.elsewhere.test"}} {
		var no *wire.RefusedError
		if _, err := s.Open(t.Context(), o); !errors.As(err, &no) || no.Reason != wire.Denied {
			t.Errorf("%v: %v", o, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if introduced["postern.test"] != 2 || introduced["mail.elsewhere.test"] != 1 {
		t.Errorf("introduced: %v", introduced)
	}
}

// The embedded server learns whose connection it is before anything comes over it, and forgets with its end.
func TestConnectionsAreIntroduced(t *testing.T) {
	var mu sync.Mutex
	known := make(map[string]netip.Addr)
	servers := pop3(serveTCP(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		mu.Lock()
		client := known[c.RemoteAddr().String()]
		mu.Unlock()
		_, _ = io.WriteString(c, client.String())
	}))
	servers[0].Introduce = func(from net.Addr, client netip.Addr) func() {
		mu.Lock()
		defer mu.Unlock()
		known[from.String()] = client
		return func() {
			mu.Lock()
			defer mu.Unlock()
			delete(known, from.String())
		}
	}
	g := start(t, Config{
		Embedded:       servers,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	ws, _, err := g.webSocket(t, http.Header{"X-Forwarded-For": {"198.51.100.7"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tunnel.Client(t.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Client: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := openStream(t, s)
	_, _ = c.Write([]byte("?"))
	if got, err := io.ReadAll(c); string(got) != "198.51.100.7" || err != nil {
		t.Errorf("the server took the client for %q, %v", got, err)
	}
	_ = c.Close()
	eventually(t, "an ended connection is still known", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(known) == 0
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
	g := start(t, Config{Embedded: pop3(address)})
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

// What lasts too long is ended, and the client told why.
func TestIdleStreamsEnd(t *testing.T) {
	for want, limits := range map[wire.Reason]Limits{
		wire.Idle:    {IdleTimeout: 100 * time.Millisecond},
		wire.Expired: {StreamTime: 100 * time.Millisecond},
	} {
		closed := make(chan struct{})
		address := serveTCP(t, func(c *net.TCPConn) {
			_, _ = io.Copy(io.Discard, c)
			close(closed)
		})
		g := start(t, Config{Embedded: pop3(address), Limits: limits})
		c := openStream(t, g.session(t))
		if _, err := io.ReadAll(c); reason(err) != want {
			t.Errorf("the client reads %v, want %s", err, want)
		}
		<-closed
		if g.Stats().Refused[want] != 1 {
			t.Errorf("%+v", g.Stats())
		}
	}
}

// A session that has lasted long enough is drained: what is open goes on, and the client comes anew.
func TestSessionsExpire(t *testing.T) {
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo)), Limits: Limits{SessionTime: 100 * time.Millisecond}})
	s := g.session(t)
	c := openStream(t, s)
	<-s.Draining()
	_, _ = c.Write([]byte("still"))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	<-s.Done()
	openStream(t, g.session(t))
}
