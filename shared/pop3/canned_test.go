//go:build unix

package pop3_test

import (
	"io"
	"net"
	"time"
)

// canned is a connection that hears nothing and says what it was given: all that is asked for at the first commands, one
// line each, and then the rest as fast as it is read.
type canned struct {
	net.Conn
	rest  []byte
	lines int
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(c.rest))
	if c.lines < 3 { // the greeting, USER and PASS are answered one by one
		c.lines++
		n = min(n, 5)
	} else if c.lines == 3 { // CAPA
		c.lines++
		n = min(n, len("+OK\r\nPIPELINING\r\n.\r\n"))
	}
	copy(p, c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

func (c *canned) Write(p []byte) (int, error)      { return len(p), nil }
func (c *canned) Close() error                     { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
