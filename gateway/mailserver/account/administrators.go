package account

import (
	"context"
	"net"
)

// Administrators is the gate to what only administrators may do. Any other account
// is refused like a wrong password: in the same words after the same time, whether
// the password was right or not, and with the salt that its Gate shows for the name,
// so that a stranger does not learn who is one. Failures and turns it shares with its
// Gate, so that who guesses at either is slowed down at both.
type Administrators struct{ gate *Gate }

// Administrators is the gate to what only they may do.
func (g *Gate) Administrators() Administrators { return Administrators{g} }

// Mechanisms are those to offer: see Gate.Mechanisms.
func (a Administrators) Mechanisms(ctx context.Context) []string { return a.gate.Mechanisms(ctx) }

// Authenticate checks a name and password: see Gate.Authenticate.
func (a Administrators) Authenticate(ctx context.Context, remote net.Addr, user, password string) (Account, error) {
	return a.gate.authenticate(ctx, remote, user, password, isAdmin)
}

// SCRAM begins a login: see Gate.SCRAM.
func (a Administrators) SCRAM(ctx context.Context, remote net.Addr) *Exchange {
	return a.gate.exchange(ctx, remote, isAdmin)
}

// Still says whether who has logged in may go on: the account is an
// administrator's, is not disabled, and has the password of then. hash is that of
// the record at the login.
func (a Administrators) Still(ctx context.Context, email, hash string) (bool, error) {
	r, ok, err := a.lookup(ctx, email)
	return ok && err == nil && !r.Disabled && r.Hash == hash, err
}

// Hash is an administrator's, for Still; "" if there is none of that name.
func (a Administrators) Hash(ctx context.Context, email string) (string, error) {
	r, _, err := a.lookup(ctx, email)
	return r.Hash, err
}

func isAdmin(r Record) bool { return r.Admin }

// lookup knows administrators alone.
func (a Administrators) lookup(ctx context.Context, email string) (Record, bool, error) {
	r, ok, err := a.gate.lookup(ctx, email)
	if err != nil || !ok || !r.Admin {
		return Record{}, false, err
	}
	return r, true, nil
}
