package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net"

	"github.com/postern-mail/postern/shared/sasl"
)

// Exchange is one login by SCRAM-SHA-256, for any protocol: a sasl.Server.
//
// What a password must pass at the Gate, the client's proof must too: one at a
// time is checked for a place, and a wrong one is answered late. A name that
// does not exist has a salt like any other, always the same, so that nobody
// learns from it which names do.
type Exchange struct {
	sasl.SCRAMServer
	gate   *Gate
	admits func(Record) bool
	record Record
	ok     bool // there is such an account, it has keys, and it is let in
}

// SCRAM begins a login from remote. Next's errors are ErrDenied, ErrBusy,
// sasl.ErrResponse for a client that does not speak the mechanism, or a store's
// that cannot answer.
func (g *Gate) SCRAM(ctx context.Context, remote net.Addr) *Exchange {
	return g.exchange(ctx, remote, anybody)
}

// exchange lets in whom admits, too. Who is not admitted sees the salt that he sees
// everywhere, or all could tell by it, without a password, who is.
func (g *Gate) exchange(ctx context.Context, remote net.Addr, admits func(Record) bool) *Exchange {
	x := &Exchange{gate: g, admits: admits}
	x.Keys = func(user string) (sasl.Keys, error) { return x.find(ctx, user) }
	x.Decide = func(user string, right bool) error {
		if !x.ok {
			right = false
		}
		return g.judge(ctx, remote, Canonical(user), right)
	}
	return x
}

// Mechanisms are those to offer. Clients choose SCRAM where they see it, and a
// server that lets nobody in by it whose keys it has not yet would lock him out:
// so it is offered when there are keys for all. Accounts that are older than the
// keys get theirs at the next login by another way, or with a new password.
func (g *Gate) Mechanisms(ctx context.Context) []string {
	if !g.keyed.Load() {
		if g.opts.Keyed != nil {
			if all, err := g.opts.Keyed(ctx); err != nil || !all {
				return []string{sasl.Plain, sasl.Login}
			}
		}
		g.keyed.Store(true) // it stays so: every new password brings its keys
	}
	return []string{sasl.SCRAMSHA256, sasl.Plain, sasl.Login}
}

// Account is who has logged in, after Next has said that it is done.
func (x *Exchange) Account() Account { return x.record.Account }

// User is who tries to log in, as far as is known, for the log.
func (x *Exchange) User() string { return x.record.Email }

func (x *Exchange) find(ctx context.Context, user string) (sasl.Keys, error) {
	email := Canonical(user)
	made := x.gate.madeUp(email) // whether it is needed or not: it takes its time
	r, ok, err := x.gate.lookup(ctx, email)
	if err != nil {
		return sasl.Keys{}, err
	}
	r.Email = email
	x.record = r
	if !ok || r.Disabled {
		return made, nil
	}
	keys, err := sasl.ParseKeys(r.SCRAM)
	if err != nil {
		return made, nil // none yet: see Mechanisms
	}
	x.ok = x.admits(r)
	return keys, nil
}

// madeUp are keys that no password has.
func (g *Gate) madeUp(email string) sasl.Keys {
	part := func(name string) []byte {
		mac := hmac.New(sha256.New, g.opts.SaltKey)
		mac.Write([]byte(name + "\x00" + email))
		return mac.Sum(nil)
	}
	return sasl.Keys{Salt: part("salt")[:saltSize], Iterations: g.opts.Iterations, StoredKey: part("stored"), ServerKey: part("server")}
}

// judge takes the turn of the place, and answers a wrong proof late.
func (g *Gate) judge(ctx context.Context, remote net.Addr, email string, right bool) error {
	from := places(g.origin(remote), email)
	queue, cancel := context.WithTimeoutCause(ctx, g.opts.Wait, ErrBusy)
	defer cancel()
	done, err := g.await(queue, from)
	if err != nil {
		return err
	}
	defer done()
	if right {
		g.forgive(email)
		return nil
	}
	g.delay(ctx, from)
	return ErrDenied
}

// upgrade makes the SCRAM keys of an account whose password has just been seen.
func (g *Gate) upgrade(ctx context.Context, r Record, password string) {
	if r.SCRAM == "" && g.opts.Upgrade != nil {
		r.SCRAM = sasl.NewKeys(password, g.opts.Iterations).String()
		g.opts.Upgrade(ctx, r)
	}
}
