package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// record is what the registry keeps of an account. There is no password in it.
type record struct {
	Version  int           `json:"version,omitempty"` // recordVersion, or 0: without settings
	ID       api.AccountID `json:"id"`
	Email    string        `json:"email"`
	Name     string        `json:"name,omitempty"`
	Kept     bool          `json:"kept,omitempty"` // the password is in the vault
	Added    time.Time     `json:"added"`
	Settings api.Settings  `json:"settings,omitzero"`
	Moves    int           `json:"moves,omitempty"` // how often it moved to another maildrop: see move.go
}

// recordVersion is that of the records that are written. One with a higher version is not opened: to write it again
// would lose what it means.
const recordVersion = 1

// settings are the account's. One from before there were any is served by the gateway's own server and is from itself.
func (r *record) settings() api.Settings {
	s := r.Settings
	s.Account = r.ID
	if len(s.Identities) == 0 {
		s.Identities = []api.Identity{{Name: r.Name, Addr: r.Email}}
	}
	s.Identities = slices.Clone(s.Identities)
	return s
}

// sealed says whether nobody on the way to the servers can read along.
func sealed(s api.Servers) bool { return s.POP3.Security != api.Plain && s.SMTP.Security != api.Plain }

// registry is the list of accounts, in a mailbox without messages, for the durability of a mailbox's updates.
type registry struct {
	box *store.Mailbox

	mu   sync.Mutex
	list []record
	gone uint64 // see bygone
}

const (
	registryFolder = "registry" // within Config.FS
	registryKey    = "accounts" // the Meta key of the list
	bygoneKey      = "bygone"   // and of what bygone answers
)

// accountFolder names the folder of an account's mailbox within Config.FS.
func accountFolder(id api.AccountID) string { return accountPrefix + string(id) }

const accountPrefix = "account-"

// accountID makes the account's name from its address, without regard to case, of characters that any file system
// takes.
func accountID(email string) api.AccountID {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return api.AccountID(hex.EncodeToString(sum[:10]))
}

func openRegistry(fs store.FS) (*registry, error) {
	sub, err := fs.Sub(registryFolder)
	if err != nil {
		return nil, err
	}
	box, err := store.Open(sub, nil)
	if err != nil {
		return nil, err
	}
	r := &registry{box: box}
	if list, ok := box.Meta(registryKey); ok {
		if err := json.Unmarshal(list, &r.list); err != nil {
			box.Close()
			return nil, fmt.Errorf("the list of accounts cannot be read: %w", err)
		}
		for _, rec := range r.list {
			if rec.Version > recordVersion {
				box.Close()
				return nil, fmt.Errorf("the list of accounts is of version %d, made by a newer program", rec.Version)
			}
		}
	}
	if value, ok := box.Meta(bygoneKey); ok {
		_ = json.Unmarshal(value, &r.gone) // without it a page looks once more than it needs to
	}
	return r, nil
}

// bygone is above all revisions that the accounts removed so far have contributed to a unified list.
func (r *registry) bygone() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone
}

func (r *registry) records() []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// put adds rec, or replaces the one with its ID, durably.
func (r *registry) put(rec record) error {
	rec.Version, rec.Settings = recordVersion, rec.settings()
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.list)
	if i := slices.IndexFunc(list, func(o record) bool { return o.ID == rec.ID }); i >= 0 {
		list[i] = rec
	} else {
		list = append(list, rec)
	}
	return r.write(list)
}

// remove takes an account out. revision is the highest of its folders.
func (r *registry) remove(id api.AccountID, revision uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := r.gone + revision + 1
	value, err := json.Marshal(gone)
	if err != nil {
		return err
	}
	err = r.write(slices.DeleteFunc(slices.Clone(r.list), func(rec record) bool { return rec.ID == id }),
		func(tx *store.Tx) error { return tx.SetMeta(bygoneKey, value) })
	if err == nil {
		r.gone = gone
	}
	return err
}

// write makes a list durable, and with it what else is to be.
func (r *registry) write(list []record, also ...func(tx *store.Tx) error) error {
	value, err := json.Marshal(list)
	if err != nil {
		return err
	}
	err = r.box.Update(func(tx *store.Tx) error {
		for _, fn := range also {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return tx.SetMeta(registryKey, value)
	})
	if err == nil {
		r.list = list
	}
	return err
}

// removeOrphans removes the mailboxes that no account names: what a cut left of a sign-in, or of an erasing sign-out.
func (r *registry) removeOrphans(fs store.FS) error {
	names, err := fs.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		named := slices.ContainsFunc(r.records(), func(rec record) bool { return accountFolder(rec.ID) == name })
		if strings.HasPrefix(name, accountPrefix) && !named {
			err = errors.Join(err, fs.RemoveAll(name))
		}
	}
	return err
}

func (r *registry) close() error { return r.box.Close() }
