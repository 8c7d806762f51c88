package world

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/control"
)

// Over a slow link so many octets go in a second, each way; and at once again when it is mended, or closed.
func TestSlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		w := &World{slow: 2000, faults: &faults{clock: clock, all: map[string]*fault{}}}
		h := &host{domains: []string{"elsewhere.test"}, links: map[*link]bool{}}
		here, there := net.Pipe()
		defer there.Close()
		l := &link{Conn: here, world: w, to: h, forget: func() {}, closed: make(chan struct{})}
		defer l.Close()
		far := make(chan []byte, 1)
		go func() {
			b := make([]byte, 10_000)
			n, _ := io.ReadFull(there, b)
			far <- b[:n]
			there.Write(b)
			io.Copy(io.Discard, there)
		}()
		took := func(what string, want time.Duration, do func()) {
			t.Helper()
			began := time.Now()
			do()
			if d := time.Since(began); d != want {
				t.Errorf("%s took %v, want %v", what, d, want)
			}
		}
		w.faults.set(control.Fault{Domain: "elsewhere.test", Kind: control.FaultSlow, For: 20 * time.Second})
		text := make([]byte, 10_000)
		for i := range text {
			text[i] = byte(i)
		}
		took("writing", 5*time.Second, func() {
			if n, err := l.Write(text); n != len(text) || err != nil {
				t.Error(n, err)
			}
		})
		if got := <-far; string(got) != string(text) {
			t.Error("it came as something else")
		}
		took("reading", 5*time.Second, func() {
			if n, err := io.ReadFull(l, make([]byte, len(text))); n != len(text) || err != nil {
				t.Error(n, err)
			}
		})
		took("the rest of the fault", 10*time.Second, func() {
			for w.faults.kind("elsewhere.test") == control.FaultSlow {
				l.Write(text[:200])
			}
		})
		took("writing when it is over", 0, func() { l.Write(text) })
		w.faults.set(control.Fault{Domain: "elsewhere.test", Kind: control.FaultSlow})
		time.AfterFunc(time.Second, func() { l.Close() })
		took("until it is closed", time.Second, func() {
			if _, err := l.Write(text); err == nil {
				t.Error("written to a closed link")
			}
		})
	})
}
