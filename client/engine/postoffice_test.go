package engine

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
)

// postOffice is a submission server (RFC 6409) in memory that fails where it is told to.
type postOffice struct {
	password map[string]string

	mu    sync.Mutex
	taken []taken
	// fault is asked at every step of every session what to do there: "" goes on, "cut" closes, "stall" says nothing
	// any more, anything else is the reply instead of the good one. The steps are greeting, EHLO, AUTH, MAIL, RCPT
	// (with the address), DATA, content (in the middle of it), dot (after the final dot, before the message is taken) and
	// answer (after it is taken, before the reply).
	fault func(step, arg string) string
	// extensions are announced besides SIZE and AUTH.
	extensions []string
}

// taken is a message that the server has taken responsibility for.
type taken struct {
	from    string
	to      []string
	params  []string // of MAIL, and of each RCPT
	content string
}

func (p *postOffice) letters() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken(nil), p.taken...)
}

func (p *postOffice) failAt(fault func(step, arg string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// failOnce fails at one step of the first session that reaches it.
func (p *postOffice) failOnce(step, how string) {
	done := false
	p.failAt(func(s, _ string) string {
		if s != step || done {
			return ""
		}
		done = true
		return how
	})
}

type postSession struct {
	*postOffice
	conn net.Conn
	r    *bufio.Reader
}

func (p *postOffice) ServeConn(conn net.Conn) {
	s := &postSession{postOffice: p, conn: conn, r: bufio.NewReader(conn)}
	if !s.answer("greeting", "", "220 mail.postern.test ESMTP") {
		return
	}
	var letter taken
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, arg, _ := strings.Cut(line, " ")
		ok := true
		switch strings.ToUpper(verb) {
		case "EHLO":
			reply := "250-mail.postern.test\r\n250-8BITMIME\r\n250-SIZE 30000000\r\n"
			for _, x := range s.extensions {
				reply += "250-" + x + "\r\n"
			}
			ok = s.answer("EHLO", "", reply+"250 AUTH PLAIN")
		case "AUTH":
			_, encoded, _ := strings.Cut(arg, " ")
			plain, _ := base64.StdEncoding.DecodeString(encoded)
			f := strings.Split(string(plain), "\x00")
			reply := "535 5.7.8 wrong name or password"
			if len(f) == 3 && p.password[f[1]] == f[2] && f[2] != "" {
				reply = "235 2.7.0 welcome"
			}
			ok = s.answer("AUTH", "", reply)
		case "MAIL":
			letter = taken{from: path(arg), params: []string{arg[strings.IndexByte(arg, '>')+1:]}}
			ok = s.answer("MAIL", letter.from, "250 2.1.0 ok")
		case "RCPT":
			reply := s.what("RCPT", path(arg))
			if reply == "" {
				letter.to = append(letter.to, path(arg))
				letter.params = append(letter.params, arg[strings.IndexByte(arg, '>')+1:])
			}
			ok = s.do(reply, "250 2.1.5 ok")
		case "DATA":
			if fault := s.what("DATA", ""); fault != "" {
				ok = s.do(fault, "")
				break
			}
			ok = s.do("", "354 go on") && s.content(&letter)
		case "RSET", "NOOP":
			ok = s.do("", "250 2.0.0 ok")
		case "QUIT":
			s.do("", "221 2.0.0 bye")
			return
		default:
			ok = s.do("", "500 5.5.1 what?")
		}
		if !ok {
			return
		}
	}
}

// content reads a message, dot-unstuffed, and takes it.
func (s *postSession) content(letter *taken) bool {
	var b strings.Builder
	for lines := 0; ; lines++ {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return false
		}
		if lines == 1 {
			if fault := s.what("content", ""); fault != "" {
				return s.do(fault, "")
			}
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	letter.content = b.String()
	if fault := s.what("dot", ""); fault != "" {
		return s.do(fault, "")
	}
	s.mu.Lock()
	s.taken = append(s.taken, *letter)
	s.mu.Unlock()
	return s.answer("answer", "", "250 2.0.0 taken")
}

func (s *postSession) what(step, arg string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return ""
	}
	return s.fault(step, arg)
}

func (s *postSession) answer(step, arg, good string) bool { return s.do(s.what(step, arg), good) }

func (s *postSession) do(fault, good string) bool {
	switch fault {
	case "":
		fmt.Fprintf(s.conn, "%s\r\n", good)
	case "cut":
		return false
	case "stall":
		var one [1]byte
		for {
			if _, err := s.conn.Read(one[:]); err != nil {
				return false
			}
		}
	default:
		fmt.Fprintf(s.conn, "%s\r\n", fault)
		return !strings.HasPrefix(fault, "421")
	}
	return true
}

// path is the address of MAIL FROM:<…> or RCPT TO:<…>.
func path(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	addr, _, _ := strings.Cut(rest, ">")
	return addr
}
