package ftpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// channel is a data connection, from PASV, EPSV, PORT or EPRT to the end of the transfer. To the library it is the listener that
// the connection comes from.
type channel struct {
	s        *session
	port     uint16           // that the client was told; 0: target
	listener *net.TCPListener // there; nil: it comes by Server.OpenData alone
	target   netip.AddrPort   // that the server connects to
	tls      *tls.Config      // nil: in the clear
	listing  bool             // it carries many small writes
	from     int64            // REST

	ctx    context.Context
	cancel context.CancelFunc
	octets atomic.Int64

	come   chan net.Conn // holds one
	unused *time.Timer   // closes it, if no command comes for it
	leave  func()        // gives the user's place back

	mu     sync.Mutex
	given  bool // one is in come, or was
	conn   net.Conn
	closed bool
	missed error // why there was no connection
	broken bool  // what was written at the end did not go out
}

var (
	errNoData  = errors.New("no data connection came about")
	errForeign = errors.New("a data connection goes to the client's own address, and a port from 1024 on that is no other service's")
)

// newChannel prepares one in place of the one before, if the user has a transfer left. From now on it counts as one: it may hold a
// port, of which there are few.
func (s *session) newChannel() (ch *channel, ok bool) {
	s.unprepare()
	if !s.srv.enterTransfer(s.user.ID) {
		s.reply(450, "too many transfers at once; try again later")
		return nil, false
	}
	ch = &channel{s: s, come: make(chan net.Conn, 1), leave: sync.OnceFunc(func() { s.srv.leaveTransfer(s.user.ID) })}
	ch.ctx, ch.cancel = context.WithCancel(s.ctx)
	ch.unused = time.AfterFunc(s.srv.cfg.Limits.DataWait, ch.close)
	s.ready = ch
	return ch, true
}

// unprepare gives up what was prepared.
func (s *session) unprepare() {
	if s.ready != nil {
		s.ready.close()
		s.ready = nil
	}
}

// has says at which port it is to come.
func (ch *channel) has(port uint16, l *net.TCPListener) {
	ch.mu.Lock()
	ch.port, ch.listener = port, l
	closed := ch.closed
	ch.mu.Unlock()
	if closed && l != nil { // it has taken so long to find one
		l.Close()
	}
}

// Accept waits for the connection, or makes it.
func (ch *channel) Accept() (net.Conn, error) {
	conn, err := ch.connect()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if err == nil && ch.closed {
		conn.Close()
		err = errNoData
	}
	if err != nil {
		ch.missed = errNoData
		return nil, errNoData
	}
	ch.conn = conn
	line := &paced{Conn: conn, stall: ch.s.srv.cfg.Limits.Stall}
	data := &counted{Conn: line, octets: &ch.octets}
	if ch.tls != nil {
		conn := tls.Server(line, ch.tls)
		data.Conn, data.line, line.greets = conn, line, 4
		data.begin = sync.OnceValue(func() error { return ch.handshake(conn) }) // not before: the client may wait for the 150
	}
	if ch.listing {
		return &buffered{Conn: data, w: bufio.NewWriterSize(data, 16<<10), ch: ch}, nil
	}
	return data, nil
}

func (ch *channel) connect() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ch.ctx, ch.s.srv.cfg.Limits.DataWait)
	defer cancel()
	if ch.port == 0 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: ch.s.local.Addr().AsSlice(), Zone: ch.s.local.Addr().Zone()}}
		return d.DialContext(ctx, "tcp", ch.target.String())
	}
	if ch.listener != nil {
		heard := make(chan struct{})
		go func() { defer close(heard); ch.listen() }()
		defer func() { ch.listener.Close(); <-heard }() // one connection is what it was for
	}
	select {
	case conn := <-ch.come:
		return conn, nil
	case <-ctx.Done():
		ch.close() // it is too late for any
		return nil, ctx.Err()
	}
}

// listen takes the client's connection, until the listener is closed.
func (ch *channel) listen() {
	for {
		conn, err := ch.listener.Accept()
		if err != nil {
			return
		}
		if !ch.s.own(conn.RemoteAddr()) {
			ch.s.srv.counts.foreign.Add(1)
			conn.Close() // and the client's may still come
		} else if !ch.give(conn) {
			conn.Close()
		}
	}
}

// give is for the connection that has come, of which there is one.
func (ch *channel) give(conn net.Conn) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closed || ch.given {
		return false
	}
	ch.given = true
	ch.come <- conn
	return true
}

// own says whether a data connection is the client's of this session: from the address of the control connection.
func (s *session) own(from net.Addr) bool {
	at, err := netip.ParseAddrPort(from.String())
	return err == nil && at.Addr().Unmap() == s.remote.Addr()
}

// trouble is why there was no connection, and whether the last of it was lost.
func (ch *channel) trouble() (missed error, broken bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.missed, ch.broken
}

// close cuts the connection, or the wait for it. It may be called at any time.
func (ch *channel) close() {
	ch.mu.Lock()
	ch.closed = true
	conn := ch.conn
	select {
	case came := <-ch.come: // and nobody has taken it
		came.Close()
	default:
	}
	listener := ch.listener
	ch.mu.Unlock()
	ch.unused.Stop()
	ch.cancel()
	if listener != nil {
		listener.Close()
	}
	if conn != nil {
		conn.Close()
	}
	ch.leave()
}

// Close and Addr make a channel a listener; the library asks for neither.

func (ch *channel) Close() error   { return nil }
func (ch *channel) Addr() net.Addr { return ch.s.raw.LocalAddr() }

// paced is a connection on which nothing takes for ever.
type paced struct {
	net.Conn
	stall  time.Duration
	ending atomic.Bool
	ended  bool // the other end has closed it, or it is broken; of who reads
	greets int  // reads that may be of a handshake; of who reads
}

func (c *paced) Read(p []byte) (int, error) {
	if c.greets > 0 {
		c.greets--
		acknowledge(c.Conn)
	}
	c.SetReadDeadline(time.Now().Add(c.stall))
	n, err := c.Conn.Read(p)
	c.ended = err != nil
	return n, err
}

func (c *paced) Write(p []byte) (int, error) {
	if !c.ending.Load() {
		c.Conn.SetWriteDeadline(time.Now().Add(c.stall))
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline is TLS's, which says goodbye.
func (c *paced) SetWriteDeadline(t time.Time) error {
	c.ending.Store(true)
	return c.Conn.SetWriteDeadline(t)
}

// counted is a connection as the transfer has it.
type counted struct {
	net.Conn
	line   *paced       // below TLS; nil without
	begin  func() error // TLS, once; nil without
	octets *atomic.Int64
}

func (c *counted) began() error {
	if c.begin == nil {
		return nil
	}
	return c.begin()
}

// Read takes the end of the connection for that of the file only if the client has said so. crypto/tls lets the goodbye be
// missing, and whoever is between the two can make it so (RFC 8446 section 6.1).
func (c *counted) Read(p []byte) (int, error) {
	if err := c.began(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.octets.Add(int64(n))
	if errors.Is(err, io.EOF) && c.line != nil && c.line.ended {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	if err := c.began(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.octets.Add(int64(n))
	return n, err
}

// buffered makes few large writes of many small ones: the library writes a listing line by line.
type buffered struct {
	net.Conn
	w  *bufio.Writer
	ch *channel
}

func (c *buffered) Write(p []byte) (int, error) { return c.w.Write(p) }

func (c *buffered) Close() error {
	err := c.w.Flush()
	if err == nil && c.ch.octets.Load() == 0 { // TLS shakes hands for an empty listing, too
		_, err = c.Conn.Write(nil)
	}
	if err != nil {
		c.ch.mu.Lock()
		c.ch.broken = true
		c.ch.mu.Unlock()
	}
	return c.Conn.Close()
}
