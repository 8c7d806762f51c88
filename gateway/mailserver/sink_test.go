package mailserver

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
)

// sink is somebody else's mail server: it counts the messages that it took, by recipient.
type sink struct {
	// moody: some messages it does not want now, some it takes and hangs up before it says so, and whoever's name begins
	// with "nobody" it does not know.
	moody   bool
	refuses string // what it says to every message that it does not hang up on
	cuts    string // hangs up in place of the answer to this command; "" is the greeting's place, "." the message's
	times   int    // as often as that; 0: it does not

	listener net.Listener
	mu       sync.Mutex
	took     map[string]int
	conns    map[net.Conn]bool
	served   sync.WaitGroup
}

// serve listens until the test's end.
func (s *sink) serve(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.listener, s.took, s.conns = l, map[string]int{}, map[net.Conn]bool{}
	s.served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.served.Go(func() { s.talk(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		s.served.Wait()
	})
	return l.Addr().String()
}

// counts is how often it took what was for each recipient.
func (s *sink) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for to, n := range s.took {
		counts[to] = n
	}
	return counts
}

// hangsUp says that it has heard enough.
func (s *sink) hangsUp(verb string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == 0 || !strings.EqualFold(verb, s.cuts) {
		return false
	}
	s.times--
	return true
}

func (s *sink) talk(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	in := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	if s.hangsUp("") {
		return
	}
	say("220 sink")
	var to []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if s.hangsUp(verb) {
			return
		}
		switch strings.ToUpper(verb) {
		case "RCPT":
			address := rest[strings.IndexByte(rest, '<')+1 : strings.IndexByte(rest, '>')]
			if s.moody && strings.HasPrefix(address, "nobody") {
				say("550 5.1.1 nobody of that name")
				continue
			}
			to = append(to, address)
			say("250 2.1.5 yes")
		case "DATA":
			if len(to) == 0 {
				say("503 5.5.1 for whom?")
				continue
			}
			say("354 go on")
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			mood := 100
			if s.moody {
				mood = rand.IntN(100)
			}
			cut := s.hangsUp(".") || mood < 3
			switch {
			case cut: // it has the message, and nobody hears that
			case s.refuses != "":
				say(s.refuses)
				to = nil
				continue
			case mood < 23:
				say("451 4.3.0 not now")
				to = nil
				continue
			}
			s.mu.Lock()
			for _, address := range to {
				s.took[address]++
			}
			s.mu.Unlock()
			if cut {
				return
			}
			to = nil
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default: // EHLO, MAIL, RSET
			if strings.EqualFold(verb, "RSET") || strings.EqualFold(verb, "MAIL") {
				to = nil
			}
			say("250 2.0.0 yes")
		}
	}
}
