package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrSettled says that a row is no longer what the settlement takes it for: it
// was settled before, or an administrator was faster. Nothing was changed.
var ErrSettled = errors.New("maildrop: the queue's row has changed")

// Claim takes the message of a destination that waits longest: those of its
// rows that are due at now, up to limit. They are marked as being sent, with
// the claim's number, and the mark is durable when Claim returns: another
// server cannot have taken a message of which this one, after a crash, does not
// know that it may have. That costs a commit for each message, which all
// messages on their way at a time share. No rows and no error: none was due.
//
// After an error the mark may be on the disk; Unclaim takes it back.
func (s *Store) Claim(ctx context.Context, destination string, now time.Time, limit int, claim int64) (claimed []Queued, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		var content int64
		err := tx.QueryRowContext(ctx, "SELECT content FROM queue WHERE state = 'waiting' AND destination = ? AND next_try <= ? ORDER BY next_try, id LIMIT 1",
			destination, now.UnixMicro()).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		claimed, err = selectQueued(ctx, tx, "q.content = ? AND q.destination = ? AND q.state = 'waiting' AND q.next_try <= ? ORDER BY q.id LIMIT ?",
			content, destination, now.UnixMicro(), limit)
		if err != nil {
			return err
		}
		for i := range claimed {
			if _, err := tx.ExecContext(ctx, "UPDATE queue SET state = 'sending', claim = ? WHERE id = ?", claim, claimed[i].ID); err != nil {
				return err
			}
			claimed[i].State, claimed[i].Claim = Sending, claim
		}
		return nil
	})
	if err != nil {
		return nil, full(err)
	}
	if len(claimed) > 0 {
		s.revision.change()
	}
	return claimed, nil
}

// Unclaim gives back rows that were claimed and never sent: they wait as they
// did before.
func (s *Store) Unclaim(ctx context.Context, claim int64) error {
	defer s.revision.change()
	return full(s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE queue SET state = 'waiting', claim = 0 WHERE state = 'sending' AND claim = ?", claim)
		return err
	}))
}

// Unsettled takes back the rows that were being sent when the server stopped
// (those in the state Sending): the other server may have them for all we know.
// They wait and are due at now, which may make a second copy of what the other
// server took: RFC 5321 §6.1 prefers that to a loss.
func (s *Store) Unsettled(ctx context.Context, now time.Time, problem string) error {
	err := s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE queue SET state = 'waiting', claim = 0, attempts = attempts + 1, unknown = unknown + 1, next_try = ?1, tried = ?1,
			code = 0, enhanced = '', problem = ?2, server = '', tls = '', own = 1, transcript = '' WHERE state = 'sending'`, now.UnixMicro(), problem)
		return err
	})
	s.revision.change()
	return full(err)
}

// Settlement is what becomes of a row after an attempt, or by an
// administrator's hand.
type Settlement struct {
	Row  Queued // as it was claimed or listed
	Gone bool   // delivered, failed or dropped: the row is deleted. Otherwise it is as follows.

	State      State // Waiting or Held
	NextTry    time.Time
	Attempts   int
	DelayTold  bool
	Unknown    int
	Last       Attempt
	Transcript string
}

// Settle makes the outcome of an attempt durable, for all of the rows or, with
// an error such as ErrSettled, for none. A content goes with its last row.
func (s *Store) Settle(ctx context.Context, settlements []Settlement) error {
	var unnamed []int64
	err := s.submit("", func(ctx context.Context, tx *sql.Tx) (err error) {
		unnamed, err = settle(ctx, tx, settlements)
		return err
	})
	if err != nil {
		return full(err)
	}
	s.revision.change()
	s.removeContents(unnamed)
	return nil
}

func settle(ctx context.Context, tx *sql.Tx, settlements []Settlement) (unnamed []int64, err error) {
	var contents []int64
	for _, o := range settlements {
		// Whoever settles a row must have seen its last change.
		as := []any{o.Row.ID, o.Row.State, o.Row.Claim, o.Row.Attempts}
		const same = " WHERE id = ?1 AND state = ?2 AND claim = ?3 AND attempts = ?4"
		var res sql.Result
		if o.Gone {
			res, err = tx.ExecContext(ctx, "DELETE FROM queue"+same, as...)
		} else {
			l := o.Last
			res, err = tx.ExecContext(ctx, `UPDATE queue SET state = ?5, claim = 0, next_try = ?6, attempts = ?7, delay_told = ?8, unknown = ?9, tried = ?10,
				code = ?11, enhanced = ?12, problem = ?13, server = ?14, tls = ?15, own = ?16, transcript = ?17`+same,
				append(as, o.State, o.NextTry.UnixMicro(), o.Attempts, o.DelayTold, o.Unknown, stamp(l.At),
					l.Code, l.Enhanced, l.Problem, l.Server, l.TLS, l.Own, o.Transcript)...)
		}
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return nil, errors.Join(err, ErrSettled)
		}
		if o.Gone {
			contents = append(contents, o.Row.Content)
		}
	}
	return forget(ctx, tx, contents)
}

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// alterBatch is how many rows an administrator's word changes in one commit:
// what arrives meanwhile waits no longer than for those.
const alterBatch = 1000

// Hold stops waiting rows from being sent. It answers how many.
func (s *Store) Hold(ctx context.Context, f Filter) (int, error) {
	return s.alter(ctx, f, Waiting, "state = 'held'")
}

// Release lets held rows wait again; they are due at now.
func (s *Store) Release(ctx context.Context, f Filter, now time.Time) (int, error) {
	return s.alter(ctx, f, Held, "state = 'waiting', next_try = ?", now.UnixMicro())
}

// Hasten makes waiting rows due at now.
func (s *Store) Hasten(ctx context.Context, f Filter, now time.Time) (int, error) {
	return s.alter(ctx, f, Waiting, "next_try = ?", now.UnixMicro())
}

// Discard deletes rows that are not being sent, and their contents with the last of
// them. It answers how many.
func (s *Store) Discard(ctx context.Context, f Filter) (int, error) {
	var unnamed []int64
	n, err := s.batches(ctx, f, "q.state <> 'sending'", func(ctx context.Context, tx *sql.Tx, rows []handle, in string, ids []any) (err error) {
		if _, err := tx.ExecContext(ctx, "DELETE FROM queue WHERE id IN "+in, ids...); err != nil {
			return err
		}
		contents := make([]int64, len(rows))
		for i, r := range rows {
			contents[i] = r.content
		}
		unnamed, err = forget(ctx, tx, contents)
		return err
	}, func() { s.removeContents(unnamed) })
	return n, err
}

func (s *Store) alter(ctx context.Context, f Filter, from State, set string, values ...any) (int, error) {
	return s.batches(ctx, f, "q.state = '"+string(from)+"'", func(ctx context.Context, tx *sql.Tx, _ []handle, in string, ids []any) error {
		_, err := tx.ExecContext(ctx, "UPDATE queue SET "+set+" WHERE id IN "+in, append(slices.Clone(values), ids...)...)
		return err
	}, func() {})
}

// handle is what a row is changed by.
type handle struct{ id, content int64 }

// batches has change made to all rows that a filter and a condition choose, a batch
// in a commit, and committed called after each: what changes a row meanwhile does so
// before or after, and never in between. change is given the rows, a list of marks
// for SQL, and the ids that belong to it.
func (s *Store) batches(ctx context.Context, f Filter, condition string, change func(ctx context.Context, tx *sql.Tx, rows []handle, in string, ids []any) error, committed func()) (count int, err error) {
	f.Limit = alterBatch
	for {
		if err := ctx.Err(); err != nil {
			return count, err
		}
		where, args := f.where()
		var rows []handle
		err := s.submit("", func(ctx context.Context, tx *sql.Tx) (err error) {
			rows, err = selectHandles(ctx, tx, where+" AND "+condition+" ORDER BY q.id LIMIT ?", append(args, f.Limit)...)
			if err != nil || len(rows) == 0 {
				return err
			}
			var ids []any
			for _, r := range rows {
				ids = append(ids, r.id)
			}
			return change(ctx, tx, rows, "(?"+strings.Repeat(",?", len(rows)-1)+")", ids)
		})
		if err != nil {
			return count, full(err)
		}
		if count += len(rows); len(rows) > 0 {
			committed()
			s.revision.change()
		}
		if len(rows) < alterBatch {
			return count, nil
		}
		f.After = rows[len(rows)-1].id
	}
}

func selectHandles(ctx context.Context, tx *sql.Tx, condition string, args ...any) (list []handle, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT q.id, q.content FROM queue q WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h handle
		if err := rows.Scan(&h.id, &h.content); err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, rows.Err()
}

// PullIn mends times that a clock which was set back has left in the future: no
// row waits beyond latest, and none is from after now. It answers how many were
// changed.
func (s *Store) PullIn(ctx context.Context, now, latest time.Time) (count int64, err error) {
	var ahead bool
	if err := s.reader.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM queue WHERE state = 'waiting' AND next_try > ?)", latest.UnixMicro()).Scan(&ahead); err != nil || !ahead {
		return 0, err
	}
	err = s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE queue SET next_try = min(next_try, ?1), created = min(created, ?2), tried = min(tried, ?2) WHERE state = 'waiting' AND next_try > ?1",
			latest.UnixMicro(), now.UnixMicro())
		if err != nil {
			return err
		}
		count, err = res.RowsAffected()
		return err
	})
	if count > 0 {
		s.revision.change()
	}
	return count, full(err)
}
