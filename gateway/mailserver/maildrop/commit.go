package maildrop

import (
	"context"
	"database/sql"
	"fmt"
)

// maxBatch is how many changes may share one commit. It bounds how long the
// first of them waits for the others' statements, about 50 µs each.
const maxBatch = 256

// change is one caller's work on the index, all of it or nothing.
type change struct {
	shard  string // a folder to flush before the index may name what is in it; "" for none
	kept   *kept  // a content for the journal, before the index may name it; nil for none
	apply  func(context.Context, *sql.Tx) error
	failed bool       // by itself, and answered
	done   chan error // buffered
}

// submit hands a change to the committer and waits until it is durable. It
// does not give up when ctx ends: a change that may have been made must not be
// reported as not made.
func (s *Store) submit(shard string, apply func(context.Context, *sql.Tx) error) error {
	return s.hand(&change{shard: shard, apply: apply})
}

func (s *Store) hand(c *change) error {
	c.done = make(chan error, 1)
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	select {
	case s.changes <- c:
	case <-s.closing:
		return ErrClosed
	}
	select {
	case err := <-c.done:
		return err
	case <-s.done:
	}
	select { // the committer has ended: with an answer, or without having seen this change
	case err := <-c.done:
		return err
	default:
		return ErrClosed
	}
}

// commit is the one writer. While it flushes one batch the next gathers.
func (s *Store) commit(j *journal) {
	defer close(s.done)
	defer j.end()
	for {
		select {
		case <-j.idle.C:
			j.rest()
		case c := <-s.changes:
			s.commitBatch(j, s.gather(c))
		case <-s.closing:
			for {
				select {
				case c := <-s.changes:
					s.commitBatch(j, s.gather(c))
				default:
					return
				}
			}
		}
	}
}

func (s *Store) gather(first *change) []*change {
	batch := []*change{first}
	for len(batch) < maxBatch {
		select {
		case c := <-s.changes:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// commitBatch makes a batch durable and answers each change in it.
func (s *Store) commitBatch(j *journal, batch []*change) {
	err := j.keep(batch)
	if err == nil {
		err = s.syncShards(batch)
	}
	if err == nil {
		err = s.commitIndex(batch)
	}
	for _, c := range batch {
		if !c.failed {
			c.done <- err
		}
	}
}

func (s *Store) syncShards(batch []*change) error {
	synced := map[string]bool{"": true}
	for _, c := range batch {
		if synced[c.shard] {
			continue
		}
		if err := s.disk.SyncDir(c.shard); err != nil {
			return err
		}
		synced[c.shard] = true
	}
	return nil
}

func (s *Store) commitIndex(batch []*change) error {
	ctx := context.Background() // the callers' contexts must not undo each other's work
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, c := range batch {
		// A savepoint for each, so that one that fails takes no other with it.
		if _, err := tx.StmtContext(ctx, s.often.begin).ExecContext(ctx); err != nil {
			return err
		}
		failure := c.apply(ctx, tx)
		if failure != nil {
			if _, err := tx.ExecContext(ctx, "ROLLBACK TO change"); err != nil {
				return fmt.Errorf("%w (after %v)", err, failure)
			}
		}
		if _, err := tx.StmtContext(ctx, s.often.end).ExecContext(ctx); err != nil {
			return fmt.Errorf("%w (after %v)", err, failure)
		}
		if failure != nil {
			c.failed = true
			c.done <- failure
		}
	}
	return s.disk.Commit(tx.Commit)
}
