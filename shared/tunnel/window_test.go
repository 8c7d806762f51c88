package tunnel_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
)

const (
	least = 256 << 10 // what a window begins with
	most  = 4 << 20   // by what all may grow, in these tests
	crumb = 4 << 10   // what is not worth a frame at a window's end
)

// unread is how much a reader who reads nothing more is sent of a stream: until a while has passed in which nothing went, two
// times in a row, for a busy machine may stand still for one.
func unread(t *testing.T, from net.Conn) (all int) {
	t.Helper()
	for idle := 0; idle < 2; {
		if err := from.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := from.Write(make([]byte, 64<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes went: %v", n, err)
		}
		if idle++; n > 0 {
			idle = 0
		}
		all += n
	}
	return all
}

// use takes size bytes through a stream, of which the reader reads piece by piece.
func use(t *testing.T, from net.Conn, to io.Reader, size int) {
	t.Helper()
	wrote := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, size))
		wrote <- err
	}()
	if _, err := io.ReadFull(to, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}

// A stream that nobody has used has the least window, and one that was used more: three quarters of the most at first, then of
// what that has left. When one is closed, another may have what it had.
func TestWindowsGrowWithUse(t *testing.T) {
	for _, way := range []string{"to the client", "to the gateway"} {
		t.Run(way, func(t *testing.T) {
			a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
			c, s := sessions(t, a, b, &tunnel.Options{Window: most})
			open := func() (from, to net.Conn) {
				client, server := conns(t, c, s)
				if way == "to the client" {
					return server, client
				}
				return client, server
			}
			from, _ := open()
			if n := unread(t, from); n < least-crumb-1<<10 || n > least {
				t.Errorf("of a new stream %d bytes went", n)
			}
			var held []int
			var first net.Conn
			for range 4 {
				from, to := open()
				use(t, from, to, 64<<20)
				held = append(held, unread(t, from))
				if first == nil {
					first = to
					defer from.Close()
				}
			}
			t.Log(held)
			sum := 0
			for i, n := range held {
				sum += n - least
				// A quarter of a window may not have been told of yet.
				if has := least + most*3/4>>(2*i); n > has || n < has*3/4-crumb {
					t.Errorf("of used stream %d %d bytes went, with a window of %d", i, n, has)
				}
			}
			if sum > most {
				t.Errorf("%d bytes beyond the least", sum)
			}
			first.Close()
			from, to := open()
			use(t, from, to, 64<<20)
			if n := unread(t, from); n < 2*held[3] {
				t.Errorf("after another was closed, %d bytes went", n)
			}
		})
	}
}

// A reader that lags behind loses what its window had grown by.
func TestWindowOfALaggardShrinks(t *testing.T) {
	client, server := connPair(t, &tunnel.Options{Window: most})
	use(t, server, client, 64<<20)
	go func() {
		_, _ = server.Write(make([]byte, 1<<30))
	}()
	p := make([]byte, 16<<10)
	for range 64 << 20 / len(p) {
		if _, err := io.ReadFull(client, p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Microsecond) // slower than the line
	}
	_ = server.(*tunnel.Conn).CloseWrite()
	held, err := io.Copy(io.Discard, client)
	if err != nil || held > least+512<<10+64<<10 { // and what lay in the queue
		t.Errorf("%d bytes were on their way, %v", held, err)
	}
}

// WriteTo and ReadFrom carry what Read and Write do, to a Taker too that takes now all, now less, now nothing.
func TestWriteToAndReadFrom(t *testing.T) {
	client, server := connPair(t, nil)
	sent := random(9<<20 + 5)
	read := make(chan error, 1)
	go func() {
		n, err := server.(*tunnel.Conn).ReadFrom(&ragged{r: bytes.NewReader(sent)})
		if err == nil && n != int64(len(sent)) {
			err = io.ErrShortWrite
		}
		_ = server.Close()
		read <- err
	}()
	var got taker
	n, err := client.(*tunnel.Conn).WriteTo(&got)
	if err != nil || !bytes.Equal(got.Bytes(), sent) || n > int64(len(sent)) {
		t.Errorf("%d of %d bytes, %d of them by WriteTo, %v", got.Len(), len(sent), n, err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// ragged gives now little, now much.
type ragged struct {
	r     io.Reader
	turns int
}

func (r *ragged) Read(p []byte) (int, error) {
	r.turns++
	if r.turns%7 < 3 {
		p = p[:min(len(p), 100*r.turns%3000+1)]
	}
	return r.r.Read(p)
}

type taker struct {
	bytes.Buffer
	turns int
}

func (w *taker) Take(p []byte) int {
	w.turns++
	switch w.turns % 4 {
	case 0:
		return 0
	case 1:
		p = p[:len(p)/2]
	}
	n, _ := w.Write(p)
	return n
}
