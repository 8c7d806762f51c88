package mailtest

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// POP3 is a server in memory: RFC 1939, CAPA, STLS, AUTH and XWAIT, and more if its fields say so. They are not to change while it
// serves.
type POP3 struct {
	Password   map[string]string // by user
	Tokens     map[string]string // bearer tokens, by user, for OAUTHBEARER and XOAUTH2
	Maildrop   map[string]*Maildrop
	TLS        *tls.Config   // offers STLS
	Mechanisms []string      // of SASL; nil for PLAIN and LOGIN
	APOP       string        // the timestamp in the greeting, with its brackets; "" for no APOP
	UTF8       bool          // RFC 6856: a message with UTF-8 in its header is for clients that have said UTF8
	Langs      []string      // RFC 6856: "en English", "fr français"; nil for no LANG
	Expire     string        // RFC 2449: "NEVER", "30", "0", "14 USER"
	LoginDelay time.Duration // RFC 2449: the least between two logins
	Further    []string      // more capabilities, such as "X-POSTERN-ADMIN"
	Forged     bool          // SCRAM: it does not know the password, and says that all is well

	NoCapa       bool // CAPA is an unknown command
	NoPipelining bool // not announced
	NoUser       bool // USER and PASS, likewise
	NoUIDL       bool // not announced, an unknown command
	NoWait       bool // XWAIT, likewise
	Greeting     string

	// What it says wrong, nil for right: what STAT says, the size that LIST has for a message, and the unique-id of UIDL, of a
	// message by its number in the session.
	Stat func(count, octets int) string
	Size func(number, size int) int64
	UID  func(number int, uid string) string

	// Fault, if set, is asked before each answer what to do in its place; nil for nothing. stage is the command's verb in capitals;
	// "" for the greeting, "+" for a response of AUTH. nth counts the stage's answers in the session, from 1.
	Fault func(stage string, nth int) *POP3Fault
}

// POP3Fault is what a server does wrong.
type POP3Fault struct {
	Answer string // is said, as it is, line ends included; the command is not done
	Accept bool   // but the command is done, and what it would have said is not said
	Cut    bool   // the connection is closed after it
	Stall  bool   // nothing more is said
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
	utf8    bool
	count   map[string]int // of answers, by stage
}

// ServeConn implements Server.
func (p *POP3) ServeConn(conn net.Conn) {
	s := &pop3Session{POP3: p, count: make(map[string]int)}
	s.use(conn)
	defer s.unlock()
	if !s.faulty("", func() bool {
		s.reply("+OK %s", strings.TrimSpace(cmp.Or(p.Greeting, "ready")+" "+p.APOP))
		return true
	}) {
		s.w.Flush()
		return
	}
	for {
		line, ok := s.line()
		if !ok {
			return
		}
		verb, args, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if !s.faulty(verb, func() bool { return s.command(verb, args) }) {
			s.w.Flush()
			return
		}
	}
}

// line reads a line, and sends what was said before it has to wait.
func (s *pop3Session) line() (string, bool) {
	if s.r.Buffered() == 0 && s.w.Flush() != nil {
		return "", false
	}
	line, err := s.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

// faulty does a command, or what Fault wants instead; false ends the session.
func (s *pop3Session) faulty(stage string, do func() bool) bool {
	s.count[stage]++
	var f *POP3Fault
	if s.Fault != nil {
		f = s.Fault(stage, s.count[stage])
	}
	if f == nil {
		return do()
	}
	goOn := true
	if f.Accept {
		s.w.Flush()
		said := s.w
		s.w = bufio.NewWriter(io.Discard)
		goOn = do()
		s.w = said
	}
	s.w.WriteString(f.Answer)
	switch {
	case f.Stall:
		s.w.Flush()
		io.Copy(io.Discard, s.conn)
		return false
	case f.Cut:
		return false
	}
	return goOn
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
	case verb == "LANG" && s.Langs != nil:
		s.lang(args)
	case s.drop == nil:
		return s.authorize(verb, args)
	case verb == "XWAIT" && !s.NoWait:
		return s.wait(args)
	default:
		s.transact(verb, args)
	}
	return true
}

func (s *pop3Session) capabilities() []string {
	lines := []string{"TOP", "RESP-CODES", "IMPLEMENTATION in memory"}
	if !s.NoUser {
		lines = append(lines, "USER")
	}
	if m := s.mechanisms(); len(m) > 0 {
		lines = append(lines, "SASL "+strings.Join(m, " "))
	}
	if s.UTF8 {
		lines = append(lines, "UTF8 USER")
	}
	if s.Langs != nil {
		lines = append(lines, "LANG")
	}
	if s.Expire != "" {
		lines = append(lines, "EXPIRE "+s.Expire)
	}
	if s.LoginDelay > 0 {
		lines = append(lines, fmt.Sprintf("LOGIN-DELAY %d", s.LoginDelay/time.Second))
	}
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
	return append(lines, s.Further...)
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
		s.reply("+OK %d %d", n, s.size(n))
	case verb == "UIDL" && !s.NoUIDL:
		s.reply("+OK %d %s", n, s.uid(n))
	case verb == "DELE":
		s.deleted[n-1] = true
		s.reply("+OK")
	case (verb == "RETR" || verb == "TOP") && s.UTF8 && !s.utf8 && beyondASCII(m.content):
		s.reply("-ERR [UTF8] the header has UTF-8")
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
			sizes = append(sizes, fmt.Sprintf("%d %d", i+1, s.size(i+1)))
			uids = append(uids, fmt.Sprintf("%d %s", i+1, s.uid(i+1)))
		}
	}
	switch {
	case verb == "STAT" && s.Stat != nil:
		s.reply("+OK %s", s.Stat(count, octets))
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

func (s *pop3Session) size(number int) int64 {
	size := len(s.msgs[number-1].content)
	if s.Size != nil {
		return s.Size(number, size)
	}
	return int64(size)
}

func (s *pop3Session) uid(number int) string {
	uid := s.msgs[number-1].uid
	if s.UID != nil {
		return s.UID(number, uid)
	}
	return uid
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
