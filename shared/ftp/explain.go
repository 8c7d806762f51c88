package ftp

import "errors"

// Explain says in a sentence what a refusal means; "" for one that says nothing of its own.
func (e *Error) Explain() string {
	for _, k := range []struct {
		kind     error
		sentence string
	}{
		{ErrNeedsTLS, "The server wants the connection to be encrypted, or the data connection to belong to the encrypted session."},
		{ErrNotLoggedIn, "The user name or the password is wrong, or this user may not log in."},
		{ErrAccount, "The server wants the name of an account beside user and password. Hardly any server does, and this program cannot."},
		{ErrNoRoom, "There is no room left for it at the server."},
		{ErrExists, "There is something of that name already."},
		{ErrNotAllowed, "The server does not allow it, or it is not of the kind that this can be done with."},
		{ErrBusy, "The server cannot do it now. Trying again later may help."},
		{ErrNoData, "The second connection, for the data, did not come about or broke."},
		{ErrUnsupported, "The server does not have that command."},
		{ErrNoFile, "There is no such file or folder, or none that this user may see."},
	} {
		if errors.Is(e, k.kind) {
			return k.sentence
		}
	}
	return ""
}
