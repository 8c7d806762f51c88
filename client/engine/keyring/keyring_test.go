package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
)

// cheap is a cost that tests have the time for.
var cheap = Cost{Memory: 8, Time: 1, Threads: 1}

// mapVault is a vault in memory.
type mapVault map[string][]byte

func (v mapVault) Put(_ context.Context, name string, secret []byte) error {
	v[name] = slices.Clone(secret)
	return nil
}

func (v mapVault) Get(_ context.Context, name string) ([]byte, error) {
	return slices.Clone(v[name]), nil
}

func (v mapVault) Delete(_ context.Context, name string) error {
	delete(v, name)
	return nil
}

// cutVault is a vault whose device goes away after some changes.
type cutVault struct {
	mapVault
	left  int // changes until the cut; below zero: none comes
	count int
}

var errCut = errors.New("cut")

func (v *cutVault) change() error {
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
	return v.mapVault.Put(ctx, name, secret)
}

func (v *cutVault) Delete(ctx context.Context, name string) error {
	if err := v.change(); err != nil {
		return err
	}
	return v.mapVault.Delete(ctx, name)
}

// reopen is the vault after a start: it is under one of the passphrases, or under none. It answers which.
func reopen(t interface{ Fatalf(string, ...any) }, v Vault, names, passphrases []string) (*Ring, string) {
	s := New(v, cheap)
	if err := s.Load(context.Background()); err != nil {
		t.Fatalf("loading: %v", err)
	}
	if s.State() == api.VaultOpen {
		return s, ""
	}
	for _, p := range passphrases {
		switch err := s.Unlock(context.Background(), p, names); {
		case err == nil:
			return s, p
		case !errors.Is(err, ErrWrongPassphrase):
			t.Fatalf("unlocking: %v", err)
		case s.State() != api.VaultLocked:
			t.Fatalf("a wrong passphrase left it %q", s.State())
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
		disk := mapVault{}
		want := map[string]string{}
		s := New(disk, cheap)
		for i, name := range names {
			want[name] = fmt.Sprintf("secret %d", i)
			if err := s.Put(ctx, name, []byte(want[name])); err != nil {
				t.Fatal(err)
			}
		}
		passphrase := ""
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			v := &cutVault{mapVault: disk, left: rapid.IntRange(-1, 16).Draw(t, "cut after")}
			s = New(v, cheap)
			next := rapid.SampledFrom([]string{"", "one", "two", "three"}).Draw(t, "next")
			possible := []string{passphrase, next}
			if err := s.Unlock(ctx, passphrase, names); err == nil || errors.Is(err, ErrUnsettled) {
				if rapid.Bool().Draw(t, "wrong first") && s.State() != api.VaultOpen {
					if err := s.Change(ctx, "wrong", next, names); !errors.Is(err, ErrWrongPassphrase) {
						t.Fatalf("a wrong passphrase: %v", err)
					}
				}
				if err := s.Change(ctx, passphrase, next, names); err == nil {
					possible = []string{next}
					name := rapid.SampledFrom(names).Draw(t, "signed in again")
					if s.Put(ctx, name, []byte(want[name]+"!")) == nil {
						want[name] += "!"
					}
				}
			}
			s, passphrase = reopen(t, disk, names, possible)
			for _, name := range names {
				if got, err := s.Get(ctx, name); err != nil || string(got) != want[name] {
					// The one change that was cut may be there or not.
					if string(got) != want[name]+"!" {
						t.Fatalf("%s: %q, %v, want %q", name, got, err, want[name])
					}
					want[name] += "!"
				}
			}
			for name, value := range disk {
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
			disk := mapVault{}
			s := New(disk, cheap)
			for _, name := range names {
				if err := s.Put(ctx, name, []byte("of "+name)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Change(ctx, "", change[0], names); err != nil {
				t.Fatal(err)
			}
			v := &cutVault{mapVault: disk, left: cut}
			s = New(v, cheap)
			if err := s.Unlock(ctx, change[0], names); err != nil {
				t.Fatal(err)
			}
			err := s.Change(ctx, change[0], change[1], names)
			s, _ = reopen(t, disk, names, []string{change[0], change[1]})
			for _, name := range names {
				if got, err := s.Get(ctx, name); err != nil || string(got) != "of "+name {
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
	for _, wrong := range []string{"", "correct hors", "correct horse ", strings.Repeat("x", MaxPassphrase+1)} {
		if _, err := l.open(wrong); !errors.Is(err, ErrWrongPassphrase) {
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

// BenchmarkArgon2 is what giving a passphrase takes.
func BenchmarkArgon2(b *testing.B) {
	l := passphraseLock{Cost: DefaultCost(), Salt: make([]byte, saltSize)}
	for b.Loop() {
		l.derive("correct horse battery staple")
	}
}
