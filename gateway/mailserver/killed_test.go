package mailserver

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// childSinks leads a child's mail for other domains to servers of the test: "a.test=127.0.0.1:1 b.test=127.0.0.1:2".
const childSinks = "POSTERN_TEST_SINKS"

func deliveringConfig(dir, sinks string, log io.Writer) Config {
	n := &neighbours{}
	for _, s := range strings.Fields(sinks) {
		domain, address, _ := strings.Cut(s, "=")
		n.lead(domain, address)
	}
	c := n.sending(dir)
	c.Logger = slog.New(slog.NewTextHandler(log, nil))
	return c
}

// journey is a mail server that is killed again and again while four people send through it: to one another, to a server
// that takes everything, to one that is moody, and to all of these at once.
type journey struct {
	*testing.T
	dir, sinks string
	log        bytes.Buffer // of all its lives; the present one writes it until it has ended

	mu     sync.Mutex
	up     *sync.Cond
	addr   string   // where it takes mail now; "" while it is dead
	quota  int      // acknowledgements until the next kill
	killed chan int // holds a token when there were as many
	acked  []string // marks of messages that got their 250
	lost   []string // and of those of which their sender knows nothing; he sends them again, as others
	over   bool
}

// TestKilledOnTheWay kills the server at random moments of four people's sending and of its own delivering, and sometimes of its
// start; then it looks for every message that got a 250: in the mailbox, at the other server, or come back; for each of its
// recipients, or for none if it got no 250. Nothing is there twice but what no SMTP server can know about, and that the log says so of.
//
// POSTERN_CRASH=full makes it 2,000 messages and 50 kills, and 12 more of a server that starts (`task crash`).
func TestKilledOnTheWay(t *testing.T) {
	messages, kills := 240, 8
	if os.Getenv("POSTERN_CRASH") == "full" {
		messages, kills = 2000, 50
	}
	steady, moody := &sink{}, &sink{moody: true}
	j := &journey{T: t, dir: t.TempDir(), killed: make(chan int, 1)}
	j.up = sync.NewCond(&j.mu)
	j.sinks = "steady.test=" + steady.serve(t) + " moody.test=" + moody.serve(t)
	start(t, testConfig(j.dir)).Close() // the accounts

	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() { j.send(sender) })
	}
	for kill := range kills {
		if kill%4 == 3 {
			j.stillborn()
		}
		j.live(messages/kills, kill)
	}
	j.mu.Lock()
	j.over = true
	j.up.Broadcast()
	j.mu.Unlock()
	senders.Wait()

	s := start(t, deliveringConfig(j.dir, j.sinks, &j.log))
	for end := time.Now().Add(2 * time.Minute); s.tally(t) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d rows wait still", s.tally(t))
		}
	}
	j.account(s, steady.counts(), moody.counts(), kills)
}

// server is the next life, to be started.
func (j *journey) server() *exec.Cmd {
	cmd := childCommand(j, j.dir, childSinks+"="+j.sinks)
	cmd.Stderr = &j.log
	return cmd
}

// stillborn starts the server and kills it at once: while it opens its store after the last crash, mostly.
func (j *journey) stillborn() {
	cmd := j.server()
	must(j, cmd.Start())
	time.Sleep(rand.N(100 * time.Millisecond))
	cmd.Process.Kill()
	cmd.Wait()
}

// live starts the server, lets it take so many messages and a moment more, and kills it.
func (j *journey) live(quota, life int) {
	server := up(j, j.server())
	j.mu.Lock()
	j.addr, j.quota = server.submissions, quota
	j.up.Broadcast()
	j.mu.Unlock()
	select {
	case <-j.killed:
		time.Sleep(rand.N(20 * time.Millisecond)) // the moment of the kill is anyone
	case <-time.After(time.Minute):
		j.Errorf("in life %d it takes no mail", life)
	}
	j.mu.Lock()
	j.addr = ""
	j.mu.Unlock()
	server.kill()
}

// send sends until the journey is over, one session after the other.
func (j *journey) send(sender int) {
	for n := 0; ; {
		j.mu.Lock()
		for j.addr == "" && !j.over {
			j.up.Wait()
		}
		addr, over := j.addr, j.over
		j.mu.Unlock()
		if over {
			return
		}
		s, err := openSubmission(addr)
		for err == nil {
			n++
			to := fmt.Sprintf("%d.%d@steady.test", sender, n)
			switch n % 11 {
			case 0:
				to = fmt.Sprintf("nobody.%d.%d@moody.test", sender, n)
			case 1, 2, 3:
				to = fmt.Sprintf("%d.%d@moody.test", sender, n)
			case 4, 5, 6, 7:
				to = bob
			case 10:
				to = fmt.Sprintf("%s,%d.%d@steady.test,%d.%d@moody.test", bob, sender, n, sender, n)
			}
			mark := fmt.Sprintf("%d.%d %s", sender, n, to)
			err = s.send(to, mark)
			j.mu.Lock()
			if err != nil {
				j.lost = append(j.lost, mark)
			} else {
				j.acked = append(j.acked, mark)
				if j.quota--; j.quota == 0 {
					j.killed <- 0
				}
			}
			j.mu.Unlock()
		}
		if s != nil {
			s.Close()
		}
	}
}

// submission is alice's session.
type submission struct {
	net.Conn
	in *bufio.Reader
}

func openSubmission(addr string) (*submission, error) { return openSubmissionAs(addr, alice, password) }

func openSubmissionAs(addr, user, password string) (*submission, error) {
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // it is our own, on loopback
	if err != nil {
		return nil, err
	}
	s := &submission{conn, bufio.NewReader(conn)}
	if err = s.answer("220"); err == nil {
		err = s.say("EHLO x\r\nAUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password))+"\r\n", "250", "235")
	}
	return s, err
}

func (s *submission) say(lines string, codes ...string) error {
	if _, err := io.WriteString(s, lines); err != nil {
		return err
	}
	for _, code := range codes {
		if err := s.answer(code); err != nil {
			return err
		}
	}
	return nil
}

func (s *submission) answer(code string) error {
	for {
		line, err := s.in.ReadString('\n')
		switch {
		case err != nil:
			return err
		case !strings.HasPrefix(line, code):
			return fmt.Errorf("%q, not %s", line, code)
		case line[3] == ' ':
			return nil
		}
	}
}

// send answers nil when the message got its 250.
func (s *submission) send(to, mark string) error {
	body := "Hello.\r\n"
	if rand.IntN(20) == 0 { // too large for what the store writes together
		body = strings.Repeat(strings.Repeat("x", 78)+"\r\n", 1000)
	}
	return s.sendAs(alice, to, mark, body+theEnd(mark))
}

// sendAs sends to one address, or to several that commas part.
func (s *submission) sendAs(from, to, mark, body string) error {
	lines, codes := "MAIL FROM:<"+from+">\r\n", []string{"250"}
	for rcpt := range strings.SplitSeq(to, ",") {
		lines, codes = lines+"RCPT TO:<"+rcpt+">\r\n", append(codes, "250")
	}
	err := s.say(lines+"DATA\r\n", append(codes, "354")...)
	if err == nil {
		err = s.say("From: "+from+"\r\nTo: "+to+"\r\nSubject: mark "+mark+".\r\n\r\n"+body+".\r\n", "250")
	}
	return err
}

// theEnd is the last line of a message.
func theEnd(mark string) string { return "The end of " + mark + ".\r\n" }

// account looks for every message that was acknowledged.
func (j *journey) account(s *Server, steady, moody map[string]int, kills int) {
	letters, returned := s.fetch(j, bob), map[string]int{}
	for _, text := range s.fetch(j, alice) {
		_, to, _ := strings.Cut(text, "Final-Recipient: rfc822; ")
		to, _, _ = strings.Cut(to, "\r\n")
		returned[to]++
	}
	mailbox := marks(letters)
	for _, text := range letters {
		_, mark, _ := strings.Cut(text, "Subject: mark ")
		mark, _, _ = strings.Cut(mark, ".\r\n")
		if !strings.HasSuffix(text, theEnd(mark)) {
			j.Errorf("%q is there without its end: it ends in %q", mark, text[max(0, len(text)-80):])
		}
	}
	doubts := map[string]int{}
	for line := range strings.Lines(j.log.String()) {
		if strings.Contains(line, "may get it twice") {
			_, to, _ := strings.Cut(line, " to=")
			to, _, _ = strings.Cut(to, " ")
			doubts[strings.TrimSpace(to)]++
		}
	}
	look := func(mark, to string) (n int, where string) {
		switch {
		case to == bob:
			return mailbox[mark], "bob's mailbox"
		case strings.HasPrefix(to, "nobody"):
			return returned[to], "alice's mailbox, as come back,"
		case strings.HasSuffix(to, "@steady.test"):
			return steady[to], "the steady server"
		}
		return moody[to], "the moody server"
	}
	recipients := func(mark string) []string {
		_, to, _ := strings.Cut(mark, " ")
		return strings.Split(to, ",")
	}
	twice, there := 0, 0
	for _, mark := range j.acked {
		for _, to := range recipients(mark) {
			n, where := look(mark, to)
			if n > 1 {
				twice++
			}
			if n == 0 || n > 1+doubts[to] {
				j.Errorf("%q got its 250 and is in %s %d times; the log has doubts about %d", mark, where, n, doubts[to])
			}
		}
	}
	for _, mark := range j.lost {
		of, have := recipients(mark), 0
		for _, to := range of {
			n, where := look(mark, to)
			have += min(n, 1)
			if n > 1+doubts[to] {
				j.Errorf("%q was sent once and is in %s %d times; the log has doubts about %d", mark, where, n, doubts[to])
			}
		}
		if have > 0 && have < len(of) {
			j.Errorf("%q got no answer and is there for %d of its %d recipients", mark, have, len(of))
		}
		there += min(have, 1)
	}
	j.Logf("%d messages got their 250 over %d kills: none lost; %d arrived more than once, and the log says of each that it may (of %d in all); of %d that got no answer, %d are there",
		len(j.acked), kills, twice, len(doubts), len(j.lost), there)
	s.consistent(j.T, j.dir)
}
