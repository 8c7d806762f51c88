package maildrop

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
)

var (
	// ErrAccountExists says that an address already has an account.
	ErrAccountExists = errors.New("maildrop: the account exists already")
	// ErrAddressTaken says that an address is an alias, or an alias's an account.
	ErrAddressTaken = errors.New("maildrop: the address is in use")
	// ErrHasMail says that an account's maildrop is not empty.
	ErrHasMail = errors.New("maildrop: the maildrop has mail in it")
)

// User is an account as its administrator sees it.
type User struct {
	Email, Name string
	Created     time.Time
	Disabled    bool
	Admin       bool
	SCRAM       bool // has keys for it
	Messages    int64
	Octets      int64
	Quota       Quota
	FilesQuota  int64 // octets; 0: as all others, -1: no limit
}

// Account finds an account by its canonical address. It is an account.Lookup.
func (s *Store) Account(ctx context.Context, email string) (account.Record, bool, error) {
	r := account.Record{Account: account.Account{Email: email}}
	err := s.reader.QueryRowContext(ctx, "SELECT name, hash, scram, disabled, admin FROM accounts WHERE email = ?", email).Scan(&r.Name, &r.Hash, &r.SCRAM, &r.Disabled, &r.Admin)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Record{}, false, nil
	}
	return r, err == nil, err
}

// Identify gives an account a name that is its own for ever. The number alone is not: SQLite gives that of the last row that was
// removed again, but not at the same microsecond.
func (s *Store) Identify(ctx context.Context, email string) (string, error) {
	var id, created int64
	err := s.reader.QueryRowContext(ctx, "SELECT id, created FROM accounts WHERE email = ?", email).Scan(&id, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNoAccount
	}
	return identity(id, created), err
}

func identity(id, created int64) string { return fmt.Sprintf("%d-%x", id, created) }

// Identities are those of all accounts of the store in dir, which nobody may have open.
func Identities(ctx context.Context, dir string) (all map[string]bool, err error) {
	db, err := openIndex(dir, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "SELECT id, created FROM accounts")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all = make(map[string]bool)
	for rows.Next() {
		var id, created int64
		if err := rows.Scan(&id, &created); err != nil {
			return nil, err
		}
		all[identity(id, created)] = true
	}
	return all, rows.Err()
}

// Standing is how it is with an account that was identified.
type Standing struct {
	Hash       string // of its password
	Disabled   bool
	FilesQuota int64 // as a User's
}

// Standing finds an account by what Identify has called it; ErrNoAccount if it is no more.
func (s *Store) Standing(ctx context.Context, id string) (st Standing, err error) {
	var n, created int64
	if _, err := fmt.Sscanf(id, "%d-%x", &n, &created); err != nil {
		return st, ErrNoAccount
	}
	err = s.reader.QueryRowContext(ctx, "SELECT hash, disabled, quota_files FROM accounts WHERE id = ? AND created = ?", n, created).Scan(&st.Hash, &st.Disabled, &st.FilesQuota)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoAccount
	}
	return st, err
}

// Users lists the accounts by address.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT email, name, created, disabled, admin, scram <> '', count, octets, quota_octets, quota_messages, quota_files
		FROM accounts ORDER BY email`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var users []User
	for rows.Next() {
		var u User
		var created int64
		if err := rows.Scan(&u.Email, &u.Name, &created, &u.Disabled, &u.Admin, &u.SCRAM, &u.Messages, &u.Octets, &u.Quota.Octets, &u.Quota.Messages, &u.FilesQuota); err != nil {
			return nil, err
		}
		u.Created = time.UnixMicro(created)
		users = append(users, u)
	}
	return users, rows.Err()
}

// Sums are the accounts, and the messages and octets in their maildrops, as the index keeps them.
func (s *Store) Sums(ctx context.Context) (accounts, messages, octets int64, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(count), 0), coalesce(sum(octets), 0) FROM accounts").Scan(&accounts, &messages, &octets)
	return accounts, messages, octets, err
}

// Keyed says whether every account has SCRAM keys: a way to log in that would
// be refused to some, although their password is right, is not to be offered.
func (s *Store) Keyed(ctx context.Context) (keyed bool, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT NOT EXISTS (SELECT 1 FROM accounts WHERE scram = '')").Scan(&keyed)
	return keyed, err
}

// FirstAccount is the oldest account, to whom the postmaster's mail goes when
// there is no such account (RFC 5321 §4.5.1 wants that address to work).
func (s *Store) FirstAccount(ctx context.Context) (email string, ok bool, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT email FROM accounts ORDER BY id LIMIT 1").Scan(&email)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return email, err == nil, err
}

// AddAccount makes an account; ErrAccountExists if it is there, ErrAddressTaken
// if it is an alias.
func (s *Store) AddAccount(r account.Record) error {
	return s.putAccount(r, "DO NOTHING")
}

// SetAccount makes an account or changes its name, hash and keys.
func (s *Store) SetAccount(r account.Record) error {
	return s.putAccount(r, "(email) DO UPDATE SET name = excluded.name, hash = excluded.hash, scram = excluded.scram")
}

func (s *Store) putAccount(r account.Record, conflict string) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		if err := notAlias(ctx, tx, r.Email); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "INSERT INTO accounts (email, name, hash, scram, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT "+conflict,
			r.Email, r.Name, r.Hash, r.SCRAM, s.micros())
		return changed(res, err, ErrAccountExists)
	})
}

func notAlias(ctx context.Context, tx *sql.Tx, email string) error {
	var taken bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM aliases WHERE address = ?)", email).Scan(&taken)
	if err == nil && taken {
		err = fmt.Errorf("%w: %s is an alias", ErrAddressTaken, email)
	}
	return err
}

// changed makes an error of a statement that changed no row.
func changed(res sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, none)
	}
	return nil
}

// SetKeys keeps the SCRAM keys of an account, unless its password was changed
// since the record was read.
func (s *Store) SetKeys(r account.Record) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE accounts SET scram = ? WHERE email = ? AND hash = ?", r.SCRAM, r.Email, r.Hash)
		return err
	})
}

// SetPassword changes the hash and keys of an account; ErrNoAccount if there is
// none.
func (s *Store) SetPassword(email, hash, scram string) error {
	return s.update("UPDATE accounts SET hash = ?, scram = ? WHERE email = ?", hash, scram, email)
}

// SetDisabled says whether an account is disabled: its mail is kept, more
// arrives, and nobody signs in to it.
func (s *Store) SetDisabled(email string, disabled bool) error {
	return s.update("UPDATE accounts SET disabled = ? WHERE email = ?", disabled, email)
}

// SetAdmin says whether an account is an administrator's.
func (s *Store) SetAdmin(email string, admin bool) error {
	return s.update("UPDATE accounts SET admin = ? WHERE email = ?", admin, email)
}

// update changes one account.
func (s *Store) update(statement string, args ...any) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, statement, args...)
		return changed(res, err, ErrNoAccount)
	})
}

// Rename gives an account another address. Its mail, its unique-ids, its aliases
// and its password stay.
func (s *Store) Rename(from, to string) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		if err := notAlias(ctx, tx, to); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM accounts WHERE email = ?)", to).Scan(&there); err != nil {
			return err
		}
		if there {
			return ErrAccountExists
		}
		res, err := tx.ExecContext(ctx, "UPDATE accounts SET email = ? WHERE email = ?", to, from)
		return changed(res, err, ErrNoAccount)
	})
}

// RemoveAccount removes an account, and its aliases where they stand for nobody
// else. ErrHasMail if it has mail, unless that is to go with it; ErrInUse while
// somebody reads it.
func (s *Store) RemoveAccount(ctx context.Context, email string, withMail bool) error {
	d, err := s.Lock(ctx, email)
	if err != nil {
		return err
	}
	defer d.Unlock()
	var unnamed []int64
	err = s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		// Not the snapshot: what has just arrived is mail, too.
		contents, err := ids(ctx, tx, "SELECT content FROM messages WHERE account = ?", d.account)
		if err != nil {
			return err
		}
		if len(contents) > 0 && !withMail {
			return fmt.Errorf("%w: %d messages", ErrHasMail, len(contents))
		}
		for _, table := range []string{"messages", "aliases", "catchalls"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE account = ?", d.account); err != nil {
				return err
			}
		}
		if unnamed, err = forget(ctx, tx, contents); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM accounts WHERE id = ?", d.account)
		return err
	})
	if err != nil {
		return err
	}
	s.removeContents(unnamed)
	return nil
}

// ids reads a column of numbers.
func ids(ctx context.Context, db querier, query string, args ...any) (list []int64, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

// Secret gives 32 random octets, made at the first call and the same for ever
// after.
func (s *Store) Secret(ctx context.Context, name string) (value []byte, err error) {
	err = s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		if _, err := tx.ExecContext(ctx, "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, fresh); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = ?", name).Scan(&value)
	})
	return value, err
}
