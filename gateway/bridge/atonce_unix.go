//go:build unix

package bridge

import (
	"net"
	"syscall"
)

// atOnce writes to a connection what its socket takes without waiting.
type atOnce struct {
	raw syscall.RawConn
	try func(fd uintptr) bool
	p   []byte
	n   int
}

// newAtOnce answers nil for a connection that is no socket.
func newAtOnce(c net.Conn) *atOnce {
	if l, ok := c.(*line); ok {
		c = l.Conn
	}
	s, ok := c.(syscall.Conn)
	if !ok {
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

// write answers how much of p was taken.
func (a *atOnce) write(p []byte) int {
	a.p, a.n = p, 0
	_ = a.raw.Write(a.try)
	a.p = nil
	return max(0, a.n)
}
