package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
)

// cheap is a cost that tests have the time for.
var cheap = cost{Memory: 8, Time: 1, Threads: 1}

// cutVault is a vault whose device goes away after some changes.
type cutVault struct {
	*memVault
	mu    sync.Mutex
	left  int // changes until the cut; below zero: none comes
	count int
}

var errCut = errors.New("cut")

func (v *cutVault) change() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count++
	if v.left == 0 {
		return errCut
	}
	v.left--
	return nil
}

func (v *cutVault) Put(ctx context.Context, name string, secret []byte) error {
	if err := v.change(); err != nil {
		return err
	}
	return v.memVault.Put(ctx, name, secret)
}

func (v *cutVault) Delete(ctx context.Context, name string) error {
	if err := v.change(); err != nil {
		return err
	}
	return v.memVault.Delete(ctx, name)
}

// reopen is the vault after a start: it is under one of the passphrases, or under none. It answers which.
func reopen(t interface{ Fatalf(string, ...any) }, v Vault, names, passphrases []string) (*secrets, string) {
	s := &secrets{vault: v, cost: cheap}
	if err := s.load(context.Background()); err != nil {
		t.Fatalf("loading: %v", err)
	}
	if s.state() == api.VaultOpen {
		return s, ""
	}
	for _, p := range passphrases {
		switch err := s.unlock(context.Background(), p, names); {
		case err == nil:
			return s, p
		case !errors.Is(err, errWrongPassphrase):
			t.Fatalf("unlocking: %v", err)
		case s.state() != api.VaultLocked:
			t.Fatalf("a wrong passphrase left it %q", s.state())
		}
	}
	t.Fatalf("under none of %q", passphrases)
	return nil, ""
}

// Whatever is cut, and however often, every secret is there afterwards, under the old passphrase or the new one.
func TestPassphraseIsCutEverywhere(t *testing.T) {
	ctx := context.Background()
	names := []string{"password/1", "password/2", "password/3"}
	rapid.Check(t, func(t *rapid.T) {
		disk := newMemVault()
		want := map[string]string{}
		s := &secrets{vault: disk, cost: cheap}
		for i, name := range names {
			want[name] = fmt.Sprintf("secret %d", i)
			if err := s.put(ctx, name, []byte(want[name])); err != nil {
				t.Fatal(err)
			}
		}
		passphrase := ""
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			v := &cutVault{memVault: disk, left: rapid.IntRange(-1, 16).Draw(t, "cut after")}
			s = &secrets{vault: v, cost: cheap}
			next := rapid.SampledFrom([]string{"", "one", "two", "three"}).Draw(t, "next")
			possible := []string{passphrase, next}
			if err := s.unlock(ctx, passphrase, names); err == nil || errors.Is(err, errUnsettled) {
				if rapid.Bool().Draw(t, "wrong first") && s.state() != api.VaultOpen {
					if err := s.change(ctx, "wrong", next, names); !errors.Is(err, errWrongPassphrase) {
						t.Fatalf("a wrong passphrase: %v", err)
					}
				}
				if err := s.change(ctx, passphrase, next, names); err == nil {
					possible = []string{next}
					name := rapid.SampledFrom(names).Draw(t, "signed in again")
					if s.put(ctx, name, []byte(want[name]+"!")) == nil {
						want[name] += "!"
					}
				}
			}
			s, passphrase = reopen(t, disk, names, possible)
			for _, name := range names {
				if got, err := s.get(ctx, name); err != nil || string(got) != want[name] {
					// The one change that was cut may be there or not.
					if string(got) != want[name]+"!" {
						t.Fatalf("%s: %q, %v, want %q", name, got, err, want[name])
					}
					want[name] += "!"
				}
			}
			for name, value := range disk.secrets {
				if passphrase != "" && (bytes.Contains(value, []byte("secret ")) || !strings.HasPrefix(name, sealedPrefix) && name != lockName) {
					t.Fatalf("%s is not under the passphrase", name)
				}
				if passphrase == "" && strings.HasPrefix(name, sealedPrefix) && s.lock != nil {
					t.Fatalf("%s is under a passphrase that is none", name)
				}
			}
			if passphrase != "" && len(s.lock.Keys) != 1 {
				t.Fatalf("%d keys after it was unlocked", len(s.lock.Keys))
			}
		}
	})
}

// The same, one cut after another, so that none is left to chance.
func TestEveryCutOfAChangeOfPassphrase(t *testing.T) {
	ctx := context.Background()
	names := []string{"password/1", "password/2"}
	for _, change := range [][2]string{{"", "new"}, {"old", "new"}, {"old", ""}} {
		for cut := 0; ; cut++ {
			disk := newMemVault()
			s := &secrets{vault: disk, cost: cheap}
			for _, name := range names {
				if err := s.put(ctx, name, []byte("of "+name)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.change(ctx, "", change[0], names); err != nil {
				t.Fatal(err)
			}
			v := &cutVault{memVault: disk, left: cut}
			s = &secrets{vault: v, cost: cheap}
			if err := s.unlock(ctx, change[0], names); err != nil {
				t.Fatal(err)
			}
			err := s.change(ctx, change[0], change[1], names)
			s, _ = reopen(t, disk, names, []string{change[0], change[1]})
			for _, name := range names {
				if got, err := s.get(ctx, name); err != nil || string(got) != "of "+name {
					t.Errorf("%q, cut after %d changes: %s is %q, %v", change, cut, name, got, err)
				}
			}
			if err == nil {
				if cut < 3 {
					t.Errorf("%q was done in %d changes", change, v.count)
				}
				break
			}
		}
	}
}

func TestPassphraseRecord(t *testing.T) {
	keys := []sealingKey{newSealingKey(), newSealingKey()}
	l, err := newLock("correct horse", cheap, keys)
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, keys[0].key) || bytes.Contains(b, []byte("horse")) {
		t.Error("the record shows a key")
	}
	l, err = decodeLock(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.open("correct horse")
	if err != nil || len(got) != 2 || !bytes.Equal(got[1].key, keys[1].key) || got[0].id != keys[0].id {
		t.Fatalf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "correct hors", "correct horse ", strings.Repeat("x", maxPassphrase+1)} {
		if _, err := l.open(wrong); !errors.Is(err, errWrongPassphrase) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	// The key is that of RFC 9106, so that others can open what is here.
	master := argon2.IDKey([]byte("correct horse"), l.Salt, cheap.Time, cheap.Memory, cheap.Threads, 32)
	if key, err := unseal(master, l.Keys[0].Sealed, lockedName(keys[0].id)); err != nil || !bytes.Equal(key, keys[0].key) {
		t.Errorf("%v", err)
	}
	for name, change := range map[string]func(l *passphraseLock){
		"version":  func(l *passphraseLock) { l.Version = 2 },
		"no key":   func(l *passphraseLock) { l.Keys = nil },
		"no salt":  func(l *passphraseLock) { l.Salt = nil },
		"memory":   func(l *passphraseLock) { l.Cost.Memory = 1 << 30 },
		"time":     func(l *passphraseLock) { l.Cost.Time = 1000 },
		"no lane":  func(l *passphraseLock) { l.Cost.Threads = 0 },
		"key name": func(l *passphraseLock) { l.Keys[0].ID = "x" },
	} {
		bad, _ := decodeLock(b)
		change(bad)
		b, _ := json.Marshal(bad)
		if _, err := decodeLock(b); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	sealed, _ := sealSecret(keys[0], []byte("x"), "a")
	if _, err := unsealSecret(keys, sealed, "b"); err == nil {
		t.Error("a secret opens under another name")
	}
	for i := range sealed {
		if _, err := unsealSecret(keys, sealed[:i], "a"); err == nil {
			t.Errorf("%d octets of a secret open", i)
		}
	}
}

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

// BenchmarkArgon2 is what giving a passphrase takes.
func BenchmarkArgon2(b *testing.B) {
	l := passphraseLock{Cost: defaultCost, Salt: make([]byte, saltSize)}
	for b.Loop() {
		l.derive("correct horse battery staple")
	}
}
