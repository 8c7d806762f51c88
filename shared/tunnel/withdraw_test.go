package tunnel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// A gateway may take its yes back. The client reads what had come, and then why there is no more.
func TestWithdraw(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, &tunnel.Options{Linger: 10 * time.Second})
	withdrawn := make(chan struct{})
	go func() {
		defer close(withdrawn)
		r, err := s.Accept(t.Context())
		if err != nil {
			return
		}
		conn, err := r.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "last words")
		r.Withdraw(&wire.RefusedError{Reason: wire.Idle, Detail: "nothing\ncame"})
	}()
	conn, err := c.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	var no *wire.RefusedError
	within(t, 5*time.Second, "the refusal", func() {
		got, err := io.ReadAll(conn)
		if string(got) != "last words" || !errors.As(err, &no) || no.Reason != wire.Idle || no.Detail != "nothing came" {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := conn.Write([]byte("?")); !errors.As(err, &no) {
			t.Errorf("write: %v", err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // does not bring it back
		if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &no) {
			t.Errorf("read again: %v", err)
		}
		_ = conn.Close()
		<-withdrawn // well before Linger, for the client has closed
	})
	if c.Err() != nil {
		t.Errorf("it cost the session: %v", c.Err())
	}
}

// One that does not understand the notice, or goes on all the same, is cut.
func TestWithdrawnFromADeafClient(t *testing.T) {
	mine, theirs := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	go drain(mine)
	_ = mine.Write(t.Context(), append(packed(syn, 1, helloBytes()), packed(syn, 3, openBytes())...))
	s, err := tunnel.Serve(t.Context(), theirs, greet, &tunnel.Options{Linger: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Accept(); err != nil {
		t.Fatal(err)
	}
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for mine.Write(t.Context(), packed(0, 3, make([]byte, 1000))) == nil {
		}
	}()
	within(t, 5*time.Second, "the cut", func() { r.Withdraw(&wire.RefusedError{Reason: wire.Expired}) })
	mine.Cut()
	<-flood
	_ = s.Close()
}

// A notice about a stream that is not there, or about the control stream, ends nothing.
func TestWithdrawNothing(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, nil)
	client, server := conns(t, c, s)
	for _, id := range []uint32{0, 1, 2, 99} {
		if err := s.Notify(wire.Notice{Kind: wire.NoticeRefused, Stream: id, Reason: wire.Idle}); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Notify(wire.Notice{Kind: wire.NoticeDraining}) // the control stream still speaks
	within(t, 5*time.Second, "the notice after them", func() { <-c.Draining() })
	go func() { _, _ = server.Write([]byte("x")) }()
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// What the session refuses by itself is told, so that it can be counted.
func TestRefusedByTheSession(t *testing.T) {
	mine, theirs := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	go drain(mine)
	told := make(chan wire.Reason, 1)
	_ = mine.Write(t.Context(), append(packed(syn, 1, helloBytes()), packed(syn, 3, helloBytes())...)) // a hello for an open
	s, err := tunnel.Serve(t.Context(), theirs, greet, &tunnel.Options{Linger: time.Millisecond, Refused: func(r wire.Reason) { told <- r }})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Each(func(*tunnel.Request) {}) }()
	within(t, 5*time.Second, "the refusal", func() {
		if r := <-told; r != wire.Malformed {
			t.Errorf("told of %q", r)
		}
	})
	mine.Cut()
	_ = s.Close()
}

// A token that is presented counts for the next session, which is tried at once.
func TestPresent(t *testing.T) {
	g := &tunneltest.Gateway{Welcome: welcome, Greet: func(h wire.Hello) error {
		if h.Token != "the right one" {
			return &wire.RefusedError{Reason: wire.BadToken}
		}
		return nil
	}, Handle: func(wire.Open) (func(net.Conn), *wire.RefusedError) {
		return nil, &wire.RefusedError{Reason: wire.Denied}
	}}
	d := &tunnel.Dialer{Connect: g.Connect, Hello: hello, Backoff: tunnel.Backoff{Refused: time.Hour}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = d.Run(ctx) }()
	phases := make(chan tunnel.State, 100)
	defer d.Subscribe(func(s tunnel.State) { phases <- s })()
	await := func(p tunnel.Phase) {
		within(t, 5*time.Second, "a phase", func() {
			for s := range phases {
				if s.Phase == p && (p == tunnel.Online || s.Err != nil) {
					return
				}
			}
		})
	}
	await(tunnel.Offline)
	d.Present("a wrong one")
	await(tunnel.Offline)
	d.Present("the right one")
	await(tunnel.Online)
	cancel()
	<-ended
	g.Close()
}
