package smtp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

const ehlo = "250-mail.example.test\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 AUTH PLAIN"

// greeted is a conversation up to the first command of the client's own.
func greeted(s *mailtest.Scripted) error {
	if err := mailtest.Say("220 ready\r\n")(s); err != nil {
		return err
	}
	return mailtest.Converse("EHLO localhost", ehlo)(s)
}

var (
	envelope = smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test", "carol@example.test"}}
	say      = mailtest.Say
	hear     = mailtest.Hear
	converse = mailtest.Converse
)

const (
	mailFrom = "MAIL FROM:<bob@example.test> SIZE=25"
	rcptOne  = "RCPT TO:<alice@example.test>"
	rcptTwo  = "RCPT TO:<carol@example.test>"
	text     = "Subject: hello\r\n\r\nhello\r\n"

	mailOfUnknown = "MAIL FROM:<bob@example.test> BODY=8BITMIME" // when nothing is known of the message
)

func script(t *testing.T, o *smtp.Options, steps ...mailtest.Step) *smtp.Client {
	t.Helper()
	if o == nil {
		o = &smtp.Options{Timeout: 10 * time.Second, FinalTimeout: 10 * time.Second}
	}
	return smtp.New(mailtest.Connect(t, mailtest.Script(t, steps...), nil), o)
}

func send(c *smtp.Client, ctx context.Context) error {
	_, err := c.Send(ctx, envelope, strings.NewReader(text))
	return err
}

func logIn(c *smtp.Client, ctx context.Context, user, password string) error {
	_, err := c.Auth(ctx, sasl.Credentials{User: user, Password: password}, "")
	return err
}

func data(s *mailtest.Scripted) error {
	if err := converse(mailFrom, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK", "DATA", "354 go ahead")(s); err != nil {
		return err
	}
	return hearAll(text + ".")(s)
}

// hearAll hears these lines, and answers nothing.
func hearAll(lines string) mailtest.Step {
	return func(s *mailtest.Scripted) error {
		for line := range strings.SplitSeq(lines, "\r\n") {
			if err := hear(line)(s); err != nil {
				return err
			}
		}
		return nil
	}
}

// The fate of a message is unknown if, and only if, the connection fails between the final dot and its answer.
func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		name    string
		steps   []mailtest.Step
		unknown bool
		want    error
	}{
		{"cut before the final answer", []mailtest.Step{greeted, data}, true, io.ErrUnexpectedEOF},
		{"cut within it", []mailtest.Step{greeted, data, say("25")}, true, io.ErrUnexpectedEOF},
		{"cut within its lines", []mailtest.Step{greeted, data, say("250-2.0.0\r\n")}, true, io.ErrUnexpectedEOF},
		{"nonsense for it", []mailtest.Step{greeted, data, say("what was that?\r\n")}, true, nil},
		{"an intermediate reply for it", []mailtest.Step{greeted, data, say("354 go on\r\n")}, true, nil},
		{"endless", []mailtest.Step{greeted, data, mailtest.Repeat("250-more\r\n")}, true, smtp.ErrTooLong},
		{"cut before DATA is answered", []mailtest.Step{greeted, converse(mailFrom, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK"), hear("DATA")},
			false, io.ErrUnexpectedEOF},
		{"cut at MAIL", []mailtest.Step{greeted, hear(mailFrom)}, false, io.ErrUnexpectedEOF},
		{"cut at RCPT", []mailtest.Step{greeted, converse(mailFrom, "250 OK", rcptOne, "250 OK"), hear(rcptTwo)}, false, io.ErrUnexpectedEOF},
		{"cut at the greeting", []mailtest.Step{}, false, io.ErrUnexpectedEOF},
		{"cut at EHLO", []mailtest.Step{say("220 hi\r\n"), hear("EHLO localhost")}, false, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := script(t, nil, c.steps...)
			err := send(client, t.Context())
			if errors.Is(err, smtp.ErrUnknown) != c.unknown || err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// Refusals at every stage: typed, with their code; what comes after them.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []mailtest.Step
		want  smtp.Error
		alive bool
	}{
		{"greeting", []mailtest.Step{say("554 5.7.1 go away\r\n")}, smtp.Error{Code: 554, Enhanced: "5.7.1", Text: "go away"}, false},
		{"EHLO", []mailtest.Step{say("220 hi\r\n"), converse("EHLO localhost", "421 4.3.2 shutting down")},
			smtp.Error{Code: 421, Enhanced: "4.3.2", Text: "shutting down", Command: "EHLO"}, false},
		{"MAIL", []mailtest.Step{greeted, converse(mailFrom, "550-5.7.1 not\r\n550 5.7.1 you")},
			smtp.Error{Code: 550, Enhanced: "5.7.1", Text: "not you", Command: "MAIL"}, true},
		{"DATA", []mailtest.Step{greeted, converse(mailFrom, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK", "DATA", "451 later", "RSET", "250 OK")}, smtp.Error{Code: 451, Text: "later", Command: "DATA"}, true},
		{"message", []mailtest.Step{greeted, data, say("552 5.2.2 mailbox \x1b[1mfull\xff\r\n")},
			smtp.Error{Code: 552, Enhanced: "5.2.2", Text: "mailbox  [1mfull\uFFFD", Command: "."}, true},
		{"the server leaves at RCPT", []mailtest.Step{greeted, converse(mailFrom, "250 OK", rcptOne, "421 4.3.2 bye")},
			smtp.Error{Code: 421, Enhanced: "4.3.2", Text: "bye", Command: "RCPT"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.alive {
				c.steps = append(c.steps, converse("NOOP", "250 OK"))
			}
			client := script(t, nil, c.steps...)
			err := send(client, t.Context())
			var refused *smtp.Error
			if !errors.As(err, &refused) {
				t.Fatalf("%v", err)
			}
			c.want.Text = strings.ReplaceAll(c.want.Text, "  ", " ")
			if refused.Text = strings.ReplaceAll(refused.Text, "  ", " "); *refused != c.want {
				t.Errorf("%#v, want %#v", *refused, c.want)
			}
			err = client.Noop(t.Context())
			if c.alive && err != nil || !c.alive && !errors.Is(err, smtp.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// A 2yz that is not 250 accepts too.
func TestOtherAcceptance(t *testing.T) {
	client := script(t, nil, greeted, data, say("251 2.0.0 queued\r\n"), converse("NOOP", "250 OK"))
	receipt, err := client.Send(t.Context(), envelope, strings.NewReader(text))
	if err != nil || !strings.Contains(receipt.Text, "queued") {
		t.Errorf("%+v, %v", receipt, err)
	}
	if err := client.Noop(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is not SMTP, and what is too much of it.
func TestNonsense(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []mailtest.Step
		want  error
	}{
		{"another protocol", []mailtest.Step{say("HTTP/1.1 400 Bad Request\r\n")}, smtp.ErrProtocol},
		{"POP3", []mailtest.Step{say("+OK ready\r\n")}, smtp.ErrProtocol},
		{"endless line", []mailtest.Step{mailtest.Repeat("220 ")}, smtp.ErrTooLong},
		{"endless greeting", []mailtest.Step{mailtest.Repeat("220-hello\r\n")}, smtp.ErrTooLong},
		{"greeting of another code", []mailtest.Step{say("250 hello\r\n")}, smtp.ErrProtocol},
		{"answers before it is asked", []mailtest.Step{say("220 hi\r\n250 you are\r\n")}, smtp.ErrProtocol},
		{"endless EHLO", []mailtest.Step{say("220 hi\r\n"), hear("EHLO localhost"), mailtest.Repeat("250-X\r\n")}, smtp.ErrTooLong},
		{"RCPT answered by 354", []mailtest.Step{greeted, converse(mailFrom, "250 OK", rcptOne, "354 go ahead")}, smtp.ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := script(t, nil, c.steps...)
			if err := send(client, t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// A server that stalls anywhere costs the timeout; a context stops it sooner.
func TestStall(t *testing.T) {
	for _, c := range []struct {
		name    string
		steps   []mailtest.Step
		unknown bool
	}{
		{"greeting", nil, false},
		{"EHLO", []mailtest.Step{say("220 hi\r\n"), hear("EHLO localhost")}, false},
		{"MAIL", []mailtest.Step{greeted, hear(mailFrom)}, false},
		{"RCPT", []mailtest.Step{greeted, converse(mailFrom, "250 OK"), hear(rcptOne)}, false},
		{"DATA", []mailtest.Step{greeted, converse(mailFrom, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK"), hear("DATA")}, false},
		{"final dot", []mailtest.Step{greeted, data}, true},
	} {
		c.steps = append(c.steps, mailtest.HearClose())
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			short := 500 * time.Millisecond // and yet all that comes before the stall must fit, on a busy machine too
			client := script(t, &smtp.Options{Timeout: short, FinalTimeout: short}, c.steps...)
			if err := send(client, t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, smtp.ErrUnknown) != c.unknown {
				t.Errorf("timeout: %v", err)
			}
			client = script(t, nil, c.steps...)
			ctx, cancel := context.WithTimeout(t.Context(), short)
			defer cancel()
			if err := send(client, ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, smtp.ErrUnknown) != c.unknown {
				t.Errorf("context: %v", err)
			}
		})
	}
}

// A server that takes no more of a message stalls as well.
func TestStallWhileSending(t *testing.T) {
	client := script(t, &smtp.Options{BlockTimeout: 50 * time.Millisecond}, greeted,
		converse(mailOfUnknown, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK", "DATA", "354 go ahead"),
		func(*mailtest.Scripted) error { <-t.Context().Done(); return nil })
	_, err := client.Send(t.Context(), envelope, endless{})
	if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, smtp.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "a line of a message without end\n"[i%32]
	}
	return len(p), nil
}

// A message that cannot be read to its end is not sent: there is no final dot.
func TestReaderFails(t *testing.T) {
	broken := errors.New("broken store")
	client := script(t, nil, greeted,
		converse(mailOfUnknown, "250 OK", rcptOne, "250 OK", rcptTwo, "250 OK", "DATA", "354 go ahead"), mailtest.HearClose())
	_, err := client.Send(t.Context(), envelope, io.MultiReader(strings.NewReader(""), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, smtp.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
		t.Errorf("NOOP after it: %v", err)
	}
}

// Nothing of what was said in plain text survives STARTTLS, and a stripped one is an error.
func TestSTARTTLS(t *testing.T) {
	config := &tls.Config{ServerName: "localhost"}
	t.Run("injected", func(t *testing.T) {
		client := script(t, nil, greeted, hear("STARTTLS"), say("220 go\r\n250 injected\r\n"), mailtest.HearClose())
		if err := client.StartTLS(t.Context(), config); !errors.Is(err, smtp.ErrProtocol) {
			t.Error(err)
		}
	})
	t.Run("stripped", func(t *testing.T) {
		client := script(t, nil, say("220 ready\r\n"), converse("EHLO localhost", "250-mail\r\n250 AUTH PLAIN"), mailtest.HearClose())
		if err := client.StartTLS(t.Context(), config); !errors.Is(err, smtp.ErrUnsupported) {
			t.Error(err)
		}
		if err := logIn(client, t.Context(), "bob", "secret"); !errors.Is(err, smtp.ErrPlaintext) {
			t.Error(err)
		}
		client.Close()
	})
	t.Run("refused", func(t *testing.T) {
		client := script(t, nil, greeted, converse("STARTTLS", "454 4.7.0 not now"), converse("NOOP", "250 OK"))
		var refused *smtp.Error
		if err := client.StartTLS(t.Context(), config); !errors.As(err, &refused) ||
			*refused != (smtp.Error{Code: 454, Enhanced: "4.7.0", Text: "not now", Command: "STARTTLS"}) || !refused.Temporary() {
			t.Errorf("%#v", err)
		}
		if err := client.Noop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		client := script(t, nil, greeted, converse("STARTTLS", "250 sure"), mailtest.HearClose())
		if err := client.StartTLS(t.Context(), config); !errors.Is(err, smtp.ErrProtocol) {
			t.Error(err)
		}
	})
	t.Run("certificate", func(t *testing.T) {
		server := mailtest.NewSMTP()
		server.TLS = &tls.Config{Certificates: []tls.Certificate{mailtest.SelfSigned(t)}}
		client := smtp.New(mailtest.Connect(t, server, nil), nil)
		var refused *tls.CertificateVerificationError
		if err := client.StartTLS(t.Context(), config); !errors.As(err, &refused) {
			t.Error(err)
		}
		if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
			t.Error(err)
		}
	})
}

// Addresses and names that could end a command, or an address, are refused before anything is sent.
func TestArguments(t *testing.T) {
	client := script(t, nil, mailtest.HearClose())
	for _, bad := range []string{"", "bob", "@example.test", "bob@", "bob@example.test>\r\nRCPT TO:<x@y.test", "bob@example.test> SIZE=1", "<bob@example.test",
		"bob @example.test", "bob@exa mple.test", "bob\x00@example.test", "bob\u0085@example.test", "a@b@c", "bob@example.test\n", "b\xff@example.test",
		"x@y," + "z@y", strings.Repeat("a", 250) + "@b.cd"} {
		if _, err := client.Send(t.Context(), smtp.Envelope{From: "bob@example.test", To: []string{bad}}, nil); !errors.Is(err, smtp.ErrArgument) {
			t.Errorf("to %q: %v", bad, err)
		}
		if bad == "" {
			continue // the null reverse-path
		}
		if _, err := client.Send(t.Context(), smtp.Envelope{From: bad, To: []string{"bob@example.test"}}, nil); !errors.Is(err, smtp.ErrArgument) {
			t.Errorf("from %q: %v", bad, err)
		}
	}
	if _, err := client.Send(t.Context(), smtp.Envelope{From: "bob@example.test"}, nil); !errors.Is(err, smtp.ErrArgument) {
		t.Errorf("to nobody: %v", err)
	}
	if err := logIn(client, t.Context(), "bob\x00alice", "x"); !errors.Is(err, smtp.ErrArgument) {
		t.Errorf("%v", err)
	}
	client.Close()
	client = script(t, &smtp.Options{LocalName: "me\r\nMAIL FROM:<x@y.test>"}, say("220 hi\r\n"), mailtest.HearClose())
	if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrArgument) {
		t.Errorf("local name: %v", err)
	}
	client.Close()
}

// New and a context that had ended before do no I/O.
func TestNoIO(t *testing.T) {
	client := script(t, nil, mailtest.HearClose())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Noop(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	client.Close()
}

// A server that asks for the password again and again is not told it for ever.
func TestAuthLoop(t *testing.T) {
	client := script(t, &smtp.Options{AllowPlaintextAuth: true, Timeout: 10 * time.Second},
		say("220 ready\r\n"), converse("EHLO localhost", "250-mail\r\n250 AUTH LOGIN"),
		func(s *mailtest.Scripted) error {
			for range 100 {
				if mailtest.HearLine()(s) != nil {
					return nil
				}
				say("334 UGFzc3dvcmQ6\r\n")(s)
			}
			return errors.New("it was told 100 times")
		})
	if err := logIn(client, t.Context(), "bob", "secret"); !errors.Is(err, smtp.ErrProtocol) {
		t.Error(err)
	}
}

// Passwords are in no trace, whichever step of whichever mechanism carries them.
func TestTraceSecrets(t *testing.T) {
	for _, noPlain := range []bool{false, true} {
		server := mailtest.NewSMTP()
		server.NoPlain = noPlain
		var trace bytes.Buffer
		client := smtp.New(mailtest.Connect(t, server, nil), &smtp.Options{AllowPlaintextAuth: true,
			Trace: func(e smtp.Exchange) { trace.WriteString(e.Line + "\n") }})
		if err := logIn(client, t.Context(), "bob", "bob-pw"); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"bob-pw", "Ym9iLXB3", "AGJvYgBib2ItcHc="} {
			if strings.Contains(trace.String(), secret) {
				t.Errorf("%q in\n%s", secret, trace.String())
			}
		}
	}
}
