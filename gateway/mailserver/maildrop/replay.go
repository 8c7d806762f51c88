package maildrop

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// replay makes the files of contents what the journals of a server that did not
// end well have of them. found are the files that there are.
func (s *Store) replay(ctx context.Context, db *sql.DB, found map[int64]bool) error {
	dir := filepath.Join(s.dir, "journal")
	names, err := s.disk.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(names)
	var last int64
	if err := db.QueryRowContext(ctx, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contents'), 0)").Scan(&last); err != nil {
		return err
	}
	written := 0
	for _, name := range names {
		name = filepath.Join(dir, name)
		records, err := readJournal(name)
		if err != nil {
			return err
		}
		ids := []int64{}
		for _, r := range records {
			var named bool
			if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM contents WHERE id = ? AND sha256 = ?)", r.id, r.sum).Scan(&named); err != nil {
				return err
			}
			if !named && !found[r.id] && r.id <= last { // deleted since; of those behind last recover knows what to do
				continue
			}
			renewed, err := s.renew(r)
			if err != nil {
				return err
			}
			if renewed {
				written++
			}
			found[r.id] = true
			ids = append(ids, r.id)
		}
		if err := s.flush(ids); err != nil {
			return err
		}
		if err := s.disk.Remove(name); err != nil {
			return err
		}
	}
	if written > 0 {
		s.log.Info("message files that were not on the disk when the server ended are written from the journal", "files", written)
	}
	return nil
}

// readJournal answers the records of a file's last use, up to the first that was
// not written whole. If nothing of that use is on the disk they are those of the
// use before, whose contents are: there is nothing to do for them.
func readJournal(name string) (records []kept, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var use uint64
	for len(b) >= recordHeader {
		u, id, size := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
		if len(records) == 0 {
			use = u
		}
		checked := recordHeader - crc32.Size
		sum, check, rest := b[24:checked], binary.BigEndian.Uint32(b[checked:]), b[recordHeader:]
		if u != use || check != crc32.Checksum(b[:checked], castagnoli) || size > uint64(len(rest)) {
			break
		}
		octets := rest[:size]
		if got := sha256.Sum256(octets); [sha256.Size]byte(sum) != got {
			break
		}
		records = append(records, kept{id: int64(id), sum: sum, octets: octets})
		b = rest[size:]
	}
	return records, nil
}

// renew writes a content's file anew, unless it is what it should be.
func (s *Store) renew(r kept) (renewed bool, err error) {
	path := s.contentPath(r.id)
	if there, err := os.ReadFile(path); err == nil && sha256.Sum256(there) == [sha256.Size]byte(r.sum) {
		return false, nil
	}
	if err := s.makeShard(r.id); err != nil {
		return false, err
	}
	tmp := filepath.Join(s.dir, "tmp", contentName(r.id))
	if err := s.disk.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	f, err := s.disk.Create(tmp)
	if err != nil {
		return false, err
	}
	_, err = f.Write(r.octets)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return true, s.disk.Rename(tmp, path)
}
