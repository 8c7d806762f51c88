package smtp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/smtp"
)

// counted is a connection that counts turns: how often its owner listens after it has spoken.
type counted struct {
	net.Conn
	spoke bool
	turns int
}

func (c *counted) Write(p []byte) (int, error) {
	c.spoke = true
	return c.Conn.Write(p)
}

func (c *counted) Read(p []byte) (int, error) {
	if c.spoke {
		c.spoke = false
		c.turns++
	}
	return c.Conn.Read(p)
}

// open is a server that wants no AUTH.
func open(mend func(*mailtest.SMTP)) *mailtest.SMTP {
	s := mailtest.NewSMTP()
	s.OpenMail = true
	mend(s)
	return s
}

func connect(t *testing.T, s *mailtest.SMTP, o *smtp.Options) (*smtp.Client, *counted) {
	t.Helper()
	conn := &counted{Conn: mailtest.Connect(t, s, nil)}
	c := smtp.New(conn, o)
	t.Cleanup(func() {
		c.Close()
		if v := s.Violations(); v != nil {
			t.Errorf("violations: %q", v)
		}
	})
	if err := c.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn.turns = 0
	return c, conn
}

func many(n int) (to []string) {
	for i := range n {
		to = append(to, fmt.Sprintf("user%d@example.test", i))
	}
	return to
}

// Turns are what a far server costs. In lock-step there is one for each command; with PIPELINING the envelope has one (for
// each hundred of its commands), and the message one.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		name                  string
		recipients            int
		size                  int
		pipelining, chunking  bool
		turns, chunks, refuse int
	}{
		{name: "lock-step", recipients: 10, turns: 13},
		{name: "pipelined", recipients: 10, pipelining: true, turns: 2},
		{name: "pipelined, one recipient", recipients: 1, pipelining: true, turns: 2},
		{name: "pipelined, 98", recipients: 98, pipelining: true, turns: 2},
		{name: "pipelined, DATA does not fit", recipients: 99, pipelining: true, turns: 3},
		{name: "pipelined, 250", recipients: 250, pipelining: true, turns: 4},
		{name: "lock-step, chunks", recipients: 2, size: 3 << 20, chunking: true, turns: 3 + 13 + 1, chunks: 14},
		{name: "pipelined, chunks", recipients: 2, size: 3 << 20, pipelining: true, chunking: true, turns: 1 + 10 + 1, chunks: 14},
		{name: "a small message needs no chunks", recipients: 2, size: 1000, pipelining: true, chunking: true, turns: 2},
		{name: "some refused", recipients: 10, refuse: 4, pipelining: true, turns: 2},
		{name: "all refused, pipelined", recipients: 3, refuse: 3, pipelining: true, turns: 2}, // the envelope; RSET
		{name: "all refused, lock-step", recipients: 3, refuse: 3, turns: 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := many(c.recipients)
			server := open(func(s *mailtest.SMTP) {
				s.Pipelining, s.Chunking, s.Users = c.pipelining, c.chunking, to[c.refuse:]
			})
			client, conn := connect(t, server, nil)
			content := "Subject: turns\r\n\r\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\r\n", c.size/63)
			receipt, err := client.Send(t.Context(), smtp.Envelope{From: "bob@example.test", To: to}, strings.NewReader(content))
			// Answers to chunks in flight may come one by one, or together.
			if conn.turns > c.turns || conn.turns < c.turns && !(c.pipelining && c.chunks > 0) {
				t.Errorf("%d turns, want %d", conn.turns, c.turns)
			}
			if c.refuse == c.recipients {
				var all *smtp.RecipientsError
				if !errors.As(err, &all) || len(all.Refused) != c.recipients || len(server.Received()) != 0 {
					t.Errorf("%v", err)
				}
			} else if err != nil || len(receipt.Refused) != c.refuse {
				t.Fatalf("%+v, %v", receipt, err)
			} else if got := server.Received(); len(got) != 1 || string(got[0].Content) != content || len(got[0].To) != c.recipients-c.refuse || got[0].Chunks != c.chunks {
				t.Errorf("received %d; %d octets, to %d, in %d chunks", len(got), len(got[0].Content), len(got[0].To), got[0].Chunks)
			}
			if err := client.Quit(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Refusals of recipients are told apart, each with its own reply, in groups as in lock-step.
func TestPartialRefusal(t *testing.T) {
	for _, pipelining := range []bool{false, true} {
		server := open(func(s *mailtest.SMTP) {
			s.Pipelining = pipelining
			s.Refuse = map[string]string{"full@example.test": "452 4.2.2 full", "grey@example.test": "450-4.2.0 come\r\n450 4.2.0 back", "plain@example.test": "550 no"}
		})
		client, _ := connect(t, server, nil)
		receipt, err := client.Send(t.Context(), smtp.Envelope{From: "bob@example.test",
			To: []string{"full@example.test", "alice@example.test", "nobody@example.test", "grey@example.test", "plain@example.test"}}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		later, never := smtp.Apart(receipt.Refused)
		var got []string
		for _, r := range append(later, never...) {
			got = append(got, r.Error()+" | "+r.Err.Explain())
		}
		want := []string{
			"full@example.test: smtp: RCPT refused: 452 4.2.2 full | The mailbox is full.",
			"grey@example.test: smtp: RCPT refused: 450 4.2.0 come back | There is something wrong with the mailbox.",
			"nobody@example.test: smtp: RCPT refused: 550 5.1.1 <nobody@example.test>: no such user ask the postmaster | There is no such mailbox at that domain.",
			"plain@example.test: smtp: RCPT refused: 550 no | There is no such mailbox, or the server's rules are against it.",
		}
		if !slices.Equal(got, want) || len(later) != 2 {
			t.Errorf("pipelining %v:\n%s", pipelining, strings.Join(got, "\n"))
		}
	}
}

// What is asked of a server in MAIL and RCPT is what the message needs and the server announces, and no more.
func TestParameters(t *testing.T) {
	ask := &smtp.DSN{Notify: []string{"SUCCESS", "FAILURE"}, Return: "HDRS", EnvelopeID: "a b+c=d"}
	long := strings.Repeat("x", 999)
	for _, c := range []struct {
		name     string
		mend     func(*mailtest.SMTP)
		envelope smtp.Envelope
		content  string
		mail     string // parameters
		rcpt     string
		from, to string // as they were said
		chunks   int
		dsn      bool
		err      string
	}{
		{name: "nothing", mail: "SIZE=11"},
		{name: "8-bit", content: "Subject: x\n\nGrüße", mail: "BODY=8BITMIME SIZE=23"},
		{name: "8-bit, which the server has not", mend: func(s *mailtest.SMTP) { s.No8Bit, s.NoUTF8 = true, true }, content: "Subject: x\n\nGrüße",
			err: "smtp: the server has no 8BITMIME, which a message with octets above 127 needs"},
		{name: "7-bit for such a server", mend: func(s *mailtest.SMTP) { s.No8Bit, s.NoUTF8 = true, true }, mail: "SIZE=11"},
		{name: "a header in UTF-8", content: "Subject: Grüße\n\nx", mail: "BODY=8BITMIME SIZE=23 SMTPUTF8"},
		{name: "a header in UTF-8, which the server has not", mend: func(s *mailtest.SMTP) { s.NoUTF8 = true }, content: "Subject: Grüße\n\nx",
			err: "smtp: the server has no SMTPUTF8, which the message's header needs"},
		{name: "a local part in UTF-8", envelope: smtp.Envelope{To: []string{"büro@example.test"}}, mail: "SIZE=11 SMTPUTF8", to: "büro@example.test"},
		{name: "a local part in UTF-8, which the server has not", mend: func(s *mailtest.SMTP) { s.NoUTF8 = true }, envelope: smtp.Envelope{To: []string{"alice@example.test", "büro@example.test"}},
			err: "smtp: the server has no SMTPUTF8, which the address büro@example.test needs"},
		{name: "a sender in UTF-8, which the server has not", mend: func(s *mailtest.SMTP) { s.NoUTF8 = true }, envelope: smtp.Envelope{From: "büro@example.test"},
			err: "smtp: the server has no SMTPUTF8, which the address büro@example.test needs"},
		{name: "domains in UTF-8 alone", mend: func(s *mailtest.SMTP) { s.NoUTF8 = true }, envelope: smtp.Envelope{From: "bob@Büro.example", To: []string{"alice@例え.テスト"}}, mail: "SIZE=11",
			from: "bob@xn--bro-hoa.example", to: "alice@xn--r8jz45g.xn--zckzah"},
		{name: "reports", mend: func(s *mailtest.SMTP) { s.DSN = true }, envelope: smtp.Envelope{DSN: ask}, mail: "SIZE=11 RET=HDRS ENVID=a+20b+2Bc+3Dd",
			rcpt: "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;alice@example.test", dsn: true},
		{name: "reports for odd addresses", mend: func(s *mailtest.SMTP) { s.DSN = true }, envelope: smtp.Envelope{To: []string{`"a b=+"@example.test`}, DSN: &smtp.DSN{Notify: []string{"NEVER"}}}, mail: "SIZE=11",
			rcpt: `NOTIFY=NEVER ORCPT=rfc822;"a+20b+3D+2B"@example.test`, to: `"a b=+"@example.test`, dsn: true},
		{name: "reports for an address in UTF-8", mend: func(s *mailtest.SMTP) { s.DSN = true }, envelope: smtp.Envelope{To: []string{"büro@example.test"}, DSN: &smtp.DSN{}}, mail: "SIZE=11 SMTPUTF8",
			rcpt: `ORCPT=utf-8;büro@example.test`, to: "büro@example.test", dsn: true},
		{name: "reports for a domain in UTF-8", mend: func(s *mailtest.SMTP) { s.DSN, s.NoUTF8 = true, true }, envelope: smtp.Envelope{To: []string{"a@ü.example"}, DSN: &smtp.DSN{}}, mail: "SIZE=11",
			rcpt: `ORCPT=utf-8;a@\x{FC}.example`, to: "a@xn--tda.example", dsn: true},
		{name: "reports, which the server has not", envelope: smtp.Envelope{DSN: ask}, mail: "SIZE=11"},
		{name: "long lines", mend: func(s *mailtest.SMTP) { s.Chunking = true }, content: "a: b\n\n" + long, mail: "SIZE=1009", chunks: 2},
		{name: "long lines, and no chunks", content: "a: b\n\n" + long, mail: "SIZE=1009"},
		{name: "no line is too long", mend: func(s *mailtest.SMTP) { s.Chunking = true }, content: "a: b\n\n" + long[1:] + "\n", mail: "SIZE=1008"},
		{name: "too large", mend: func(s *mailtest.SMTP) { s.Size = 8 }, err: "smtp: the message has 11 octets, the server takes 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := c.envelope
			if e.From == "" {
				e.From = "bob@example.test"
			}
			if e.To == nil {
				e.To = []string{"alice@example.test"}
			}
			if c.content == "" {
				c.content = "a: b\n\nc" // leaves as a: b CRLF CRLF c CRLF
			}
			if c.from == "" {
				c.from = e.From
			}
			if c.to == "" {
				c.to = "alice@example.test"
			}
			server := open(func(s *mailtest.SMTP) {
				s.Users = []string{c.to}
				if c.mend != nil {
					c.mend(s)
				}
			})
			client, conn := connect(t, server, nil)
			receipt, err := client.Send(t.Context(), e, strings.NewReader(c.content))
			if c.err != "" {
				if err == nil || err.Error() != c.err || conn.turns != 0 {
					t.Fatalf("%v, after %d turns", err, conn.turns)
				}
				if err := client.Noop(t.Context()); err != nil {
					t.Errorf("NOOP after it: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := server.Received()[0]
			if strings.Replace(c.mail, "SIZE=11", "SIZE=11", 1) != got.Params && c.mail != got.Params || got.Rcpt[0] != c.rcpt || got.From != c.from || got.To[0] != c.to || got.Chunks != c.chunks || receipt.DSN != c.dsn {
				t.Errorf("%+v, %+v", got, receipt)
			}
		})
	}
}

// A message of which nothing is known beforehand is given up where it needs what the server has not: nothing is delivered.
func TestUnseekable(t *testing.T) {
	for _, c := range []struct {
		name    string
		mend    func(*mailtest.SMTP)
		content string
		want    error
	}{
		{"8-bit", func(s *mailtest.SMTP) {}, "Grüße", nil},
		{"8-bit, which the server has not", func(s *mailtest.SMTP) { s.No8Bit, s.NoUTF8 = true, true }, "\nGrüße", smtp.ErrUnsupported},
		{"too large", func(s *mailtest.SMTP) { s.Size = 1000 }, strings.Repeat("x\n", 500), new(smtp.TooLargeError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := open(c.mend)
			client, _ := connect(t, server, nil)
			_, err := client.Send(t.Context(), smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}}, io.MultiReader(strings.NewReader("\n"+c.content)))
			var large *smtp.TooLargeError
			if _, size := c.want.(*smtp.TooLargeError); size != errors.As(err, &large) || !size && !errors.Is(err, c.want) || errors.Is(err, smtp.ErrUnknown) {
				t.Errorf("%v", err)
			}
			if (len(server.Received()) == 1) != (c.want == nil) {
				t.Error("it was delivered, or not")
			}
		})
	}
}

func TestSurvey(t *testing.T) {
	for in, want := range map[string]smtp.Content{
		"":                           {},
		"a":                          {Size: 3, Longest: 1},
		"a\r\n\r\nbc\r":              {Size: 9, Longest: 2},
		"a: ü\n\n":                   {Size: 9, Longest: 5, EightBit: true, UTF8: true},
		"a\n\nü":                     {Size: 9, Longest: 2, EightBit: true},
		strings.Repeat("x", 100_000): {Size: 100_002, Longest: 100_000},
		"\r\r\n\nü":                  {Size: 10, Longest: 2, EightBit: true},
	} {
		if got, err := smtp.Survey(strings.NewReader(in)); got != want || err != nil {
			t.Errorf("%.20q: %+v, %v", in, got, err)
		}
	}
}

// Several messages go over one connection, refused ones between them, by every road.
func TestSeveral(t *testing.T) {
	for _, mode := range []struct{ pipelining, chunking bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		server := open(func(s *mailtest.SMTP) { s.Pipelining, s.Chunking, s.DSN = mode.pipelining, mode.chunking, true })
		client, _ := connect(t, server, nil)
		for i := range 20 {
			e := smtp.Envelope{From: "bob@example.test", To: []string{"alice@example.test"}}
			content := []byte(fmt.Sprintf("Subject: %d\r\n\r\n.\r\n..\r\n", i))
			switch i % 4 {
			case 1:
				e.To = []string{"nobody@example.test", "noone@example.test"}
			case 2:
				e.To = append(e.To, "nobody@example.test")
				e.DSN = &smtp.DSN{Notify: []string{"DELAY"}}
			case 3:
				content = append(content, bytes.Repeat([]byte("x"), 2000)...)
			}
			_, err := client.Send(t.Context(), e, bytes.NewReader(content))
			if i%4 == 1 {
				var all *smtp.RecipientsError
				if !errors.As(err, &all) {
					t.Fatalf("%d: %v", i, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			got := server.Received()
			if last := got[len(got)-1]; !bytes.HasPrefix(last.Content, content) {
				t.Errorf("%d: %q", i, last.Content)
			}
		}
		if n := len(server.Received()); n != 15 {
			t.Errorf("%d messages", n)
		}
	}
}
