package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"sync"
	"time"
)

var (
	// ErrInUse says that another session has the maildrop locked.
	ErrInUse = errors.New("maildrop: locked by another session")
	// ErrDamaged says that a message's file is missing or has not the size it
	// was written with.
	ErrDamaged = errors.New("maildrop: message file is damaged")
)

// Message is one line of the scan listing.
type Message struct {
	UID  string // unique-id
	Size int64  // octets, as Open gives them

	row, content int64
	trace        string
}

// Drop is a user's maildrop as it was when it was locked: a snapshot that
// deliveries do not change (RFC 1939 §4). Its methods are for one goroutine.
type Drop struct {
	store    *Store
	account  int64
	messages []Message
	last     int64 // the newest row of them
	unlock   sync.Once
}

// Lock takes the exclusive-access lock of an account's maildrop.
func (s *Store) Lock(ctx context.Context, email string) (*Drop, error) {
	var account int64
	err := s.reader.QueryRowContext(ctx, "SELECT id FROM accounts WHERE email = ?", email).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoAccount
	}
	if err != nil {
		return nil, err
	}
	if err := s.lock(ctx, account); err != nil {
		return nil, err
	}
	d := &Drop{store: s, account: account}
	if err := d.list(ctx); err != nil {
		d.Unlock()
		return nil, err
	}
	return d, nil
}

func (s *Store) lock(ctx context.Context, account int64) error {
	timer := time.NewTimer(max(s.opts.LockWait, 0))
	defer timer.Stop()
	for {
		s.mu.Lock()
		unlocked, taken := s.locked[account]
		if !taken {
			s.locked[account] = make(chan struct{})
		}
		s.mu.Unlock()
		if !taken {
			return nil
		}
		select {
		case <-unlocked:
		case <-timer.C:
			return ErrInUse
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Drop) list(ctx context.Context) error {
	rows, err := d.store.reader.QueryContext(ctx, `SELECT m.id, m.content, m.uid, m.trace, c.size FROM messages m
		JOIN contents c ON c.id = m.content WHERE m.account = ? AND c.missing = 0 ORDER BY m.id`, d.account)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var m Message
		if err := rows.Scan(&m.row, &m.content, &m.UID, &m.trace, &m.Size); err != nil {
			return err
		}
		m.Size += int64(len(m.trace))
		d.messages = append(d.messages, m)
		d.last = m.row
	}
	return rows.Err()
}

// Messages is the scan listing, oldest first. It must not be changed.
func (d *Drop) Messages() []Message { return d.messages }

// Open gives a message's octets, all of Message.Size.
func (d *Drop) Open(m Message) (io.ReadCloser, error) { return d.store.openMessage(m) }

// Remove deletes messages for good: first the rows, all or none, then each file
// that nothing else names.
func (d *Drop) Remove(ctx context.Context, messages []Message) error {
	if len(messages) == 0 {
		return nil
	}
	s := d.store
	var unnamed []int64
	err := s.submit("", func(ctx context.Context, tx *sql.Tx) (err error) {
		var contents []int64
		for _, m := range messages {
			if _, err := tx.ExecContext(ctx, "DELETE FROM messages WHERE id = ? AND account = ?", m.row, d.account); err != nil {
				return err
			}
			contents = append(contents, m.content)
		}
		unnamed, err = forget(ctx, tx, contents)
		return err
	})
	if err != nil {
		return err
	}
	s.removeContents(unnamed)
	return nil
}

// forget removes the rows of contents that nothing names any more, and answers
// which those are.
func forget(ctx context.Context, tx *sql.Tx, contents []int64) (unnamed []int64, err error) {
	for _, id := range contents {
		res, err := tx.ExecContext(ctx, `DELETE FROM contents WHERE id = ?1
			AND NOT EXISTS (SELECT 1 FROM messages WHERE content = ?1) AND NOT EXISTS (SELECT 1 FROM queue WHERE content = ?1)`, id)
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil {
			return nil, err
		} else if n > 0 {
			unnamed = append(unnamed, id)
		}
	}
	return unnamed, nil
}

// Unlock gives the maildrop up, and the snapshot with it: many sessions may be
// waiting for mail (Await), and it can be large. It may be called more than once.
func (d *Drop) Unlock() {
	d.unlock.Do(func() {
		d.messages = nil
		d.store.mu.Lock()
		defer d.store.mu.Unlock()
		close(d.store.locked[d.account])
		delete(d.store.locked, d.account)
	})
}

// Await returns when the maildrop holds a message that the snapshot does not,
// or with the error of ctx. The lock is not needed for it.
func (d *Drop) Await(ctx context.Context) error {
	for {
		arrived := d.store.arrival(d.account) // before the look, or one could come in between
		var there bool
		if err := d.store.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM messages m JOIN contents c ON c.id = m.content
			WHERE m.account = ? AND m.id > ? AND c.missing = 0)`, d.account, d.last).Scan(&there); err != nil {
			return err
		}
		if there {
			return nil
		}
		select {
		case <-arrived:
		case <-d.store.closing:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// arrival is closed when the account's next message is delivered.
func (s *Store) arrival(account int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.watch[account]
	if ch == nil {
		ch = make(chan struct{})
		s.watch[account] = ch
	}
	return ch
}

func (s *Store) notify(account int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.watch[account]; ch != nil {
		close(ch)
		delete(s.watch, account)
	}
}
