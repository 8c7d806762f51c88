package maildrop

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"pgregory.net/rapid"
)

const carol = "carol@postern.test"

func TestAccounts(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	r := account.Record{Account: account.Account{Email: alice, Name: "Alice"}, Hash: "new", SCRAM: "keys"}
	if err := s.AddAccount(r); !errors.Is(err, ErrAccountExists) {
		t.Errorf("adding twice: %v", err)
	}
	must(t, s.SetAccount(r))
	if got, ok, err := s.Account(t.Context(), alice); got != r || !ok || err != nil {
		t.Errorf("Account = %v %v %v", got, ok, err)
	}
	if _, ok, err := s.Account(t.Context(), carol); ok || err != nil {
		t.Errorf("unknown account: %v %v", ok, err)
	}
	if first, ok, err := s.FirstAccount(t.Context()); first != alice || !ok || err != nil {
		t.Errorf("FirstAccount = %v %v %v", first, ok, err)
	}
	if keyed, err := s.Keyed(t.Context()); keyed || err != nil {
		t.Errorf("bob has no keys, and all are keyed (%v)", err)
	}
	must(t, s.SetKeys(account.Record{Account: account.Account{Email: bob}, Hash: "an older one", SCRAM: "old"}))
	if r, _, _ := s.Account(t.Context(), bob); r.SCRAM != "" {
		t.Error("keys of a password that was changed were kept")
	}
	must(t, s.SetKeys(account.Record{Account: account.Account{Email: bob}, Hash: "x", SCRAM: "right"}))
	if keyed, err := s.Keyed(t.Context()); !keyed || err != nil {
		t.Errorf("all have keys: %v %v", keyed, err)
	}
	must(t, s.SetPassword(bob, "h", "k"))
	must(t, s.SetDisabled(bob, true))
	if r, _, _ := s.Account(t.Context(), bob); r.Hash != "h" || r.SCRAM != "k" || !r.Disabled {
		t.Errorf("bob is %+v", r)
	}
	for name, err := range map[string]error{
		"SetPassword": s.SetPassword(carol, "h", "k"), "SetDisabled": s.SetDisabled(carol, true), "SetQuota": s.SetQuota(carol, Quota{}), "SetFilesQuota": s.SetFilesQuota(carol, 1),
		"Rename": s.Rename(carol, "x@postern.test"), "RemoveAccount": s.RemoveAccount(t.Context(), carol, true), "AddAlias": s.AddAlias("x@postern.test", carol),
		"SetCatchAll": s.SetCatchAll("postern.test", carol),
	} {
		if !errors.Is(err, ErrNoAccount) {
			t.Errorf("%s of nobody: %v", name, err)
		}
	}
}

func TestRename(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	must(t, deliver(s, "1", Envelope{Local: []string{alice}}))
	must(t, s.AddAlias("info@postern.test", alice))
	before := contents(t, s, alice)
	if err := s.Rename(alice, bob); !errors.Is(err, ErrAccountExists) {
		t.Errorf("onto another account: %v", err)
	}
	if err := s.Rename(alice, "info@postern.test"); !errors.Is(err, ErrAddressTaken) {
		t.Errorf("onto an alias: %v", err)
	}
	must(t, s.Rename(alice, carol))
	if after := contents(t, s, carol); !maps.Equal(before, after) {
		t.Errorf("%q became %q", before, after)
	}
	if got, err := s.Resolve(t.Context(), "info@postern.test"); err != nil || !slices.Equal(got, []string{carol}) {
		t.Errorf("the alias leads to %v, %v", got, err)
	}
}

func TestRemoveAccount(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, &Options{LockWait: -1})
	must(t, deliver(s, "hers", Envelope{Local: []string{alice}}))
	must(t, deliver(s, "both", Envelope{Local: []string{alice, bob}}))
	must(t, s.AddAlias("all@postern.test", alice, bob))
	must(t, s.AddAlias("hers@postern.test", alice))
	must(t, s.SetCatchAll("postern.test", alice))
	if err := s.RemoveAccount(t.Context(), alice, false); !errors.Is(err, ErrHasMail) {
		t.Errorf("with mail in it: %v", err)
	}
	d := lock(t, s, alice)
	if err := s.RemoveAccount(t.Context(), alice, true); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is read: %v", err)
	}
	d.Unlock()
	if n := len(contents(t, s, alice)); n != 2 {
		t.Fatalf("after refusals she has %d messages", n)
	}
	must(t, s.RemoveAccount(t.Context(), alice, true))
	if got := contents(t, s, bob); len(got) != 1 || holds(got, "both") != 1 {
		t.Errorf("bob has %q", got)
	}
	if got := keeps(t, s); len(got) != 1 {
		t.Errorf("files %q, want the one that bob has", got)
	}
	aliases, err := s.Aliases(t.Context())
	if err != nil || fmt.Sprint(aliases) != "[{all@postern.test [bob@postern.test]}]" {
		t.Errorf("aliases %v, %v", aliases, err)
	}
	if all, err := s.CatchAlls(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("catch-alls %v, %v", all, err)
	}
}

func TestResolve(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	must(t, s.AddAlias("info@postern.test", alice))
	must(t, s.AddAlias("all@postern.test", alice, bob))
	must(t, s.AddAlias("all@postern.test", bob)) // once more changes nothing
	must(t, s.AddAlias("alice+lists@postern.test", bob))
	must(t, s.SetCatchAll("caught.test", bob))
	for address, want := range map[string]string{
		alice: alice, "alice+tag@postern.test": alice, "alice+a+b@postern.test": alice, "info@postern.test": alice, "info+x@postern.test": alice,
		"all@postern.test": alice + " " + bob, "alice+lists@postern.test": bob, "postmaster@postern.test": alice, "postmaster+x@postern.test": alice,
		"any@caught.test": bob, "any+tag@caught.test": bob, "postmaster@caught.test": alice,
		carol: "", "+alice@postern.test": "", "any@postern.test": "", "alice": "", "alice+@postern.test": alice,
	} {
		got, err := s.Resolve(t.Context(), address)
		if strings.Join(got, " ") != want || (want == "") != errors.Is(err, ErrNoAccount) || want != "" && err != nil {
			t.Errorf("%s leads to %v, %v; want %q", address, got, err, want)
		}
	}
	for _, c := range []struct {
		user, address string
		want          bool
	}{
		{alice, alice, true}, {alice, bob, false}, {alice, "alice+tag@postern.test", true}, {alice, "info@postern.test", true}, {bob, "info@postern.test", false},
		{alice, "all@postern.test", false}, {alice, "alice+lists@postern.test", false}, {bob, "alice+lists@postern.test", true},
		{bob, "any@caught.test", false}, {alice, "postmaster@postern.test", false}, {alice, "alice@elsewhere.test", false},
	} {
		if got, err := s.Owns(t.Context(), c.user, c.address); got != c.want || err != nil {
			t.Errorf("%s owns %s: %v, %v", c.user, c.address, got, err)
		}
	}
	if err := s.AddAlias(alice, bob); !errors.Is(err, ErrAccountExists) {
		t.Errorf("an account's address as an alias: %v", err)
	}
	if err := s.AddAccount(account.Record{Account: account.Account{Email: "info@postern.test"}}); !errors.Is(err, ErrAddressTaken) {
		t.Errorf("an alias as an account: %v", err)
	}
	if err := s.RemoveAlias("info@postern.test", bob); !errors.Is(err, ErrNoAlias) {
		t.Errorf("an alias that it is not: %v", err)
	}
	must(t, s.RemoveAlias("all@postern.test", alice))
	must(t, s.RemoveAlias("info@postern.test"))
	if err := s.RemoveAlias("info@postern.test"); !errors.Is(err, ErrNoAlias) {
		t.Errorf("an alias that is gone: %v", err)
	}
	must(t, s.SetCatchAll("caught.test", ""))
	if _, err := s.Resolve(t.Context(), "any@caught.test"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("after the catch-all is off: %v", err)
	}
}

func TestQuota(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	full := func(size int64) bool {
		t.Helper()
		f, err := s.Full(t.Context(), alice, size)
		must(t, err)
		return f
	}
	must(t, deliver(s, "12345", Envelope{Local: []string{alice}, Trace: "ü\r\n"})) // 4 octets of trace
	if full(1 << 40) {
		t.Error("full without a quota")
	}
	for _, c := range []struct {
		quota Quota
		size  int64
		want  bool
	}{
		{Quota{Octets: 9}, 0, true}, {Quota{Octets: 10}, 0, false}, {Quota{Octets: 10}, 1, false}, {Quota{Octets: 10}, 2, true},
		{Quota{Messages: 1}, 0, true}, {Quota{Messages: 2}, 1 << 40, false}, {Quota{Octets: 8, Messages: 9}, 0, true},
	} {
		must(t, s.SetQuota(alice, c.quota))
		if got := full(c.size); got != c.want {
			t.Errorf("quota %+v for %d more: full %v", c.quota, c.size, got)
		}
	}
	if _, err := s.Full(t.Context(), carol, 0); !errors.Is(err, ErrNoAccount) {
		t.Errorf("nobody's quota: %v", err)
	}
	users, err := s.Users(t.Context())
	must(t, err)
	if len(users) != 2 || users[0].Email != alice || users[0].Messages != 1 || users[0].Octets != 9 || users[0].Quota.Octets != 8 || users[1].Messages != 0 {
		t.Errorf("users %+v", users)
	}
}

// The sums are what is in the maildrops, whatever happened.
func TestSums(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		s := world(t, filepath.Join(dir, fmt.Sprint(n)), nil)
		defer s.Close()
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			who := rapid.SampledFrom([]string{alice, bob}).Draw(r, "who")
			if rapid.IntRange(0, 2).Draw(r, "what") > 0 {
				to := rapid.SampledFrom([][]string{{who}, {alice, bob}, {who, "nobody@postern.test"}}).Draw(r, "to")
				deliver(s, rapid.StringN(0, 9, -1).Draw(r, "text"), Envelope{Local: to, Trace: rapid.SampledFrom([]string{"", "é\r\n"}).Draw(r, "trace")})
				continue
			}
			d := lock(t, s, who)
			must(t, d.Remove(t.Context(), d.Messages()[:rapid.IntRange(0, len(d.Messages())).Draw(r, "gone")]))
			d.Unlock()
		}
		users, err := s.Users(t.Context())
		must(t, err)
		for _, u := range users {
			var octets int64
			drop := contents(t, s, u.Email)
			for _, text := range drop {
				octets += int64(len(text))
			}
			if u.Messages != int64(len(drop)) || u.Octets != octets {
				r.Errorf("%s: sums %d and %d, has %d and %d", u.Email, u.Messages, u.Octets, len(drop), octets)
			}
		}
	})
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	a, err := s.Secret(t.Context(), "a")
	must(t, err)
	b, err := s.Secret(t.Context(), "b")
	must(t, err)
	must(t, s.Close())
	again, err := open(t, dir, nil).Secret(t.Context(), "a")
	if len(a) != 32 || string(a) == string(b) || string(a) != string(again) || err != nil {
		t.Errorf("%x %x %x %v", a, b, again, err)
	}
}

// An index of the first version keeps its accounts and mail, and gets its sums.
func TestMigrationOfAccounts(t *testing.T) {
	dir := t.TempDir()
	released := migrations
	t.Cleanup(func() { migrations = released })
	migrations = released[:2]
	db, err := openIndex(dir, 1)
	must(t, err)
	must(t, migrate(t.Context(), db))
	_, err = db.Exec(`INSERT INTO accounts (email, name, hash, created) VALUES (?, 'Alice', 'x', 1);
		INSERT INTO contents (id, size, sha256, received) VALUES (1, 5, x'00', 1);
		INSERT INTO messages (account, content, uid, trace) VALUES (1, 1, 'U1', 'é')`, alice)
	must(t, err)
	write(t, filepath.Join(dir, "content/0000/000000000001.eml"), "12345")
	must(t, db.Close())
	migrations = released
	s := open(t, dir, nil)
	users, err := s.Users(t.Context())
	if err != nil || len(users) != 1 || users[0].Octets != 7 || users[0].Messages != 1 || users[0].SCRAM {
		t.Errorf("%+v %v", users, err)
	}
	if got := contents(t, s, alice); got["U1"] != "é12345" {
		t.Errorf("%q", got)
	}
}
