package mailtest

import (
	"net"
	"sync"
	"testing"
)

// Server is anything that speaks a protocol over a connection until that ends.
type Server interface{ ServeConn(net.Conn) }

// ServerFunc is a function as a [Server].
type ServerFunc func(net.Conn)

// ServeConn implements Server.
func (f ServerFunc) ServeConn(c net.Conn) { f(c) }

// Connect returns a connection in memory to s. s runs until its end of the connection closes, and the test waits for it at its end.
func Connect(t testing.TB, s Server, f *Faults) net.Conn {
	t.Helper()
	client, server := Pipe(f)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer server.Close()
		s.ServeConn(server)
	})
	t.Cleanup(func() {
		client.Close()
		wg.Wait()
	})
	return client
}

// Listen serves s on a free port of 127.0.0.1 until the end of the test.
func Listen(t testing.TB, s Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		open  = make(map[net.Conn]bool)
		ended bool
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			if ended {
				c.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					delete(open, c)
					mu.Unlock()
				}()
				s.ServeConn(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		ended = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}
