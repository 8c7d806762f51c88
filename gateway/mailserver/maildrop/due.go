package maildrop

import (
	"context"
	"database/sql"
	"time"
)

// Due is a destination for which rows are due.
type Due struct {
	Destination string
	Rows        int
	Oldest      time.Time // the first of them was due
}

// Due lists up to limit destinations with rows that are due at now, in the
// order of their names from the one after "after": "" begins anew. It costs a
// few look-ups for each destination and reads nothing of their messages, so
// that 100,000 rows to 1,000 destinations cost as much as 1,000.
func (s *Store) Due(ctx context.Context, now time.Time, after string, limit int) ([]Due, error) {
	// SQLite does not skip from one value of an index to the next by itself; the
	// recursion does.
	rows, err := s.reader.QueryContext(ctx, `WITH RECURSIVE place(name) AS (
			SELECT min(destination) FROM queue WHERE state = 'waiting' AND destination > ?1
			UNION ALL
			SELECT (SELECT min(destination) FROM queue WHERE state = 'waiting' AND destination > place.name) FROM place WHERE place.name IS NOT NULL
		), first(name, oldest) AS (
			SELECT name, (SELECT min(next_try) FROM queue WHERE state = 'waiting' AND destination = name) FROM place WHERE name IS NOT NULL
		)
		SELECT name, oldest, (SELECT count(*) FROM queue WHERE state = 'waiting' AND destination = name AND next_try <= ?2)
		FROM first WHERE oldest <= ?2 LIMIT ?3`, after, now.UnixMicro(), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var due []Due
	for rows.Next() {
		var d Due
		var oldest int64
		if err := rows.Scan(&d.Destination, &oldest, &d.Rows); err != nil {
			return nil, err
		}
		d.Oldest = time.UnixMicro(oldest)
		due = append(due, d)
	}
	return due, rows.Err()
}

// NextTry is when the next row is due; ok is false if none waits.
func (s *Store) NextTry(ctx context.Context) (at time.Time, ok bool, err error) {
	var next sql.NullInt64
	err = s.reader.QueryRowContext(ctx, "SELECT min(next_try) FROM queue WHERE state = 'waiting'").Scan(&next)
	return time.UnixMicro(next.Int64), next.Valid, err
}

// DueRows lists up to limit rows of a destination that are due at now, those
// that wait longest first.
func (s *Store) DueRows(ctx context.Context, destination string, now time.Time, limit int) ([]Queued, error) {
	return selectQueued(ctx, s.reader, "q.state = 'waiting' AND q.destination = ? AND q.next_try <= ? ORDER BY q.next_try, q.id LIMIT ?",
		destination, now.UnixMicro(), limit)
}
