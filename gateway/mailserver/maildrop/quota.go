package maildrop

import (
	"context"
	"database/sql"
	"errors"
)

// Quota bounds what a maildrop holds; 0 is no limit.
type Quota struct{ Octets, Messages int64 }

// SetQuota sets an account's quota. One that is below what the maildrop holds
// deletes nothing; it fills the maildrop.
func (s *Store) SetQuota(email string, q Quota) error {
	return s.update("UPDATE accounts SET quota_octets = ?, quota_messages = ? WHERE email = ?", q.Octets, q.Messages, email)
}

// SetFilesQuota says how many octets of files an account may have; 0 is as many as all others, -1 is no limit.
func (s *Store) SetFilesQuota(email string, octets int64) error {
	return s.update("UPDATE accounts SET quota_files = ? WHERE email = ?", octets, email)
}

// Full says whether a maildrop has no room for one more message of that size (0:
// not known yet, then one octet must be free).
//
// It is asked when a recipient is named. Deliver does not ask again: messages
// that arrive together may exceed a quota by what is on its way, and one that
// was acknowledged to one recipient is not refused for another's sake.
func (s *Store) Full(ctx context.Context, email string, size int64) (full bool, err error) {
	err = s.often.full.QueryRowContext(ctx, max(size, 1), email).Scan(&full)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoAccount
	}
	return full, err
}
