package engine

import (
	"context"
	"errors"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
)

// Unlock gives the passphrase under which the passwords are kept; fetching and sending go on. To check it takes
// some 0.3 s in a browser, in which the engine does nothing else.
func (e *Engine) Unlock(ctx context.Context, passphrase string) error {
	if err := e.oneAtATime(ctx); err != nil {
		return problemOf(err)
	}
	defer func() { <-e.signing }()
	if err := e.secrets.Unlock(ctx, passphrase, e.keptSecrets()); err != nil && !errors.Is(err, keyring.ErrUnsettled) {
		return vaultProblem(err)
	} else if err != nil {
		e.Logf("unlocking: %v", err)
	}
	e.announceVault()
	e.goOn(ctx)
	return nil
}

// goOn does what had to wait for the passwords.
func (e *Engine) goOn(ctx context.Context) {
	for _, a := range e.all() {
		if err := a.keepAtLast(ctx); err != nil {
			e.Logf("account %s: keeping the password: %v", a.id, err)
		}
		ask(a.toFetch)
		ask(a.toSend)
	}
	for _, s := range e.allSites() {
		if err := s.keepAtLast(ctx); err != nil {
			e.Logf("site %s: keeping the password: %v", s.id, err)
		}
		e.transfers.unblock(s)
	}
}

// SetPassphrase puts the passwords under a passphrase, another one, or none. A cut leaves them under one of the two, and
// loses none. A lost passphrase can be replaced, without the old one, once every account has its password again by a
// sign-in; a cut can cost what is kept then, and the user has just typed it.
func (e *Engine) SetPassphrase(ctx context.Context, r api.Passphrase) error {
	if len(r.New) > keyring.MaxPassphrase {
		return badSetting("the passphrase is too long")
	}
	if err := e.oneAtATime(ctx); err != nil {
		return problemOf(err)
	}
	defer func() { <-e.signing }()
	names, locked := e.keptSecrets(), e.secrets.State() == api.VaultLocked
	anew := locked && e.allAtHand()
	if anew {
		names = nil
	}
	err := e.secrets.Change(ctx, r.Old, r.New, names)
	e.announceVault()
	if err != nil {
		return vaultProblem(err)
	}
	if anew {
		for _, a := range e.all() {
			a.mu.Lock()
			a.keepLater = a.keepLater || a.rec.Kept
			a.mu.Unlock()
		}
		for _, s := range e.allSites() {
			s.mu.Lock()
			s.later = s.later || s.rec.Kept
			s.mu.Unlock()
		}
	}
	if locked {
		e.goOn(ctx)
	}
	return nil
}

// allAtHand says whether nobody needs the vault to have the passwords.
func (e *Engine) allAtHand() bool {
	for _, a := range e.all() {
		a.mu.Lock()
		missing := a.rec.Kept && a.password == ""
		a.mu.Unlock()
		if missing {
			return false
		}
	}
	for _, s := range e.allSites() {
		s.mu.Lock()
		missing := s.rec.Kept && s.password == ""
		s.mu.Unlock()
		if missing {
			return false
		}
	}
	return true
}

// keptSecrets are the names of the secrets that accounts have in the vault.
func (e *Engine) keptSecrets() (names []string) {
	for _, rec := range e.registry.records() {
		if rec.Kept {
			names = append(names, secretName(rec.ID))
		}
	}
	for _, s := range e.allSites() {
		if s.record().Kept {
			names = append(names, secretName(s.id))
		}
	}
	return names
}

// learnVault finds out whether there is a passphrase, and tells of it.
func (e *Engine) learnVault(ctx context.Context) {
	if e.Vault == nil {
		return
	}
	if err := e.secrets.Load(ctx); err != nil && ctx.Err() == nil {
		e.Logf("the vault: %v", err)
	}
	if e.secrets.State() != api.VaultOpen {
		e.announceVault()
	}
}

func (e *Engine) announceVault() {
	e.events.emit(func() api.Event {
		s := e.secrets.State()
		return api.Event{Vault: &s}
	})
}

// vaultProblem is an error of the vault as the page needs it.
func vaultProblem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrWrongPassphrase):
		return &api.Problem{Code: api.CodeWrongPassphrase}
	case errors.Is(err, keyring.ErrLocked):
		return &api.Problem{Code: api.CodeLocked}
	case errors.Is(err, keyring.ErrUnsettled):
		return &api.Problem{Code: api.CodeStorage, Detail: keyring.ErrUnsettled.Error(), Technical: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &api.Problem{Code: api.CodeCanceled, Technical: err.Error()}
	}
	return &api.Problem{Code: api.CodeStorage, Detail: "the passwords on this device cannot be changed", Technical: err.Error()}
}
