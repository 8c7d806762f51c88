package mailtest

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// talk says things to a server, each of them in one packet, and waits after each for that many replies.
func talk(t *testing.T, s *SMTP, things ...any) {
	t.Helper()
	conn := Connect(t, s, nil)
	r := bufio.NewReader(conn)
	for _, thing := range things {
		switch thing := thing.(type) {
		case string:
			io.WriteString(conn, thing)
		case int:
			for range thing {
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						t.Fatal(err)
					}
					if line[3] == ' ' {
						break
					}
				}
			}
		}
	}
	conn.Close()
}

// The server notices what a client may not do.
func TestSMTPViolations(t *testing.T) {
	const begin, rcpt = "MAIL FROM:<bob@example.test>", "RCPT TO:<alice@example.test>\r\n"
	for _, c := range []struct {
		name   string
		mend   func(*SMTP)
		things []any
		want   string // in the first violation; none if empty
	}{
		{"none", nil, []any{1, "EHLO x\r\n", 1, begin + " SIZE=3\r\n", 1, rcpt, 1, "DATA\r\n", 1, "..\r\n.\r\n", 1, "QUIT\r\n", 1}, ""},
		{"none, in groups and chunks", func(s *SMTP) { s.Pipelining, s.Chunking = true, true },
			[]any{1, "EHLO x\r\n", 1, begin + "\r\n" + rcpt + "BDAT 3\r\na\r\nBDAT 0 LAST\r\n", 4, "QUIT\r\n", 1}, ""},
		{"before the answer", nil, []any{1, begin + "\r\n" + rcpt, 2}, "before MAIL was answered"},
		{"behind DATA", func(s *SMTP) { s.Pipelining = true }, []any{1, begin + "\r\n" + rcpt + "DATA\r\nx\r\n.\r\n", 4}, "before DATA was answered"},
		{"behind the dot", func(s *SMTP) { s.Pipelining = true }, []any{1, begin + "\r\n" + rcpt + "DATA\r\n", 3, "x\r\n.\r\nMAIL FROM:<x@y>\r\n", 2}, "before . was answered"},
		{"a command ends in LF", nil, []any{1, "NOOP\n", 1}, `a command is "NOOP\n"`},
		{"a command holds CR", nil, []any{1, "NOOP\rNOOP\r\n", 1}, "a command is"},
		{"a message holds LF", nil, []any{1, begin + "\r\n", 1, rcpt, 1, "DATA\r\n", 1, "x\ny\r\n.\r\n", 1}, "a line ends in"},
		{"a message holds CR", nil, []any{1, begin + "\r\n", 1, rcpt, 1, "DATA\r\n", 1, "x\ry\r\n.\r\n", 1}, "a line ends in"},
		{"a dot alone", nil, []any{1, begin + "\r\n", 1, rcpt, 1, "DATA\r\n", 1, ".x\r\n.\r\n", 1}, "a dot is not doubled"},
		{"a parameter", nil, []any{1, begin + " RET=FULL\r\n", 1}, `parameter "RET=FULL"`},
		{"another size", nil, []any{1, begin + " SIZE=4\r\n", 1, rcpt, 1, "DATA\r\n", 1, "x\r\n.\r\n", 1}, "3 octets, and MAIL said 4"},
		{"8-bit", nil, []any{1, begin + "\r\n", 1, rcpt, 1, "DATA\r\n", 1, "\r\n\xff\r\n.\r\n", 1}, "octets above 127"},
		{"a header in UTF-8", nil, []any{1, begin + " BODY=8BITMIME\r\n", 1, rcpt, 1, "DATA\r\n", 1, "a: ü\r\n.\r\n", 1}, "a header in UTF-8"},
		{"an address in UTF-8", nil, []any{1, begin + "\r\n", 1, "RCPT TO:<büro@example.test>\r\n", 1}, `"büro@example.test" without SMTPUTF8`},
		{"chunks that are not announced", nil, []any{1, begin + "\r\n", 1, rcpt, 1, "BDAT 1\r\nx"}, `BDAT "1"`},
		{"no command", nil, []any{1, "HELP\r\n", 1}, `unknown command "HELP"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSMTP()
			s.OpenMail = true
			if c.mend != nil {
				c.mend(s)
			}
			done := make(chan struct{})
			t.Run("talk", func(t *testing.T) { // at its end the server has ended
				talk(t, s, c.things...)
				close(done)
			})
			<-done
			got := s.Violations()
			if c.want == "" && got != nil || c.want != "" && (len(got) == 0 || !strings.Contains(got[0], c.want)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
