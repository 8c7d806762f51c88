package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// mode is a road that a message takes.
type mode struct {
	name                 string
	pipelining, chunking bool
}

var modes = []mode{{"lock-step", false, false}, {"pipelined", true, false}, {"chunks", false, true}, {"pipelined chunks", true, true}}

func (m mode) server() *mailtest.SMTP {
	s := mailtest.NewSMTP()
	s.Pipelining, s.Chunking = m.pipelining, m.chunking
	return s
}

// content has a line that goes by chunks where there are any.
var content = "Subject: stages\r\n\r\n" + strings.Repeat("x", 1200) + "\r\n"

// whole is a session with all that one can have. It returns what Send said, and the first error.
func whole(ctx context.Context, c *smtp.Client) (sent *smtp.Receipt, sendErr, err error) {
	if _, err = c.Auth(ctx, sasl.Credentials{User: "bob", Password: "bob-pw"}, "LOGIN"); err != nil {
		return nil, nil, err
	}
	sent, sendErr = c.Send(ctx, smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test", "nobody@example.test"}}, strings.NewReader(content))
	if sendErr != nil {
		return nil, sendErr, sendErr
	}
	if err = c.Noop(ctx); err == nil {
		err = c.Quit(ctx)
	}
	return sent, nil, err
}

// typed reports whether err is one that callers can tell apart.
func typed(err error) bool {
	var refused *smtp.Error
	var all *smtp.RecipientsError
	for _, known := range []error{smtp.ErrProtocol, smtp.ErrTooLong, smtp.ErrState, smtp.ErrUnknown, smtp.ErrUnsupported, smtp.ErrPlaintext,
		io.ErrUnexpectedEOF, io.ErrClosedPipe, os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &refused) || errors.As(err, &all)
}

// nonsense is what a server may say in place of a reply.
var nonsense = map[string]mailtest.SMTPFault{
	"cut":                      {Cut: true},
	"cut in a code":            {Reply: "25", Cut: true},
	"cut in a line":            {Reply: "250 o", Cut: true},
	"cut in a line end":        {Reply: "250 ok\r", Cut: true},
	"cut in a reply":           {Reply: "250-o\r\n250-k\r\n", Cut: true},
	"stall":                    {Stall: true},
	"stall in a line":          {Reply: "250 o", Stall: true},
	"flood of lines":           {Reply: strings.Repeat("250-more\r\n", 100_000)},
	"flood of empty lines":     {Reply: strings.Repeat("\r\n", 100_000)},
	"flood of replies":         {Reply: strings.Repeat("250 ok\r\n", 100_000)},
	"flood without lines":      {Reply: strings.Repeat("250-", 1_000_000)},
	"two replies":              {Reply: "250 ok\r\n250 ok\r\n"},
	"NUL":                      {Reply: "2\x0050 ok\r\n"},
	"NUL in the text":          {Reply: "550 o\x00k\r\n"},
	"bare CR":                  {Reply: "250 ok\r250 ok\r\n"},
	"bare CR, refused":         {Reply: "550 no\r250 yes\r\n"},
	"bare LF":                  {Reply: "550-no\n550 no\n"},
	"8-bit":                    {Reply: "\xff\xfe\x80\x00\r\n"},
	"8-bit text":               {Reply: "550 \xff\xfe\x80\xc3\r\n"},
	"no code":                  {Reply: "ok\r\n"},
	"empty line":               {Reply: "\r\n"},
	"negative":                 {Reply: "-250 ok\r\n"},
	"huge":                     {Reply: "25000000000000000000000 ok\r\n"},
	"too small":                {Reply: "100 ok\r\n"},
	"too large":                {Reply: "999 ok\r\n"},
	"zero":                     {Reply: "000 ok\r\n"},
	"two codes":                {Reply: "250-ok\r\n550 no\r\n"},
	"two codes, of one class":  {Reply: "550-ok\r\n551 no\r\n"},
	"another protocol":         {Reply: "+OK\r\n"},
	"a reply for later":        {Reply: "354 go\r\n"},
	"a challenge":              {Reply: "334 \r\n"},
	"refused for now":          {Reply: "451 4.3.0 later\r\n"},
	"refused":                  {Reply: "550 5.7.1 no\r\n"},
	"refused, no words":        {Reply: "550\r\n"},
	"refused, odd status":      {Reply: "550 5.999999999999.-1 no\r\n"},
	"refused, another's class": {Reply: "550 4.7.1 no\r\n"},
	"going away":               {Reply: "421 4.3.2 bye\r\n", Cut: true},
	"going away, slowly":       {Reply: "421 4.3.2 bye\r\n"},
}

// At every stage, whatever a server does: the error is one that can be told apart; a message that was not accepted is not
// said to be sent; one that may have been is of unknown fate, and no other is; and nothing is left running.
func TestEveryStage(t *testing.T) {
	for _, m := range modes {
		stages := []string{"", "EHLO", "AUTH", "334", "MAIL", "RCPT", "NOOP", "QUIT"}
		last := "."
		if m.chunking {
			stages, last = append(stages, "BDAT"), "BDAT LAST"
		} else {
			stages = append(stages, "DATA")
		}
		for _, stage := range append(stages, last) {
			for name, fault := range nonsense {
				t.Run(fmt.Sprintf("%s/%s/%s", m.name, stage, name), func(t *testing.T) {
					t.Parallel()
					server := m.server()
					said := false
					server.Fault = func(at string) *mailtest.SMTPFault {
						if at != stage || said {
							return nil
						}
						said = true
						return &fault
					}
					short := 10 * time.Second
					if fault.Stall {
						short = 100 * time.Millisecond
					}
					client := smtp.New(mailtest.Connect(t, server, nil), &smtp.Options{AllowPlaintextAuth: true, Timeout: short, FinalTimeout: short, BlockTimeout: short})
					defer client.Close()
					_, sendErr, err := whole(t.Context(), client)
					if err != nil && !typed(err) {
						t.Errorf("no error that can be told: %v", err)
					}
					var refused *smtp.Error
					if unknown := stage == last && sendErr != nil && !errors.As(sendErr, &refused); errors.Is(err, smtp.ErrUnknown) != unknown {
						t.Errorf("unknown %v: %v", !unknown, err)
					}
					if sendErr != nil && len(server.Received()) > 0 {
						t.Errorf("it has the message: %v", sendErr)
					}
					if err == nil && strings.Contains("cut stall flood", strings.Fields(name)[0]) {
						t.Error("no error")
					}
				})
			}
		}
	}
}

// watched counts the octets that were heard, and notes how many there were when the client said the last word of a
// message, and when it was answered.
type watched struct {
	net.Conn
	heard, atLast, atAnswer int64
	last                    bool
}

func (w *watched) Write(p []byte) (int, error) {
	if w.last && w.atAnswer == 0 {
		w.atAnswer = w.heard
	}
	if w.last = w.last || string(p) == ".\r\n" || strings.Contains(string(p), " LAST\r\n"); w.last && w.atLast == 0 {
		w.atLast = w.heard
	}
	return w.Conn.Write(p)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.heard += int64(n)
	return n, err
}

// Cut at every octet that the server says, a message is of unknown fate between its last word and the last octet of the
// answer, exactly then. A server that is split at every octet is understood.
func TestEveryOctet(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			run := func(f *mailtest.Faults) (*watched, *mailtest.SMTP, error, error) {
				server := m.server()
				conn := &watched{Conn: mailtest.Connect(t, server, f)}
				client := smtp.New(conn, &smtp.Options{AllowPlaintextAuth: true})
				defer client.Close()
				_, sendErr, err := whole(t.Context(), client)
				return conn, server, sendErr, err
			}
			clean, _, _, err := run(nil)
			if err != nil || clean.atLast == 0 || clean.atAnswer == 0 {
				t.Fatalf("%+v, %v", clean, err)
			}
			for at := int64(1); at < clean.heard; at++ {
				_, server, sendErr, err := run(&mailtest.Faults{CutAfter: at})
				if err == nil || !typed(err) {
					t.Errorf("cut after %d of %d: %v", at, clean.heard, err)
				}
				if want := at >= clean.atLast && at < clean.atAnswer; errors.Is(err, smtp.ErrUnknown) != want {
					t.Errorf("cut after %d, the last word at %d, its answer at %d: %v", at, clean.atLast, clean.atAnswer, err)
				}
				if sendErr != nil && !errors.Is(sendErr, smtp.ErrUnknown) && len(server.Received()) > 0 {
					t.Errorf("cut after %d: it has the message: %v", at, sendErr)
				}
				if _, server, _, err := run(&mailtest.Faults{SplitAt: []int64{at}}); err != nil || len(server.Received()) != 1 {
					t.Errorf("split after %d: %v", at, err)
				}
			}
		})
	}
}

// What a server says costs no more memory than Options say: 100 MB of a line, or of lines, cost less than 4 MiB, the buffers
// of the connection and of the server in memory among them, at every stage.
func TestBoundedMemory(t *testing.T) {
	for _, stage := range []string{"", "EHLO", "AUTH", "334", "MAIL", "RCPT", "DATA", "BDAT", ".", "NOOP"} {
		for _, text := range []string{"2", "250-more\r\n", "250 ok\r\n"} {
			server := mailtest.NewSMTP()
			server.Pipelining, server.Chunking = true, stage == "BDAT"
			block := strings.Repeat(text, 64<<10/len(text))
			var stop error
			conn := mailtest.Connect(t, mailtest.ServerFunc(func(c net.Conn) {
				server.Fault = func(at string) *mailtest.SMTPFault {
					if at != stage {
						return nil
					}
					for range 100 << 20 / len(block) {
						if _, stop = io.WriteString(c, block); stop != nil {
							break
						}
					}
					return &mailtest.SMTPFault{Cut: true}
				}
				server.ServeConn(c)
			}), nil)
			client := smtp.New(conn, &smtp.Options{AllowPlaintextAuth: true})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := whole(t.Context(), client)
			runtime.ReadMemStats(&after)
			client.Close()
			if !typed(err) {
				t.Errorf("%s: %v", stage, err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%s, %.10q: %d KiB were allocated", stage, text, n>>10)
			}
		}
	}
}

// brittle fails the write of one thing, of which the other side may have seen all or nothing.
type brittle struct {
	net.Conn
	at string
}

var errBrittle = errors.New("it broke")

func (b *brittle) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), b.at) || strings.HasSuffix(string(p), b.at) {
		b.Conn.Write(p)
		return 0, errBrittle
	}
	return b.Conn.Write(p)
}

// A write that fails has perhaps reached the server: that of a message's last word leaves its fate unknown, and no other.
func TestBrokenWrite(t *testing.T) {
	for _, m := range modes {
		last := ".\r\n"
		if m.chunking {
			last = "BDAT 2 LAST\r\n\r\n"
		}
		for at, unknown := range map[string]bool{last: true, "Subject: stages": false, "RCPT": false, "MAIL": false, "BDAT 1": false, "DATA\r\n": false} {
			if m.chunking != strings.HasPrefix(at, "BDAT") && (at == "DATA\r\n" || strings.HasPrefix(at, "BDAT")) || m.pipelining && at == "RCPT" {
				continue
			}
			client := smtp.New(&brittle{mailtest.Connect(t, m.server(), nil), at}, &smtp.Options{AllowPlaintextAuth: true})
			_, sendErr, _ := whole(t.Context(), client)
			if !errors.Is(sendErr, errBrittle) || errors.Is(sendErr, smtp.ErrUnknown) != unknown {
				t.Errorf("%s, %q: %v", m.name, at, sendErr)
			}
			client.Close()
		}
	}
}
