package maildrop

import (
	"context"
	"database/sql"
	"errors"

	"github.com/postern-mail/postern/gateway/mailserver/account"
)

// ErrAccountExists says that an address already has an account.
var ErrAccountExists = errors.New("maildrop: the account exists already")

// Account finds an account by its canonical address. It is an account.Lookup.
func (s *Store) Account(ctx context.Context, email string) (account.Record, bool, error) {
	r := account.Record{Account: account.Account{Email: email}}
	err := s.reader.QueryRowContext(ctx, "SELECT name, hash FROM accounts WHERE email = ?", email).Scan(&r.Name, &r.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Record{}, false, nil
	}
	return r, err == nil, err
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

// AddAccount makes an account; ErrAccountExists if it is there.
func (s *Store) AddAccount(r account.Record) error {
	return s.putAccount(r, "DO NOTHING")
}

// SetAccount makes an account or changes its name and hash.
func (s *Store) SetAccount(r account.Record) error {
	return s.putAccount(r, "(email) DO UPDATE SET name = excluded.name, hash = excluded.hash")
}

func (s *Store) putAccount(r account.Record, conflict string) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "INSERT INTO accounts (email, name, hash, created) VALUES (?, ?, ?, ?) ON CONFLICT "+conflict,
			r.Email, r.Name, r.Hash, s.micros())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrAccountExists)
		}
		return nil
	})
}
