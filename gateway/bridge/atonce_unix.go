//go:build unix

package bridge

import (
	"net"
	"syscall"
)

// atOnce reads from a socket, or writes to it, what it gives or takes without waiting. One goroutine does so at a time.
type atOnce struct {
	use  func(func(fd uintptr) bool) error // the socket, for one or the other
	try  func(fd uintptr) bool
	p    []byte
	n    int
	peek func(fd uintptr) bool
	came [1]byte
}

func writesAtOnce(c net.Conn) *atOnce {
	return newAtOnce(c, syscall.RawConn.Write, syscall.Write)
}

func readsAtOnce(c net.Conn) *atOnce {
	return newAtOnce(c, syscall.RawConn.Read, syscall.Read)
}

// newAtOnce answers nil for a connection that is no socket. One that has a socket in it may do more than the socket does, in a
// Read or a Write of its own.
func newAtOnce(c net.Conn, use func(syscall.RawConn, func(fd uintptr) bool) error, call func(fd int, p []byte) (int, error)) *atOnce {
	var s syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		s = c
	case *net.UnixConn:
		s = c
	default:
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	a := &atOnce{use: func(f func(fd uintptr) bool) error { return use(raw, f) }}
	a.try = func(fd uintptr) bool {
		a.n, _ = call(int(fd), a.p) // below zero with an error, which a Read or a Write will see
		return true
	}
	a.peek = func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), a.came[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	}
	return a
}

// move answers how much of p was read or written. The runtime's sockets do not block, and SIGPIPE is nothing to it but on standard
// output.
func (a *atOnce) move(p []byte) int {
	a.p, a.n = p, 0
	_ = a.use(a.try)
	a.p = nil
	return max(0, a.n)
}

// wait waits, of one that reads, until a Read has something to answer, an error too.
func (a *atOnce) wait() { _ = a.use(a.peek) }
