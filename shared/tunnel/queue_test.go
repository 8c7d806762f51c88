package tunnel_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// herd is a reader that has a little to say, and on a sign much.
type herd struct {
	sign  chan struct{}
	turns int
}

const herdSays = 3 * wire.MaxMessage

func (h *herd) Read(p []byte) (int, error) {
	switch h.turns++; {
	case h.turns == 1:
		return len(p), nil
	case h.turns == 2:
		return min(len(p), 5000), nil
	}
	<-h.sign
	return len(p), nil
}

// When all of a session's targets speak at once to a client that takes its time, what they say waits for its turn: the queue bears
// it, and so does the session.
func TestHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{Buffer: 1})
		c, s := sessions(t, a, b, nil)
		sign := make(chan struct{})
		var clients, servers []net.Conn
		var carried sync.WaitGroup
		for range 30 {
			client, server := conns(t, c, s)
			clients, servers = append(clients, client), append(servers, server)
			carried.Go(func() { _, _ = server.(*tunnel.Conn).ReadFrom(&herd{sign: sign}) })
		}
		synctest.Wait() // all have said a little, and are read with as much memory as a message takes
		a.Stall()
		close(sign)
		synctest.Wait()
		if streams, bytes := s.Queued(); bytes > 576<<10+1<<10*streams {
			t.Errorf("%d bytes are queued", bytes)
		}
		opened := make(chan error, 1)
		go func() { // is answered, and for that there is always room
			conn, err := c.Open(t.Context(), target)
			if err == nil {
				_ = conn.Close()
			}
			opened <- err
		}()
		go func() {
			r, err := s.Accept(t.Context())
			if err == nil {
				_ = r.Refuse(&wire.RefusedError{Reason: wire.Denied})
			}
		}()
		synctest.Wait()
		a.Resume()
		for _, client := range clients {
			if _, err := io.ReadFull(client, make([]byte, herdSays)); err != nil {
				t.Fatal(err)
			}
		}
		var no *wire.RefusedError
		if err := <-opened; !errors.As(err, &no) || c.Err() != nil || s.Err() != nil {
			t.Errorf("open: %v; the sessions: %v, %v", err, c.Err(), s.Err())
		}
		for i := range clients {
			_ = clients[i].Close()
			_ = servers[i].Close()
		}
		carried.Wait()
	})
}

// patient is a Giver, and knows what is asked of it.
type patient struct {
	t    *testing.T
	says []int // how many octets it has each time
	idle bool  // it was read to its end, and has not been waited for
}

func (p *patient) Wait() { p.idle = false }

func (p *patient) Read(b []byte) (int, error) {
	if p.idle && len(b) > 1<<10 {
		p.t.Errorf("%d octets of memory wait for who has nothing to say", len(b))
	}
	p.idle = false
	if len(p.says) == 0 {
		return 0, io.EOF
	}
	return p.Give(b), nil
}

func (p *patient) Give(b []byte) int {
	if p.idle || len(p.says) == 0 {
		return 0
	}
	n := min(p.says[0], len(b))
	if p.says[0] -= n; p.says[0] == 0 {
		p.says, p.idle = p.says[1:], true
	}
	return n
}

// Nothing but a line's worth of memory waits for a reader that has been read to its end.
func TestGiver(t *testing.T) {
	client, server := connPair(t, nil)
	says := []int{10, 5000, 2000, 2000, 200 << 10, 100, 1012, 1, 3000, 1}
	sum := 0
	for _, n := range says {
		sum += n
	}
	go func() {
		_, _ = server.(*tunnel.Conn).ReadFrom(&patient{t: t, says: says})
		_ = server.Close()
	}()
	if n, err := io.Copy(io.Discard, client); int(n) != sum || err != nil {
		t.Errorf("%d of %d octets, %v", n, sum, err)
	}
}

// What follows an Open that is refused is not held, though the client takes no answer.
func TestRefusedHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{Buffer: 1})
		say := func(frames ...[]byte) { _ = a.Write(t.Context(), bytes.Join(frames, nil)) }
		say(packed(syn, 1, helloBytes()))
		s, err := tunnel.Serve(t.Context(), b, greet, &tunnel.Options{Streams: 2})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = s.Each(func(r *tunnel.Request) {
				if conn, err := r.Accept(); err == nil {
					_, _ = conn.Write(make([]byte, 1<<20))
				}
			})
		}()
		const accepted, each = 2, 200 << 10
		for i := range uint32(accepted + 12) {
			say(packed(syn, 2*i+3, openBytes()))
			synctest.Wait()
			for range each / (50 << 10) {
				say(packed(0, 2*i+3, make([]byte, 50<<10)))
			}
			synctest.Wait()
		}
		if held := s.Unread(); held != accepted*each || s.Err() != nil {
			t.Errorf("%d octets are held, %v", held, s.Err())
		}
		a.Cut()
		_ = s.Close()
		<-served
	})
}

// What comes while a conn is being closed does not make a cut of its end.
func TestDataWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connPair(t, nil)
		_, _ = io.WriteString(server, "221 bye\r\n")
		rest := server.(*tunnel.Conn).CloseBy()
		_, _ = io.WriteString(client, "NOOP\r\n")
		synctest.Wait()
		began := time.Now()
		rest()
		if got, err := io.ReadAll(client); string(got) != "221 bye\r\n" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		synctest.Wait()
		if _, err := io.WriteString(client, "NOOP\r\n"); !errors.Is(err, tunnel.ErrReset) || time.Since(began) > 0 {
			t.Errorf("write: %v after %v", err, time.Since(began))
		}
		_ = client.Close()
	})
}

// Credit that is more than can be meant is no harm, however often it is given.
func TestEndlessCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
		go drain(a)
		_ = a.Write(t.Context(), bytes.Join([][]byte{
			packed(syn, 1, helloBytes()), packed(syn, 3, openBytes()),
			bytes.Repeat(yamuxFrame(windowUpdate, 0, 3, 0xffffffff), 5), bytes.Repeat(yamuxFrame(windowUpdate, 0, 3, 1<<31), 5),
		}, nil))
		s, err := tunnel.Serve(t.Context(), b, greet, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := conn.Write(make([]byte, 4<<20)); err != nil {
			t.Errorf("%d bytes went, %v", n, err)
		}
		a.Cut()
		_ = conn.Close()
		_ = s.Close()
	})
}
