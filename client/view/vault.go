package view

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

// Vault is where the passwords are kept on this device, and the form that opens it.
type Vault struct {
	State   api.VaultState
	Phrase  string
	Busy    bool
	Problem *api.Problem

	app *App
}

// Locked says that the passphrase has to be given; the mail can be read meanwhile.
func (v *Vault) Locked() bool { return v.State == api.VaultLocked }

func (v *Vault) set(s api.VaultState) {
	if s == api.VaultLocked && v.State != s {
		v.app.platform.Focus(unlockField)
	}
	v.State = s
	if !v.Locked() {
		v.Phrase, v.Busy, v.Problem = "", false, nil
	}
}

// Unlock gives the passphrase.
func (v *Vault) Unlock() {
	if v.Busy || v.Phrase == "" {
		v.app.platform.Focus(unlockField)
		return
	}
	v.Busy, v.Problem = true, nil
	phrase := v.Phrase
	v.app.ask(func(ctx context.Context, svc api.Service) error { return svc.Unlock(ctx, phrase) }, func(p *api.Problem) {
		v.Busy, v.Problem = false, p
		if p != nil {
			v.app.Voice.Cry(WordsFor(p).Title)
			v.app.platform.Focus(unlockField)
			return
		}
		if v.Locked() { // the engine's event may have come first
			v.set(api.VaultSealed)
		}
		v.app.Voice.Say("The passwords are unlocked")
		v.app.List.focusCursor()
	})
}

const unlockField = `[data-testid="unlock-passphrase"]`

// Fields are the form that opens the vault.
func (v *Vault) Fields() []Field {
	return []Field{{ID: "unlock-passphrase", Label: "Passphrase", Kind: PasswordField, Auto: "off", Value: &v.Phrase, Wrong: v.Problem != nil}}
}
