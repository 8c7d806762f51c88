//go:build unix

package ftpserver

import (
	"net"
	"syscall"
)

// deafen makes a listening socket take no more connections, without closing it.
func deafen(l net.Listener) {
	conn, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RD) })
}
