package ftpserver

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledge has what comes next acknowledged at once. A client that shakes hands in several small pieces, as GnuTLS does, sends
// each only when the one before is acknowledged (RFC 896), and the system would wait 40 ms with that: for each small file.
func acknowledge(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
}
