package engine

import (
	"context"
	"errors"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
)

// secretName names an account's password in the vault.
func secretName(id api.AccountID) string { return "password/" + string(id) }

// hasPassword says whether there is a password, or may be one in the vault. Call it with a.mu held.
func (a *account) hasPassword() bool {
	return a.password != "" || a.rec.Kept && !a.looked
}

// door is one of the two servers that ask for the password. Each may refuse it by itself.
type door int

const (
	maildropDoor door = iota
	submissionDoor
	doors
)

// credentials answers the password for a server; errRefusedBefore when it has refused it and the user has not said to
// try again.
func (a *account) credentials(ctx context.Context, d door) (string, error) {
	a.mu.Lock()
	refused := a.refused[d]
	a.mu.Unlock()
	if refused {
		return "", errRefusedBefore
	}
	return a.secret(ctx)
}

// secret answers the password, from memory or else from the vault; CodePasswordNeeded when there is none.
func (a *account) secret(ctx context.Context) (string, error) {
	a.mu.Lock()
	password, look := a.password, a.rec.Kept && !a.looked
	a.mu.Unlock()
	switch {
	case password != "":
		return password, nil
	case !look:
		return "", &api.Problem{Code: api.CodePasswordNeeded, Detail: a.email}
	}
	secret, err := a.e.keptPassword(ctx, a.id, a.email)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked = true
	if a.password == "" && a.rec.Kept { // no sign-in and no sign-out came first
		a.password = secret
	}
	if a.password == "" {
		return "", &api.Problem{Code: api.CodePasswordNeeded, Detail: a.email}
	}
	return a.password, nil
}

// keptPassword answers the password of an account or a site from the vault.
func (e *Engine) keptPassword(ctx context.Context, id api.AccountID, user string) (string, error) {
	needed := &api.Problem{Code: api.CodePasswordNeeded, Detail: user}
	if e.Vault == nil {
		return "", needed
	}
	secret, err := e.secrets.Get(ctx, secretName(id))
	switch {
	case err == nil:
		return string(secret), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, keyring.ErrLocked):
		return "", &api.Problem{Code: api.CodeLocked}
	}
	needed.Technical = "reading the vault: " + err.Error()
	return "", needed
}

// setPassword is what a sign-in or sign-out leaves.
func (a *account) setPassword(rec record, password string) {
	a.desk.hangUp()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rec, a.password, a.refused = rec, password, [doors]bool{}
	a.keepLater = false
}

func (a *account) setKeepLater(later bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keepLater = later
}

// keepAtLast puts the password into the vault of an account that signed in, to keep it, while the vault was locked.
func (a *account) keepAtLast(ctx context.Context) error {
	a.mu.Lock()
	later, password := a.keepLater && a.password != "", a.password
	a.keepLater = false
	a.mu.Unlock()
	if !later {
		return nil
	}
	if err := a.e.secrets.Put(ctx, secretName(a.id), []byte(password)); err != nil {
		return err
	}
	return a.changeRecord(func(rec *record) { rec.Kept = true })
}

// registered is what the registry has of the account.
func (a *account) registered() record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rec
}

// settings are what the user chose for the account.
func (a *account) settings() api.Settings {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rec.settings()
}

// errRefusedBefore is answered instead of asking the server once more: servers lock accounts that guess.
var errRefusedBefore = &api.Problem{Code: api.CodeWrongPassword}

// refuse remembers that a server does not take the password.
func (a *account) refuse(d door) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[d] = true
}

// forgive lets the password be tried again.
func (a *account) forgive() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = [doors]bool{}
}
