//go:build !linux

package ftpserver

import "net"

// acknowledge is for Linux, which waits with it.
func acknowledge(net.Conn) {}
