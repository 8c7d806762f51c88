package mailtest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Dial opens a data connection to a port that the server has named. It is for ftp.Options.
func (f *FTP) Dial(ctx context.Context, port int) (net.Conn, error) {
	f.mu.Lock()
	f.dialed = append(f.dialed, port)
	waiting := f.ports[port]
	delete(f.ports, port)
	f.mu.Unlock()
	switch {
	case f.Unreachable:
		<-ctx.Done()
		return nil, ctx.Err()
	case f.TCP:
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	case waiting == nil:
		return nil, errors.New("connection refused")
	}
	client, server := Pipe(f.DataFaults)
	waiting <- server
	return client, nil
}

// Dialed returns the ports that Dial was asked for.
func (f *FTP) Dialed() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int(nil), f.dialed...)
}

// listen expects a data connection, at the port that it returns.
func (s *ftpSession) listen() (port int) {
	s.drop()
	if s.TCP {
		return s.listenTCP()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports == nil {
		s.ports = make(map[int]chan net.Conn)
	}
	s.last = (s.last+1)%30_000 + 1
	port = 30_000 + s.last
	waiting := make(chan net.Conn, 1)
	s.ports[port] = waiting
	take := func() net.Conn {
		select {
		case c := <-waiting:
			return c
		default: // who wants to have come has come before the command
			return nil
		}
	}
	s.accept = take
	s.drop = func() {
		s.mu.Lock()
		delete(s.ports, port)
		s.mu.Unlock()
		if c := take(); c != nil {
			c.Close()
		}
		s.accept, s.drop = nil, func() {}
	}
	return port
}

func (s *ftpSession) listenTCP() (port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	s.accept = func() net.Conn {
		l.(*net.TCPListener).SetDeadline(time.Now().Add(5 * time.Second))
		c, _ := l.Accept()
		return c
	}
	s.drop = func() {
		l.Close()
		s.accept, s.drop = nil, func() {}
	}
	return l.Addr().(*net.TCPAddr).Port
}

// transfer does a command with a data connection.
func (s *ftpSession) transfer(verb, at string) bool {
	from := s.restart
	s.restart = 0
	defer s.drop()
	n := s.Files.node(at)
	if (verb == "RETR" && (n == nil || n.dir)) || (verb == "LIST" || verb == "MLSD") && n == nil {
		return s.reply("550 no such file")
	}
	var conn net.Conn
	if s.accept != nil {
		conn = s.accept()
	}
	if conn == nil {
		return s.reply("425 no data connection")
	}
	defer func() { conn.Close() }()
	s.reply("150 here it comes")
	if s.private {
		t := tls.Server(conn, s.TLS)
		if err := t.Handshake(); err != nil {
			return s.done("426 no TLS")
		}
		if s.Reuse && !t.ConnectionState().DidResume {
			return s.done("522 SSL connection failed: session reuse required")
		}
		conn = t
	}
	aborted := s.attend(conn)
	err := s.move(conn, verb, at, from, n)
	if err == nil {
		s.end(conn)
	}
	switch {
	case aborted():
		conn.Close()
		s.reply("426 broken off")
		return s.reply("226 aborted")
	case err != nil:
		conn.Close()
		return s.done("426 " + strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return s.done("226 complete")
}

func (s *ftpSession) done(text string) bool {
	return s.faulty("DONE", func() bool { return s.reply("%s", text) })
}

// end ends the data.
func (s *ftpSession) end(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok && s.NoNotice {
		conn = t.NetConn()
	}
	conn.Close()
}

func (s *ftpSession) move(conn net.Conn, verb, at string, from int64, n *ftpNode) error {
	switch verb {
	case "RETR":
		_, err := conn.Write(n.content[min(from, int64(len(n.content))):])
		return err
	case "STOR", "APPE":
		content, err := io.ReadAll(conn)
		if verb == "APPE" && n != nil {
			from = int64(len(n.content))
		}
		return errors.Join(s.Files.store(at, from, content), err)
	}
	if s.Listing != nil {
		w := &failing{w: conn}
		s.Listing(w, verb == "MLSD")
		return w.err
	}
	show := func(name string, n *ftpNode) string { return n.unix(name) }
	switch {
	case verb == "MLSD":
		show = func(name string, n *ftpNode) string { return n.facts(name) }
	case s.Windows:
		show = func(name string, n *ftpNode) string { return n.windows(name) }
	}
	_, err := io.Copy(conn, strings.NewReader(s.Files.list(at, show)))
	return err
}

// failing remembers that a write failed.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

// attend reads commands during a transfer if the server is attentive. What it returns ends that, and tells whether there was ABOR.
func (s *ftpSession) attend(data net.Conn) (aborted func() bool) {
	if !s.Attentive {
		return func() bool { return false }
	}
	var wg sync.WaitGroup
	abort := false
	wg.Go(func() {
		for {
			line, err := s.r.ReadString('\n')
			s.partial += line
			if err != nil {
				return
			}
			line, s.partial = s.partial, ""
			if strings.HasPrefix(withoutSignals(line), "ABOR") {
				abort = true
				data.SetDeadline(time.Unix(1, 0))
				return
			}
			s.reply("200 busy, but listening")
		}
	})
	return func() bool {
		s.conn.SetReadDeadline(time.Unix(1, 0))
		wg.Wait()
		s.conn.SetReadDeadline(time.Time{})
		return abort
	}
}
