package account

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cheap keeps the tests quick; TestOWASP asserts what real accounts get.
var cheap = Params{Memory: 64, Time: 1, Threads: 1}

func TestOWASP(t *testing.T) {
	phc, err := Hash("correct horse", DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q is not of the parameters OWASP advises", phc)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horse ": false, "": false} {
		if got, err := Verify(phc, password); got != want || err != nil {
			t.Errorf("Verify(%q) = %v, %v; want %v", password, got, err, want)
		}
	}
}

func TestHashRefuses(t *testing.T) {
	for _, bad := range []string{"", "a\x00b", strings.Repeat("x", 1025)} {
		if _, err := Hash(bad, cheap); !errors.Is(err, ErrPassword) {
			t.Errorf("Hash(%.10q) = %v, want ErrPassword", bad, err)
		}
	}
}

func TestDamagedHash(t *testing.T) {
	good, _ := Hash("x", cheap)
	for _, bad := range []string{
		"", "$", good[:len(good)-40], strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "m=64", "m=4294967295", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "t=1", "t=99999", 1), strings.Replace(good, "p=1", "p=0", 1), good + "$", good + "!",
	} {
		if ok, err := Verify(bad, "x"); ok || !errors.Is(err, ErrHash) {
			t.Errorf("Verify(%q) = %v, %v; want ErrHash", bad, ok, err)
		}
	}
}

func gate(t testing.TB, o *Options) *Gate {
	phc, err := Hash("secret", cheap)
	if err != nil {
		t.Fatal(err)
	}
	if o == nil {
		o = &Options{}
	}
	o.Params = cheap
	g, err := NewGate(func(_ context.Context, email string) (Record, bool, error) {
		if email == "broken@postern.test" {
			return Record{}, false, errors.New("disk on fire")
		}
		return Record{Account: Account{Email: email, Name: "Alice"}, Hash: phc}, email == "alice@postern.test", nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAuthenticate(t *testing.T) {
	g := gate(t, &Options{Delay: -1})
	for _, c := range []struct {
		user, password string
		want           error
	}{
		{"alice@postern.test", "secret", nil},
		{" Alice@Postern.TEST", "secret", nil},
		{"alice@postern.test", "Secret", ErrDenied},
		{"alice@postern.test", "", ErrDenied},
		{"bob@postern.test", "secret", ErrDenied},
		{"", "", ErrDenied},
	} {
		a, err := g.Authenticate(t.Context(), nil, c.user, c.password)
		if !errors.Is(err, c.want) || (err == nil) != (a.Email == "alice@postern.test") {
			t.Errorf("%q %q: %v, %v; want %v", c.user, c.password, a, err, c.want)
		}
	}
	if _, err := g.Authenticate(t.Context(), nil, "broken@postern.test", "x"); err == nil || errors.Is(err, ErrDenied) {
		t.Errorf("a store that cannot answer gave %v: the user would be told the password is wrong", err)
	}
}

// An unknown name must cost what a known one costs: the same computation, once.
func TestUnknownNameCostsTheSame(t *testing.T) {
	g := gate(t, &Options{Delay: -1})
	p, _, _, err := parse(g.dummy)
	if err != nil || p != cheap {
		t.Fatalf("unknown names are checked with %v, %v; accounts with %v", p, err, cheap)
	}
}

func TestFailuresAreAnsweredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(t, nil)
		far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
		for i, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
			start := time.Now()
			g.Authenticate(t.Context(), far, fmt.Sprintf("user%d@postern.test", i), "x") // another name each time: it is the place that counts
			if got := time.Since(start); got != want {
				t.Errorf("failure %d was answered after %v, want %v", i+1, got, want)
			}
		}
		start := time.Now()
		g.Authenticate(t.Context(), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}, "alice@postern.test", "x")
		if got := time.Since(start); got != 500*time.Millisecond {
			t.Errorf("another place waited %v for failures that are not its own", got)
		}
		near := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
		g.Authenticate(t.Context(), near, "alice@postern.test", "x")
		start = time.Now()
		g.Authenticate(t.Context(), near, "bob@postern.test", "x")
		if got := time.Since(start); got != 500*time.Millisecond {
			t.Errorf("behind the gateway one user's failures slowed another's: %v", got)
		}
		time.Sleep(16 * time.Minute)
		start = time.Now()
		g.Authenticate(t.Context(), far, "alice@postern.test", "x")
		if got := time.Since(start); got != 500*time.Millisecond {
			t.Errorf("after a quiet quarter of an hour a failure waited %v", got)
		}
	})
}

// Whoever guesses over many connections, or hangs up instead of waiting for the
// answer, gets no more tries than over one.
func TestGuessingIsNoFasterInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(t, nil)
		far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
		var checked, busy atomic.Int32
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				switch _, err := g.Authenticate(t.Context(), far, "alice@postern.test", fmt.Sprint(i)); {
				case errors.Is(err, ErrDenied):
					checked.Add(1)
				case errors.Is(err, ErrBusy):
					busy.Add(1)
				}
			})
		}
		wg.Wait()
		// 0.5 + 1 + 2 + 4 s, and 8 s for the one that got its turn before the tenth second
		if took := time.Since(start); checked.Load() > 5 || checked.Load()+busy.Load() != 200 || took > 16*time.Second {
			t.Errorf("%d guesses were checked in %v, %d put off", checked.Load(), took, busy.Load())
		}
		if len(g.turns) != 0 {
			t.Errorf("%d turns are kept", len(g.turns))
		}
	})
}

// What the gateway carries comes from loopback. Introduced, it counts as its
// client's: nobody locks another out of an account by guessing at it.
func TestIntroducedClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(t, nil)
		attack, owner := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1000}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1001}
		forget := g.Introduce(attack, netip.MustParseAddr("192.0.2.1"))
		defer g.Introduce(owner, netip.MustParseAddr("192.0.2.2"))()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { g.Authenticate(t.Context(), attack, "alice@postern.test", "x") })
		}
		synctest.Wait()
		start := time.Now()
		if _, err := g.Authenticate(t.Context(), owner, "alice@postern.test", "secret"); err != nil || time.Since(start) != 0 {
			t.Errorf("the owner logs in after %v, %v", time.Since(start), err)
		}
		wg.Wait()
		forget()
		if len(g.introduced) != 1 {
			t.Errorf("%d are known, want the owner alone", len(g.introduced))
		}
	})
}

func TestRememberedPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(t, &Options{Delay: -1, Hashers: 1, Wait: time.Second})
		login := func(password string) error {
			_, err := g.Authenticate(t.Context(), nil, "alice@postern.test", password)
			return err
		}
		if err := login("secret"); err != nil {
			t.Fatal(err)
		}
		g.slots <- struct{}{} // no hasher is free any more
		if err := login("secret"); err != nil {
			t.Errorf("a password checked a moment ago was hashed again: %v", err)
		}
		if err := login("Secret"); !errors.Is(err, ErrBusy) {
			t.Errorf("another password: %v, want ErrBusy", err)
		}
		time.Sleep(16 * time.Minute)
		if err := login("secret"); !errors.Is(err, ErrBusy) {
			t.Errorf("after its time: %v, want ErrBusy", err)
		}
	})
}

func TestHashersAreBounded(t *testing.T) {
	g := gate(t, &Options{Delay: -1, Hashers: 2, Remember: -1})
	var most atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := g.Authenticate(t.Context(), nil, "alice@postern.test", "secret"); err != nil {
				t.Error(err)
			}
			if n := int32(len(g.slots)); n > most.Load() {
				most.Store(n)
			}
		})
	}
	wg.Wait()
	if most.Load() > 2 || len(g.slots) != 0 {
		t.Errorf("up to %d hashers ran, %d never ended; at most 2 may", most.Load(), len(g.slots))
	}
}

func TestPlaces(t *testing.T) {
	for address, want := range map[string]string{
		"[2001:db8::1]:1": "[2001:db8::/64 2001:db8::/48]", "[2001:db8::ffff]:2": "[2001:db8::/64 2001:db8::/48]", "[2001:db8:0:1::1]:1": "[2001:db8:0:1::/64 2001:db8::/48]",
		"192.0.2.1:1": "[192.0.2.1/32]", "[::ffff:192.0.2.1]:1": "[192.0.2.1/32]", "127.0.0.1:1": "[account a]", "[::1]:1": "[account a]",
	} {
		if got := fmt.Sprint(places(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)), "a")); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// Who has a whole /48, and so 65,536 networks to guess from, guesses no faster than four clients, and keeps nobody else from his turn.
func TestGuessingFromASite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(t, nil)
		var checked atomic.Int32
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 200 {
			from := net.ParseIP("2001:db8::1")
			from[7] = byte(i)
			wg.Go(func() {
				if _, err := g.Authenticate(t.Context(), &net.TCPAddr{IP: from, Port: 1}, "alice@postern.test", fmt.Sprint(i)); errors.Is(err, ErrDenied) {
					checked.Add(1)
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		if _, err := g.Authenticate(t.Context(), &net.TCPAddr{IP: net.ParseIP("2001:db8:1::1"), Port: 1}, "alice@postern.test", "secret"); err != nil || time.Since(began) > 0 {
			t.Errorf("another site's waits: %v %v", err, time.Since(began))
		}
		wg.Wait()
		if took := time.Since(start); checked.Load() > 20 || took > 20*time.Second {
			t.Errorf("%d guesses were checked in %v", checked.Load(), took)
		}
		if len(g.turns) != 0 {
			t.Errorf("%d turns are kept", len(g.turns))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	phc, _ := Hash("secret", DefaultParams())
	for b.Loop() {
		Verify(phc, "secret")
	}
}
