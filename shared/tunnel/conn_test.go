package tunnel_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// TestConn is the suite that every net.Conn must pass.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
		c, s := sessions(t, a, b, nil)
		c1, c2 = conns(t, c, s)
		return c1, c2, func() { c1.Close(); c2.Close(); c.Close(); s.Close() }, nil
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestCloseLosesNothingWrittenBefore(t *testing.T) {
	for _, size := range []int{0, 1, 32 << 10, 256<<10 - 1<<10, 256 << 10, 5<<20 + 3} {
		client, server := connPair(t, nil)
		sent := random(size)
		wrote := make(chan error, 1)
		go func() {
			_, err := client.Write(sent)
			if err == nil {
				err = client.Close()
			}
			wrote <- err
		}()
		if size < 256<<10 { // within a new stream's window, of which the Open has taken a little: wait until all is written, so that the close is there before the first read
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
			wrote <- nil
		}
		got, err := io.ReadAll(server)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
			t.Fatalf("%d bytes: read %d, %v", size, len(got), err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
}

// A peer that is still writing when we close gets an error, and all that we wrote before.
func TestCloseWhileThePeerWrites(t *testing.T) {
	client, server := connPair(t, nil)
	failed := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		_, err := server.Write([]byte("hello"))
		close(first)
		for err == nil {
			_, err = server.Write(make([]byte, 64<<10))
		}
		failed <- err
	}()
	<-first
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("QUIT\r\n")); err != nil {
		t.Fatal(err)
	}
	client.Close()
	within(t, 5*time.Second, "the writer's error", func() {
		if err := <-failed; !errors.Is(err, tunnel.ErrReset) {
			t.Errorf("writing to a closed stream: %v", err)
		}
	})
	if got, err := io.ReadAll(server); string(got) != "QUIT\r\n" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// A server that answers early and closes, while the client is still sending: the answer can be read.
func TestAnswerBeforeCloseIsRead(t *testing.T) {
	client, server := connPair(t, nil)
	failed := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = client.Write(make([]byte, 64<<10))
		}
		failed <- err
	}()
	if _, err := io.ReadFull(server, make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("552 too big\r\n")); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if err := <-failed; !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("write: %v", err)
	}
	if got, err := io.ReadAll(client); string(got) != "552 too big\r\n" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestHalfClose(t *testing.T) {
	client, server := connPair(t, nil)
	request := random(3 << 20)
	go func() {
		_, _ = client.Write(request)
		_ = client.(*tunnel.Conn).CloseWrite()
	}()
	got, err := io.ReadAll(server)
	if err != nil || !bytes.Equal(got, request) {
		t.Fatalf("request: %d bytes, %v", len(got), err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after CloseWrite: %v", err)
	}
	answer := random(3 << 20)
	go func() {
		_, _ = server.Write(answer)
		_ = server.Close()
	}()
	if got, err = io.ReadAll(client); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("answer: %d bytes, %v", len(got), err)
	}
}

func TestCloseAndCloseWriteInterruptAWrite(t *testing.T) {
	for name, end := range map[string]func(net.Conn) error{
		"Close":      net.Conn.Close,
		"CloseWrite": func(c net.Conn) error { return c.(*tunnel.Conn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := connPair(t, nil)
			failed := make(chan error, 1)
			go func() {
				_, err := client.Write(make([]byte, 16<<20)) // nobody reads: it stops at the window
				failed <- err
			}()
			_, _ = io.ReadFull(server, make([]byte, 1))
			within(t, 5*time.Second, name, func() {
				if err := end(client); err != nil {
					t.Error(err)
				}
				if err := <-failed; !errors.Is(err, net.ErrClosed) {
					t.Errorf("the write got %v", err)
				}
			})
			if _, err := io.Copy(io.Discard, server); err != nil {
				t.Errorf("reading what came before: %v", err)
			}
		})
	}
}

// A cut must not look like an end.
func TestCutIsNoEOF(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, nil)
	client, server := conns(t, c, s)
	if _, err := server.Write([]byte("half a mess")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	a.Cut()
	<-c.Done()
	got, err := io.ReadAll(client)
	if string(got) != " a mess" || !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Errorf("write: %v", err)
	}
	if _, err := c.Open(context.Background(), target); !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Errorf("open: %v", err)
	}
}

// What ended before the session was cut did end.
func TestEOFBeforeCutStaysEOF(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, nil)
	client, server := conns(t, c, s)
	_, _ = server.Write([]byte("whole"))
	_ = server.(*tunnel.Conn).CloseWrite()
	_ = s.Notify(wire.Notice{Kind: wire.NoticeDraining})
	<-c.Draining() // what was sent before it has come
	a.Cut()
	<-c.Done()
	if got, err := io.ReadAll(client); string(got) != "whole" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestDeadlinesWhileTheSessionIsStalled(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, &tunnel.Options{Linger: 50 * time.Millisecond})
	client, _ := conns(t, c, s)
	b.Stall()
	_ = client.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	within(t, 5*time.Second, "the write", func() {
		if _, err := client.Write(make([]byte, 8<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
	within(t, 5*time.Second, "the close", func() { client.Close() })
	b.Cut()
}

// One stream that nobody reads must not hold up another.
func TestStalledStreamLeavesOthersAlone(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, nil)
	_, stalled := conns(t, c, s)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = stalled.Write(make([]byte, 64<<20)) })
	client, server := conns(t, c, s)
	data := random(8 << 20)
	wg.Go(func() {
		_, _ = server.Write(data)
		server.Close()
	})
	within(t, 20*time.Second, "the other stream", func() {
		if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	})
	stalled.Close()
	wg.Wait()
}

func TestManyStreamsAtOnce(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, nil)
	var wg sync.WaitGroup
	for range 32 {
		client, server := conns(t, c, s)
		data := random(700 << 10)
		wg.Go(func() { // echo
			_, _ = io.Copy(server, server)
			_ = server.(*tunnel.Conn).CloseWrite()
		})
		wg.Go(func() {
			_, _ = client.Write(data)
			_ = client.(*tunnel.Conn).CloseWrite()
		})
		wg.Go(func() {
			if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes back, %v", len(got), err)
			}
			client.Close()
			server.Close()
		})
	}
	wg.Wait()
}
