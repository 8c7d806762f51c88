package bridge

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// A client that takes nothing costs the gateway a bounded amount of memory, whatever the target has to say.
func TestStalledReaderIsBounded(t *testing.T) {
	const size = 64 << 20
	var sent atomicInt
	address := serveTCP(t, func(c *net.TCPConn) {
		block := make([]byte, 64<<10)
		for range size / len(block) {
			n, err := c.Write(block)
			sent.add(n)
			if err != nil {
				return
			}
		}
	})
	for _, name := range []string{"the stream is not read", "the WebSocket is not read"} {
		t.Run(name, func(t *testing.T) {
			sent.set(0)
			g := start(t, Config{Embedded: pop3(address), Limits: Limits{DeadAfter: time.Minute}})
			before := heap()
			var held int64
			if name == "the stream is not read" {
				c := openStream(t, g.session(t))
				defer c.Close()
				held = settle(&sent)
				if down := g.Stats().BytesDown; down > 1<<20+64<<10 {
					t.Errorf("%d bytes went to a client that reads none", down)
				}
			} else {
				ws, _, err := g.webSocket(t, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer ws.CloseNow()
				raw := &unread{MessageConn: wsconn.New(ws), stop: make(chan struct{})}
				s, err := tunnel.Client(t.Context(), raw, wire.Hello{Version: wire.Version}, &tunnel.Options{Window: 256 << 20, Linger: time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				c := openStream(t, s)
				raw.hold()
				defer c.Close()
				held = settle(&sent)
			}
			if held > size/2 {
				t.Errorf("the target could send %d of %d bytes", held, size)
			}
			if grown := heap() - before; grown > 8<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

// settle waits until a counter stands still: what can be held is held.
func settle(n *atomicInt) int64 {
	last, since := int64(-1), time.Now()
	for time.Since(since) < 300*time.Millisecond {
		if now := n.get(); now != last {
			last, since = now, time.Now()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return last
}

type atomicInt struct {
	mu sync.Mutex
	n  int64
}

func (a *atomicInt) add(n int)   { a.mu.Lock(); a.n += int64(n); a.mu.Unlock() }
func (a *atomicInt) set(n int64) { a.mu.Lock(); a.n = n; a.mu.Unlock() }
func (a *atomicInt) get() int64  { a.mu.Lock(); defer a.mu.Unlock(); return a.n }

// unread is a client's WebSocket that stops reading.
type unread struct {
	tunnel.MessageConn
	mu   sync.Mutex
	held bool
	stop chan struct{}
	once sync.Once
}

func (u *unread) hold() { u.mu.Lock(); u.held = true; u.mu.Unlock() }
func (u *unread) Read(ctx context.Context) ([]byte, error) {
	u.mu.Lock()
	held := u.held
	u.mu.Unlock()
	if held {
		<-u.stop
		return nil, io.EOF
	}
	return u.MessageConn.Read(ctx)
}
func (u *unread) Close(reason string) error {
	u.once.Do(func() { close(u.stop) })
	return u.MessageConn.Close(reason)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
