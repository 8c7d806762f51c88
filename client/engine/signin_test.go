package engine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

func TestSignInRefusals(t *testing.T) {
	for _, test := range []struct {
		name    string
		in      api.SignIn
		prepare func(w *world)
		want    api.Code
		detail  string
	}{
		{name: "wrong password", in: api.SignIn{Email: alice, Password: "no"}, want: api.CodeWrongPassword, detail: alice},
		{name: "no password", in: api.SignIn{Email: alice}, want: api.CodeWrongPassword},
		{name: "no address", in: api.SignIn{Email: "alice", Password: "x"}, want: api.CodeBadRequest},
		{name: "a line break", in: api.SignIn{Email: "alice\r\n@postern.test", Password: "x"}, want: api.CodeBadRequest},
		{name: "another domain", in: api.SignIn{Email: "a@example.org", Password: "x"}, want: api.CodeSettingsNeeded, detail: "a@example.org"},
		{name: "offline", in: api.SignIn{Email: alice, Password: alicePW}, prepare: func(w *world) { w.gateway.set(tunnel.Offline) }, want: api.CodeGatewayOffline},
		{name: "no mail server", in: api.SignIn{Email: alice, Password: alicePW}, prepare: func(w *world) { w.gateway.welcome.Embedded = nil }, want: api.CodeSettingsNeeded},
		{name: "no POP3", in: api.SignIn{Email: alice, Password: alicePW}, prepare: func(w *world) { w.gateway.welcome.Embedded.Services = nil }, want: api.CodeTargetRefused},
		{name: "another certificate", in: api.SignIn{Email: alice, Password: alicePW},
			prepare: func(w *world) { w.gateway.welcome.Embedded.Fingerprint = strings.Repeat("ab", 32) }, want: api.CodeCertificate, detail: "mail.postern.test"},
		{name: "policy", in: api.SignIn{Email: alice, Password: alicePW},
			prepare: func(w *world) { w.gateway.refuse = &wire.RefusedError{Reason: wire.Denied, Detail: "not here"} }, want: api.CodeTargetRefused, detail: "not here"},
		{name: "server down", in: api.SignIn{Email: alice, Password: alicePW},
			prepare: func(w *world) { w.gateway.refuse = &wire.RefusedError{Reason: wire.Unreachable} }, want: api.CodeServerUnreachable, detail: "mail.postern.test"},
		{name: "no room", in: api.SignIn{Email: alice, Password: alicePW}, prepare: func(w *world) { w.fs.SetRoom(0) }, want: api.CodeStorageFull},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if test.prepare != nil {
					test.prepare(w)
				}
				test.in.Keep = true
				_, err := w.SignIn(t.Context(), test.in)
				if code(err) != test.want || !strings.Contains(api.AsProblem(err).Detail, test.detail) {
					t.Errorf("got %v, want %s %s", err, test.want, test.detail)
				}
				if s, _ := w.Status(t.Context()); len(s.Accounts) != 0 {
					t.Errorf("an account was stored: %+v", s.Accounts)
				}
				if len(w.vault.secrets) != 0 {
					t.Error("a password was kept")
				}
			})
		})
	}
}

// An address is at home at the one of the gateway's servers that has its domain: signing in, fetching and sending go there, and that
// server's certificate is the one that is believed.
func TestSignInAtAServerBeside(t *testing.T) {
	const carol, carolPW = "carol@elsewhere.test", "carol's"
	inWorld(t, func(t *testing.T, w *world) {
		pop := &mailtest.POP3{Password: map[string]string{carol: carolPW}, Maildrop: map[string]*mailtest.Maildrop{carol: new(mailtest.Maildrop)}, NoWait: true}
		post := &postOffice{password: pop.Password}
		w.gateway.addBeside("mail.elsewhere.test", "elsewhere.test", map[wire.ServiceName]mailtest.Server{wire.POP3S: pop, wire.Submissions: post}, wire.DemoAccount{Name: "Carol", Email: carol, Password: carolPW})
		s, err := w.Status(t.Context())
		if err != nil || len(s.Gateway.Demo) != 2 || s.Gateway.Demo[1].Name != "Carol" || strings.Join(s.Gateway.Domains, " ") != "postern.test elsewhere.test" {
			t.Errorf("the gateway has %+v, %v", s.Gateway, err)
		}
		if d, err := w.Discover(t.Context(), carol); err != nil || len(d.Candidates) != 1 || d.Candidates[0].Provider != "mail.elsewhere.test" {
			t.Errorf("discovered %+v, %v", d, err)
		}
		pop.Maildrop[carol].Deliver(letter("for carol", "y"))
		w.pop.Maildrop[alice].Deliver(letter("for alice", "y"))
		a, err := w.SignIn(t.Context(), api.SignIn{Email: carol, Password: carolPW, Keep: true})
		if err != nil || a.Name != "Carol" {
			t.Fatalf("%+v, %v", a, err)
		}
		synctest.Wait()
		if w.only(a.ID, api.Inbox).Subject != "for carol" {
			t.Error("carol's mail is not fetched")
		}
		if b := w.signIn(alice); w.only(b.ID, api.Inbox).Subject != "for alice" {
			t.Error("alice's mail is not fetched")
		}
		w.gateway.mu.Lock()
		w.gateway.welcome.Beside[0].Fingerprint = w.gateway.welcome.Embedded.Fingerprint
		w.gateway.mu.Unlock()
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: "CAROL@elsewhere.test", Password: carolPW}); code(err) != api.CodeCertificate || api.AsProblem(err).Detail != "mail.elsewhere.test" {
			t.Errorf("another server's certificate: %v", err)
		}
	})
}

func TestSignInWaitsForAConnectionBeingMade(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.gateway.set(tunnel.Connecting)
		go func() {
			time.Sleep(3 * time.Second)
			w.gateway.set(tunnel.Online)
		}()
		w.signIn(alice)
	})
}

func TestSignInUsesSTLSWhereThereIsNothingBetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.gateway = newFakeGateway(t, map[wire.ServiceName]mailtest.Server{wire.POP3: w.pop})
		w.pop.TLS = w.gateway.tls
		w.start()
		defer w.halt()
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a := w.signIn(alice)
		if w.only(a.ID, api.Inbox).Subject != "x" {
			t.Error("not fetched")
		}
	})
}

// RFC 2449 section 8.1.2: [IN-USE] says that the password was right.
func TestSignInWhileAnotherClientHasTheMaildrop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.gateway.serve(wire.POP3S, mailtest.Script(t, mailtest.Say("+OK\r\n"), mailtest.Hear("CAPA"), mailtest.Say("-ERR\r\n"), mailtest.Hear("USER "+alice), mailtest.Say("+OK\r\n"),
			mailtest.Hear("PASS "+alicePW), mailtest.Say("-ERR [IN-USE] busy\r\n")))
		a := w.signIn(alice)
		time.Sleep(6 * time.Second) // the quick attempts of the first fetch
		synctest.Wait()
		if s := w.accountNow(a.ID).Sync; problemCode(s.Problem) != api.CodeMaildropLocked {
			t.Errorf("sync %+v", s)
		}
	})
}

func TestPasswordIsKeptOnlyWhenAsked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		b, err := w.SignIn(t.Context(), api.SignIn{Email: "BOB@Postern.TEST", Password: bobPW})
		_ = b
		if code(err) != api.CodeWrongPassword { // the name is the server's to read: in memory "BOB" is nobody
			t.Fatalf("got %v", err)
		}
		b, err = w.SignIn(t.Context(), api.SignIn{Email: bob, Password: bobPW})
		if err != nil {
			t.Fatal(err)
		}
		if len(w.vault.secrets) != 1 {
			t.Errorf("%d secrets kept, want Alice's", len(w.vault.secrets))
		}
		w.halt()
		w.start()
		if !w.accountNow(a.ID).HasPassword || w.accountNow(b.ID).HasPassword {
			t.Error("after a restart Alice's password is there and Bob's is not")
		}
		if p := w.accountNow(b.ID).Sync.Problem; problemCode(p) != api.CodePasswordNeeded {
			t.Errorf("Bob's account: %v", p)
		}
		for _, secret := range []string{alicePW, bobPW} {
			if onDisk(t, w.fs, secret) {
				t.Error("a password is in a file of the store")
			}
		}
		w.signIn(bob)
		if s := w.accountNow(b.ID); !s.HasPassword || s.Sync.State != api.SyncIdle || s.Sync.Problem != nil {
			t.Errorf("Bob again: %+v", s)
		}
		if s, _ := w.Status(t.Context()); len(s.Accounts) != 2 || s.Accounts[0].Email != alice || s.Accounts[0].Name != "Alice" {
			t.Errorf("accounts %+v", s.Accounts)
		}
	})
}

// onDisk looks for text in every file.
func onDisk(t *testing.T, fs store.FS, text string) bool {
	t.Helper()
	for _, folder := range []string{registryFolder, accountFolder(accountID(alice)), accountFolder(accountID(bob))} {
		sub, err := fs.Sub(folder)
		if err != nil {
			t.Fatal(err)
		}
		names, err := sub.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := sub.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			size, _ := f.Size()
			content := make([]byte, size)
			_, _ = f.ReadAt(content, 0)
			f.Close()
			if bytes.Contains(content, []byte(text)) {
				return true
			}
		}
	}
	return false
}

func TestVaultThatFailsCostsOnlyTheKeeping(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.vault.fail = errors.New("locked")
		a := w.signIn(alice)
		if !a.HasPassword {
			t.Error("the password is not in memory")
		}
	})
}

func TestWrongPasswordLeavesASignedInAccountAsItWas(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.NoWait = false // the watch has to give way to the sign-in
		a := w.signIn(alice)
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: "no"}); code(err) != api.CodeWrongPassword {
			t.Fatalf("got %v", err)
		}
		w.pop.Maildrop[alice].Deliver(letter("still", "x"))
		time.Sleep(time.Second)
		synctest.Wait()
		if w.only(a.ID, api.Inbox).Subject != "still" {
			t.Error("fetching has stopped")
		}
	})
}

// Whatever goes wrong or comes in between, after a sign-out, and without the user's wish, no password is kept.
func TestNoPasswordStaysBehind(t *testing.T) {
	t.Run("a sign-out that cannot be written", func(t *testing.T) {
		for _, erase := range []bool{false, true} {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.fs.SetRoom(0)
				if err := w.SignOut(t.Context(), api.SignOut{Account: a.ID, Erase: erase}); err == nil {
					t.Fatal("it was written")
				}
				if len(w.vault.secrets) != 0 {
					t.Error("the password is still in the vault")
				}
			})
		}
	})
	t.Run("a sign-in that cannot be written", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW}); err != nil {
				t.Fatal(err)
			}
			w.fs.SetRoom(0)
			if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true}); err == nil {
				t.Fatal("it was written")
			}
			if len(w.vault.secrets) != 0 {
				t.Error("the vault has a password that no account knows of")
			}
		})
	})
	t.Run("a sign-out while the vault answers", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			id := w.signIn(alice).ID
			a, err := w.account(id)
			if err != nil {
				t.Fatal(err)
			}
			a.setPassword(a.registered(), "") // as after a start
			a.mu.Lock()
			a.looked = false
			a.mu.Unlock()
			out := false
			w.vault.got = func() {
				if !out {
					out = true
					rec := a.registered()
					rec.Kept = false
					a.setPassword(rec, "")
				}
			}
			if password, err := a.credentials(t.Context(), maildropDoor); password != "" || code(err) != api.CodePasswordNeeded {
				t.Errorf("the password came back: %q, %v", password, err)
			}
		})
	})
}

func TestSignOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a, b := w.signIn(alice), w.signIn(bob)
		if err := w.SignOut(t.Context(), api.SignOut{Account: a.ID}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now := w.accountNow(a.ID); now.HasPassword || problemCode(now.Sync.Problem) != api.CodePasswordNeeded || now.Folders[0].Total != 1 {
			t.Errorf("after signing out: %+v", now)
		}
		if len(w.vault.secrets) != 1 {
			t.Errorf("%d secrets, want Bob's", len(w.vault.secrets))
		}
		if err := w.SignOut(t.Context(), api.SignOut{Account: a.ID, Erase: true}); err != nil {
			t.Fatal(err)
		}
		s, _ := w.Status(t.Context())
		if len(s.Accounts) != 1 || s.Accounts[0].ID != b.ID {
			t.Errorf("accounts %+v", s.Accounts)
		}
		if onDisk(t, w.fs, "Subject: x") {
			t.Error("the mail is still on this device")
		}
		removed := 0
		for _, e := range w.seen.all() {
			if e.Removed == a.ID {
				removed++
			}
		}
		if removed != 1 {
			t.Errorf("%d events of the removal", removed)
		}
		w.signIn(alice) // a new start: everything comes anew
		if n := len(w.list(a.ID, api.Inbox)); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// What a cut left of an account that nothing names goes at the next start.
func TestOrphanedMailboxIsRemoved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a := w.signIn(alice)
		w.halt()
		r, err := openRegistry(w.fs)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.remove(a.ID, 0), r.close()); err != nil {
			t.Fatal(err)
		}
		w.start()
		if names, _ := w.fs.List(); len(names) != 1 || names[0] != registryFolder {
			t.Errorf("on the disk: %v", names)
		}
	})
}

func TestBrokenMailboxCostsItsAccountAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.signIn(alice), w.signIn(bob)
		w.halt()
		folder := accountFolder(a.ID)
		w.over = &unreadable{FS: w.fs, folder: folder}
		w.start()
		if now := w.accountNow(a.ID); now.Sync.State != api.SyncError || problemCode(now.Sync.Problem) != api.CodeStorage || len(now.Folders) != len(api.Folders) {
			t.Errorf("the broken account: %+v", now)
		}
		if _, err := w.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Inbox}); code(err) != api.CodeStorage {
			t.Errorf("listing it: %v", err)
		}
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW}); code(err) != api.CodeStorage {
			t.Errorf("signing in to it: %v", err)
		}
		if err := w.SyncNow(t.Context(), ""); err != nil {
			t.Errorf("SyncNow for all: %v", err)
		}
		synctest.Wait()
		if now := w.accountNow(b.ID); now.Sync.State != api.SyncIdle {
			t.Errorf("the other account: %+v", now)
		}
	})
}

type unreadable struct {
	store.FS
	folder string
}

func (u *unreadable) Sub(name string) (store.FS, error) {
	if name == u.folder {
		return nil, errors.New("input/output error")
	}
	return u.FS.Sub(name)
}

func TestTwoSignInsAtATimeMakeOneAccount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		done := make(chan error, 4)
		for range cap(done) {
			go func() {
				_, err := w.SignIn(context.Background(), api.SignIn{Email: alice, Password: alicePW})
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if s, _ := w.Status(t.Context()); len(s.Accounts) != 1 {
			t.Errorf("%d accounts", len(s.Accounts))
		}
	})
}

func TestClosedEngineAnswersCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		a := w.signIn(alice)
		w.halt()
		w.Close()
		for name, err := range map[string]error{
			"List":   second(w.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Inbox})),
			"SignIn": second(w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW})),
			"Send":   second(w.Send(t.Context(), api.Draft{Account: a.ID, To: to(bob)})),
		} {
			if code(err) != api.CodeCanceled {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestCloseWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, err := New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW}); err != nil {
			t.Fatal(err)
		}
		e.Close()
		e.Close()
		if err := e.Run(t.Context()); err == nil {
			t.Error("a closed engine ran")
		}
	})
}

// Whether the password is kept can be changed without it being typed again.
func TestKeepWithoutThePassword(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		keep := func(on bool) {
			t.Helper()
			got, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Keep: on})
			if err != nil || got.Kept != on || !got.HasPassword {
				t.Fatalf("keep %v: %+v, %v", on, got, err)
			}
			if n := len(w.vault.secrets); (n == 1) != on {
				t.Errorf("keep %v: %d secrets", on, n)
			}
		}
		keep(false)
		w.halt()
		w.start()
		if now := w.accountNow(a.ID); now.HasPassword || now.Kept {
			t.Errorf("after a restart: %+v", now)
		}
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Keep: true}); code(err) != api.CodePasswordNeeded {
			t.Errorf("there is none to keep: %v", err)
		}
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: bob}); code(err) != api.CodeWrongPassword {
			t.Errorf("of no account: %v", err)
		}
		w.signIn(alice)
		keep(true)
		w.halt()
		w.start()
		if now := w.accountNow(a.ID); !now.HasPassword || !now.Kept {
			t.Errorf("after a restart: %+v", now)
		}
	})
}
