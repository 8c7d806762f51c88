package mailserver

import (
	"errors"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// Mail goes where an address leads, and comes as who its sender is.
func TestAddresses(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	must(t, s.store.AddAlias("info@postern.test", alice))
	must(t, s.store.AddAlias("all@postern.test", alice, bob))
	must(t, s.store.SetCatchAll("postern.test", bob))
	s.submit(t, alice, "Subject: x\r\n\r\n1\r\n", "info@postern.test", "alice+tag@postern.test")
	s.submit(t, alice, "Subject: x\r\n\r\n2\r\n", "All@postern.test", bob)
	s.submit(t, bob, "Subject: x\r\n\r\n3\r\n", "anybody@postern.test")
	if got := strings.Join(bodies(s.fetch(t, alice)), ""); got != "1\r\n2\r\n" {
		t.Errorf("alice has %q", got)
	}
	if got := strings.Join(bodies(s.fetch(t, bob)), ""); got != "2\r\n3\r\n" {
		t.Errorf("bob has %q", got)
	}
	send := func(user, from, to string) error {
		t.Helper()
		c := smtp.New(s.dial(t, Submission), nil)
		defer c.Close()
		must(t, c.StartTLS(t.Context(), s.pinned()))
		_, err := c.Auth(t.Context(), sasl.Credentials{User: user, Password: password}, "")
		must(t, err)
		_, err = c.Send(t.Context(), smtp.Envelope{From: from, To: []string{to}}, strings.NewReader("Subject: x\r\n\r\n"))
		return err
	}
	for from, fine := range map[string]bool{"info@postern.test": true, "alice+x@postern.test": true, "all@postern.test": false, bob: false, "anybody@postern.test": false} {
		if err := send(alice, from, alice); (err == nil) != fine {
			t.Errorf("alice as %s: %v", from, err)
		}
	}
	must(t, s.store.SetQuota(bob, maildrop.Quota{Messages: 2}))
	if err := send(alice, alice, bob); err == nil || !strings.Contains(err.Error(), "452") {
		t.Errorf("to a full mailbox: %v", err)
	}
}

// An account that is older than SCRAM keys is not locked out: it is offered what it can use, and has keys after that.
func TestOlderAccount(t *testing.T) {
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	r, _, err := s.store.Account(t.Context(), bob)
	must(t, err)
	must(t, s.store.SetPassword(bob, r.Hash, ""))
	must(t, s.Close())
	cfg := testConfig(dir)
	s, err = Open(t.Context(), cfg)
	must(t, err)
	served := make(chan error)
	go func() { served <- s.Serve(t.Context()) }()
	defer func() { must(t, s.Close()); must(t, <-served) }()
	for _, want := range []string{sasl.Plain, sasl.SCRAMSHA256} {
		c := pop3.New(s.dial(t, POP3), nil)
		must(t, c.STLS(t.Context(), s.pinned()))
		way, err := c.Auth(t.Context(), sasl.Credentials{User: bob, Password: password}, "")
		if way != want || err != nil {
			t.Errorf("by %s, %v; want %s", way, err, want)
		}
		must(t, c.Quit(t.Context()))
		c.Close()
	}
	must(t, s.store.SetDisabled(bob, true))
	if _, err := s.gate.Authenticate(t.Context(), nil, bob, password); !errors.Is(err, account.ErrDenied) {
		t.Errorf("a disabled account: %v", err)
	}
}
