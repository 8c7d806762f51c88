package smtp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

const (
	grouped = "250-mail\r\n250-PIPELINING\r\n250 CHUNKING"
	group   = "MAIL FROM:<bob@example.test>\r\n" + rcptOne + "\r\n" + rcptTwo + "\r\nDATA"
)

// inGroups is a conversation with a server of PIPELINING and CHUNKING, to the end of its hello.
func inGroups(s *mailtest.Scripted) error {
	if err := say("220 ready\r\n")(s); err != nil {
		return err
	}
	return converse("EHLO localhost", grouped)(s)
}

// What comes of a group depends on all of its replies: RFC 2920 section 3.1.
func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []mailtest.Step
		want  string
		alive bool
	}{
		{"all refused, and DATA", []mailtest.Step{say("250 ok\r\n550 no\r\n451 later\r\n503 nobody\r\n"), converse("RSET", "250 ok")},
			"smtp: all 2 recipients refused: alice@example.test: smtp: RCPT refused: 550 no", true},
		{"all refused, and yet 354: an empty message ends it", []mailtest.Step{say("250 ok\r\n550 no\r\n550 no\r\n354 go\r\n"), converse(".", "554 nobody")},
			"smtp: all 2 recipients refused: alice@example.test: smtp: RCPT refused: 550 no", true},
		{"the sender refused, and with it all", []mailtest.Step{say("550 5.7.1 not you\r\n503 x\r\n503 x\r\n503 x\r\n")}, "smtp: MAIL refused: 550 5.7.1 not you", true},
		{"the sender refused, recipients taken", []mailtest.Step{say("550 not you\r\n250 ok\r\n250 ok\r\n503 x\r\n"), converse("RSET", "250 ok")}, "smtp: MAIL refused: 550 not you", true},
		{"the sender refused, and yet 354: only hanging up is safe", []mailtest.Step{say("550 not you\r\n250 ok\r\n250 ok\r\n354 go\r\n"), mailtest.HearClose()},
			"smtp: MAIL refused: 550 not you", false},
		{"DATA refused", []mailtest.Step{say("250 ok\r\n250 ok\r\n550 no\r\n451 later\r\n"), converse("RSET", "250 ok")}, "smtp: DATA refused: 451 later", true},
		{"going away within", []mailtest.Step{say("250 ok\r\n250 ok\r\n421 bye\r\n"), mailtest.HearClose()}, "smtp: RCPT refused: 421 bye", false},
		{"a reply too many", []mailtest.Step{say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"), mailtest.HearClose()},
			"smtp: the server does not speak SMTP: it spoke before it was asked", false},
		{"replies in another order", []mailtest.Step{say("250 ok\r\n354 go\r\n250 ok\r\n250 ok\r\n"), mailtest.HearClose()}, `smtp: the server does not speak SMTP: "354 go" is no reply to RCPT`, false},
		{"cut within", []mailtest.Step{say("250 ok\r\n250 ok\r\n")}, "smtp: MAIL: unexpected EOF", false},
		{"RSET is refused", []mailtest.Step{say("250 ok\r\n550 no\r\n550 no\r\n503 nobody\r\n"), converse("RSET", "421 bye"), mailtest.HearClose()},
			"smtp: all 2 recipients refused: alice@example.test: smtp: RCPT refused: 550 no", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := append([]mailtest.Step{inGroups, hearAll(group)}, c.steps...)
			if c.alive {
				steps = append(steps, converse("NOOP", "250 ok"))
			}
			client := script(t, nil, steps...)
			err := send(client, t.Context())
			if err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			if err := client.Noop(t.Context()); (err == nil) != c.alive || err != nil && !errors.Is(err, smtp.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// long goes by chunks, and has five of them.
var long = "Subject: long\r\n\r\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\r\n", 18_000)

// A chunk that is refused ends the message there, and nothing is delivered; the session goes on.
func TestChunkRefused(t *testing.T) {
	for _, pipelining := range []bool{false, true} {
		for _, at := range []int{1, 3, 5} {
			chunk := 0
			server := open(func(s *mailtest.SMTP) { s.Pipelining, s.Chunking = pipelining, true })
			server.Fault = func(stage string) *mailtest.SMTPFault {
				if stage != "BDAT" {
					return nil
				}
				if chunk++; chunk == at {
					return &mailtest.SMTPFault{Reply: "552 5.2.3 too large for you\r\n"}
				} else if chunk > at {
					return &mailtest.SMTPFault{Reply: "503 5.5.1 no message\r\n"}
				}
				return nil
			}
			client, _ := connect(t, server, nil)
			_, err := client.Send(t.Context(), smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}}, strings.NewReader(long))
			var refused *smtp.Error
			if !errors.As(err, &refused) || refused.Code != 552 || refused.Command != "BDAT" || len(server.Received()) > 0 {
				t.Errorf("chunk %d: %v", at, err)
			}
			server.Fault = nil
			_, err = client.Send(t.Context(), smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}}, strings.NewReader(long))
			if got := server.Received(); err != nil || len(got) != 1 || string(got[0].Content) != long {
				t.Errorf("chunk %d, the next message: %v", at, err)
			}
		}
	}
}

// A message that cannot be read to its end has no last chunk.
func TestChunkReaderFails(t *testing.T) {
	server := open(func(s *mailtest.SMTP) { s.Pipelining, s.Chunking = true, true })
	client, _ := connect(t, server, nil)
	broken := errors.New("broken store")
	e := smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}, Size: int64(len(long))}
	_, err := client.Send(t.Context(), e, io.MultiReader(strings.NewReader(long[:600_000]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, smtp.ErrUnknown) || len(server.Received()) > 0 {
		t.Errorf("%v", err)
	}
}

// A server that hangs up in the middle of a message may have said why.
func TestLastWords(t *testing.T) {
	client := script(t, &smtp.Options{BlockTimeout: 5 * time.Second}, greeted,
		converse(mailOfUnknown, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK", "DATA", "354 go ahead"), hear("a line of a message without end"),
		say("552 5.2.2 the mailbox is full\r\n"))
	_, err := client.Send(t.Context(), envelope, endless{})
	var refused *smtp.Error
	if !errors.As(err, &refused) || refused.Code != 552 || errors.Is(err, smtp.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
		t.Errorf("NOOP after it: %v", err)
	}
}

// The trace has every line under its stage, a reply under its command's.
func TestTraceStages(t *testing.T) {
	var got []string
	server := mailtest.NewSMTP()
	server.Pipelining, server.Chunking, server.Mechanisms = true, true, []string{"LOGIN"}
	client := smtp.New(mailtest.Connect(t, server, nil), &smtp.Options{AllowPlaintextAuth: true, Trace: func(e smtp.Exchange) {
		line, _, _ := strings.Cut(e.Line, "FROM:")
		if !e.Sent {
			line = e.Line[:3]
		}
		if n := len(got); n == 0 || got[n-1] != e.Stage+" "+line { // lines of one reply
			got = append(got, e.Stage+" "+line)
		}
	}})
	if _, _, err := whole(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	want := []string{"HELLO 220", "HELLO EHLO localhost", "HELLO 250", "AUTH AUTH LOGIN", "AUTH 334", "AUTH ****", "AUTH 334", "AUTH ****", "AUTH 235",
		"MAIL MAIL ", "RCPT RCPT TO:<alice@example.test>", "RCPT RCPT TO:<nobody@example.test>", "MAIL 250", "RCPT 250", "RCPT 550",
		"DATA BDAT 1219", "DATA ... 1219 octets", "DATA 250", "DATA BDAT 2 LAST", "DATA 250", "MAIL NOOP", "MAIL 250", "QUIT QUIT", "QUIT 221"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Whatever a server says to STARTTLS, and within the handshake: no way leads on but TLS.
func TestSTARTTLSNonsense(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	config := &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
	certificate := authority.Server()
	for name, fault := range nonsense {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.NewSMTP()
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			server.Fault = func(stage string) *mailtest.SMTPFault {
				if stage != "STARTTLS" {
					return nil
				}
				return &fault
			}
			short := 10 * time.Second
			if fault.Stall {
				short = 100 * time.Millisecond
			}
			client := smtp.New(mailtest.Connect(t, server, nil), &smtp.Options{Timeout: short})
			defer client.Close()
			if err := client.StartTLS(t.Context(), config); err == nil || !typed(err) {
				t.Errorf("%v", err)
			}
			if _, ok := client.TLS(); ok {
				t.Error("it is under TLS")
			}
			if err := logIn(client, t.Context(), "bob", "bob-pw"); !errors.Is(err, smtp.ErrPlaintext) && !errors.Is(err, smtp.ErrState) && !errors.Is(err, smtp.ErrProtocol) {
				t.Errorf("AUTH after it: %v", err)
			}
		})
	}
	for _, c := range []struct {
		name string
		do   func(net.Conn)
		want func(error) bool
	}{
		{"no TLS", func(c net.Conn) { io.WriteString(c, "250 hello there\r\n") }, func(err error) bool { var r tls.RecordHeaderError; return errors.As(err, &r) }},
		{"cut", func(net.Conn) {}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) }},
		{"stall", func(c net.Conn) { io.Copy(io.Discard, c) }, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
		{"flood", func(c net.Conn) { io.Copy(c, endless{}) }, func(err error) bool { var r tls.RecordHeaderError; return errors.As(err, &r) }},
	} {
		t.Run("handshake, "+c.name, func(t *testing.T) {
			conn := mailtest.Connect(t, mailtest.ServerFunc(func(conn net.Conn) {
				p := make([]byte, 4096)
				for _, line := range []string{"220 ready\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go\r\n"} {
					io.WriteString(conn, line)
					if _, err := conn.Read(p); err != nil { // EHLO, STARTTLS, ClientHello
						return
					}
				}
				c.do(conn)
			}), nil)
			client := smtp.New(conn, &smtp.Options{Timeout: 300 * time.Millisecond})
			defer client.Close()
			if err := client.StartTLS(t.Context(), config); !c.want(err) {
				t.Errorf("%v", err)
			}
			if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// A context that ends in the middle of a chunk takes the message back; one that ends while the answer to the last is
// awaited leaves it unknown.
func TestChunkContext(t *testing.T) {
	for stage, unknown := range map[string]bool{"BDAT": false, "BDAT LAST": true} {
		ctx, cancel := context.WithCancel(t.Context())
		server := open(func(s *mailtest.SMTP) { s.Pipelining, s.Chunking = true, true })
		server.Fault = func(at string) *mailtest.SMTPFault {
			if at == stage {
				cancel()
				return &mailtest.SMTPFault{Stall: true}
			}
			return nil
		}
		client, _ := connect(t, server, nil)
		_, err := client.Send(ctx, smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}}, bytes.NewReader([]byte(long)))
		if !errors.Is(err, context.Canceled) || errors.Is(err, smtp.ErrUnknown) != unknown {
			t.Errorf("%s: %v", stage, err)
		}
		cancel()
	}
}

// What a server says in SCRAM would allow passwords to be tried out on a transcript that somebody shows around.
func TestTraceVeilsSCRAM(t *testing.T) {
	server := mailtest.NewSMTP()
	server.Mechanisms = []string{"SCRAM-SHA-256"}
	said := 0
	client := smtp.New(mailtest.Connect(t, server, nil), &smtp.Options{AllowPlaintextAuth: true, Trace: func(e smtp.Exchange) {
		if !e.Sent && strings.HasPrefix(e.Line, "334") {
			said++
			if e.Line != "334 ****" {
				t.Errorf("%q", e.Line)
			}
		}
	}})
	if _, err := client.Auth(t.Context(), sasl.Credentials{User: "bob", Password: "bob-pw"}, ""); err != nil {
		t.Fatal(err)
	}
	if said == 0 {
		t.Error("no challenge was traced")
	}
}
