package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Maildrop is one user's mail in a [POP3] server. One session at a time may hold it.
type Maildrop struct {
	mu       sync.Mutex
	messages []stored
	last     int
	locked   bool
	arrived  chan struct{} // closed and replaced at each delivery
}

type stored struct {
	uid     string
	content []byte
}

// Deliver puts a message, with CRLF line ends, into the maildrop.
func (m *Maildrop) Deliver(content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.messages = append(m.messages, stored{fmt.Sprintf("uid-%06d", m.last), content})
	if m.arrived != nil {
		close(m.arrived)
		m.arrived = nil
	}
}

// Contents returns the messages, oldest first.
func (m *Maildrop) Contents() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all [][]byte
	for _, s := range m.messages {
		all = append(all, s.content)
	}
	return all
}

// POP3 is a server in memory: RFC 1939, CAPA, STLS, and XWAIT. Its fields are not to change while it serves.
type POP3 struct {
	Password map[string]string // by user
	Maildrop map[string]*Maildrop
	TLS      *tls.Config // offers STLS

	NoCapa       bool // CAPA is an unknown command
	NoPipelining bool // not announced
	NoUIDL       bool // not announced, an unknown command
	NoWait       bool // XWAIT, likewise
	Greeting     string
}

// NewPOP3 returns a server with one user, bob, password bob-pw, who has these messages.
func NewPOP3(messages ...[]byte) *POP3 {
	m := new(Maildrop)
	for _, content := range messages {
		m.Deliver(content)
	}
	return &POP3{Password: map[string]string{"bob": "bob-pw"}, Maildrop: map[string]*Maildrop{"bob": m}}
}

// pop3Session is one conversation.
type pop3Session struct {
	*POP3
	conn    net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	user    string
	drop    *Maildrop
	msgs    []stored // as they were at login
	deleted []bool
}

// ServeConn implements Server.
func (p *POP3) ServeConn(conn net.Conn) {
	s := &pop3Session{POP3: p}
	s.use(conn)
	defer s.unlock()
	s.reply("+OK %s", cmpOr(p.Greeting, "ready"))
	for {
		if s.r.Buffered() == 0 && s.w.Flush() != nil {
			return
		}
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		verb, args, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !s.command(strings.ToUpper(verb), args) {
			s.w.Flush()
			return
		}
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (s *pop3Session) use(conn net.Conn) {
	s.conn, s.r, s.w = conn, bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)
}

func (s *pop3Session) reply(format string, args ...any) {
	fmt.Fprintf(s.w, format+"\r\n", args...)
}

func (s *pop3Session) lines(lines ...string) {
	s.reply("+OK")
	for _, l := range lines {
		s.reply("%s", l)
	}
	s.reply(".")
}

// command answers one command; false ends the session.
func (s *pop3Session) command(verb, args string) bool {
	switch {
	case verb == "QUIT":
		s.update()
		s.unlock() // before the answer: who has it may come back at once
		s.reply("+OK")
		return false
	case verb == "CAPA" && !s.NoCapa:
		s.lines(s.capabilities()...)
	case s.drop == nil:
		s.authorize(verb, args)
	case verb == "XWAIT" && !s.NoWait:
		return s.wait(args)
	default:
		s.transact(verb, args)
	}
	return true
}

func (s *pop3Session) capabilities() []string {
	lines := []string{"USER", "TOP", "RESP-CODES", "SASL PLAIN LOGIN", "IMPLEMENTATION in memory"}
	if !s.NoUIDL {
		lines = append(lines, "UIDL")
	}
	if !s.NoPipelining {
		lines = append(lines, "PIPELINING")
	}
	if !s.NoWait {
		lines = append(lines, "X-POSTERN-WAIT")
	}
	if _, ok := s.conn.(*tls.Conn); s.TLS != nil && !ok {
		lines = append(lines, "STLS")
	}
	return lines
}

func (s *pop3Session) authorize(verb, args string) {
	switch {
	case verb == "STLS" && s.TLS != nil:
		s.reply("+OK")
		s.w.Flush()
		s.use(tls.Server(s.conn, s.TLS))
	case verb == "USER":
		s.user = args
		s.reply("+OK")
	case verb == "PASS" && s.user != "":
		if want, ok := s.Password[s.user]; !ok || want != args {
			s.reply("-ERR [AUTH] wrong user or password")
			return
		}
		drop := s.Maildrop[s.user]
		drop.mu.Lock()
		defer drop.mu.Unlock()
		if drop.locked {
			s.reply("-ERR [IN-USE] another session has the maildrop")
			return
		}
		drop.locked = true
		s.drop, s.msgs, s.deleted = drop, drop.messages, make([]bool, len(drop.messages))
		s.reply("+OK %d messages", len(s.msgs))
	default:
		s.reply("-ERR not in this state")
	}
}

func (s *pop3Session) unlock() {
	if s.drop != nil {
		s.drop.mu.Lock()
		s.drop.locked = false
		s.drop.mu.Unlock()
		s.drop = nil // by now it may be another session's
	}
}

// update is the UPDATE state: what is marked goes.
func (s *pop3Session) update() {
	if s.drop == nil {
		return
	}
	s.drop.mu.Lock()
	defer s.drop.mu.Unlock()
	var kept []stored
	for i, m := range s.drop.messages {
		if i >= len(s.deleted) || !s.deleted[i] {
			kept = append(kept, m)
		}
	}
	s.drop.messages = kept
}

func (s *pop3Session) transact(verb, args string) {
	f := strings.Fields(args)
	if len(f) == 0 {
		s.transactAll(verb)
		return
	}
	n, err := strconv.Atoi(f[0])
	if err != nil || n < 1 || n > len(s.msgs) || s.deleted[n-1] {
		s.reply("-ERR no such message")
		return
	}
	m := s.msgs[n-1]
	switch {
	case verb == "LIST":
		s.reply("+OK %d %d", n, len(m.content))
	case verb == "UIDL" && !s.NoUIDL:
		s.reply("+OK %d %s", n, m.uid)
	case verb == "DELE":
		s.deleted[n-1] = true
		s.reply("+OK")
	case verb == "RETR":
		s.reply("+OK %d octets", len(m.content))
		s.w.Write(Stuff(m.content))
	case verb == "TOP" && len(f) == 2:
		lines, err := strconv.Atoi(f[1])
		if err != nil || lines < 0 {
			s.reply("-ERR how many lines?")
			return
		}
		s.reply("+OK")
		s.w.Write(Stuff(top(m.content, lines)))
	default:
		s.reply("-ERR unknown command")
	}
}

func (s *pop3Session) transactAll(verb string) {
	var octets, count int
	var sizes, uids []string
	for i, m := range s.msgs {
		if !s.deleted[i] {
			count++
			octets += len(m.content)
			sizes = append(sizes, fmt.Sprintf("%d %d", i+1, len(m.content)))
			uids = append(uids, fmt.Sprintf("%d %s", i+1, m.uid))
		}
	}
	switch {
	case verb == "STAT":
		s.reply("+OK %d %d", count, octets)
	case verb == "LIST":
		s.lines(sizes...)
	case verb == "UIDL" && !s.NoUIDL:
		s.lines(uids...)
	case verb == "NOOP":
		s.reply("+OK")
	case verb == "RSET":
		clear(s.deleted)
		s.reply("+OK")
	default:
		s.reply("-ERR unknown command")
	}
}

// wait is XWAIT: see the package pop3.
func (s *pop3Session) wait(args string) bool {
	seconds, err := strconv.Atoi(args)
	if err != nil || seconds < 1 || seconds > 1740 {
		s.reply("-ERR how long?")
		return true
	}
	clear(s.deleted)
	s.drop.mu.Lock()
	s.drop.locked = false
	if s.drop.arrived == nil {
		s.drop.arrived = make(chan struct{})
	}
	arrived := s.drop.arrived
	fresh := len(s.drop.messages) > len(s.msgs)
	s.drop.mu.Unlock()
	s.drop = nil
	s.reply("+OK waiting")
	s.w.Flush()

	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, s.conn)
	}()
	answer := "+OK new"
	if !fresh {
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-arrived:
		case <-timer.C:
			answer = "+OK none"
		case <-gone:
		}
	}
	s.reply("%s", answer)
	s.w.Flush()
	s.conn.Close()
	<-gone
	return false
}

// Stuff returns content as the lines of a POP3 answer, or as the data of SMTP: a dot before each line that starts with one, and the line
// that ends it. See RFC 1939 section 3 and RFC 5321 section 4.5.2.
func Stuff(content []byte) []byte {
	out := make([]byte, 0, len(content)+64)
	for line := range bytes.Lines(content) {
		if line[0] == '.' {
			out = append(out, '.')
		}
		out = append(out, line...)
	}
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(out, "\r\n"...)
	}
	return append(out, ".\r\n"...)
}

func top(content []byte, lines int) []byte {
	header, body, _ := bytes.Cut(content, []byte("\r\n\r\n"))
	out := append(bytes.Clone(header), "\r\n\r\n"...)
	for line := range bytes.Lines(body) {
		if lines == 0 {
			break
		}
		lines--
		out = append(out, line...)
	}
	return out
}
