package main

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/postern-mail/postern/gateway/ftpserver"
	"github.com/postern-mail/postern/gateway/ftpserver/files"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/shared/control"
)

// The users of files are those of the mail: with a quota that all have, or their own, and for as long as they may sign in. A store that
// cannot be asked turns nobody out.
func TestFileUsers(t *testing.T) {
	mail, err := mailserver.Open(t.Context(), mailserver.Config{Dir: t.TempDir(), Hostname: "mail.example", Domains: []string{"mail.example"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const ann = "ann@mail.example"
	admin, remote := mail.Admin(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	done(admin.AddUser(t.Context(), control.NewUser{Email: ann, Password: "password"}))
	u := fileUsers{mail, files.Quota{Octets: 1000, Files: 5}}
	if _, err := u.Authenticate(t.Context(), remote, ann, "wrong"); !errors.Is(err, ftpserver.ErrDenied) {
		t.Error(err)
	}
	who, err := u.Authenticate(t.Context(), remote, ann, "password")
	done(err)
	still := func(want bool, quota files.Quota) {
		t.Helper()
		if q, ok := who.Still(t.Context()); ok != want || ok && q != quota {
			t.Errorf("%v %+v", ok, q)
		}
	}
	if who.Quota != u.quota {
		t.Errorf("%+v", who.Quota)
	}
	still(true, u.quota)
	for octets, want := range map[int64]int64{0: 1000, control.NoLimit: 0, 5: 5} {
		done(admin.SetFilesQuota(t.Context(), ann, octets))
		still(true, files.Quota{Octets: want, Files: 5})
		again, err := u.Authenticate(t.Context(), remote, ann, "password")
		if done(err); again.Quota.Octets != want {
			t.Errorf("%+v", again.Quota)
		}
	}
	done(admin.SetFilesQuota(t.Context(), ann, 0))
	done(admin.SetDisabled(t.Context(), ann, true))
	still(false, files.Quota{})
	done(mail.Close())
	still(true, u.quota)
}
