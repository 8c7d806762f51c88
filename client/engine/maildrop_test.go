package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// maildrop is a POP3 server with one maildrop that does what real servers do wrong, and can be cut at every step.
type maildrop struct {
	noUIDL, noTop, noCapa bool
	caps                  []string // further capabilities

	// What the server gets wrong; nil: nothing.
	uid  func(number int, m dropped) string
	stat func(count, octets int) (int, int)
	size func(m dropped) int
	retr func(number int, content []byte) []byte // nil from it: -ERR
	top  func(number int, content []byte) []byte
	dele func(number int) (removes bool, refuses string)
	quit func() string // "-ERR …"; "silent": removes and says nothing; "lost": says nothing and removes nothing; "lie": says +OK, removes nothing
	// removing is told what UPDATE is about to remove.
	removing func(gone []dropped)
	// step is asked at every boundary of a command and of an answer, and within each answer, whether the line goes
	// dead here.
	step func(at string) (cut bool)
	// pace lets everybody else come to rest before each step. Without it the server is far ahead of the client.
	pace  bool
	steps sync.Mutex

	mu       sync.Mutex
	messages []dropped
	last     int
	locked   bool
	said     []string // every command
}

type dropped struct {
	uid     string
	content []byte
}

func (d *maildrop) deliver(contents ...[]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range contents {
		d.last++
		d.messages = append(d.messages, dropped{fmt.Sprintf("u%05d", d.last), c})
	}
}

func (d *maildrop) left() (contents [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.messages {
		contents = append(contents, m.content)
	}
	return contents
}

// count says how many commands began with verb.
func (d *maildrop) count(verb string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.said {
		if strings.HasPrefix(line, verb) {
			n++
		}
	}
	return n
}

type dropSession struct {
	*maildrop
	conn    net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	msgs    []dropped
	deleted []bool
	holds   bool
}

func (d *maildrop) ServeConn(conn net.Conn) {
	s := &dropSession{maildrop: d, conn: conn, r: bufio.NewReader(conn), w: bufio.NewWriterSize(conn, 32<<10)}
	defer s.release()
	if !s.answer("greeting", "+OK ready\r\n") {
		return
	}
	for {
		if s.r.Buffered() == 0 && s.w.Flush() != nil {
			return
		}
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		d.mu.Lock()
		d.said = append(d.said, line)
		d.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		if s.cut(verb + " heard") {
			s.w.Flush() // what was answered before it
			return
		}
		if verb == "QUIT" {
			s.update()
			return
		}
		if !s.answer(verb, s.do(verb, strings.Fields(arg))) {
			return
		}
	}
}

func (s *dropSession) cut(at string) bool {
	s.mu.Lock() // a test that changes step delivers something then
	step := s.step
	s.mu.Unlock()
	if step == nil {
		return false
	}
	if s.pace {
		s.w.Flush()
		time.Sleep(time.Nanosecond) // of a bubble's time: it passes when everybody waits
	}
	s.steps.Lock() // a session that was cut may not have noticed when the next one begins
	defer s.steps.Unlock()
	return step(at)
}

// answer says text, unless the line goes dead within it or after it.
func (s *dropSession) answer(verb, text string) bool {
	if s.cut(verb + " half answered") {
		s.w.WriteString(text[:len(text)/2])
		s.w.Flush()
		return false
	}
	s.w.WriteString(text)
	if s.cut(verb + " answered") {
		s.w.Flush()
		return false
	}
	return true
}

func (s *dropSession) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds {
		s.locked, s.holds = false, false
	}
}

func (s *dropSession) update() {
	how := ""
	if s.quit != nil && s.holds {
		how = s.quit()
	}
	if how == "lost" {
		return
	}
	if s.holds && how != "lie" && !strings.HasPrefix(how, "-ERR") {
		var gone []dropped
		for i, m := range s.msgs {
			if s.deleted[i] {
				gone = append(gone, m)
			}
		}
		if s.removing != nil && len(gone) > 0 {
			s.removing(gone)
		}
		s.mu.Lock()
		s.messages = slices.DeleteFunc(slices.Clone(s.messages), func(m dropped) bool {
			return slices.ContainsFunc(gone, func(g dropped) bool { return g.uid == m.uid })
		})
		s.mu.Unlock()
	}
	s.release()
	if how == "silent" || s.cut("UPDATE done") {
		return
	}
	if !strings.HasPrefix(how, "-ERR") {
		how = "+OK bye"
	}
	s.answer("QUIT", how+"\r\n")
	s.w.Flush()
}

func (s *dropSession) do(verb string, args []string) string {
	switch {
	case verb == "CAPA" && !s.noCapa:
		caps := append([]string{"USER", "PIPELINING"}, s.caps...)
		if !s.noTop {
			caps = append(caps, "TOP")
		}
		if !s.noUIDL {
			caps = append(caps, "UIDL")
		}
		return "+OK\r\n" + strings.Join(caps, "\r\n") + "\r\n.\r\n"
	case verb == "USER":
		return "+OK\r\n"
	case verb == "PASS":
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.locked {
			return "-ERR [IN-USE] another session has it\r\n"
		}
		s.locked, s.holds = true, true
		s.msgs = slices.Clone(s.messages)
		s.deleted = make([]bool, len(s.msgs))
		return "+OK\r\n"
	case !s.holds:
		return "-ERR log in first\r\n"
	case verb == "STAT" || verb == "LIST" || verb == "UIDL" && !s.noUIDL:
		return s.list(verb)
	case len(args) == 0:
		return "-ERR what?\r\n"
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > len(s.msgs) || s.deleted[n-1] {
		return "-ERR no such message\r\n"
	}
	content := s.msgs[n-1].content
	switch {
	case verb == "RETR":
		if s.retr != nil {
			content = s.retr(n, content)
		}
		if content == nil {
			return "-ERR cannot be read\r\n"
		}
		return "+OK\r\n" + string(mailtest.Stuff(content))
	case verb == "TOP" && !s.noTop:
		lines, _ := strconv.Atoi(args[1])
		if s.top != nil {
			content = s.top(n, content)
		}
		return "+OK\r\n" + string(mailtest.Stuff(beginningOf(content, lines)))
	case verb == "DELE":
		removes, refuses := true, ""
		if s.dele != nil {
			removes, refuses = s.dele(n)
		}
		s.deleted[n-1] = removes && refuses == ""
		if refuses != "" {
			return refuses + "\r\n"
		}
		return "+OK\r\n"
	}
	return "-ERR what?\r\n"
}

func (s *dropSession) list(verb string) string {
	var b strings.Builder
	count, octets := 0, 0
	b.WriteString("+OK\r\n")
	for i, m := range s.msgs {
		size, uid := len(m.content), m.uid
		if s.size != nil {
			size = s.size(m)
		}
		if s.uid != nil {
			uid = s.uid(i+1, m)
		}
		count, octets = count+1, octets+size
		if verb == "LIST" {
			fmt.Fprintf(&b, "%d %d\r\n", i+1, size)
		} else {
			fmt.Fprintf(&b, "%d %s\r\n", i+1, uid)
		}
	}
	if verb == "STAT" {
		if s.stat != nil {
			count, octets = s.stat(count, octets)
		}
		return fmt.Sprintf("+OK %d %d\r\n", count, octets)
	}
	return b.String() + ".\r\n"
}

func beginningOf(content []byte, lines int) []byte {
	header, body, _ := bytes.Cut(content, []byte("\r\n\r\n"))
	out := append(bytes.Clone(header), "\r\n\r\n"...)
	for line := range bytes.Lines(body) {
		if lines--; lines < 0 {
			break
		}
		out = append(out, line...)
	}
	return out
}

func sumOf(content []byte) [32]byte { return sha256.Sum256(content) }
