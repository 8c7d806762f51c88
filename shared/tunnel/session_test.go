package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// A frame that comes only in part holds up nothing but itself: the stream's deadlines and its close go on.
func TestHalfAFrame(t *testing.T) {
	mine, theirs := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	go drain(mine)
	_ = mine.Write(t.Context(), append(packed(syn, 1, helloBytes()), packed(syn, 3, openBytes())...))
	_ = mine.Write(t.Context(), yamuxFrame(data, 0, 3, 1<<17, 'x'))
	s, err := tunnel.Serve(t.Context(), theirs, greet, &tunnel.Options{Linger: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Accept()
	if err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "a read with a deadline, and the close", func() {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if n, err := io.ReadAll(c); len(n) > 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %q, %v", n, err)
		}
		_ = c.Close()
	})
	mine.Cut()
	_ = s.Close()
}

// A gateway that does not answer an Open costs that Open, in time; one that answers nonsense too.
func TestOpenWithoutAnAnswer(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, &tunnel.Options{OpenTimeout: 50 * time.Millisecond, Linger: 50 * time.Millisecond})
	if _, err := c.Open(t.Context(), target); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Open(ctx, target); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := c.Open(t.Context(), wire.Open{Service: "pop3", Host: "a\nb", Port: 1}); err == nil {
		t.Error("a host with a line break passes")
	}
	go func() {
		for range 2 { // the one that was given up, and the next
			if r, err := s.Accept(context.Background()); err == nil {
				_ = r.Refuse(&wire.RefusedError{Reason: wire.Unreachable, Detail: "really"})
				if _, err := r.Accept(); err == nil {
					t.Error("one request was answered twice")
				}
			}
		}
	}()
	var no *wire.RefusedError
	if _, err := c.Open(t.Context(), target); !errors.As(err, &no) || no.Detail != "really" {
		t.Errorf("%v", err)
	}
}

// A gateway that takes no more streams, by yamux's own word for it, is left.
func TestGoAway(t *testing.T) {
	theirs, mine := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	go func() {
		_, _ = mine.Read(context.Background())
		go drain(mine)
		_ = mine.Write(context.Background(), yamuxFrame(goAway, 0, 0, 0))
		_ = mine.Write(context.Background(), packed(ack, 1, welcomeBytes()))
	}()
	s, err := tunnel.Client(t.Context(), theirs, hello, quick)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), target); !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Errorf("%v", err)
	}
	<-s.Done()
	_ = s.Close()
	mine.Cut()
}

// Streams beyond the limit are refused, and the session lives.
func TestStreamLimit(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	served := make(chan *tunnel.ServerSession, 1)
	go func() {
		s, _ := tunnel.Serve(context.Background(), b, greet, &tunnel.Options{Streams: 3})
		served <- s
	}()
	c, err := tunnel.Client(t.Context(), a, hello, &tunnel.Options{Streams: 6}) // it does not know the limit
	if err != nil {
		t.Fatal(err)
	}
	s := <-served
	defer s.Close()
	defer c.Close()
	for range 3 {
		conns(t, c, s)
	}
	var no *wire.RefusedError
	if _, err := c.Open(t.Context(), target); !errors.As(err, &no) || no.Reason != wire.TooMany {
		t.Errorf("the fourth: %v", err)
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

func TestVersionIsRefused(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	served := make(chan error, 1)
	go func() {
		_, err := tunnel.Serve(context.Background(), b, greet, nil)
		served <- err
	}()
	_, err := tunnel.Client(t.Context(), a, wire.Hello{Version: 2}, nil)
	for _, err := range []error{err, <-served} {
		var no *wire.RefusedError
		if !errors.As(err, &no) || no.Reason != wire.BadVersion || !strings.Contains(no.Detail, "version 1") {
			t.Errorf("%v", err)
		}
	}
}

// What a greet says beyond a typed refusal stays at home.
func TestGreetErrorIsInternal(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	served := make(chan error, 1)
	secret := errors.New("the database at 10.0.0.7 is down")
	go func() {
		_, err := tunnel.Serve(context.Background(), b, func(context.Context, wire.Hello) (wire.Welcome, error) {
			return wire.Welcome{}, secret
		}, nil)
		served <- err
	}()
	_, err := tunnel.Client(t.Context(), a, hello, nil)
	var no *wire.RefusedError
	if !errors.As(err, &no) || *no != (wire.RefusedError{Reason: wire.Internal}) {
		t.Errorf("%v", err)
	}
	if err := <-served; !errors.Is(err, secret) {
		t.Errorf("%v", err)
	}
}

// Cut at every byte, a transfer is whole or it is an error.
func TestCutAtEveryByte(t *testing.T) {
	sent := random(200)
	run := func(cut int64) (got []byte, wrote int64, err error) {
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{CutAfterBytes: cut})
		done := make(chan struct{})
		go func() {
			defer close(done)
			s, err := tunnel.Serve(context.Background(), b, greet, quick)
			if err != nil {
				return
			}
			defer s.Close()
			r, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			if c, err := r.Accept(); err == nil {
				_, _ = c.Write(sent)
				_ = c.Close()
				_, _ = s.Accept(context.Background()) // until the end
			}
		}()
		defer func() { <-done; wrote = b.Sent() }()
		s, err := tunnel.Client(context.Background(), a, hello, quick)
		if err != nil {
			return nil, 0, err
		}
		defer s.Close()
		c, err := s.Open(context.Background(), target)
		if err != nil {
			return nil, 0, err
		}
		defer c.Close()
		got, err = io.ReadAll(c)
		return got, 0, err
	}
	_, whole, err := run(0)
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for cut := int64(1); cut <= whole; cut++ {
		got, _, err := run(cut)
		if !bytes.HasPrefix(sent, got) {
			t.Fatalf("cut at %d: read what was not sent", cut)
		}
		if err == nil {
			if ended++; len(got) != len(sent) {
				t.Fatalf("cut at %d: %d bytes look whole", cut, len(got))
			}
		}
	}
	if ended == 0 || ended > 50 {
		t.Errorf("%d of %d cuts came after the end", ended, whole)
	}
}

// A data connection names its control connection by the number that the gateway knows it by, and goes by the same session.
func TestOpenData(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, nil)
	requests := make(chan *tunnel.Request, 3)
	go func() {
		_ = s.Each(func(r *tunnel.Request) {
			requests <- r
			_, _ = r.Accept()
		})
	}()
	if _, err := c.Open(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	<-requests
	control, err := c.Open(t.Context(), wire.Open{Service: wire.FTP})
	if err != nil {
		t.Fatal(err)
	}
	number := (<-requests).Stream()
	data, err := control.(*tunnel.Conn).OpenData(t.Context(), 50123)
	if err != nil {
		t.Fatal(err)
	}
	if r := <-requests; r.Open != (wire.Open{Service: wire.FTPData, Control: number, Port: 50123}) || r.Stream() == number {
		t.Errorf("%+v of stream %d, beside stream %d", r.Open, r.Stream(), number)
	}
	if want := fmt.Sprintf("ftp-data port 50123 (beside stream %d)", number); data.RemoteAddr().String() != want {
		t.Errorf("%v, want %s", data.RemoteAddr(), want)
	}
	_ = c.Close()
	if _, err := control.(*tunnel.Conn).OpenData(t.Context(), 50123); !errors.Is(err, tunnel.ErrSessionClosed) {
		t.Errorf("in a session that has ended: %v", err)
	}
}

// The gateway's end of a stream opens nothing.
func TestOpenDataFromTheGateway(t *testing.T) {
	_, gateway := connPair(t, nil)
	if _, err := gateway.(*tunnel.Conn).OpenData(t.Context(), 50123); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
