//go:build !js

package bridgetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

func echoes(t *testing.T, p Place) {
	address := server(t, echo)
	c := session(t, p.Start(t, Setup{Allow: []string{address}}))
	var wg sync.WaitGroup
	for range 4 {
		stream := open(t, c.Session, address)
		data := make([]byte, 3<<20)
		_, _ = rand.Read(data)
		wg.Go(func() {
			_, _ = stream.Write(data)
			_ = stream.CloseWrite() // half: the echo goes on
		})
		wg.Go(func() {
			if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes back, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func talksOn(t *testing.T, p Place) {
	got := make(chan string, 1)
	address := server(t, func(c *net.TCPConn) {
		_ = c.CloseWrite()
		all, _ := io.ReadAll(c)
		got <- string(all)
	})
	stream := open(t, session(t, p.Start(t, Setup{Allow: []string{address}})).Session, address)
	if all, err := io.ReadAll(stream); len(all) > 0 || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	_, _ = io.WriteString(stream, "and another thing\r\n")
	_ = stream.CloseWrite()
	if said := <-got; said != "and another thing\r\n" {
		t.Errorf("the server got %q", said)
	}
}

func counted(t *testing.T, p Place) {
	address := server(t, echo)
	c := session(t, p.Start(t, Setup{Allow: []string{address}}))
	if n := c.Welcome().Limits.Streams; n != p.Streams {
		t.Fatalf("the gateway says that it bears %d streams, want %d", n, p.Streams)
	}
	var last *tunnel.Conn
	for range p.Streams {
		last = open(t, c.Session, address)
	}
	if _, err := c.Open(t.Context(), target(t, address)); !errors.Is(err, tunnel.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	_ = last.Close()
	eventually(t, "a closed stream's place is not free again", func() bool {
		stream, err := c.Open(t.Context(), target(t, address))
		if err == nil {
			_ = stream.Close()
		}
		return err == nil
	})
}

func serverCuts(t *testing.T, p Place) {
	address := server(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "half")
		_, _ = io.ReadFull(c, make([]byte, 4))
		_ = c.SetLinger(0)
	})
	stream := open(t, session(t, p.Start(t, Setup{Allow: []string{address}})).Session, address)
	_, _ = io.ReadFull(stream, make([]byte, 4))
	_, _ = io.WriteString(stream, "now!")
	if _, err := io.ReadAll(stream); !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("the client reads %v", err)
	}
}

func clientCuts(t *testing.T, p Place) {
	got := make(chan error, 1)
	heard := make(chan struct{}, 1)
	address := server(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 14))
		heard <- struct{}{}
		_, err := io.Copy(io.Discard, c)
		got <- err
	})
	c := session(t, p.Start(t, Setup{Allow: []string{address}}))
	for _, test := range []struct {
		what string
		cut  func(*tunnel.Conn)
	}{
		{"the stream's", (*tunnel.Conn).Abort},
		{"the WebSocket's", func(*tunnel.Conn) { _ = c.tcp.Close() }},
	} {
		stream := open(t, c.Session, address)
		_, _ = io.WriteString(stream, "half a command")
		<-heard
		test.cut(stream)
		if err := <-got; p.Resets && err == nil {
			t.Errorf("the server takes %s cut for an end", test.what)
		}
	}
}

// deafServer says nothing and takes nothing, so what a client has sent it waits in the gateway: the client's end is the end of that,
// too.
func deafServer(t *testing.T, p Place) {
	conns := make(chan *net.TCPConn, 1)
	until := make(chan struct{})
	defer close(until)
	address := server(t, func(c *net.TCPConn) {
		_ = c.SetReadBuffer(4 << 10)
		conns <- c
		<-until
	})
	url := p.Start(t, Setup{Allow: []string{address}})
	ends := map[string]func(*client, *tunnel.Conn){
		"the stream's cut":    func(_ *client, stream *tunnel.Conn) { stream.Abort() },
		"the session's close": func(c *client, _ *tunnel.Conn) { _ = c.Close() },
		"the WebSocket's cut": func(c *client, _ *tunnel.Conn) { _ = c.tcp.Close() },
	}
	if !p.Resets {
		delete(ends, "the stream's cut") // the platform waits with it for the session's end
	}
	left := make(map[string]*net.TCPConn)
	for what, end := range ends {
		c := session(t, url)
		stream := open(t, c.Session, address)
		left[what] = <-conns
		_ = stream.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := stream.Write(make([]byte, much)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes went to a server that reads none, %v", n, err)
		}
		if !established(t, left[what]) {
			t.Fatal("the connection has ended before its client")
		}
		end(c, stream)
	}
	for what, conn := range left {
		eventually(t, "the server's connection outlives "+what, func() bool { return !established(t, conn) })
	}
}

// comesBack cuts the WebSocket under a Dialer.
func comesBack(t *testing.T, p Place) {
	address := server(t, echo)
	url := p.Start(t, Setup{Allow: []string{address}})
	var beneath atomic.Value // the net.Conn beneath the WebSocket that was made last
	d := &tunnel.Dialer{
		Hello:   wire.Hello{Version: wire.Version, Client: "test", Token: Token},
		Backoff: tunnel.Backoff{Min: time.Millisecond},
		Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
			mc, tcp, _, err := connect(ctx, url, nil)
			if err == nil {
				beneath.Store(tcp)
			}
			return mc, err
		},
	}
	online := make(chan string, 10)
	defer d.Subscribe(func(s tunnel.State) {
		if s.Phase == tunnel.Online {
			online <- s.Welcome.Session
		}
	})()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	defer func() { cancel(); <-ran }()

	seen := make(map[string]bool)
	for range 3 {
		id := <-online
		if id == "" || seen[id] {
			t.Errorf("session %q again", id)
		}
		seen[id] = true
		stream, err := d.Open(t.Context(), target(t, address))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		_, _ = io.WriteString(stream, "hello")
		if got := make([]byte, len(greeting)+5); true {
			if _, err := io.ReadFull(stream, got); err != nil || string(got) != greeting+"hello" {
				t.Errorf("%q, %v", got, err)
			}
		}
		_ = beneath.Load().(net.Conn).Close()
		if _, err := io.ReadAll(stream); !errors.Is(err, tunnel.ErrSessionClosed) {
			t.Errorf("a stream that was cut off reads %v", err)
		}
	}
}
