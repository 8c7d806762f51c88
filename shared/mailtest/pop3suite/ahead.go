package pop3suite

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
)

// heads reads the heads of many messages ahead of the answers.
func (s *suite) heads(t *testing.T) {
	const count = 30
	var messages [][]byte
	for i := range count {
		messages = append(messages, mailtest.Generator{Median: 3000}.Message(i))
	}
	s.fill(t, messages...)
	c := s.session(t)
	list, err := c.List(c.ctx)
	must(t, err)
	must(t, c.Dele(c.ctx, 7))
	next, refusals := 0, 0
	must(t, c.TopAll(c.ctx, list, 0, func(number int, body io.Reader) error {
		if number != list[next].Number {
			t.Errorf("message %d, want %d", number, list[next].Number)
		}
		next++
		got, err := io.ReadAll(body)
		var refused *pop3.Error
		if errors.As(err, &refused) && number == 7 {
			refusals++
			return nil
		}
		header, _, _ := strings.Cut(string(messages[number-1]), "\r\n\r\n")
		if string(got) != header+"\r\n\r\n" {
			t.Errorf("message %d: %.100q, want %.100q", number, got, header)
		}
		return err
	}))
	if next != count || refusals != 1 {
		t.Errorf("%d heads, %d refused", next, refusals)
	}
	must(t, c.Quit(c.ctx))
}

// marks deletes many messages ahead of the answers; RSET takes it back, QUIT makes it so.
func (s *suite) marks(t *testing.T) {
	const count = 25
	var messages [][]byte
	for i := range count {
		messages = append(messages, mailtest.Generator{}.Message(i))
	}
	s.fill(t, messages...)
	c := s.session(t)
	delete := func(numbers ...int) (refused []int) {
		t.Helper()
		next := 0
		must(t, c.DeleAll(c.ctx, numbers, func(number int, err error) {
			if number != numbers[next] {
				t.Errorf("number %d, want %d", number, numbers[next])
			}
			next++
			var e *pop3.Error
			if errors.As(err, &e) && e.Command == "DELE" {
				refused = append(refused, number)
			} else if err != nil {
				t.Error(err)
			}
		}))
		if next != len(numbers) {
			t.Errorf("%d of %d told", next, len(numbers))
		}
		return refused
	}
	if refused := delete(1, 2, 1, count+1, 3); len(refused) != 2 || refused[0] != 1 || refused[1] != count+1 {
		t.Errorf("refused: %v", refused)
	}
	must(t, c.Rset(c.ctx))
	if n, _, err := c.Stat(c.ctx); err != nil || n != count {
		t.Errorf("after RSET: %d, %v", n, err)
	}
	var all []int
	for i := range count - 1 {
		all = append(all, i+1)
	}
	if refused := delete(all...); refused != nil {
		t.Errorf("refused: %v", refused)
	}
	must(t, c.Quit(c.ctx))
	c = s.reopen(t)
	list, err := c.List(c.ctx)
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("%d messages are left, want the last", len(list))
	}
	var got strings.Builder
	_, err = c.Retr(c.ctx, list[0].Number, &got)
	must(t, err)
	sameContent(t, []byte(got.String()), messages[count-1])
	must(t, c.Quit(c.ctx))
}

// quitBefore says QUIT before logging in: nothing is at stake, and it is answered.
func (s *suite) quitBefore(t *testing.T) {
	c := s.connect(t)
	must(t, c.Quit(c.ctx))
	if c.State() != pop3.Closed {
		t.Errorf("state %v", c.State())
	}
}
