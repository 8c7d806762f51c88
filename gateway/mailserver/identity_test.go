package mailserver

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/shared/control"
)

// Who has signed in may go on as long as the account is what it was then: not when it is disabled, has another password, or is
// another's by now. Its quota and address may change meanwhile.
func TestStill(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	a, remote := s.Admin(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	const dan, dora = "dan@postern.test", "dora@postern.test"
	add := func(password string) Identity {
		must(t, a.AddUser(t.Context(), control.NewUser{Email: dan, Password: password}))
		who, err := s.SignIn(t.Context(), remote, dan, password)
		must(t, err)
		return who
	}
	still := func(who Identity, want bool) Identity {
		t.Helper()
		now, ok, err := s.Still(t.Context(), who)
		if must(t, err); ok != want {
			t.Errorf("still: %v", ok)
		}
		return now
	}
	who := add("first")
	if now := still(who, true); now.FilesQuota != 0 {
		t.Errorf("%+v", now)
	}
	must(t, a.SetFilesQuota(t.Context(), dan, 5000))
	if now := still(who, true); now.FilesQuota != 5000 {
		t.Errorf("%+v", now)
	}
	if again, err := s.SignIn(t.Context(), remote, dan, "first"); err != nil || again.FilesQuota != 5000 {
		t.Errorf("%+v %v", again, err)
	}
	must(t, a.SetDisabled(t.Context(), dan, true))
	still(who, false)
	must(t, a.SetDisabled(t.Context(), dan, false))
	must(t, a.RenameUser(t.Context(), dan, dora))
	still(who, true)
	must(t, a.SetPassword(t.Context(), dora, "second"))
	still(who, false)
	must(t, a.RenameUser(t.Context(), dora, dan))
	must(t, a.RemoveUser(t.Context(), dan, true))
	still(who, false)
	add("first") // somebody new
	still(who, false)
	still(Identity{}, false)
	if _, err := s.SignIn(t.Context(), remote, dan, "second"); !errors.Is(err, account.ErrDenied) {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Still(ended, who); err == nil {
		t.Error("a store that does not answer says that somebody may not go on, or may")
	}
}
