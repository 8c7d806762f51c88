package account

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/shared/sasl"
)

// adminGate has alice, who is an administrator, and bob, who is none, both with keys.
func adminGate(t *testing.T, o *Options) *Gate {
	t.Helper()
	phc, err := Hash("secret", cheap)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]Record{}
	for _, name := range []string{"alice@postern.test", "bob@postern.test"} {
		records[name] = Record{Account: Account{Email: name, Admin: strings.HasPrefix(name, "alice")}, Hash: phc, SCRAM: sasl.NewKeys("secret", sasl.MinIterations).String()}
	}
	o.Params, o.Iterations = cheap, sasl.MinIterations
	g, err := NewGate(func(_ context.Context, email string) (Record, bool, error) {
		r, ok := records[email]
		return r, ok, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// What a stranger sees of a name, before any password, is the same at both gates: he
// does not learn who is an administrator.
func TestAdministratorsCannotBeProbed(t *testing.T) {
	g := adminGate(t, &Options{SaltKey: []byte("kept on the disk")})
	salt := func(x *Exchange, user string) string {
		c, _, err := x.Next([]byte("n,,n=" + user + ",r=x"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(c), ",")
		return rest
	}
	for _, user := range []string{"alice@postern.test", "bob@postern.test", "nobody@postern.test"} {
		if here, there := salt(g.SCRAM(t.Context(), nil), user), salt(g.Administrators().SCRAM(t.Context(), nil), user); here != there {
			t.Errorf("%s has %q at one gate, and %q at the other", user, here, there)
		}
	}
}

// Who is no administrator is refused as late with the right password as with a wrong
// one, also when the password is remembered at the other gate; by either mechanism.
func TestAdministratorsAreLetIn(t *testing.T) {
	far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	plain := func(a Administrators, user, password string) error {
		_, err := a.Authenticate(context.Background(), far, user, password)
		return err
	}
	bySCRAM := func(a Administrators, user, password string) error {
		client, err := sasl.New(sasl.SCRAMSHA256, sasl.Credentials{User: user, Password: password})
		if err != nil {
			return err
		}
		return exchange(client, a.SCRAM(context.Background(), far))
	}
	for name, login := range map[string]func(Administrators, string, string) error{"plain": plain, "SCRAM": bySCRAM} {
		for _, c := range []struct {
			user, password string
			in             bool
		}{{"alice@postern.test", "secret", true}, {"alice@postern.test", "wrong", false}, {"bob@postern.test", "secret", false}, {"bob@postern.test", "wrong", false}, {"nobody@postern.test", "secret", false}} {
			synctest.Test(t, func(t *testing.T) {
				g := adminGate(t, &Options{})
				g.Authenticate(context.Background(), far, "bob@postern.test", "secret")
				start, want := time.Now(), 500*time.Millisecond
				if c.in {
					want = 0
				}
				err := login(g.Administrators(), c.user, c.password)
				if took := time.Since(start); took != want || (err == nil) != c.in || err != nil && !errors.Is(err, ErrDenied) {
					t.Errorf("%s with %s by %s: %v after %v", c.user, c.password, name, err, took)
				}
			})
		}
	}
}

// exchange lets a client and a server speak to each other.
func exchange(client gosasl.Client, server gosasl.Server) error {
	_, response, _ := client.Start()
	for {
		challenge, done, err := server.Next(response)
		if err != nil {
			return err
		}
		if done {
			return sasl.Finished(client)
		}
		if response, err = client.Next(challenge); err != nil {
			return err
		}
	}
}
