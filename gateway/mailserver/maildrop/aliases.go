package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// ErrNoAlias says that there is no such alias.
var ErrNoAlias = errors.New("maildrop: no such alias")

// Alias is an address that stands for accounts of this server.
type Alias struct {
	Address  string
	Accounts []string // at least one, in order
}

// CatchAll says who gets what nobody else of a domain does.
type CatchAll struct{ Domain, Account string }

// AddAlias lets an address stand for more accounts. ErrAccountExists if it is an
// account's own.
func (s *Store) AddAlias(address string, accounts ...string) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		var taken bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM accounts WHERE email = ?)", address).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("%w: %s", ErrAccountExists, address)
		}
		for _, email := range accounts {
			id, err := accountID(ctx, tx, email)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO aliases (address, account, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", address, id, s.micros()); err != nil {
				return err
			}
		}
		return nil
	})
}

// RemoveAlias lets an address stand for those accounts no longer; none are all.
// ErrNoAlias if it stood for none of them.
func (s *Store) RemoveAlias(address string, accounts ...string) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		if len(accounts) == 0 {
			res, err := tx.ExecContext(ctx, "DELETE FROM aliases WHERE address = ?", address)
			return changed(res, err, ErrNoAlias)
		}
		for _, email := range accounts {
			res, err := tx.ExecContext(ctx, "DELETE FROM aliases WHERE address = ? AND account = (SELECT id FROM accounts WHERE email = ?)", address, email)
			if err := changed(res, err, fmt.Errorf("%w: %s for %s", ErrNoAlias, address, email)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Aliases lists all, by address.
func (s *Store) Aliases(ctx context.Context) ([]Alias, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT x.address, a.email FROM aliases x JOIN accounts a ON a.id = x.account ORDER BY x.address, a.email")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Alias
	for rows.Next() {
		var address, email string
		if err := rows.Scan(&address, &email); err != nil {
			return nil, err
		}
		if n := len(list); n == 0 || list[n-1].Address != address {
			list = append(list, Alias{Address: address})
		}
		last := &list[len(list)-1]
		last.Accounts = append(last.Accounts, email)
	}
	return list, rows.Err()
}

// SetCatchAll gives an account what nobody else of a domain gets; "" ends it.
func (s *Store) SetCatchAll(domain, email string) error {
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		if email == "" {
			_, err := tx.ExecContext(ctx, "DELETE FROM catchalls WHERE domain = ?", domain)
			return err
		}
		id, err := accountID(ctx, tx, email)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO catchalls (domain, account) VALUES (?, ?) ON CONFLICT (domain) DO UPDATE SET account = excluded.account", domain, id)
		return err
	})
}

// CatchAlls lists all, by domain.
func (s *Store) CatchAlls(ctx context.Context) ([]CatchAll, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT c.domain, a.email FROM catchalls c JOIN accounts a ON a.id = c.account ORDER BY c.domain")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []CatchAll
	for rows.Next() {
		var c CatchAll
		if err := rows.Scan(&c.Domain, &c.Account); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// Resolve says whose maildrops an address of this server's domains leads to,
// each once: the account or alias of that very address; else, for user+tag, of
// the address without its tag (RFC 5233 calls it subaddressing); for the
// postmaster, whom RFC 5321 §4.5.1 wants to exist, the first account; else the
// domain's catch-all. ErrNoAccount if to none.
func (s *Store) Resolve(ctx context.Context, address string) ([]string, error) {
	for _, a := range []string{address, untagged(address)} {
		if a == "" {
			continue
		}
		found, err := s.named(ctx, a)
		if len(found) > 0 || err != nil {
			return found, err
		}
	}
	user, domain, _ := strings.Cut(untaggedOr(address), "@")
	if user == "postmaster" {
		first, ok, err := s.FirstAccount(ctx)
		if ok || err != nil {
			return []string{first}, err
		}
	}
	found, err := emails(s.reader.QueryContext(ctx, "SELECT a.email FROM catchalls c JOIN accounts a ON a.id = c.account WHERE c.domain = ?", domain))
	if err == nil && len(found) == 0 {
		err = ErrNoAccount
	}
	return found, err
}

// Owns says whether an address is a user's to send as: his own, or an alias that
// stands for him alone, either with any tag. A catch-all owns nothing.
func (s *Store) Owns(ctx context.Context, email, address string) (bool, error) {
	for _, a := range []string{address, untagged(address)} {
		if a == "" {
			continue
		}
		found, err := s.named(ctx, a)
		if err != nil {
			return false, err
		}
		if len(found) > 0 {
			return len(found) == 1 && found[0] == email, nil
		}
	}
	return false, nil
}

// named finds the account of an address, or those that it is an alias of.
func (s *Store) named(ctx context.Context, address string) ([]string, error) {
	return emails(s.often.named.QueryContext(ctx, address))
}

func emails(rows *sql.Rows, err error) (list []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var email string
		if err := rows.Scan(&email); err != nil {
			return nil, err
		}
		list = append(list, email)
	}
	return list, rows.Err()
}

// untagged is user@domain for user+tag@domain; "" for an address without a tag.
func untagged(address string) string {
	at := strings.LastIndexByte(address, '@')
	plus := strings.IndexByte(address, '+')
	if plus <= 0 || at < plus {
		return ""
	}
	return address[:plus] + address[at:]
}

func untaggedOr(address string) string {
	if a := untagged(address); a != "" {
		return a
	}
	return address
}

func accountID(ctx context.Context, tx *sql.Tx, email string) (id int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM accounts WHERE email = ?", email).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: %s", ErrNoAccount, email)
	}
	return id, err
}
