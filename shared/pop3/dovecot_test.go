//go:build unix

package pop3_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/pop3suite"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

// The suite against Dovecot, by STLS and by implicit TLS; carol's password is not ASCII.
func TestDovecot(t *testing.T) {
	bed := testbed.StartDovecot(t)
	target := func(user testbed.User) pop3suite.Target {
		return pop3suite.Target{
			Dial:     func(t testing.TB) net.Conn { return bed.Dial(t, bed.POP3) },
			TLS:      bed.ClientTLS(),
			User:     user.Name,
			Password: user.Password,
			Token:    bed.Token(user.Name),
			Ways:     []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", pop3.WayUser, pop3.WayAPOP},
			Options:  &pop3.Options{AllowPlaintextAuth: true},
			DialTLS:  func(t testing.TB) net.Conn { return tls.Client(bed.Dial(t, bed.POP3S), bed.ClientTLS()) },
			Deliver:  func(t testing.TB, m []byte) { bed.Deliver(t, user.Name, m) },
		}
	}
	t.Run("STLS", func(t *testing.T) { pop3suite.Run(t, target(bed.Users[1])) })
	t.Run("non-ASCII password", func(t *testing.T) { pop3suite.Run(t, target(bed.Users[2])) })
	t.Run("non-ASCII user", func(t *testing.T) { pop3suite.Run(t, target(bed.Users[3])) })
	t.Run("implicit TLS", func(t *testing.T) {
		implicit := target(bed.Users[0])
		implicit.TLS, implicit.Dial = nil, implicit.DialTLS
		pop3suite.Run(t, implicit)
	})
}

// Dovecot that locks, as RFC 1939 section 4 wants: it takes its time to refuse, and names the reason.
func TestDovecotInUse(t *testing.T) {
	if testing.Short() {
		t.Skip("Dovecot waits for twelve seconds")
	}
	bed := testbed.StartDovecot(t)
	open := func() *pop3.Client {
		conn, err := net.Dial("tcp", net.JoinHostPort(bed.Locking.Host, strconv.Itoa(bed.Locking.POP3)))
		if err != nil {
			t.Fatal(err)
		}
		c := pop3.New(conn, nil)
		t.Cleanup(func() { c.Close() })
		return c
	}
	bob := sasl.Credentials{User: "bob", Password: "bob-pw"}
	first, second := open(), open()
	if _, err := first.Auth(t.Context(), bob, ""); err != nil {
		t.Fatal(err)
	}
	_, err := second.Auth(t.Context(), bob, "")
	var refused *pop3.Error
	if !errors.As(err, &refused) || refused.Code != "IN-USE" || !refused.Temporary() || refused.Explain() == "" {
		t.Errorf("a second session: %v", err)
	}
	if err := first.Quit(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := open().Auth(t.Context(), bob, ""); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

// Ten thousand messages (one thousand with -short) come from Dovecot with nothing lost and nothing changed.
func TestDovecotMailbox(t *testing.T) {
	bed := testbed.StartDovecot(t)
	count := 10_000
	if testing.Short() {
		count = 1000
	}
	generator := mailtest.Generator{Seed: 1, Median: 4096, Attachments: 0.002}
	want := fillMaildrop(t, bed, generator, count)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, list := openMaildrop(t, ctx, bed)

	h := sha256.New()
	next := 0
	start := time.Now()
	var octets int64
	err := c.RetrAll(ctx, list, func(number int, body io.Reader) error {
		h.Reset()
		n, err := io.Copy(h, body)
		octets += n
		if got := [32]byte(h.Sum(nil)); got != want[number-1] {
			t.Errorf("message %d was changed on its way", number)
		}
		if number != list[next].Number || n != list[next].Size {
			t.Errorf("message %d of %d octets; %+v was listed", number, n, list[next])
		}
		next++
		return err
	})
	if err != nil || next != count {
		t.Fatalf("%d of %d messages: %v", next, count, err)
	}
	took := time.Since(start).Seconds()
	t.Logf("%d messages, %.1f MB in %.2f s: %.0f messages/s", count, float64(octets)/1e6, took, float64(count)/took)
	if err := c.Quit(ctx); err != nil {
		t.Error(err)
	}
}

// fillMaildrop delivers messages to bob and returns their hashes.
func fillMaildrop(t testing.TB, bed *testbed.Bed, g mailtest.Generator, count int) (hashes [][32]byte) {
	t.Helper()
	bed.DeliverAll(t, "bob", func(yield func([]byte) bool) {
		for i := range count {
			m := g.Message(i)
			hashes = append(hashes, sha256.Sum256(m))
			if !yield(m) {
				return
			}
		}
	})
	return hashes
}

func openMaildrop(t testing.TB, ctx context.Context, bed *testbed.Bed) (*pop3.Client, []pop3.Listing) {
	t.Helper()
	c := pop3.New(bed.Dial(t, bed.POP3), nil)
	t.Cleanup(func() { c.Close() })
	if err := c.Login(ctx, "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c, list
}
