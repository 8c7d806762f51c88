package account

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/sasl"
)

// scram logs in as a client does.
func scram(g *Gate, remote net.Addr, user, password string) (Account, error) {
	client, err := sasl.New(sasl.SCRAMSHA256, sasl.Credentials{User: user, Password: password})
	if err != nil {
		return Account{}, err
	}
	x := g.SCRAM(context.Background(), remote)
	if err := exchange(client, x); err != nil {
		return Account{}, err
	}
	return x.Account(), nil
}

// scramGate has alice, who has keys, bob, who has none yet, and carol, who is disabled.
func scramGate(t testing.TB, o *Options) *Gate {
	t.Helper()
	phc, err := Hash("secret", cheap)
	if err != nil {
		t.Fatal(err)
	}
	keys := sasl.NewKeys("secret", sasl.MinIterations).String()
	o.Params, o.Iterations = cheap, sasl.MinIterations
	g, err := NewGate(func(_ context.Context, email string) (Record, bool, error) {
		r := Record{Account: Account{Email: email}, Hash: phc, SCRAM: keys}
		switch email {
		case "alice@postern.test":
		case "bob@postern.test":
			r.SCRAM = ""
		case "carol@postern.test":
			r.Disabled = true
		case "broken@postern.test":
			return Record{}, false, errors.New("disk on fire")
		default:
			return Record{}, false, nil
		}
		return r, true, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSCRAM(t *testing.T) {
	g := scramGate(t, &Options{Delay: -1})
	for _, c := range []struct {
		user, password string
		want           error
	}{
		{"alice@postern.test", "secret", nil},
		{"Alice@Postern.TEST", "secret", nil},
		{"alice@postern.test", "Secret", ErrDenied},
		{"bob@postern.test", "secret", ErrDenied},
		{"carol@postern.test", "secret", ErrDenied},
		{"nobody@postern.test", "secret", ErrDenied},
	} {
		a, err := scram(g, nil, c.user, c.password)
		if !errors.Is(err, c.want) || (err == nil) != (a.Email == "alice@postern.test") {
			t.Errorf("%q %q: %v, %v; want %v", c.user, c.password, a, err, c.want)
		}
	}
	if _, err := scram(g, nil, "broken@postern.test", "x"); err == nil || errors.Is(err, ErrDenied) {
		t.Errorf("a store that cannot answer gave %v", err)
	}
	if _, err := g.Authenticate(t.Context(), nil, "carol@postern.test", "secret"); !errors.Is(err, ErrDenied) {
		t.Errorf("a disabled account by its password: %v", err)
	}
}

// challenge is what a name is answered with, but for the nonce.
func challenge(t *testing.T, g *Gate, user string) string {
	t.Helper()
	c, _, err := g.SCRAM(t.Context(), nil).Next([]byte("n,,n=" + user + ",r=x"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(c), ",")
	return rest
}

// A name that does not exist looks like one that does: a salt of its own, of the same length, the same after a restart.
func TestNamesCannotBeProbed(t *testing.T) {
	key := []byte("kept on the disk")
	g, again := scramGate(t, &Options{SaltKey: key}), scramGate(t, &Options{SaltKey: key})
	known := challenge(t, g, "alice@postern.test")
	seen := map[string]string{}
	for _, name := range []string{"nobody@postern.test", "noone@postern.test", "bob@postern.test", "carol@postern.test"} {
		got := challenge(t, g, name)
		if len(got) != len(known) || got[strings.Index(got, ",i="):] != known[strings.Index(known, ",i="):] {
			t.Errorf("%s is answered with %q, an account with %q", name, got, known)
		}
		if challenge(t, again, strings.ToUpper(name)) != got {
			t.Errorf("%s has another salt after a restart", name)
		}
		if other := seen[got]; other != "" {
			t.Errorf("%s and %s share a salt", name, other)
		}
		seen[got] = name
	}
	if challenge(t, scramGate(t, &Options{}), "nobody@postern.test") == challenge(t, g, "nobody@postern.test") {
		t.Error("a salt can be foretold without the key")
	}
}

func TestKeysAreMadeAtLogin(t *testing.T) {
	var kept []Record
	g := scramGate(t, &Options{Delay: -1, Upgrade: func(_ context.Context, r Record) { kept = append(kept, r) }})
	for _, c := range [][2]string{{"bob@postern.test", "wrong"}, {"nobody@postern.test", "secret"}, {"alice@postern.test", "secret"}, {"bob@postern.test", "secret"}} {
		g.Authenticate(t.Context(), nil, c[0], c[1])
	}
	if len(kept) != 1 || kept[0].Email != "bob@postern.test" {
		t.Fatalf("kept %v, want bob's alone", kept)
	}
	k, err := sasl.ParseKeys(kept[0].SCRAM)
	if want := sasl.DeriveKeys("secret", k.Salt, k.Iterations); err != nil || want.String() != kept[0].SCRAM {
		t.Errorf("keys %q are not of the password (%v)", kept[0].SCRAM, err)
	}
}

// SCRAM is offered when nobody is locked out by it.
func TestMechanisms(t *testing.T) {
	all, failed := false, error(nil)
	g := scramGate(t, &Options{Keyed: func(context.Context) (bool, error) { return all, failed }})
	offers := func() bool { return slices.Contains(g.Mechanisms(t.Context()), sasl.SCRAMSHA256) }
	if offers() {
		t.Error("offered although bob has no keys")
	}
	all, failed = true, errors.New("disk on fire")
	if offers() {
		t.Error("offered although nobody knows")
	}
	if failed = nil; !offers() {
		t.Error("not offered although all have keys")
	}
	if got := scramGate(t, &Options{}).Mechanisms(t.Context()); !slices.Equal(got, []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}) {
		t.Errorf("%q", got)
	}
}

// Guessing by SCRAM is as slow as by a password, and shares its turn and its count.
func TestGuessingBySCRAM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scramGate(t, &Options{})
		far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
		g.Authenticate(t.Context(), far, "alice@postern.test", "x")
		start := time.Now()
		scram(g, far, "alice@postern.test", "x")
		if got := time.Since(start).Round(time.Millisecond); got != time.Second {
			t.Errorf("the second failure was answered after %v, want a second", got)
		}
		time.Sleep(16 * time.Minute)
		var denied, busy atomic.Int32
		var wg sync.WaitGroup
		start = time.Now()
		for range 50 {
			wg.Go(func() {
				switch _, err := scram(g, far, "alice@postern.test", "x"); {
				case errors.Is(err, ErrDenied):
					denied.Add(1)
				case errors.Is(err, ErrBusy):
					busy.Add(1)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); denied.Load() > 5 || denied.Load()+busy.Load() != 50 || took > 17*time.Second {
			t.Errorf("%d guesses were checked in %v, %d put off", denied.Load(), took, busy.Load())
		}
		if len(g.turns) != 0 {
			t.Errorf("%d turns are kept", len(g.turns))
		}
	})
}
