package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// ftpHost is where a server of FTP is in these tests, and elsewhereHost another machine.
const ftpHost, elsewhereHost = "93.184.216.34", "93.184.216.99"

// ftpControl plays a control connection: it greets and listens until the client ends.
func ftpControl(c *net.TCPConn) {
	_, _ = io.WriteString(c, "220 ready\r\n")
	_, _ = io.Copy(io.Discard, c)
}

// control opens a control connection.
func (s *siege) control(session *tunnel.Session, service wire.ServiceName, host string, port int) *tunnel.Conn {
	s.Helper()
	conn, err := session.Open(s.Context(), wire.Open{Service: service, Host: host, Port: port})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	if service == wire.FTP { // it is there when its greeting is
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			s.Fatal(err)
		}
	}
	return conn.(*tunnel.Conn)
}

// data says how a data connection is answered; "" is yes.
func (s *siege) data(control *tunnel.Conn, port int) wire.Reason {
	s.Helper()
	conn, err := control.OpenData(s.Context(), port)
	if err != nil {
		return reasonOf(err)
	}
	_ = conn.Close()
	return ""
}

// attackByData is what a data connection of FTP, which no greeting guards, is not good for.
func attackByData(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) { c.Limits.GreetingTimeout = 500 * time.Millisecond })
	hello := s.serve(func(c *net.TCPConn) { _, _ = io.WriteString(c, "a file") })
	s.network.to[ftpHost+":21"] = s.serve(func(c *net.TCPConn) { // it stays when its client has ended
		ftpControl(c)
		<-t.Context().Done()
	})
	s.network.to[ftpHost+":50123"] = hello
	s.network.to[elsewhereHost+":50123"] = hello
	session, stranger := s.enter(), s.enter()
	others := s.control(stranger, wire.FTP, ftpHost, 21)
	s.network.dialled = nil

	mux := s.raw() // without a control connection, in all ways to say so
	for open, want := range map[string]wire.Reason{
		`{"service":"ftp-data","control":1,"port":50123}`:                                      wire.Denied, // that of the session itself
		`{"service":"ftp-data","control":3,"port":50123}`:                                      wire.Denied,
		`{"service":"ftp-data","control":4294967295,"port":50123}`:                             wire.Denied,
		`{"service":"ftp-data","port":50123}`:                                                  wire.Malformed,
		`{"service":"ftp-data"}`:                                                               wire.Malformed,
		`{"service":"ftp-data","host":"` + ftpHost + `","port":50123}`:                         wire.Malformed, // to where it likes
		`{"service":"ftp-data","control":3,"host":"127.0.0.1","port":50123}`:                   wire.Malformed,
		`{"service":"ftp-data","control":3,"server":"postern.test","port":50123}`:              wire.Malformed,
		`{"service":"ftp","control":3,"host":"` + ftpHost + `","port":50123}`:                  wire.Malformed,
		`{"service":"ftp","host":"` + ftpHost + `","port":50123}`:                              wire.Denied,
		`{"service":"ftp-data","control":3,"port":65536}`:                                      wire.Malformed,
		`{"service":"ftp-data","control":3,"port":50123,"Host":"10.0.0.1"}`:                    wire.Malformed,
		`{"service":"ftp-data","control":3,"port":50123,"address":"10.0.0.1","target":"evil"}`: wire.Denied, // it knows no such fields
	} {
		stream := s.stream(mux)
		_, _ = stream.Write(frame(`{"open":` + open + `}`))
		if err := wire.ReadOpened(stream); reasonOf(err) != want {
			t.Errorf("%s: %v, want %s", open, err, want)
		}
		_ = stream.Close()
	}
	s.only()

	// Beside another session's control connection: numbers are each session's own.
	if got := s.data(s.control(session, wire.POP3, "", 0), 50123); got != wire.Denied {
		t.Errorf("beside another service: %q", got)
	}
	s.only()

	// With one: nowhere but to its machine, and no port of anything else there.
	control := s.control(session, wire.FTP, ftpHost, 21)
	for _, port := range []int{1, 20, 21, 22, 25, 80, 443, 1023, 2375, 3306, 5432, 6379, 8080, 9200, 11211, 27017} {
		if got := s.data(control, port); got != wire.Denied {
			t.Errorf("port %d: %q", port, got)
		}
	}
	s.only(ftpHost + ":21")
	if got := s.data(control, 50123); got != "" {
		t.Errorf("what it is for: %q", got)
	}
	s.only(ftpHost+":21", ftpHost+":50123")

	// After its end, also half of it.
	_ = control.CloseWrite()
	s.soon("the control connection's end", func() bool { return s.data(control, 50124) == wire.Denied })
	s.network.dialled = nil
	if got := s.data(control, 50123); got != wire.Denied {
		t.Errorf("after the end: %q", got)
	}
	s.only()
	if got := s.data(others, 50123); got != "" {
		t.Errorf("somebody else's ends with it: %q", got)
	}
}

// attackByFalseControl: a control connection that is none gives no right to data.
func attackByFalseControl(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) {
		for _, rule := range []string{"mail.example:587", "mail.example:2525", "mail.example:2121", "mail.example:990"} {
			r, err := bridge.ParseRule(rule)
			if err != nil {
				t.Fatal(err)
			}
			c.Policy.Allow = append(c.Policy.Allow, r)
		}
		c.Limits.GreetingTimeout = 500 * time.Millisecond
	})
	s.names.answers["mail.example"] = []string{ftpHost}
	smtp := func(greeting string) string {
		return s.serve(func(c *net.TCPConn) { _, _ = io.WriteString(c, greeting); _, _ = io.Copy(io.Discard, c) })
	}
	// 220 is SMTP's word as well: an operator who allows a mail server has not allowed the rest of the machine.
	s.network.to[ftpHost+":587"] = smtp("220 mail.example\r\n")
	s.network.to[ftpHost+":2525"] = smtp("220 mail.example\r\n")
	s.network.to[ftpHost+":2121"] = smtp("220 mail.example ESMTP ready\r\n")
	session := s.enter()
	for _, port := range []int{587, 2525} {
		control := s.control(session, wire.FTP, "mail.example", port)
		if got := s.data(control, 50123); got != wire.Denied {
			t.Errorf("beside an SMTP server at port %d: %q", port, got)
		}
	}
	if got := s.refused(session, wire.FTP, "mail.example", 2121); got != wire.NotMail {
		t.Errorf("an SMTP server elsewhere: %q", got)
	}
	for _, service := range []wire.ServiceName{wire.Submission, wire.SMTP} {
		conn, err := session.Open(t.Context(), wire.Open{Service: service, Host: "mail.example", Port: 587})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.data(conn.(*tunnel.Conn), 50123); got != wire.Denied {
			t.Errorf("beside %s: %q", service, got)
		}
		_ = conn.Close()
	}
	// Where TLS comes first there is no control connection before both have begun with it.
	authority := mailtest.NewAuthority(t)
	s.network.to[ftpHost+":990"] = s.tlsServer(authority.Server("mail.example"), func(c *tls.Conn) { _ = c.Handshake(); _, _ = io.Copy(io.Discard, c) })
	s.network.to[ftpHost+":50123"] = s.serve(func(*net.TCPConn) {})
	sealed := s.control(session, wire.FTPS, "mail.example", 990)
	if got := s.data(sealed, 50123); got != wire.Denied {
		t.Errorf("before TLS: %q", got)
	}
	client := tls.Client(sealed, &tls.Config{RootCAs: authority.Pool(), ServerName: "mail.example"})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := s.data(sealed, 50123); got != "" {
		t.Errorf("after TLS: %q", got)
	}
	s.only(ftpHost+":2121", ftpHost+":2525", ftpHost+":50123", ftpHost+":587", ftpHost+":990")
}

// attackByLiar: a server that answers PASV with another's address, or a port of another's, leads nobody anywhere: the gateway does not
// read it, and what a client that believes it asks for goes to the liar alone. Names that change lead nowhere else either.
func attackByLiar(t *testing.T) {
	s := besiege(t, nil)
	var said atomic.Int32
	s.network.to[ftpHost+":21"] = s.serve(func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "220 ready\r\n")
		in := bufio.NewReader(c)
		for {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			said.Add(1)
			_, _ = io.WriteString(c, "227 entering passive mode (10,0,0,1,195,203)\r\n229 (|||6379|)\r\n")
		}
	})
	s.names.answers["liar.example"] = []string{ftpHost, "10.0.0.1", "127.0.0.1"} // and turns
	session := s.enter()
	control := s.control(session, wire.FTP, "liar.example", 21)
	_, _ = io.WriteString(control, "PASV\r\n")
	if _, err := io.ReadFull(control, make([]byte, 10)); err != nil || said.Load() == 0 {
		t.Fatal(err)
	}
	if got := s.data(control, 195<<8|203); got != wire.Unreachable {
		t.Errorf("%q", got)
	}
	if got := s.data(control, 6379); got != wire.Denied {
		t.Errorf("%q", got)
	}
	s.only(ftpHost+":21", fmt.Sprintf("%s:%d", ftpHost, 195<<8|203))
	if n := len(s.names.asked); n != 1 {
		t.Errorf("%d look-ups: a data connection is not looked up", n)
	}
}

// attackByScan: whoever holds on to a server of FTP does not search its machine for open ports, nor fill it with connections.
func attackByScan(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) { c.Limits.FailedDataPerMinute = 5 })
	s.network.to[ftpHost+":21"] = s.serve(ftpControl)
	session := s.enter()
	control := s.control(session, wire.FTP, ftpHost, 21)
	counts := map[wire.Reason]int{}
	for port := range 20 {
		counts[s.data(control, 50000+port)]++
	}
	again := s.control(s.enter(), wire.FTP, ftpHost, 21) // nor by another control connection, of another session
	counts[s.data(again, 50100)]++
	if counts[wire.Unreachable] != 5 || counts[wire.TooFast] != 16 {
		t.Errorf("%v", counts)
	}

	s = besiege(t, nil)
	s.network.to[ftpHost+":21"] = s.serve(ftpControl)
	var open atomic.Int32
	s.network.to[ftpHost+":50123"] = s.serve(func(c *net.TCPConn) {
		open.Add(1)
		defer open.Add(-1)
		_, _ = io.Copy(io.Discard, c)
	})
	control = s.control(s.enter(), wire.FTP, ftpHost, 21)
	var conns []net.Conn
	for range 7 {
		conn, err := control.OpenData(t.Context(), 50123)
		if err == nil {
			conns = append(conns, conn)
		} else if reasonOf(err) != wire.TooMany {
			t.Error(err)
		}
	}
	if len(conns) != 4 {
		t.Errorf("%d data connections at a time", len(conns))
	}
	// They go on when the control connection ends, and end by themselves.
	s.soon("all arrive", func() bool { return open.Load() == 4 })
	_ = control.Close()
	s.soon("the control connection's end", func() bool { return s.data(control, 50123) == wire.Denied })
	if n := open.Load(); n != 4 {
		t.Errorf("%d of 4 go on", n)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	s.soon("their end", func() bool { return open.Load() == 0 })
}

// attackOnFiles is for the gateway's own server, of which everybody's connections come from this machine.
func attackOnFiles(t *testing.T) {
	asked := make(chan string, 16)
	var echo string
	s := besiege(t, func(c *bridge.Config, _ *http.Server) {
		echo = serveTCP(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
		inside := func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", serveTCP(t, ftpControl))
		}
		c.Embedded[0].Inside = map[wire.ServiceName]func(context.Context) (net.Conn, error){wire.FTP: inside}
		c.Embedded[0].Data = func(ctx context.Context, control net.Addr, port int) (net.Conn, error) {
			asked <- fmt.Sprint(control, " ", port)
			if port != 50123 {
				return nil, io.EOF
			}
			return new(net.Dialer).DialContext(ctx, "tcp", echo)
		}
	})
	session := s.enter()
	mine, other := s.control(session, wire.FTP, "", 0), s.control(s.enter(), wire.FTP, "", 0)
	for _, port := range []int{1, 25, 1023, 2110, 2525, 8080, 50122} { // services of this machine
		if got := s.data(mine, port); got != wire.Denied {
			t.Errorf("port %d: %q", port, got)
		}
		<-asked
	}
	if got := s.data(mine, 50123); got != "" {
		t.Errorf("%q", got)
	}
	first := <-asked
	if got := s.data(other, 50123); got != "" {
		t.Errorf("%q", got)
	}
	if second := <-asked; second == first {
		t.Errorf("the server cannot tell them apart: %s", first)
	}
	if got := s.data(s.control(session, wire.POP3, "", 0), 50123); got != wire.Denied {
		t.Errorf("beside POP3: %q", got)
	}
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	if len(s.network.dialled) > 0 {
		t.Errorf("dialled %s", strings.Join(s.network.dialled, ", "))
	}
}
