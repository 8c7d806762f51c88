package pop3d

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// FuzzSession sends anything at all, in each state, and asserts that the server
// never panics, never hangs, and answers with nothing but well-formed
// responses.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"CAPA\r\nUSER a\r\nPASS secret word\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nQUIT\r\n",
		"AUTH PLAIN AGEAc2VjcmV0IHdvcmQ=\r\nXWAIT 1\r\nQUIT\r\n", "AUTH PLAIN\r\n*\r\n", "AUTH LOGIN\r\nYQ==\r\nYg==\r\n", "AUTH LOGIN =\r\n*\r\n", "STLS\r\n\x16\x03\x01", "\x00\r\r\n.\r\n", "RETR 1 \r\nLIST 0\r\nTOP 1 99999999999\r\n",
		strings.Repeat("A", 5000) + "\nNOOP\n",
	} {
		f.Add(byte(0), []byte(seed))
		f.Add(byte(1), []byte(seed))
		f.Add(byte(2), []byte(seed))
	}
	certificates := &tls.Config{Certificates: []tls.Certificate{mailtest.SelfSigned(f)}}
	status := regexp.MustCompile(`^(\+OK|-ERR|\+)( [^\r\n]*)?\r\n$`)
	f.Fuzz(func(t *testing.T, state byte, input []byte) {
		d := drops(hello, "no end.", "\r\n", "")
		srv := New(Config{Hostname: "h", Accounts: fakeAccounts{}, Maildrops: d, TLS: certificates, Plain: Anywhere, Logger: slog.New(slog.DiscardHandler), Idle: time.Second, Stall: time.Second})
		here, there := net.Pipe()
		ended := make(chan struct{})
		go func() { srv.ServeConn(there); close(ended) }()
		here.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			switch state % 3 {
			case 1:
				io.WriteString(here, "USER a\r\nPASS secret word\r\n")
			case 2:
				io.WriteString(here, "USER a\r\nPASS secret word\r\nDELE 1\r\nDELE 3\r\n")
			}
			here.Write(input)
			io.WriteString(here, "\r\nQUIT\r\n") // the end of any input: or the server would wait for more
		}()
		in := bufio.NewReader(here)
		body := false
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("the session hung: %v", err)
				}
				if line != "" && line[0] != 0x15 { // a TLS alert is no line
					t.Errorf("the last line is cut: %q", line)
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
				t.Fatalf("answer %q is not well-formed", line)
			case strings.HasSuffix(line, "follows\r\n"), strings.HasSuffix(line, " octets\r\n"):
				body = true
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
	})
}
