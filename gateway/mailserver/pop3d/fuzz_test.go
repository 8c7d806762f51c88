package pop3d

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// approaches lead a connection to each state in which a client can say something. What is sent by steps is
// answered line by line before the fuzzer's octets come.
var approaches = []struct {
	name  string
	stls  bool
	steps []string
}{
	{"AUTHORIZATION", false, nil},
	{"after USER", false, []string{"USER a"}},
	{"TRANSACTION", false, []string{"USER a", "PASS secret word"}},
	{"TRANSACTION with marks", false, []string{"USER a", "PASS secret word", "DELE 1", "DELE 3"}},
	{"in PLAIN", false, []string{"AUTH PLAIN"}},
	{"in LOGIN, the name", false, []string{"AUTH LOGIN"}},
	{"in LOGIN, the password", false, []string{"AUTH LOGIN YQ=="}},
	{"in SCRAM, the first message", false, []string{"AUTH SCRAM-SHA-256"}},
	{"in SCRAM, the proof", false, []string{"AUTH SCRAM-SHA-256 biwsbj11LHI9eA=="}},
	{"XWAIT", false, []string{"USER a", "PASS secret word", "XWAIT 1"}},
	{"after UTF8", false, []string{"UTF8"}},
	{"AUTHORIZATION under TLS", true, nil},
	{"in SCRAM under TLS", true, []string{"AUTH SCRAM-SHA-256 biwsbj11LHI9eA=="}},
	{"TRANSACTION under TLS", true, []string{"USER a", "PASS secret word"}},
}

// FuzzSession sends anything at all, in each state, and asserts that the server
// never panics, never hangs, and answers with nothing but well-formed
// responses; and that what is gone is what QUIT was told to delete, and says so.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"CAPA\r\nUSER a\r\nPASS secret word\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nQUIT\r\n",
		"AUTH PLAIN AGEAc2VjcmV0IHdvcmQ=\r\nXWAIT 1\r\nQUIT\r\n", "AUTH PLAIN\r\n*\r\n", "AUTH LOGIN\r\nYQ==\r\nYg==\r\n", "AUTH LOGIN =\r\n*\r\n", "STLS\r\n\x16\x03\x01", "\x00\r\r\n.\r\n", "RETR 1 \r\nLIST 0\r\nTOP 1 99999999999\r\n",
		"biwsbj11LHI9eA==\r\nYz1iaXdzLHI9eCxwPUFBQUE=\r\n", "AGEAc2VjcmV0IHdvcmQ=\r\nUTF8\r\nLANG\r\nLANG *\r\n", "=\r\n*\r\n\r\n", "UTF8\r\nLANG en-gb\r\nLANG \xff\r\nUSER \xff\r\n",
		strings.Repeat("A", 5000) + "\nNOOP\n",
	} {
		for i := range approaches {
			f.Add(byte(i), []byte(seed))
		}
	}
	certificates := &tls.Config{Certificates: []tls.Certificate{mailtest.SelfSigned(f)}}
	status := regexp.MustCompile(`^(\+OK|-ERR|\+)( [^\r\n]*)?\r\n$`)
	marked, unmarked, deleted := regexp.MustCompile(`^\+OK message (\d+) will be deleted at QUIT\r\n$`), regexp.MustCompile(`^\+OK \d+ messages \(\d+ octets\)\r\n$`), regexp.MustCompile(`^\+OK bye, (\d+) messages deleted`)
	f.Fuzz(func(t *testing.T, state byte, input []byte) {
		approach := approaches[int(state)%len(approaches)]
		d := drops(hello, "no end.", "\r\n", "")
		srv := New(Config{Hostname: "h", Accounts: fakeAccounts{}, Maildrops: d, TLS: certificates, Plain: Anywhere, Logger: slog.New(slog.DiscardHandler), Idle: time.Second, Stall: time.Second})
		here, there := net.Pipe()
		ended := make(chan struct{})
		go func() { srv.ServeConn(there); close(ended) }()
		here.SetDeadline(time.Now().Add(20 * time.Second))
		in := bufio.NewReader(here)
		marks, gone := map[string]bool{}, map[string]bool{} // of unique-ids: to be deleted, and deleted
		hear := func(line string) {
			switch m := marked.FindStringSubmatch(line); {
			case m != nil:
				marks["uid"+m[1]] = true
			case unmarked.MatchString(line):
				clear(marks)
			}
			if m := deleted.FindStringSubmatch(line); m != nil {
				if gone = marks; m[1] != strconv.Itoa(len(gone)) {
					t.Errorf("%s: %v are to be deleted, and the answer is %q", approach.name, marks, line)
				}
			}
		}
		say := func(line string) {
			if _, err := io.WriteString(here, line+"\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := in.ReadString('\n')
			if err != nil || answer[0] != '+' {
				t.Fatalf("%s: %q is answered by %q, %v", approach.name, line, answer, err)
			}
			hear(answer)
		}
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if approach.stls {
			say("STLS")
			here = tls.Client(here, &tls.Config{InsecureSkipVerify: true})
			in = bufio.NewReader(here)
		}
		for _, line := range approach.steps {
			say(line)
		}
		go func() {
			here.Write(input)
			io.WriteString(here, "\r\nQUIT\r\n") // the end of any input: or the server would wait for more
		}()
		body := false
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				// Under TLS the server's close is a cut: it says nothing by close_notify to one who may have stopped listening.
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: the session hung: %v", approach.name, err)
				}
				if line != "" && line[0] != 0x15 { // a TLS alert is no line
					t.Errorf("%s: the last line is cut: %q", approach.name, line)
				}
				break
			}
			switch {
			case body:
				body = line != ".\r\n"
				if body && strings.HasPrefix(line, ".") && !strings.HasPrefix(line, "..") {
					t.Errorf("line %q in a body is not stuffed", line)
				}
			case !status.MatchString(line):
				t.Fatalf("%s: answer %q is not well-formed", approach.name, line)
			case strings.HasSuffix(line, "follows\r\n"), strings.HasSuffix(line, " octets\r\n"):
				body = true
			default:
				hear(line)
			}
		}
		if body {
			t.Error("a body has no end")
		}
		here.Close()
		<-ended
		if d.isLocked() {
			t.Error("the maildrop is still locked")
		}
		left := map[string]bool{}
		for _, m := range d.messages {
			left[m.uid] = true
		}
		for _, uid := range []string{"uid1", "uid2", "uid3", "uid4"} {
			if left[uid] == gone[uid] {
				t.Errorf("%s: %s is there: %v; it was said to be deleted: %v", approach.name, uid, left[uid], gone[uid])
			}
		}
	})
}
