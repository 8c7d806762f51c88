package pop3suite

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
)

func (s *suite) uniqueIDs(t *testing.T) {
	s.fill(t, []byte("Subject: 1\r\n\r\n"), []byte("Subject: 2\r\n\r\n"), []byte("Subject: 3\r\n\r\n"))
	c := s.session(t)
	first, err := c.UIDL(c.ctx)
	must(t, err)
	must(t, c.Dele(c.ctx, 1))
	must(t, c.Quit(c.ctx))
	c = s.session(t)
	second, err := c.UIDL(c.ctx)
	must(t, err)
	if len(first) != 3 || len(second) != 2 || second[0].UID != first[1].UID || second[1].UID != first[2].UID {
		t.Errorf("%v, then %v", first, second)
	}
	if first[0].UID == first[1].UID || first[1].UID == first[2].UID {
		t.Errorf("they repeat: %v", first)
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) pipeline(t *testing.T) {
	g := mailtest.Generator{Median: 2000}
	var messages [][]byte
	for i := range 40 {
		messages = append(messages, g.Message(i))
	}
	s.fill(t, messages...)
	c := s.session(t)
	list, err := c.List(c.ctx)
	must(t, err)
	if len(list) != len(messages) {
		t.Fatalf("%d messages, want %d", len(list), len(messages))
	}

	t.Run("all", func(t *testing.T) {
		next := 0
		must(t, c.RetrAll(c.ctx, list, func(number int, body io.Reader) error {
			got, err := io.ReadAll(body)
			sameContent(t, got, messages[number-1])
			if number != list[next].Number {
				t.Errorf("message %d, want %d", number, list[next].Number)
			}
			next++
			return err
		}))
		if next != len(messages) {
			t.Errorf("%d messages, want %d", next, len(messages))
		}
	})
	t.Run("read in part", func(t *testing.T) {
		must(t, c.RetrAll(c.ctx, list, func(number int, body io.Reader) error {
			part := make([]byte, 10)
			_, err := io.ReadFull(body, part)
			if !bytes.Equal(part, messages[number-1][:10]) {
				t.Errorf("message %d starts %q", number, part)
			}
			return err
		}))
	})
	t.Run("stopped by the callback", func(t *testing.T) {
		enough, calls := errors.New("enough"), 0
		err := c.RetrAll(c.ctx, list, func(int, io.Reader) error {
			if calls++; calls == 3 {
				return enough
			}
			return nil
		})
		if err != enough || calls != 3 {
			t.Errorf("%v after %d calls", err, calls)
		}
		must(t, c.Noop(c.ctx))
	})
	t.Run("with messages refused", func(t *testing.T) {
		must(t, c.Dele(c.ctx, 5))
		defer c.Rset(c.ctx)
		refusals, whole := 0, 0
		must(t, c.RetrAll(c.ctx, list, func(number int, body io.Reader) error {
			_, err := io.Copy(io.Discard, body)
			var refused *pop3.Error
			if errors.As(err, &refused) && number == 5 {
				refusals++
				return nil
			}
			whole++
			return err
		}))
		if refusals != 1 || whole != len(list)-1 {
			t.Errorf("%d refused, %d whole", refusals, whole)
		}
	})
	must(t, c.Quit(c.ctx))
}

func (s *suite) lock(t *testing.T) {
	first := s.session(t)
	second := s.connect(t)
	err := second.Login(second.ctx, s.User, s.Password)
	var refused *pop3.Error
	switch {
	case !s.Locks:
		must(t, err)
	case !errors.As(err, &refused) || refused.Code != "IN-USE" || !refused.Temporary():
		t.Errorf("a second session: %v", err)
	}
	must(t, first.Quit(first.ctx))
}

func (s *suite) wait(t *testing.T) {
	s.fill(t, []byte("Subject: old\r\n\r\n"))
	c := s.reopen(t)
	caps, err := c.Capa(c.ctx)
	must(t, err)
	if !caps.Wait {
		if _, err := c.Wait(c.ctx, time.Minute); !errors.Is(err, pop3.ErrUnsupported) {
			t.Errorf("XWAIT without its capability: %v", err)
		}
		must(t, c.Quit(c.ctx))
		return
	}
	t.Run("none", func(t *testing.T) {
		c := c
		changed, err := c.Wait(c.ctx, time.Second)
		must(t, err)
		if changed || c.State() != pop3.Closed {
			t.Errorf("changed %v, state %v", changed, c.State())
		}
	})
	t.Run("new", func(t *testing.T) {
		c := s.reopen(t)
		must(t, c.Dele(c.ctx, 1)) // must not happen
		delivered := make(chan struct{})
		go func() {
			defer close(delivered)
			other := s.reopen(t) // the lock is given up: this gets in
			must(t, other.Quit(other.ctx))
			s.Deliver(t, []byte("Subject: new\r\n\r\n"))
		}()
		changed, err := c.Wait(c.ctx, 20*time.Second)
		<-delivered
		must(t, err)
		if !changed {
			t.Error("new mail was not told")
		}
		after := s.reopen(t)
		if count, _, err := after.Stat(after.ctx); err != nil || count != 2 {
			t.Errorf("%d messages after it, %v", count, err)
		}
		must(t, after.Quit(after.ctx))
	})
	t.Run("given up by the client", func(t *testing.T) {
		c := s.reopen(t)
		ctx, cancel := context.WithTimeout(c.ctx, 100*time.Millisecond)
		defer cancel()
		if _, err := c.Wait(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		after := s.reopen(t)
		must(t, after.Quit(after.ctx))
	})
}
