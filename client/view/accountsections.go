package view

import (
	"strconv"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

func identityID(i int, what string) string { return "identity-" + strconv.Itoa(i) + "-" + what }

var leavings = []Option{
	{string(api.LeaveAlways), "Leave it there"},
	{string(api.LeaveDays), "Delete it after some days"},
	{string(api.LeaveUntilErased), "Delete it when I delete it here"},
	{string(api.LeaveNever), "Delete it as soon as it is here"},
}

var leavingHints = map[string]string{
	string(api.LeaveAlways):      "Mail stays on the server, whatever happens here. Other programs find it there.",
	string(api.LeaveDays):        "Mail is deleted on the server so many days after it was fetched. It stays here.",
	string(api.LeaveUntilErased): "What you put in the Trash here is deleted on the server with the next fetch.",
	string(api.LeaveNever):       "As soon as a message is safe on this device it is deleted on the server. Then this device has the only copy.",
}

// Sections are the settings as they are shown.
func (f *AccountForm) Sections() []Section {
	list := append(f.aboutAccount(), f.aboutIdentities()...)
	list = append(list, f.aboutServers()...)
	list = append(list, Section{ID: "leave", Title: "Mail on the server", Fields: f.leaveFields()},
		Section{ID: "large", Title: "Large messages", Fields: []Field{{ID: "settings-most", Label: "Fetch whole messages up to, in MB", Kind: NumberField, Value: &f.most, Example: "any size", Hint: "Of a larger one only the beginning is fetched, until you ask for the rest"}}})
	list = append(list, f.aboutSecrets()...)
	return f.wrong.marked(append(list, Section{ID: "remove", Title: "Remove this account", Actions: []Action{
		{ID: "account-remove-keep", Label: "Remove, keep the mail here", Hint: "The password is forgotten. The mail on this device is shown again when you sign in.", Do: func() { f.remove(false) }},
		{ID: "account-remove-erase", Label: "Remove and erase…", Hint: "Takes the account and its mail off this device. What is still on the server stays there; what is only here is lost.", Bad: true, Do: func() { f.app.askErase(f.Account, `[data-testid="account-remove-erase"]`, func() { f.remove(true) }) }},
	}}))
}

func (f *AccountForm) aboutAccount() []Section {
	return []Section{{ID: "account", Title: "Account", Fields: []Field{
		{ID: "settings-label", Label: "What it is called here", Kind: TextField, Value: &f.label, Example: f.email(), Hint: "Empty: the address"},
	}}}
}

func (f *AccountForm) email() string {
	for i := range f.app.Accounts {
		if f.app.Accounts[i].ID == f.Account {
			return f.app.Accounts[i].Email
		}
	}
	return ""
}

func (f *AccountForm) aboutIdentities() []Section {
	var list []Section
	for i := range f.identities {
		id := &f.identities[i]
		s := Section{ID: identityID(i, ""), Title: "Identity", Words: "Who your messages are from.", Fields: []Field{
			{ID: identityID(i, "name"), Label: "Name", Kind: TextField, Value: &id.Name, Auto: "name", Hint: nameless(id.Name)},
			{ID: identityID(i, "addr"), Label: "Address", Kind: EmailField, Value: &id.Addr},
			{ID: identityID(i, "signature"), Label: "Signature", Kind: AreaField, Value: &id.Signature, Hint: "Put at the end of a new message"},
		}}
		if i > 0 {
			s.Title, s.Words = "Another identity", ""
			s.Actions = []Action{
				{ID: identityID(i, "first"), Label: "Use it by default", Do: func() { f.first(i) }},
				{ID: identityID(i, "remove"), Label: "Remove it", Bad: true, Do: func() { f.drop(i) }},
			}
		}
		list = append(list, s)
	}
	if n := len(list); n > 0 {
		list[n-1].Actions = append(list[n-1].Actions, Action{ID: "identity-add", Label: "Add an identity", Do: f.add})
	}
	return list
}

func nameless(name string) string {
	if strings.TrimSpace(name) == "" {
		return "Without one, those you write to see the address alone"
	}
	return ""
}

func (f *AccountForm) first(i int) {
	was := f.identities[i]
	copy(f.identities[1:i+1], f.identities[:i])
	f.identities[0] = was
	f.app.platform.Focus(`[data-testid="identity-0-name"]`)
}

func (f *AccountForm) drop(i int) {
	f.identities = append(f.identities[:i:i], f.identities[i+1:]...)
	f.app.platform.Focus(`[data-testid="identity-add"]`)
}

func (f *AccountForm) add() {
	name := ""
	if len(f.identities) > 0 {
		name = f.identities[0].Name
	}
	f.identities = append(f.identities, api.Identity{Name: name})
	f.app.platform.Focus(`[data-testid="` + identityID(len(f.identities)-1, "addr") + `"]`)
}

func (f *AccountForm) aboutServers() []Section {
	var list []Section
	if s := f.saved.Servers; s.POP3.Host == "" && s.SMTP.Host == "" {
		list = append(list, Section{ID: "own", Title: "Servers", Fields: []Field{{ID: "settings-own", Label: "Use this gateway’s own mail server", Kind: ToggleField, On: &f.own}}})
	}
	if !f.own {
		list = append(list, f.servers.sections(f.app)...)
	}
	for _, x := range []struct {
		protocol api.Protocol
		server   api.Server
	}{{api.POP3, f.saved.Servers.POP3}, {api.SMTP, f.saved.Servers.SMTP}} {
		if x.server.Pin != "" {
			list = append(list, Section{ID: "pin-" + string(x.protocol), Title: "Trusted certificate (" + Speaks(x.protocol) + ")", Words: "Only this certificate is believed of " + x.server.Host + ". Its SHA-256:", Code: Fingerprint(x.server.Pin),
				Actions: []Action{{ID: "unpin-" + string(x.protocol), Label: "Trust it no longer", Bad: true, Do: func() { f.unpin(x.protocol) }}}})
		}
	}
	return list
}

func (f *AccountForm) leaveFields() []Field {
	list := []Field{{ID: "settings-leave", Label: "After it was fetched", Kind: ChoiceField, Value: &f.leave, Options: leavings, Hint: leavingHints[f.leave], Loud: f.leave == string(api.LeaveNever)}}
	if f.leave == string(api.LeaveDays) {
		list = append(list, Field{ID: "settings-days", Label: "Days", Kind: NumberField, Value: &f.days})
	}
	return list
}

func (f *AccountForm) aboutSecrets() []Section {
	password := Section{ID: "password", Title: "Password", Words: "Kept in memory alone, or encrypted on this device too.", Fields: []Field{
		{ID: "settings-password", Label: "Password at the mail server", Kind: PasswordField, Auto: "current-password", Value: &f.Password},
		{ID: "settings-keep", Label: "Keep it on this device, encrypted", Kind: ToggleField, On: &f.Keep, Changed: func(string) { f.keep() }},
	}, Actions: []Action{{ID: "settings-password-set", Label: "Sign in with it", Do: f.setPassword}}}

	phrase := Section{ID: "passphrase", Title: "Passphrase for all accounts", Words: "The passwords on this device are encrypted with a key that this browser holds. A passphrase locks that key too: " +
		"whoever gets this device cannot use your passwords without it. It protects the passwords, not the mail stored here. It cannot be recovered: if you lose it, you sign in to each account again."}
	set := Action{ID: "passphrase-set", Label: "Set the passphrase", Do: func() { f.setPhrase(false) }}
	if f.app.Vault.State != api.VaultOpen {
		phrase.Fields = []Field{{ID: "passphrase-old", Label: "Present passphrase", Kind: PasswordField, Value: &f.phrase.old}}
		set.Label = "Change the passphrase"
	}
	phrase.Fields = append(phrase.Fields, Field{ID: "passphrase-new", Label: "New passphrase", Kind: PasswordField, Auto: "new-password", Value: &f.phrase.now},
		Field{ID: "passphrase-again", Label: "The same again", Kind: PasswordField, Auto: "new-password", Value: &f.phrase.again})
	phrase.Actions = []Action{set}
	if f.app.Vault.State != api.VaultOpen {
		phrase.Actions = append(phrase.Actions, Action{ID: "passphrase-remove", Label: "Remove the passphrase", Bad: true, Do: func() { f.setPhrase(true) }})
	}
	return []Section{password, phrase}
}
