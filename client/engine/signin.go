package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/wire"
)

// SignIn proves the password to the server, then keeps the account.
func (e *Engine) SignIn(ctx context.Context, r api.SignIn) (api.Account, error) {
	account, err := e.signIn(ctx, r)
	if err != nil {
		return api.Account{}, problemOf(err)
	}
	return account.snapshot(), nil
}

func (e *Engine) signIn(ctx context.Context, r api.SignIn) (*account, error) {
	email, err := normalAddress(r.Email)
	if err != nil {
		return nil, err
	}
	if r.Password == "" && r.Servers == nil {
		if a, err := e.account(accountID(email)); err == nil {
			return a, e.keepAgain(ctx, a, r.Keep)
		}
	}
	if r.Password == "" {
		return nil, &api.Problem{Code: api.CodeWrongPassword, Detail: email, Technical: "no password was given"}
	}
	if r.Servers != nil {
		servers, err := normalServers(*r.Servers)
		if err != nil {
			return nil, err
		}
		r.Servers = &servers
	}
	e.prepared()
	if err := e.oneAtATime(ctx); err != nil {
		return nil, err
	}
	defer func() { <-e.signing }()
	welcome, err := e.awaitGateway(ctx)
	if err != nil {
		return nil, err
	}
	r.Email = email
	a, err := e.account(accountID(email))
	switch {
	case err == error(errClosed):
		return nil, err
	case a != nil:
		return a, e.signInAgain(ctx, a, r)
	}
	if r.Name == "" {
		r.Name = nameOf(welcome, email)
	}
	if r.Name = strings.TrimSpace(r.Name); !printableLine(r.Name) || !(mail.Address{Name: r.Name, Addr: email}).Valid() {
		return nil, badSetting(fmt.Sprintf("“%s” cannot be a name in a message", r.Name))
	}
	return e.signInFirst(ctx, r)
}

// oneAtATime waits until nobody else signs in or out; the caller takes the token back.
func (e *Engine) oneAtATime(ctx context.Context) error {
	select {
	case e.signing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prove logs in. The session is nil when the maildrop is in use: RFC 2449 section 8.1.2 says that the password was
// right then.
func (l *login) prove(ctx context.Context) (*pop3.Client, error) {
	session, err := l.openMaildrop(ctx)
	if err != nil && problemOf(err).Code != api.CodeMaildropLocked {
		return nil, err
	}
	return session, nil
}

// proveBoth logs in to both servers, if somebody said which they are; else to the maildrop alone, for the gateway's own
// server has one list of passwords.
func (l *login) proveBoth(ctx context.Context, said *api.Servers) (*pop3.Client, error) {
	if said != nil {
		l.servers = *said
	}
	session, err := l.prove(ctx)
	if err != nil || said == nil {
		return session, err
	}
	if err := l.proveSubmission(ctx); err != nil {
		closeSession(session)
		return nil, err
	}
	return session, nil
}

// signInFirst adds an account.
func (e *Engine) signInFirst(ctx context.Context, r api.SignIn) (*account, error) {
	rec := record{ID: accountID(r.Email), Email: r.Email, Name: r.Name, Added: e.Clock.Now()}
	if r.Servers != nil {
		rec.Settings.Servers = *r.Servers
	}
	a := newAccount(e, rec)
	session, err := a.login(r.Password).proveBoth(ctx, r.Servers)
	if err != nil {
		return nil, err
	}
	kept, later := e.keepPassword(ctx, rec.ID, r)
	rec.Kept = kept
	if err := e.addAccount(a, rec); err != nil {
		closeSession(session)
		if rec.Kept {
			e.forgetPassword(ctx, rec.ID)
		}
		return nil, err
	}
	a.setPassword(rec, r.Password)
	a.setKeepLater(later)
	e.join(a, session)
	a.announce()
	return a, nil
}

// signInAgain gives an account its password.
func (e *Engine) signInAgain(ctx context.Context, a *account, r api.SignIn) error {
	if a.box == nil {
		return a.broken
	}
	a.pauseFetching() // two sessions would lock each other out of the maildrop
	session, err := a.login(r.Password).proveBoth(ctx, r.Servers)
	if err != nil {
		a.resumeFetching(nil)
		return err
	}
	rec := a.registered()
	if r.Servers != nil {
		rec.Settings = rec.settings()
		rec.moveTo(*r.Servers)
	}
	wasKept := rec.Kept
	kept, later := e.keepPassword(ctx, rec.ID, r)
	rec.Kept = kept || later && wasKept
	if err := e.registry.put(rec); err != nil {
		if rec.Kept && !wasKept { // nobody would know of it, nor ever remove it
			e.forgetPassword(ctx, rec.ID)
		}
		closeSession(session)
		a.resumeFetching(nil)
		return storing(err)
	}
	if !rec.Kept {
		e.forgetPassword(ctx, rec.ID)
	}
	if rec.Moves != a.registered().Moves {
		a.moved()
	}
	a.setPassword(rec, r.Password)
	a.setKeepLater(later)
	a.resumeFetching(session)
	a.announce()
	ask(a.toSend)
	e.lent(a)
	return nil
}

// keepAgain keeps the password that an account has on this device, or not any longer: then it is in memory alone.
func (e *Engine) keepAgain(ctx context.Context, a *account, keep bool) error {
	if err := e.oneAtATime(ctx); err != nil {
		return err
	}
	defer func() { <-e.signing }()
	password, err := a.secret(ctx)
	if err != nil {
		return err
	}
	kept, later := e.keepPassword(ctx, a.id, api.SignIn{Password: password, Keep: keep})
	switch {
	case later:
		return &api.Problem{Code: api.CodeLocked}
	case keep && !kept:
		return &api.Problem{Code: api.CodeStorage, Technical: "the vault did not take the password"}
	case !keep: // first: a cut must not leave a password that nobody knows of
		e.forgetPassword(ctx, a.id)
	}
	a.setKeepLater(false)
	return a.changeRecord(func(rec *record) { rec.Kept = kept })
}

// addAccount makes the mailbox, then the entry in the registry: a folder without an entry is removed at the next start.
func (e *Engine) addAccount(a *account, rec record) error {
	a.openBox()
	if a.box == nil {
		return a.broken
	}
	if err := e.registry.put(rec); err != nil {
		a.close()
		return storing(err)
	}
	return nil
}

// join makes a new account one of the engine's, and starts it with its first session.
func (e *Engine) join(a *account, session *pop3.Client) {
	e.mu.Lock()
	running, closed := e.running, e.closed
	if !closed {
		e.accounts = append(slices.Clone(e.accounts), a)
	}
	e.mu.Unlock()
	if running == nil || closed {
		closeSession(session)
	} else {
		a.start(running, session)
	}
	if closed {
		a.close()
	}
}

func closeSession(session *pop3.Client) {
	if session != nil {
		session.Close()
	}
}

// keepPassword puts a password into the vault, if it is to be kept, and says whether it is there, or will be when the
// vault is unlocked. Without it the account works until the engine ends.
func (e *Engine) keepPassword(ctx context.Context, id api.AccountID, r api.SignIn) (kept, later bool) {
	if !r.Keep {
		return false, false
	}
	err := e.secrets.Put(ctx, secretName(id), []byte(r.Password))
	if err != nil && !errors.Is(err, keyring.ErrNoVault) {
		e.Logf("account %s: the password cannot be kept: %v", id, err)
	}
	return err == nil, errors.Is(err, keyring.ErrLocked)
}

func (e *Engine) forgetPassword(ctx context.Context, id api.AccountID) {
	if err := e.secrets.Delete(ctx, secretName(id)); err != nil {
		e.Logf("account %s: the password cannot be removed: %v", id, err)
	}
}

// SignOut forgets the password; with Erase, the account and its mail on this device.
func (e *Engine) SignOut(ctx context.Context, r api.SignOut) error {
	if err := e.oneAtATime(ctx); err != nil {
		return problemOf(err)
	}
	defer func() { <-e.signing }()
	a, err := e.account(r.Account)
	if err != nil {
		return err
	}
	if r.Erase {
		return asError(problemOf(e.erase(ctx, a)))
	}
	rec := a.registered()
	rec.Kept = false
	e.forgetPassword(ctx, a.id) // first: a cut must not leave a password that nobody knows of
	if err := e.registry.put(rec); err != nil {
		return problemOf(storing(err))
	}
	a.setPassword(rec, "")
	a.pauseFetching()
	a.resumeFetching(nil)
	a.announce()
	e.lent(a)
	return nil
}

// erase removes an account. The password goes first, for a cut must not leave one that nobody knows of. Then the
// registry: what a cut leaves behind is a folder that nothing names, and New removes it.
func (e *Engine) erase(ctx context.Context, a *account) error {
	e.forgetPassword(ctx, a.id)
	revision := uint64(0)
	for _, f := range append(slices.Clone(api.Folders), api.Junk) {
		if a.box != nil {
			revision = max(revision, a.box.Counts(store.Folder(f)).Revision)
		}
	}
	if err := e.registry.remove(a.id, revision); err != nil {
		return storing(err)
	}
	e.mu.Lock()
	e.accounts = slices.DeleteFunc(slices.Clone(e.accounts), func(o *account) bool { return o == a })
	e.mu.Unlock()
	a.close()
	err := e.FS.RemoveAll(accountFolder(a.id))
	e.events.emit(func() api.Event { return api.Event{Removed: a.id} })
	return storing(err)
}

// nameOf is the name of a demo account; others have none yet.
func nameOf(w *wire.Welcome, email string) string {
	for _, s := range w.Servers() {
		for _, d := range s.Demo {
			if strings.EqualFold(d.Email, email) {
				return d.Name
			}
		}
	}
	return ""
}

// normalAddress is an address as an account has it: one addr-spec, its domain in lower case.
func normalAddress(email string) (string, error) {
	email = strings.TrimSpace(email)
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 || !(mail.Address{Addr: email}).Valid() {
		return "", &api.Problem{Code: api.CodeBadRequest, Detail: fmt.Sprintf("“%s” is not an address", email)}
	}
	return email[:at+1] + strings.ToLower(email[at+1:]), nil
}
