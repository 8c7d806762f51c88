package engine

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
)

// cheap is a cost that tests have the time for.
var cheap = keyring.Cost{Memory: 8, Time: 1, Threads: 1}

// vaultStates are the states of the vault that were told of.
func (r *recorder) vaultStates() (all []api.VaultState) {
	for _, e := range r.all() {
		if e.Vault != nil {
			all = append(all, *e.Vault)
		}
	}
	return all
}

func (w *world) vaultState() api.VaultState {
	w.t.Helper()
	s, err := w.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Vault
}

func TestPassphrase(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		if err := w.SetPassphrase(t.Context(), api.Passphrase{New: "correct horse"}); err != nil {
			t.Fatal(err)
		}
		if s := w.vaultState(); s != api.VaultSealed {
			t.Errorf("vault %q", s)
		}
		for name, value := range w.vault.secrets {
			if bytes.Contains(value, []byte(alicePW)) {
				t.Errorf("the password is in %s", name)
			}
		}
		w.signIn(bob) // sealed as it comes
		w.halt()
		w.pop.Maildrop[alice].Deliver(letter("while it was locked", "x"))
		w.start()
		if s := w.vaultState(); s != api.VaultLocked {
			t.Errorf("after a restart: vault %q", s)
		}
		if now := w.accountNow(a.ID); problemCode(now.Sync.Problem) != api.CodeLocked || !now.HasPassword {
			t.Errorf("locked: %+v", now)
		}
		if got := w.seen.vaultStates(); len(got) != 1 || got[0] != api.VaultLocked {
			t.Errorf("told of %q", got)
		}
		before := len(w.gateway.opened)
		time.Sleep(10 * time.Minute)
		if n := len(w.gateway.opened) - before; n != 0 {
			t.Errorf("%d connections without a password", n)
		}
		secrets := len(w.vault.secrets)
		if err := w.Unlock(t.Context(), "wrong"); code(err) != api.CodeWrongPassphrase || w.vaultState() != api.VaultLocked || len(w.vault.secrets) != secrets {
			t.Errorf("got %v, vault %q", err, w.vaultState())
		}
		if err := w.SetPassphrase(t.Context(), api.Passphrase{Old: "wrong", New: "x"}); code(err) != api.CodeWrongPassphrase {
			t.Errorf("got %v", err)
		}
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "written while it was locked"})
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateQueued || problemCode(r.Problem) != api.CodeLocked {
			t.Errorf("row %+v", r)
		}
		if err := w.Unlock(t.Context(), "correct horse"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateSent {
			t.Errorf("row %+v", r)
		}
		if w.only(a.ID, api.Inbox).Subject != "while it was locked" || w.vaultState() != api.VaultSealed || w.accountNow(a.ID).Sync.Problem != nil {
			t.Errorf("unlocked: %+v", w.accountNow(a.ID))
		}
		if err := w.SetPassphrase(t.Context(), api.Passphrase{Old: "correct horse", New: "battery staple"}); err != nil {
			t.Fatal(err)
		}
		w.halt()
		w.start()
		if err := w.Unlock(t.Context(), "correct horse"); code(err) != api.CodeWrongPassphrase {
			t.Errorf("the old passphrase: %v", err)
		}
		if err := w.SetPassphrase(t.Context(), api.Passphrase{Old: "battery staple"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p := w.accountNow(a.ID).Sync.Problem; w.vaultState() != api.VaultOpen || p != nil {
			t.Errorf("without a passphrase: vault %q, %v", w.vaultState(), p)
		}
		if len(w.vault.secrets) != 2 {
			t.Errorf("%d secrets, want the two passwords", len(w.vault.secrets))
		}
		w.halt()
		w.start()
		if p := w.accountNow(a.ID).Sync.Problem; p != nil {
			t.Errorf("after a restart: %v", p)
		}
	})
}

// Who has lost the passphrase types the passwords again, and begins anew.
func TestLostPassphrase(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.signIn(alice), w.signIn(bob)
		if err := w.SetPassphrase(t.Context(), api.Passphrase{New: "lost"}); err != nil {
			t.Fatal(err)
		}
		w.halt()
		w.start()
		w.signIn(alice)
		if p := w.accountNow(a.ID).Sync.Problem; p != nil || w.vaultState() != api.VaultLocked {
			t.Errorf("%v, vault %q", p, w.vaultState())
		}
		if err := w.SetPassphrase(t.Context(), api.Passphrase{New: "next"}); code(err) != api.CodeWrongPassphrase {
			t.Errorf("Bob's password is still under it: %v", err)
		}
		w.signIn(bob)
		if err := w.SetPassphrase(t.Context(), api.Passphrase{New: "next"}); err != nil {
			t.Fatal(err)
		}
		w.halt()
		w.start()
		if err := w.Unlock(t.Context(), "next"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, id := range []api.AccountID{a.ID, b.ID} {
			if now := w.accountNow(id); now.Sync.Problem != nil || !now.HasPassword {
				t.Errorf("%+v", now)
			}
		}
	})
}

// A password that was to be kept while the vault was locked is kept when it is unlocked.
func TestSignInWhileLocked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.signIn(alice)
		if err := w.SetPassphrase(t.Context(), api.Passphrase{New: "p"}); err != nil {
			t.Fatal(err)
		}
		w.halt()
		w.start()
		b := w.signIn(bob)
		if err := w.Unlock(t.Context(), "p"); err != nil {
			t.Fatal(err)
		}
		w.halt()
		w.start()
		if err := w.Unlock(t.Context(), "p"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now := w.accountNow(b.ID); now.Sync.Problem != nil || !now.HasPassword {
			t.Errorf("%+v", now)
		}
		if err := w.SignOut(t.Context(), api.SignOut{Account: b.ID}); err != nil {
			t.Fatal(err)
		}
		if len(w.vault.secrets) != 2 {
			t.Errorf("%d secrets, want the lock and Alice's", len(w.vault.secrets))
		}
	})
}
