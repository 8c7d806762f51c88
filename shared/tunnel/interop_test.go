package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// The other end may be any yamux: here it is hashicorp's, as it comes.

// byteStream is a MessageConn as a stock yamux wants it.
type byteStream struct {
	tunnel.MessageConn
	rest []byte
}

func (s *byteStream) Read(p []byte) (n int, err error) {
	if len(s.rest) == 0 {
		if s.rest, err = s.MessageConn.Read(context.Background()); err != nil {
			return 0, err
		}
	}
	n = copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *byteStream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k := min(len(p)-n, wire.MaxMessage)
		if err := s.MessageConn.Write(context.Background(), p[n:n+k]); err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

func (s *byteStream) Close() error { return s.MessageConn.Close("") }

func stockConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.MaxStreamWindowSize = 1 << 20
	c.LogOutput = io.Discard
	return c
}

// halfCloser is a stream of either kind; a stock one's Close ends its writing alone.
type halfCloser struct {
	net.Conn
	closeWrite func() error
}

// exchange sends size octets to an echo, ends, and reads them back.
func exchange(c halfCloser, size int) error {
	sent := random(size)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		wrote <- errors.Join(err, c.closeWrite())
	}()
	got, err := io.ReadAll(c)
	if err == nil && !bytes.Equal(got, sent) {
		err = errors.New("it is not what was sent")
	}
	return errors.Join(err, <-wrote)
}

func TestStockGateway(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	served := make(chan error, 1)
	var echoes sync.WaitGroup
	go func() {
		served <- func() error {
			s, err := yamux.Server(&byteStream{MessageConn: b}, stockConfig())
			if err != nil {
				return err
			}
			defer s.Close()
			control, err := s.AcceptStream()
			if err != nil {
				return err
			}
			if _, err := wire.ReadHello(control); err != nil {
				return err
			}
			if err := wire.WriteWelcome(control, welcome); err != nil {
				return err
			}
			echoes.Go(func() {
				for {
					conn, err := s.AcceptStream()
					if err != nil {
						return
					}
					echoes.Go(func() {
						defer conn.Close()
						if _, err := wire.ReadOpen(conn); err == nil && wire.WriteOpened(conn) == nil {
							_, _ = io.CopyBuffer(conn, conn, make([]byte, 2<<20)) // its frames are as long as what it writes
						}
					})
				}
			})
			_, err = io.Copy(io.Discard, control) // until the client's goodbye
			return errors.Join(err, control.Close())
		}()
	}()
	c, err := tunnel.Client(t.Context(), a, hello, &tunnel.Options{Window: most, Linger: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var streams sync.WaitGroup
	for i := range 5 {
		conn, err := c.Open(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		streams.Go(func() {
			defer conn.Close()
			if i == 4 { // one that is left in the middle
				_, err := conn.Write(make([]byte, 100<<10))
				if err == nil {
					_, err = io.ReadFull(conn, make([]byte, 50<<10))
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err := exchange(halfCloser{conn, conn.(*tunnel.Conn).CloseWrite}, 8<<20); err != nil {
				t.Error(err)
			}
			if _, grown := c.Held(); grown == 0 {
				t.Error("no window has grown")
			}
		})
	}
	streams.Wait()
	if streams, grown := c.Held(); streams > 2 || grown != 0 { // the one that was left may linger
		t.Errorf("in the end there are %d streams, and windows have grown by %d", streams, grown)
	}
	if c.Err() != nil {
		t.Error(c.Err())
	}
	_ = c.Close()
	if err := <-served; err != nil {
		t.Errorf("the gateway: %v", err)
	}
	echoes.Wait()
}

func TestStockClient(t *testing.T) {
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	served := make(chan *tunnel.ServerSession, 1)
	ended := make(chan struct{})
	grew := make(chan struct{}, 1)
	go func() {
		defer close(ended)
		s, err := tunnel.Serve(t.Context(), b, greet, &tunnel.Options{Window: most})
		if err != nil {
			t.Error(err)
			close(served)
			return
		}
		served <- s
		_ = s.Each(func(r *tunnel.Request) {
			conn, err := r.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
			if _, grown := s.Held(); grown > 0 {
				select {
				case grew <- struct{}{}:
				default:
				}
			}
		})
		_ = s.Close()
	}()
	c, err := yamux.Client(&byteStream{MessageConn: a}, stockConfig())
	if err != nil {
		t.Fatal(err)
	}
	control, err := c.OpenStream()
	if err == nil {
		err = wire.WriteHello(control, hello)
	}
	if err == nil {
		_, err = wire.ReadWelcome(control)
	}
	if err != nil {
		t.Fatal(err)
	}
	var streams sync.WaitGroup
	for range 4 {
		conn, err := c.OpenStream()
		if err == nil {
			err = wire.WriteOpen(conn, target)
		}
		if err == nil {
			err = wire.ReadOpened(conn)
		}
		if err != nil {
			t.Fatal(err)
		}
		streams.Go(func() {
			if err := exchange(halfCloser{conn, conn.Close}, 8<<20); err != nil {
				t.Error(err)
			}
		})
	}
	streams.Wait()
	within(t, 5*time.Second, "a grown window", func() { <-grew })
	s := <-served
	if _, err := c.Ping(); err != nil {
		t.Fatal(err, s.Err())
	}
	_ = control.Close()
	_, _ = io.Copy(io.Discard, control) // the gateway's goodbye: all that it had to say has come
	if streams, grown := s.Held(); streams > 1 || grown != 0 {
		t.Errorf("in the end there are %d streams, and windows have grown by %d", streams, grown)
	}
	_ = c.Close()
	within(t, 10*time.Second, "the gateway's end", func() { <-ended })
	if !errors.Is(s.Err(), tunnel.ErrSessionClosed) {
		t.Error(s.Err())
	}
}
