package maildrop

import (
	"context"
	"time"
)

// State is where a queued recipient stands.
type State string

// Waiting is due at NextTry.
const Waiting State = "waiting"

// Queued is one recipient of a message that is for another server.
type Queued struct {
	ID        int64
	Sender    string // "" for the null sender
	Recipient string
	UTF8      bool
	State     State
	Attempts  int
	NextTry   time.Time
	Created   time.Time
	Size      int64
	Problem   string // the last attempt's, in words
}

// Queue lists what waits, in the order it is due.
func (s *Store) Queue(ctx context.Context) ([]Queued, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT q.id, q.sender, q.recipient, q.utf8, q.state, q.attempts, q.next_try, q.created, q.problem, c.size
		FROM queue q JOIN contents c ON c.id = q.content ORDER BY q.state, q.next_try, q.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var queue []Queued
	for rows.Next() {
		var q Queued
		var next, created int64
		if err := rows.Scan(&q.ID, &q.Sender, &q.Recipient, &q.UTF8, &q.State, &q.Attempts, &next, &created, &q.Problem, &q.Size); err != nil {
			return nil, err
		}
		q.NextTry, q.Created = time.UnixMicro(next), time.UnixMicro(created)
		queue = append(queue, q)
	}
	return queue, rows.Err()
}
