package mailtest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// distantWindow bounds what is on its way in one direction of a connection, in octets: the sender waits for more room.
// It is what a line of 2.5 Gbit/s holds at a round trip of 100 ms, so the window of nothing that is measured is larger.
const distantWindow = 32 << 20

// Distant returns an address whose connections lead to the given one, a round trip away. Nothing is lost, and there is no
// limit to the speed but distantWindow.
func Distant(t testing.TB, address string, roundTrip time.Duration) string {
	t.Helper()
	return Listen(t, ServerFunc(func(near net.Conn) {
		far, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		var both sync.WaitGroup
		both.Go(func() { carry(near.(*net.TCPConn), far.(*net.TCPConn), roundTrip/2) })
		both.Go(func() { carry(far.(*net.TCPConn), near.(*net.TCPConn), roundTrip/2) })
		both.Wait()
		far.Close()
	}))
}

// carry brings what from says to to, later, and then its end.
func carry(from, to *net.TCPConn, later time.Duration) {
	l := &line{}
	l.change.L = &l.mu
	var arrivals sync.WaitGroup
	arrivals.Go(func() {
		defer l.cut()
		for {
			octets, due, ok := l.take()
			if !ok {
				_ = to.CloseWrite() // gone already, if it fails
				return
			}
			<-time.After(time.Until(due))
			if _, err := to.Write(octets); err != nil {
				_ = from.CloseRead() // nobody listens any more
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !l.put(buffer[:n], time.Now().Add(later)) {
			break
		}
		if err != nil {
			if err != io.EOF {
				_ = to.SetLinger(0) // a cut, and no end
			}
			break
		}
	}
	l.put(nil, time.Now().Add(later))
	arrivals.Wait()
}

// line is what is on its way in one direction.
type line struct {
	mu     sync.Mutex
	change sync.Cond
	queue  []onItsWay
	octets int
	isCut  bool
}

type onItsWay struct {
	octets []byte // nil: the end
	due    time.Time
}

// put waits for room. It reports whether anybody is there to take it.
func (l *line) put(octets []byte, due time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.octets+len(octets) > distantWindow && !l.isCut {
		l.change.Wait()
	}
	if octets != nil {
		octets = append([]byte(nil), octets...)
	}
	l.queue = append(l.queue, onItsWay{octets, due})
	l.octets += len(octets)
	l.change.Broadcast()
	return !l.isCut
}

func (l *line) take() (octets []byte, due time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 {
		l.change.Wait()
	}
	next := l.queue[0]
	l.queue[0] = onItsWay{}
	l.queue = l.queue[1:]
	l.octets -= len(next.octets)
	l.change.Broadcast()
	return next.octets, next.due, next.octets != nil
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	l.change.Broadcast()
}
