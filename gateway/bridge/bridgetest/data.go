//go:build !js

package bridgetest

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// dataConnections: beside a control connection of FTP, and only there, data goes to the same machine, be it known by a name or an
// address; it goes on when the control connection has ended.
func dataConnections(t *testing.T, p Place) {
	listen := func(f func(*net.TCPConn)) int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer c.Close(); f(c.(*net.TCPConn)) }()
			}
		}()
		return l.Addr().(*net.TCPAddr).Port
	}
	const hello = "220 ready\r\n"
	ftp := listen(func(c *net.TCPConn) {
		_, _ = io.WriteString(c, hello)
		_, _ = io.Copy(io.Discard, c)
	})
	pop3 := listen(func(c *net.TCPConn) {
		_, _ = io.WriteString(c, greeting)
		_, _ = io.Copy(io.Discard, c)
	})
	data := listen(echo)
	rules := []string{"127.0.0.1:" + strconv.Itoa(ftp), "127.0.0.1:" + strconv.Itoa(pop3)}
	hosts := []string{"127.0.0.1"}
	if !p.Looks { // the platform looks names up: data goes by the name then
		rules, hosts = append(rules, "localhost:"+strconv.Itoa(ftp)), append(hosts, "localhost")
	}
	c := session(t, p.Start(t, Setup{Allow: rules}))
	dial := func(service wire.ServiceName, host string, port int) *tunnel.Conn {
		t.Helper()
		conn, err := c.Open(t.Context(), wire.Open{Service: service, Host: host, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.ReadFull(conn, make([]byte, len(hello))); err != nil {
			t.Fatal(err)
		}
		return conn.(*tunnel.Conn)
	}
	refused := func(what string, control *tunnel.Conn, port int) {
		t.Helper()
		conn, err := control.OpenData(t.Context(), port)
		if reason(err) != wire.Denied {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	refused("beside POP3", dial(wire.POP3, "127.0.0.1", pop3), data)
	for _, host := range hosts {
		control := dial(wire.FTP, host, ftp)
		refused("a low port", control, 1023)
		conn, err := control.OpenData(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		_ = control.Close()
		eventually(t, "the control connection ends", func() bool {
			other, err := control.OpenData(t.Context(), data)
			if err == nil {
				_ = other.Close()
			}
			return reason(err) == wire.Denied
		})
		content := make([]byte, 1<<20)
		_, _ = rand.Read(content)
		go func() {
			_, _ = conn.Write(content)
			_ = conn.(*tunnel.Conn).CloseWrite()
		}()
		if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d octets back, %v", len(got), err)
		}
		_ = conn.Close()
	}
}
