package smtpsuite

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/smtp"
)

func (s *suite) one(t *testing.T) {
	mark := marker()
	var progress []int64
	var transcript strings.Builder
	c := s.session(t, &smtp.Options{
		Progress: func(n int64) { progress = append(progress, n) },
		Trace:    func(e smtp.Exchange) { fmt.Fprintf(&transcript, "%v %s\n", e.Sent, e.Line) },
	})
	text := s.message(mark, strings.Repeat("a line of the message\r\n", 10_000))
	receipt, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1], Size: int64(len(text))}, strings.NewReader(text))
	must(t, err)
	if receipt.Text == "" || len(receipt.Refused) != 0 {
		t.Errorf("receipt %+v", receipt)
	}
	must(t, c.Quit(c.ctx))
	s.same(t, s.Await(t, s.To[0], mark), text)
	if n := len(progress); n < 2 || progress[n-1] != int64(len(text)) {
		t.Errorf("progress %v of %d", progress, len(text))
	}
	for _, secret := range []string{s.Password, "a line of the message"} {
		if strings.Contains(transcript.String(), secret) {
			t.Errorf("the trace holds %q", secret)
		}
	}
	if !strings.Contains(transcript.String(), "true MAIL FROM:<"+s.From+">") || !strings.Contains(transcript.String(), "****") {
		t.Errorf("the trace lacks something:\n%s", transcript.String())
	}
}

// same compares header and body that were sent with what was delivered, behind the server's trace header.
func (s *suite) same(t *testing.T, delivered []byte, want string) {
	t.Helper()
	got := bytes.ReplaceAll(delivered, []byte("\r\n"), []byte("\n")) // files may hold LF
	want = strings.ReplaceAll(want, "\r\n", "\n")
	if i := bytes.Index(got, []byte(want[:20])); i > 0 {
		got = got[i:]
	}
	if string(got) != want {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("delivered %d octets, want %d; they differ at %d: %.60q, want %.60q", len(got), len(want), i, got[i:], want[i:])
	}
}

func (s *suite) several(t *testing.T) {
	c := s.session(t, nil)
	g := mailtest.Generator{Median: 1000}
	marks := make(map[string]string)
	for i := range 5 {
		mark := marker()
		text := s.message(mark, string(g.Message(i)))
		marks[mark] = text
		_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:]}, strings.NewReader(text))
		must(t, err)
	}
	must(t, c.Quit(c.ctx))
	for mark, text := range marks {
		for _, to := range s.To {
			s.same(t, s.Await(t, to, mark), text)
		}
	}
}

// What is sent arrives, and every line end arrives as one, so that nothing can be smuggled.
func (s *suite) content(t *testing.T) {
	c := s.session(t, nil)
	for name, body := range map[string][2]string{
		"dots":             {".\r\n..\r\n.hidden\r\n\r\n.\r\n", ""},
		"bare LF":          {"one\ntwo\n.\nthree\n", "one\r\ntwo\r\n.\r\nthree\r\n"},
		"bare CR":          {"one\rtwo\r.\rthree\r", "one\r\ntwo\r\n.\r\nthree\r\n"},
		"smuggled":         {"end\n.\r\nMAIL FROM:<x@y.test>\r\n", "end\r\n.\r\nMAIL FROM:<x@y.test>\r\n"},
		"smuggled by CR":   {"end\r.\r\nMAIL FROM:<x@y.test>\r\n", "end\r\n.\r\nMAIL FROM:<x@y.test>\r\n"},
		"no last line end": {"end", "end\r\n"},
		"8-bit":            {"Grüße, 会議\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			mark := marker()
			_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(s.message(mark, body[0])))
			must(t, err)
			want := body[1]
			if want == "" {
				want = body[0]
			}
			s.same(t, s.Await(t, s.To[0], mark), s.message(mark, want))
		})
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) someRefused(t *testing.T) {
	c := s.session(t, nil)
	mark := marker()
	text := s.message(mark, "to some\r\n")
	receipt, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: []string{s.To[0], s.Unknown, s.To[1]}}, strings.NewReader(text))
	must(t, err)
	if len(receipt.Refused) != 1 || receipt.Refused[0].Recipient != s.Unknown || receipt.Refused[0].Err.Code/100 != 5 {
		t.Errorf("refused: %v", receipt.Refused)
	}
	must(t, c.Quit(c.ctx))
	for _, to := range s.To {
		s.same(t, s.Await(t, to, mark), text)
	}
}

func (s *suite) allRefused(t *testing.T) {
	c := s.session(t, nil)
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: []string{s.Unknown}}, strings.NewReader(s.message(marker(), "no")))
	var all *smtp.RecipientsError
	if !errors.As(err, &all) || len(all.Refused) != 1 || all.Refused[0].Err.Command != "RCPT" || all.Temporary() {
		t.Errorf("%v", err)
	}
	// The session goes on.
	mark := marker()
	text := s.message(mark, "yes\r\n")
	_, err = c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(text))
	must(t, err)
	must(t, c.Quit(c.ctx))
	s.same(t, s.Await(t, s.To[0], mark), text)
}

// many is more recipients than one group of commands takes; the server may take fewer, and then says so of each.
func (s *suite) many(t *testing.T) {
	c := s.session(t, nil)
	mark := marker()
	text := s.message(mark, "to many\r\n")
	var to []string
	for i := range 120 {
		if i%40 == 39 {
			to = append(to, s.Unknown)
		} else {
			to = append(to, s.To[0])
		}
	}
	receipt, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: to}, strings.NewReader(text))
	must(t, err)
	later, never := smtp.Apart(receipt.Refused)
	if len(never) < 2 || len(never) > 3 || len(later) > 21 {
		t.Errorf("%d and %d refused: %v", len(later), len(never), receipt.Refused)
	}
	for _, r := range never {
		if r.Recipient != s.Unknown || r.Err.Explain() == "" {
			t.Errorf("%v: %q", r, r.Err.Explain())
		}
	}
	must(t, c.Quit(c.ctx))
	s.same(t, s.Await(t, s.To[0], mark), text)
}

// large goes by chunks where there are any.
func (s *suite) large(t *testing.T) {
	var progress []int64
	c := s.session(t, &smtp.Options{Progress: func(n int64) { progress = append(progress, n) }})
	mark := marker()
	text := s.message(mark, strings.Repeat(".a line that begins with a dot\r\n", 50_000))
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(text))
	must(t, err)
	must(t, c.Quit(c.ctx))
	if n := len(progress); n < 5 || progress[n-1] != int64(len(text)) || !slices.IsSorted(progress) {
		t.Errorf("progress %v of %d", progress, len(text))
	}
	s.same(t, s.Await(t, s.To[0], mark), text)
}

// longLine has more than the 998 octets that a line may have. Where there are chunks it arrives as it is; elsewhere the
// server may break it.
func (s *suite) longLine(t *testing.T) {
	c := s.session(t, nil)
	mark := marker()
	text := s.message(mark, strings.Repeat("x", 3000)+"\r\n")
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(text))
	must(t, err)
	must(t, c.Quit(c.ctx))
	got := s.Await(t, s.To[0], mark)
	if slices.Contains(s.Announces, "CHUNKING") {
		s.same(t, got, text)
	}
}

// reports are asked for where the server takes such requests, and it takes them. They come to the sender, who is not to be the
// one whose mail is looked at: a report has the header, and so the marker, too.
func (s *suite) reports(t *testing.T) {
	for _, ask := range []*smtp.DSN{
		{Notify: []string{"SUCCESS", "FAILURE", "DELAY"}, Return: "HDRS", EnvelopeID: "id+with=odd characters@example.test"},
		{Notify: []string{"NEVER"}},
		{Return: "FULL"},
	} {
		c := s.session(t, nil)
		mark := marker()
		text := s.message(mark, "please report\r\n")
		receipt, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[1:], DSN: ask}, strings.NewReader(text))
		must(t, err)
		if want := slices.Contains(s.Announces, "DSN"); receipt.DSN != want || len(receipt.Refused) > 0 {
			t.Errorf("%+v: %+v, want %v", ask, receipt, want)
		}
		must(t, c.Quit(c.ctx))
		s.same(t, s.Await(t, s.To[1], mark), text)
	}
}

func (s *suite) tooLarge(t *testing.T) {
	c := s.session(t, nil)
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1], Size: 1 << 40}, strings.NewReader("never read"))
	var large *smtp.TooLargeError
	if !errors.As(err, &large) || large.Size != 1<<40 || large.Limit <= 0 {
		t.Errorf("%v", err)
	}
	must(t, c.Quit(c.ctx))
}

// utf8 is mail to an address beyond ASCII, and then with a header beyond ASCII too (RFC 6532).
func (s *suite) utf8(t *testing.T) {
	c := s.session(t, nil)
	to := s.UTF8
	if to == "" {
		to = "büro@example.test"
	}
	for _, subject := range []string{"Subject: ", "Subject: Grüße, "} {
		mark := marker()
		text := strings.Replace(s.message(mark, "Grüße\r\n"), "Subject: ", subject, 1)
		_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: []string{to}, DSN: &smtp.DSN{Notify: []string{"FAILURE"}}}, strings.NewReader(text))
		if s.UTF8 == "" {
			var missing *smtp.UnsupportedError
			if !errors.As(err, &missing) || missing.Extension != "SMTPUTF8" || !errors.Is(err, smtp.ErrUnsupported) {
				t.Errorf("without SMTPUTF8: %v", err)
			}
			continue
		}
		must(t, err)
		s.same(t, s.Await(t, s.UTF8, mark), text)
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) afterQuit(t *testing.T) {
	c := s.session(t, nil)
	must(t, c.Quit(c.ctx))
	if err := c.Noop(c.ctx); !errors.Is(err, smtp.ErrState) {
		t.Errorf("NOOP after QUIT: %v", err)
	}
	must(t, c.Close())
}
