package mailserver

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// The connection is cut at every step of each protocol. Cut is a client that has said so much and no more, and then either
// closes its side, so that the server hears all of it and then the end, or is gone altogether, with a reset: then the server may
// not even have heard what it had said.

// ways are those two.
var ways = []struct {
	name  string
	reset bool
}{{"end", false}, {"reset", true}}

// cuts are the places of a script at which it is cut: in each line its beginning, its middle and each octet of its end; and each
// octet of the last two.
func cuts(script string) (at []int) {
	tail := len(script) - 12
	begin := 0
	for i := range script {
		if script[i] == '\n' {
			begin = i + 1
		}
		switch end := begin + strings.IndexByte(script[begin:], '\n'); {
		case i >= tail, i == begin, i == (begin+end)/2, i >= end-1:
			at = append(at, i)
		}
	}
	return append(at, len(script))
}

// cutOff says so much of a script to a server, and is gone. It answers what the server said, as far as that was heard.
func cutOff(t *testing.T, conn net.Conn, said string, reset bool) string {
	t.Helper()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		tcp = conn.(*tls.Conn).NetConn().(*net.TCPConn)
		must(t, conn.(*tls.Conn).Handshake())
	}
	defer conn.Close()
	_, err := io.WriteString(conn, said)
	must(t, err)
	if reset {
		must(t, tcp.SetLinger(0))
		must(t, tcp.Close())
		return ""
	}
	must(t, conn.(interface{ CloseWrite() error }).CloseWrite())
	heard, _ := io.ReadAll(conn)
	return string(heard)
}

// TestCutOnTheWayIn cuts what the world and what users send. A message is there if all of it was heard, for each of its recipients
// and once; and otherwise nothing of it is, in no mailbox and not in the queue.
func TestCutOnTheWayIn(t *testing.T) {
	login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+alice+"\x00"+password)) + "\r\n"
	text := "From: alice@postern.test\r\nSubject: mark %s.\r\n\r\nfirst\r\n..\r\n..x\r\nlast\r\n"
	to := func(from, other string) string {
		return "MAIL FROM:<" + from + ">\r\nRCPT TO:<" + bob + ">\r\nRCPT TO:<" + other + ">\r\n"
	}
	for name, c := range map[string]struct {
		service string
		script  func(mark string) string
		after   string // the message's end: nothing of it is missing
	}{
		"DATA": {SMTP, func(mark string) string {
			return "EHLO x\r\n" + to("carol@elsewhere.test", alice) + "DATA\r\n" + fmt.Sprintf(text, mark) + ".\r\n"
		}, "QUIT\r\n"},
		"BDAT": {SMTP, func(mark string) string {
			text := fmt.Sprintf(text, mark)
			return "EHLO x\r\n" + to("carol@elsewhere.test", alice) + fmt.Sprintf("BDAT 20\r\n%sBDAT %d LAST\r\n%s", text[:20], len(text)-20, text[20:])
		}, "QUIT\r\n"},
		"submission": {Submissions, func(mark string) string {
			return "EHLO x\r\n" + login + to(alice, "dan@elsewhere.test") + "DATA\r\n" + fmt.Sprintf(text, mark) + ".\r\n"
		}, "QUIT\r\n"},
	} {
		for _, way := range ways {
			t.Run(name+", "+way.name, func(t *testing.T) {
				dir := t.TempDir()
				s := start(t, testConfig(dir))
				whole := map[string]bool{}
				for _, at := range cuts(c.script("00000") + c.after) {
					mark := fmt.Sprintf("%05d", at)
					said := c.script(mark) + c.after
					complete := at >= len(said)-len(c.after)
					whole[mark] = complete
					conn := s.dial(t, c.service)
					if c.service == Submissions {
						conn = tls.Client(conn, s.pinned())
					}
					heard := cutOff(t, conn, said[:at], way.reset)
					if acknowledged := strings.Contains(heard, "250 2.0.0 OK "); !way.reset && acknowledged != complete {
						t.Errorf("cut after %q the server says %q", said[:at], heard)
					}
				}
				must(t, s.Close()) // nobody is at work any more
				s = start(t, testConfig(dir))
				there, elsewhere := marks(s.fetch(t, bob)), marks(s.fetch(t, alice))
				if c.service == Submissions {
					rows, err := s.store.Queue(t.Context(), maildrop.Filter{})
					must(t, err)
					for _, r := range rows {
						var text bytes.Buffer
						content, err := s.store.OpenContent(r)
						must(t, err)
						io.Copy(&text, content)
						content.Close()
						for mark := range marks(map[string]string{"": text.String()}) {
							elsewhere[mark]++
						}
					}
				}
				if !maps.Equal(there, elsewhere) {
					t.Errorf("one recipient has %v, the other %v", there, elsewhere)
				}
				for mark, complete := range whole {
					if n := there[mark]; n > 1 || n == 1 && !complete || n == 0 && complete && !way.reset {
						t.Errorf("cut after %s octets, it is there %d times", mark, n)
					}
				}
				s.consistent(t, dir)
			})
		}
	}
}

// TestCutBehindSTARTTLS cuts a user's client, the page's own, at one octet and another of all that it says: in the clear, in the
// handshake, in what TLS makes of its log-in, of its message and of its farewell. What it knows of its message is true.
func TestCutBehindSTARTTLS(t *testing.T) {
	const step = 11 // of some 1,300 octets; no message is as short
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	known, doubtful := map[string]bool{}, 0
	for at := 0; ; at += step {
		mark := fmt.Sprint(at)
		conn := &cuttable{TCPConn: s.dial(t, Submission).(*net.TCPConn), left: at, reset: at/step%2 == 1}
		c := smtp.New(conn, nil)
		err := c.StartTLS(t.Context(), s.pinned())
		if err == nil {
			_, err = c.Auth(t.Context(), sasl.Credentials{User: alice, Password: password}, "")
		}
		if err == nil {
			_, err = c.Send(t.Context(), smtp.Envelope{From: alice, To: []string{bob, "dan@elsewhere.test"}}, strings.NewReader("From: alice@postern.test\r\nSubject: mark "+mark+".\r\n\r\nHello.\r\n"))
			if known[mark] = err == nil; errors.Is(err, smtp.ErrUnknown) {
				delete(known, mark)
				doubtful++
			}
		}
		if err == nil {
			err = c.Quit(t.Context())
		}
		c.Close()
		if err == nil {
			break
		}
	}
	must(t, s.Close()) // nobody is at work any more
	s = start(t, testConfig(dir))
	there := marks(s.fetch(t, bob))
	for mark, n := range there {
		if taken, sure := known[mark]; n != 1 || sure && !taken {
			t.Errorf("cut after %s octets, it is there %d times, and its sender knows that it is not", mark, n)
		}
	}
	taken := 0
	for mark, ok := range known {
		if ok && there[mark] != 1 {
			t.Errorf("cut after %s octets, it is there %d times, and its sender knows that it is", mark, there[mark])
		}
		if ok {
			taken++
		}
	}
	if n := s.tally(t); n != len(there) {
		t.Errorf("%d wait for the other recipient, %d are here", n, len(there))
	}
	t.Logf("%d were taken, for all that their senders know, and of %d they know nothing; %d are there", taken, doubtful, len(there))
	s.consistent(t, dir)
}

// cuttable is a connection that takes so many octets more, and then is gone: with an end, or with a reset.
type cuttable struct {
	*net.TCPConn
	left  int
	reset bool
}

func (c *cuttable) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p[:min(len(p), c.left)])
	c.left -= n
	if err == nil && n < len(p) {
		if c.reset {
			c.SetLinger(0)
		}
		c.Close()
		err = net.ErrClosed
	}
	return n, err
}

// marks counts the messages by the marks in their subjects.
func marks(texts map[string]string) map[string]int {
	there := map[string]int{}
	for _, text := range texts {
		if _, rest, ok := strings.Cut(text, "Subject: mark "); ok {
			mark, _, _ := strings.Cut(rest, "\r\n")
			there[strings.TrimSuffix(mark, ".")]++
		}
	}
	return there
}

// consistent closes the server, and asserts that fsck has nothing to say.
func (s *Server) consistent(t *testing.T, dir string) {
	t.Helper()
	must(t, s.Close())
	if r, err := Check(t.Context(), dir, nil, false); err != nil || len(r.Findings) > 0 {
		t.Errorf("fsck: %+v, %v", r, err)
	}
}

// TestCutWhileFetching cuts a session that deletes. What it marked is gone if its QUIT was heard, and then all of it; otherwise
// all is there. And nothing keeps the next session out.
func TestCutWhileFetching(t *testing.T) {
	script := "CAPA\r\nUSER " + bob + "\r\nPASS " + password + "\r\nSTAT\r\nUIDL\r\nRETR 1\r\nDELE 1\r\nTOP 2 0\r\nDELE 3\r\nNOOP\r\nQUIT\r\n"
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, testConfig(dir))
			number := 0
			deliver := func() {
				number++
				s.submit(t, alice, fmt.Sprintf("From: alice@postern.test\r\nSubject: mark %d.\r\n\r\nHello.\r\n", number), bob)
			}
			for range 3 {
				deliver()
			}
			before := s.soon(t, bob)
			for _, at := range cuts(script) {
				cutOff(t, tls.Client(s.dial(t, POP3S), s.pinned()), script[:at], way.reset)
				after := s.soon(t, bob)
				switch complete := at == len(script); {
				case maps.Equal(before, after) && (!complete || way.reset):
				case complete && len(after) == 1 && marks(after)["2"] == 1:
				default:
					t.Errorf("cut after %q: before %v, after %v", script[:at], marks(before), marks(after))
				}
				before = after
			}
			s.consistent(t, dir)
		})
	}
}

// soon reads a maildrop when the session before has ended: a moment after its client is gone.
func (s *Server) soon(t *testing.T, email string) map[string]string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		drop, err := s.store.Lock(t.Context(), email)
		if err == nil {
			drop.Unlock()
			return s.fetch(t, email)
		}
		if time.Now().After(end) {
			t.Fatalf("the maildrop stays locked: %v", err)
		}
	}
}

// TestCutOnTheWayOut has the other server hang up at every step, once. The message arrives, and once: or twice, if it was cut
// between the message and its answer, and then the log says so.
func TestCutOnTheWayOut(t *testing.T) {
	for _, step := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"} {
		t.Run(step, func(t *testing.T) {
			var log lockedBuffer
			other := &sink{cuts: step, times: 1}
			n := &neighbours{}
			n.lead("there.test", other.serve(t))
			dir := t.TempDir()
			cfg := n.sending(dir)
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := start(t, cfg)
			s.submit(t, alice, "From: alice@postern.test\r\nSubject: x\r\n\r\nHello.\r\n", "dan@there.test", "eve@there.test")
			for end := time.Now().Add(20 * time.Second); s.tally(t) > 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("it still waits\n%s", log.String())
				}
			}
			want, doubts := 1, 0
			if step == "." {
				want, doubts = 2, 2 // for each recipient
			}
			for to, n := range other.counts() {
				if n != want {
					t.Errorf("%s has it %d times", to, n)
				}
			}
			if n := strings.Count(log.String(), "may get it twice"); n != doubts || len(other.counts()) != 2 {
				t.Errorf("%d doubts, and it is there for %v\n%s", n, other.counts(), log.String())
			}
			if back := s.fetch(t, alice); len(back) > 0 {
				t.Errorf("and this came back: %v", back)
			}
			s.consistent(t, dir)
		})
	}
}
