package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// muxFrame is a frame of yamux, made by hand: of data, it has payload.
func muxFrame(kind byte, flags uint16, stream, length uint32, payload ...byte) []byte {
	f := []byte{0, kind}
	f = binary.BigEndian.AppendUint16(f, flags)
	f = binary.BigEndian.AppendUint32(f, stream)
	return append(binary.BigEndian.AppendUint32(f, length), payload...)
}

const (
	muxData, muxWindow, muxPing = 0, 1, 2
	muxSYN, muxACK, muxFIN      = 1, 2, 4
)

func muxPayload(flags uint16, stream uint32, payload []byte) []byte {
	return muxFrame(muxData, flags, stream, uint32(len(payload)), payload...)
}

// shout is a WebSocket on which hello has been said, with whatever comes back thrown away. ended is closed when the gateway has closed it.
func (s *siege) shout() (say func([]byte) error, ended <-chan struct{}) {
	s.Helper()
	ws, _, err := s.webSocket(nil)
	if err != nil {
		s.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			if _, _, err := ws.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	s.Cleanup(func() { _ = ws.CloseNow(); <-closed })
	var hello bytes.Buffer
	_ = wire.WriteHello(&hello, wire.Hello{Version: wire.Version, Token: accessToken})
	say = func(p []byte) error { return ws.Write(s.Context(), websocket.MessageBinary, p) }
	if err := say(muxPayload(muxSYN, 1, hello.Bytes())); err != nil {
		s.Fatal(err)
	}
	return say, closed
}

// over waits for the end of an attacker's session.
func (s *siege) over(ended <-chan struct{}) {
	s.Helper()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		s.Error("it goes on")
	}
	s.soon("the session stays", func() bool { return s.bridge.Stats().Sessions == 1 })
}

func openBytes(o wire.Open) []byte {
	var b bytes.Buffer
	_ = wire.WriteOpen(&b, o)
	return b.Bytes()
}

func attackByOversize(t *testing.T) {
	s := besiege(t, nil)
	s.others()
	check := s.holds(8)
	for name, message := range map[string][]byte{
		"a message":             make([]byte, 1<<20),
		"a data frame":          muxFrame(muxData, 0, 1, 1<<31),
		"a frame over a window": muxFrame(muxData, 0, 1, 1<<20+1),
		"another version":       {9, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0},
	} {
		say, ended := s.shout()
		_ = say(message)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the session goes on", name)
		}
	}
	s.soon("sessions stay", func() bool { return s.bridge.Stats().Sessions == 1 })
	// These cost their stream, or nothing; and a payload that never comes is not waited for in memory.
	for _, message := range [][]byte{
		muxPayload(muxSYN, 3, binary.BigEndian.AppendUint32(nil, 1<<32-1)),
		muxPayload(muxSYN, 3, append(binary.BigEndian.AppendUint32(nil, 60<<10), bytes.Repeat([]byte{' '}, 20<<10)...)),
		muxFrame(muxWindow, 0, 1, 1<<32-1), muxFrame(muxData, 0, 1, 1<<20),
	} {
		for range 3 {
			say, _ := s.shout()
			_ = say(message)
		}
	}
	s.unharmed()
	check()
	if answer := s.said("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 431") {
		t.Errorf("64 KiB of headers: %.100q", answer)
	}
	if answer := s.said("GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 4") {
		t.Errorf("64 KiB of path: %.100q", answer)
	}
	s.unharmed()
}

func attackByStreams(t *testing.T) {
	s := besiege(t, nil)
	s.others()
	check := s.holds(16)
	open := openBytes(wire.Open{Service: wire.POP3})
	for name, frames := range map[string]func(id uint32) []byte{
		"that say nothing": func(id uint32) []byte { return muxFrame(muxWindow, muxSYN, id, 0) },
		"that open":        func(id uint32) []byte { return muxPayload(muxSYN, id, open) },
		"that open and go": func(id uint32) []byte {
			return append(muxPayload(muxSYN, id, open), muxFrame(muxWindow, 8, id, 0)...)
		},
	} {
		say, ended := s.shout()
		for id := uint32(3); say(frames(id)) == nil; id += 2 {
			if id > 1<<20 {
				t.Errorf("streams %s: half a million, and no end", name)
				break
			}
		}
		s.over(ended)
		s.unharmed()
	}
	check()
	if st := s.bridge.Stats(); st.Broken != 3 {
		t.Errorf("%+v", st)
	}
	// One that keeps to the protocol is refused, stream by stream.
	polite := besiege(t, func(c *bridge.Config, _ *http.Server) { c.Limits.NewStreamsPerMinute = 50 })
	session, refused := polite.enter(), 0
	for range 200 {
		conn, err := session.Open(t.Context(), wire.Open{Service: wire.POP3})
		if err == nil {
			_ = conn.Close()
		} else if reasonOf(err) == wire.TooFast {
			refused++
		} else {
			t.Fatal(err)
		}
	}
	if refused != 150 {
		t.Errorf("%d of 200 refused", refused)
	}
}

func attackBySlowness(t *testing.T) {
	if server := web.NewServer(nil, nil); server.ReadHeaderTimeout > 10*time.Second || server.ReadTimeout > 30*time.Second || server.WriteTimeout == 0 || server.WriteTimeout > 10*time.Minute || server.MaxHeaderBytes > 32<<10 {
		t.Errorf("%+v", server)
	}
	s := besiege(t, func(c *bridge.Config, page *http.Server) {
		page.ReadHeaderTimeout, page.ReadTimeout, page.WriteTimeout = 200*time.Millisecond, 400*time.Millisecond, time.Second // for a test
		c.Limits.Handshake = 200 * time.Millisecond
		c.Limits.SessionsPerClient, c.Limits.NewSessionsPerMinute = 50, 1<<30 // all come from one address here
	})
	s.others()
	dribble := func(conn io.Writer, p string) {
		for i := range p {
			if _, err := conn.Write([]byte(p[i : i+1])); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	var all sync.WaitGroup
	for _, request := range []string{"GET / HTTP/1.1\r\nHost: x\r\nX-a: ", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"} {
		all.Go(func() {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			go dribble(conn, request+strings.Repeat("a", 1000))
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("a slow request is still listened to: %v", err)
			}
		})
	}
	// Requests one after the other, and no answer is read: those of the page, and the refusals of the tunnel. Whether the kernel
	// tells the client in time is not the gateway's: what counts is that it has let the connection go.
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /none.js HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET " + wire.Path + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET " + wire.Path + " HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n",
		"GET " + wire.Path + " HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: " + wire.Subprotocol + "\r\n\r\n",
	} {
		all.Go(func() {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10) // soon full
			go func() {
				many := []byte(strings.Repeat(request, 100))
				for err := error(nil); err == nil; {
					_, err = conn.Write(many)
				}
			}()
			select {
			case <-s.let(conn.LocalAddr()):
			case <-time.After(time.Minute):
				t.Errorf("who reads no answer to %.60q holds its connection", request)
			}
		})
	}
	for range 10 { // a hello that comes an octet at a time, and one that never does
		for _, speak := range []bool{true, false} {
			all.Go(func() {
				ws, _, err := s.webSocket(nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer ws.CloseNow()
				if speak {
					go dribble(websocket.NetConn(t.Context(), ws, websocket.MessageBinary), strings.Repeat("\x00", 1000))
				}
				_, _, _ = ws.Read(t.Context())
			})
		}
	}
	all.Wait()
	s.soon("silent sessions stay", func() bool { return s.bridge.Stats().Sessions == 1 })
	// Streams whose open never comes, or stops: they end, and their session goes on.
	mux := s.raw()
	var half []*yamux.Stream
	for i := range 18 {
		half = append(half, s.stream(mux))
		if i%2 == 0 {
			_, _ = half[i].Write([]byte{0, 0})
		}
	}
	for i, stream := range half {
		_ = stream.SetReadDeadline(time.Now().Add(10 * time.Second))
		if p, err := io.ReadAll(stream); err != nil || len(p) > 0 {
			t.Errorf("stream %d, which says nothing: %q, %v", i, p, err)
		}
	}
	stream := s.stream(mux)
	_ = wire.WriteOpen(stream, wire.Open{Service: wire.POP3})
	if err := wire.ReadOpened(stream); err != nil {
		t.Errorf("a session with streams that said nothing: %v", err)
	}
	s.unharmed()
}

func attackByNotReading(t *testing.T) {
	const streams = 8
	var sent atomicSum
	s := besiege(t, func(c *bridge.Config, _ *http.Server) {
		c.Limits.DeadAfter = 3 * time.Second
		c.Limits.BytesPerSecond = -1
	})
	s.network.to["93.184.216.34:110"] = s.serve(func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "+OK\r\n")
		p := make([]byte, 64<<10)
		for {
			n, err := c.Write(p)
			sent.add(n)
			if err != nil {
				return
			}
		}
	})
	s.others()
	check := s.holds(3 * streams) // the attacker's own windows, which lie in this process, too; and a buffer that grows doubles
	// Streams that nobody reads: each holds its window, and a session its queue.
	session := s.enter()
	for range streams {
		conn, err := session.Open(t.Context(), wire.Open{Service: wire.POP3, Host: "93.184.216.34", Port: 110})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	last, since := int64(-1), time.Now()
	for time.Since(since) < 500*time.Millisecond {
		if n := sent.get(); n != last {
			last, since = n, time.Now()
		}
		time.Sleep(5 * time.Millisecond)
	}
	check()
	if down := s.bridge.Stats().BytesDown; down > streams*(1<<20+64<<10) {
		t.Errorf("%d octets went to who reads none", down)
	}
	s.unharmed()

	// A WebSocket that nobody reads: what was carried waits in the kernel, and the session ends.
	ws, _, err := s.webSocket(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	deaf := &deafConn{MessageConn: wsconn.New(ws), ended: make(chan struct{})}
	late, err := tunnel.Client(t.Context(), deaf, wire.Hello{Version: wire.Version, Token: accessToken}, &tunnel.Options{Window: 64 << 20, Linger: time.Millisecond, DeadAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	conn, err := late.Open(t.Context(), wire.Open{Service: wire.POP3, Host: "93.184.216.34", Port: 110})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deaf.stop()
	s.soon("the deaf session stays", func() bool { return s.bridge.Stats().Sessions == 2 })
	s.unharmed()
	check()
}

// deafConn stops reading when it is told so.
type deafConn struct {
	tunnel.MessageConn
	mu    sync.Mutex
	deaf  bool
	ended chan struct{}
	once  sync.Once
}

func (d *deafConn) stop() { d.mu.Lock(); d.deaf = true; d.mu.Unlock() }

func (d *deafConn) Read(ctx context.Context) ([]byte, error) {
	d.mu.Lock()
	deaf := d.deaf
	d.mu.Unlock()
	if deaf {
		<-d.ended
		return nil, io.EOF
	}
	return d.MessageConn.Read(ctx)
}

func (d *deafConn) Close(reason string) error {
	d.once.Do(func() { close(d.ended) })
	return d.MessageConn.Close(reason)
}

func attackByTinyFrames(t *testing.T) {
	frames := 1_000_000
	if underRace {
		frames = 100_000
	}
	var got atomicSum
	s := besiege(t, nil)
	s.network.to["93.184.216.34:110"] = s.serve(func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "+OK\r\n")
		p := make([]byte, 32<<10)
		for {
			n, err := c.Read(p)
			got.add(n)
			if err != nil {
				return
			}
		}
	})
	s.others()
	check := s.holds(16)
	say, ended := s.shout()
	if err := say(muxPayload(muxSYN, 3, openBytes(wire.Open{Service: wire.POP3, Host: "93.184.216.34", Port: 110}))); err != nil {
		t.Fatal(err)
	}
	s.soon("the stream does not open", func() bool { return s.bridge.Stats().Streams == 2 })
	one := muxPayload(0, 3, []byte{'x'})
	none := muxPayload(0, 3, nil)
	update := muxFrame(muxWindow, 0, 1, 0)
	batch := bytes.Repeat(one, 2000)
	empty := bytes.Repeat(append(none, update...), 1000)
	for n := 0; n < frames; n += 2000 {
		s.soon("what was sent is not carried", func() bool { return n-int(got.get()) < 200_000 }) // a window is 1 MiB, and this one keeps to it
		if err := say(batch); err != nil {
			t.Fatal(err)
		}
		if n%100_000 == 0 {
			_ = say(empty)
			s.unharmed()
		}
	}
	for range 20_000 { // and a message for each
		if err := say(one); err != nil {
			t.Fatal(err)
		}
		if err := say(nil); err != nil {
			t.Fatal(err)
		}
	}
	s.soon("what was sent is not carried", func() bool { return got.get() == int64(frames)+20_000 })
	s.unharmed()
	check()
	select {
	case <-ended:
		t.Error("the session is over")
	default:
	}
}

type atomicSum struct {
	mu sync.Mutex
	n  int64
}

func (a *atomicSum) add(n int)  { a.mu.Lock(); a.n += int64(n); a.mu.Unlock() }
func (a *atomicSum) get() int64 { a.mu.Lock(); defer a.mu.Unlock(); return a.n }
