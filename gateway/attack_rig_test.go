package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// siege is a gateway as it stands on the internet: page and tunnel behind its own HTTP server, policy mail, one token. Its name
// server and its network are the test's: nothing leaves loopback, and what would have is noted.
type siege struct {
	*testing.T
	bridge  *bridge.Bridge
	address string // host:port
	names   *nameServer
	network *network

	bystander net.Conn // of somebody else, who does nothing wrong

	closed *sync.Map // by the client's address: a channel that is closed when the gateway has let its connection go
}

const accessToken = "let the family in, please"

// besiege starts a gateway. c is changed by whoever needs another one.
func besiege(t *testing.T, change func(c *bridge.Config, page *http.Server)) *siege {
	t.Helper()
	s := &siege{T: t, names: &nameServer{answers: map[string][]string{}}, network: &network{to: map[string]string{}}, closed: new(sync.Map)}
	echo := s.serve(func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	s.network.to[echo] = echo
	c := bridge.Config{
		Server:   "postern test",
		Access:   bridge.Access{Tokens: []bridge.Token{{Name: "family", Secret: accessToken}}},
		Policy:   bridge.Policy{Mode: "mail"},
		Resolver: s.names, SRVResolver: s.names, Dialer: s.network,
		Embedded: []bridge.Embedded{{
			Info:     wire.Embedded{Hostname: "postern.test", Domains: []string{"postern.test"}},
			Services: map[wire.ServiceName]string{wire.POP3: echo},
		}},
		Limits: bridge.Limits{TokenDelay: time.Millisecond},
	}
	page := web.NewServer(nil, nil)
	page.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			gone := s.let(c.RemoteAddr())
			select {
			case <-gone: // an address comes again in the end
			default:
				close(gone)
			}
		}
	}
	if change != nil {
		change(&c, page)
	}
	var err error
	if s.bridge, err = bridge.New(c); err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"index.html": {Data: []byte("the page")}, "assets/app.js": {Data: []byte("a script")}}
	if page.Handler, err = web.Handler(web.Config{Assets: files, Tunnel: s.bridge, TunnelPath: wire.Path}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = page.Serve(web.Limit(l, web.Limits{})) }()
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.bridge.Shutdown(over)
		_ = page.Close()
		<-served
	})
	return s
}

// let is closed when the gateway has let the connection of the client at this address go.
func (s *siege) let(client net.Addr) chan struct{} {
	c, _ := s.closed.LoadOrStore(client.String(), make(chan struct{}))
	return c.(chan struct{})
}

// serve listens on loopback.
func (s *siege) serve(f func(*net.TCPConn)) string { s.Helper(); return serveTCP(s.T, f) }

// serveTCP listens on loopback until the test ends, which cuts what is open then.
func serveTCP(t *testing.T, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				stop := context.AfterFunc(t.Context(), func() { _ = c.Close() })
				defer stop()
				defer c.Close()
				f(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

// nameServer answers from a table: each answer is a list of addresses, and the last one stays.
type nameServer struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   []string
}

func (n *nameServer) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	host = strings.TrimSuffix(host, ".")
	n.asked = append(n.asked, host)
	left := n.answers[host]
	if len(left) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(left) > 1 {
		n.answers[host] = left[1:]
	}
	var addrs []netip.Addr
	for a := range strings.FieldsSeq(left[0]) {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

func (n *nameServer) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// network is what lies beyond the gateway: some addresses, each somewhere on loopback. Others do not answer.
type network struct {
	mu      sync.Mutex
	to      map[string]string
	dialled []string
}

func (n *network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	to := n.to[address]
	if to != address {
		n.dialled = append(n.dialled, address)
	}
	n.mu.Unlock()
	if to == "" {
		return nil, errors.New("nobody is at " + address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", to)
}

// only fails the test if anything else was dialled than these.
func (s *siege) only(addresses ...string) {
	s.Helper()
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	got := slices.Clone(s.network.dialled)
	slices.Sort(got)
	got = slices.Compact(got)
	if !slices.Equal(got, addresses) {
		s.Errorf("dialled %q, want %q", got, addresses)
	}
}

func (s *siege) webSocket(h http.Header) (*websocket.Conn, *http.Response, error) {
	ws, resp, err := websocket.Dial(s.Context(), "ws://"+s.address+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPHeader: h})
	if err == nil {
		ws.SetReadLimit(4 << 20)
	}
	return ws, resp, err
}

// hello is a session of a proper client's.
func (s *siege) hello(token string, h http.Header) (*tunnel.Session, error) {
	s.Helper()
	ws, resp, err := s.webSocket(h)
	if err != nil && resp != nil {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	if err != nil {
		s.Fatal(err)
	}
	session, err := tunnel.Client(s.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Token: token}, nil)
	if err == nil {
		s.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

// enter is a session of one who has the token.
func (s *siege) enter() *tunnel.Session {
	s.Helper()
	session, err := s.hello(accessToken, nil)
	if err != nil {
		s.Fatal(err)
	}
	return session
}

// raw is a session that says what it likes: yamux without a guard on it.
func (s *siege) raw() *yamux.Session {
	s.Helper()
	ws, _, err := s.webSocket(nil)
	if err != nil {
		s.Fatal(err)
	}
	o := yamux.DefaultConfig()
	o.LogOutput, o.EnableKeepAlive = io.Discard, false
	o.AcceptBacklog = 1 << 20
	mux, err := yamux.Client(websocket.NetConn(s.Context(), ws, websocket.MessageBinary), o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = mux.Close(); _ = ws.CloseNow() })
	control := s.stream(mux)
	if err := wire.WriteHello(control, wire.Hello{Version: wire.Version, Token: accessToken}); err != nil {
		s.Fatal(err)
	}
	if _, err := wire.ReadWelcome(control); err != nil {
		s.Fatal(err)
	}
	return mux
}

func (s *siege) stream(mux *yamux.Session) *yamux.Stream {
	s.Helper()
	stream, err := mux.OpenStream()
	if err != nil {
		s.Fatal(err)
	}
	return stream
}

// frame is a frame of package wire with any JSON, or none.
func frame(json string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(json))), json...)
}

// refused says how an Open is answered; "" is yes.
func (s *siege) refused(session *tunnel.Session, service wire.ServiceName, host string, port int) wire.Reason {
	s.Helper()
	conn, err := session.Open(s.Context(), wire.Open{Service: service, Host: host, Port: port})
	if err == nil {
		_ = conn.Close()
		return ""
	}
	return reasonOf(err)
}

func reasonOf(err error) wire.Reason {
	var no *wire.RefusedError
	if errors.As(err, &no) {
		return no.Reason
	}
	return wire.Reason(fmt.Sprint("no refusal: ", err))
}

// others lets somebody else's stream be open from here on; unharmed tests that it is carried, and soon.
func (s *siege) others() {
	s.Helper()
	conn, err := s.enter().Open(s.Context(), wire.Open{Service: wire.POP3})
	if err != nil {
		s.Fatal(err)
	}
	s.bystander = conn
	s.unharmed()
}

func (s *siege) unharmed() {
	s.Helper()
	_ = s.bystander.SetDeadline(time.Now().Add(10 * time.Second)) // on a machine that others use, too
	p := []byte("thirty-two octets of somebody's.")
	if _, err := s.bystander.Write(p); err != nil {
		s.Fatal("somebody else is cut off:", err)
	}
	if _, err := io.ReadFull(s.bystander, p); err != nil {
		s.Fatal("somebody else is cut off:", err)
	}
}

// holds fails the test if the gateway, and the attacker in the same process, hold so many MiB more than before.
func (s *siege) holds(mib int64) (check func()) {
	before := heapInUse()
	return func() {
		s.Helper()
		if grown := (heapInUse() - before) >> 20; grown > mib {
			s.Errorf("it holds %d MiB more, at most %d", grown, mib)
		}
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// soon waits for what no event tells.
func (s *siege) soon(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatal(what)
		}
	}
}

// said is what the HTTP server answers to a request as it is written here, until it closes the connection or is silent.
func (s *siege) said(request string) string {
	s.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, request)
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// tlsServer answers each connection by a certificate and f.
func (s *siege) tlsServer(cert tls.Certificate, f func(*tls.Conn)) string {
	return s.serve(func(c *net.TCPConn) {
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer conn.Close()
		f(conn)
	})
}
