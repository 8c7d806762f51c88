package engine

import (
	"strconv"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// A unique-id is one in its maildrop alone (RFC 1939 section 7), and many servers simply count. So an account that moved to
// another maildrop names what it finds there by the number of the move as well: or mail would be taken for what the old
// maildrop had under that name, and never be fetched. What was here before is known by its content, and not doubled.

// moveTo gives the account other servers.
func (r *record) moveTo(s api.Servers) {
	had := r.settings().Servers.POP3
	if had.Host != s.POP3.Host || had.User != s.POP3.User {
		r.Moves++
	}
	r.Settings.Servers = s
}

// inMaildrop makes the unique-ids of a session what its messages are known by here. None of a server's has a space.
func (a *account) inMaildrop(ids []pop3.UniqueID) []pop3.UniqueID {
	moves := a.registered().Moves
	if moves == 0 {
		return ids
	}
	prefix := strconv.Itoa(moves) + " "
	scoped := make([]pop3.UniqueID, len(ids))
	for i, id := range ids {
		if id.UID != "" {
			id.UID = prefix + id.UID
		}
		scoped[i] = id
	}
	return scoped
}

// moved forgets what was held against the unique-ids of the maildrop before.
func (a *account) moved() {
	if err := a.box.Update(func(tx *store.Tx) error { return tx.SetMeta(renamingsKey, nil) }); err != nil {
		a.e.Logf("account %s: forgetting the old maildrop: %v", a.id, err)
	}
}
