//go:build unix

package bridge

import (
	"net"
	"syscall"
)

// atOnce writes to a socket what it takes without waiting, and waits for what comes without reading it. One goroutine at a time
// does either.
type atOnce struct {
	raw  syscall.RawConn
	try  func(fd uintptr) bool
	p    []byte
	n    int
	peek [1]byte
}

// newAtOnce answers nil for a connection that is no socket. One that has a socket in it may do more than the socket does, in a
// Write or a Read of its own.
func newAtOnce(c net.Conn) *atOnce {
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
	a := &atOnce{raw: raw}
	a.try = func(fd uintptr) bool {
		a.n, _ = syscall.Write(int(fd), a.p) // below zero with an error, which a Write will see
		return true
	}
	return a
}

// write answers how much of p was taken. The runtime's sockets do not block, and SIGPIPE is nothing to it but on standard output.
func (a *atOnce) write(p []byte) int {
	a.p, a.n = p, 0
	_ = a.raw.Write(a.try)
	a.p = nil
	return max(0, a.n)
}

// wait waits until a Read has something to answer, an error too.
func (a *atOnce) wait() {
	_ = a.raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), a.peek[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	})
}
