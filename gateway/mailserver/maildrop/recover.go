package maildrop

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// findContents lists the ids of the files in content/.
func (s *Store) findContents() (map[int64]bool, error) {
	root := filepath.Join(s.dir, "content")
	shards, err := s.disk.List(root)
	if err != nil {
		return nil, err
	}
	found := map[int64]bool{}
	for _, shard := range shards {
		names, err := s.disk.List(filepath.Join(root, shard))
		if err != nil {
			continue // a file that somebody put there
		}
		for _, name := range names {
			if id, ok := contentID(name); ok && shardName(id) == shard {
				found[id] = true
			}
		}
	}
	return found, nil
}

// recover makes files and index agree after a crash. found are the contents that
// there are; highest is an id that was seen elsewhere.
//
//   - What is in tmp was never acknowledged: removed.
//   - A file that no row names, with an id that the index has passed, is the
//     rest of a deletion or of a delivery that failed: removed.
//   - A file that no row names, with an id that the index never gave, is a
//     delivery that was cut off before its commit; or the index is an older
//     copy than the files. The two look the same, so it is moved to unclaimed/.
//   - A row whose file is missing is marked, left out of the scan listing, and
//     said aloud. If the file comes back, so does the message.
func (s *Store) recover(ctx context.Context, found map[int64]bool, highest int64) error {
	if err := s.clearTemporary(); err != nil {
		return err
	}
	last, err := lastID(ctx, s.writer, "contents")
	if err != nil {
		return err
	}
	highest = max(highest, last)
	rows, err := s.writer.QueryContext(ctx, "SELECT id, missing FROM contents")
	if err != nil {
		return err
	}
	defer rows.Close()
	var lost, back []int64
	for rows.Next() {
		var id int64
		var missing bool
		if err := rows.Scan(&id, &missing); err != nil {
			return err
		}
		switch there := found[id]; {
		case !there && !missing:
			lost = append(lost, id)
		case there && missing:
			back = append(back, id)
		}
		delete(found, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close() // the writer has one connection
	for id := range found {
		highest = max(highest, id)
		if err := s.removeOrphan(id, id > last); err != nil {
			return err
		}
	}
	// Nor may a name in unclaimed/ come again.
	if names, err := s.disk.List(filepath.Join(s.dir, "unclaimed")); err == nil {
		for _, name := range names {
			if id, ok := contentID(name); ok {
				highest = max(highest, id)
			}
		}
	}
	s.nextContent.Store(highest)
	return s.markMissing(ctx, lost, back)
}

func (s *Store) clearTemporary() error {
	tmp := filepath.Join(s.dir, "tmp")
	names, err := s.disk.List(tmp)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isLeftover(name) {
			continue
		}
		if err := s.disk.Remove(filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) removeOrphan(id int64, unknown bool) error {
	path := s.contentPath(id)
	if !unknown {
		s.log.Info("removing a message file that no row names", "file", path)
		if err := s.disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	unclaimed := filepath.Join(s.dir, "unclaimed")
	if err := s.disk.Mkdir(unclaimed); err != nil {
		return err
	}
	to := filepath.Join(unclaimed, contentName(id))
	s.log.Warn("moving away a message file that the index has never named: a delivery that was cut off, or the index is an older copy", "file", path, "to", to)
	return s.disk.Rename(path, to)
}

func (s *Store) markMissing(ctx context.Context, lost, back []int64) error {
	if len(lost)+len(back) == 0 {
		return nil
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	mark := func(ids []int64, missing bool, say string) error {
		for _, id := range ids {
			s.log.Error(say, "file", s.contentPath(id))
			if _, err := tx.ExecContext(ctx, "UPDATE contents SET missing = ? WHERE id = ?", missing, id); err != nil {
				return err
			}
		}
		return nil
	}
	if err := mark(lost, true, "a message's file is missing; its row is kept and marked"); err != nil {
		return err
	}
	if err := mark(back, false, "a message's file is back"); err != nil {
		return err
	}
	return tx.Commit()
}
