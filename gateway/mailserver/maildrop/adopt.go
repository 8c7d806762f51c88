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

// adopted is what the journals of a server that did not end well have.
type adopted struct {
	sealed  []*sealed
	highest int64 // of the ids in them
}

// journals lists the journal's files, the oldest first.
func (s *Store) journals() (list []string, err error) {
	dir := filepath.Join(s.dir, "journal")
	names, err := s.disk.List(dir)
	slices.Sort(names)
	for _, name := range names {
		if _, ok := journalNumber(name); ok {
			list = append(list, filepath.Join(dir, name))
		}
	}
	return list, err
}

// adopt takes over those journals. What they have is fresh again; it costs no room
// on the disk, which may be full. found are the files that there are, and in the
// end the contents.
func (s *Store) adopt(ctx context.Context, db *sql.DB, found map[int64]bool) (a adopted, err error) {
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	names, err := s.journals()
	if err != nil {
		return a, err
	}
	last, err := lastID(ctx, db, "contents")
	if err != nil {
		return a, err
	}
	for _, name := range names {
		records, err := readJournal(name)
		if err != nil {
			return a, err
		}
		f, err := s.disk.Open(name)
		if err != nil {
			return a, err
		}
		j := &sealed{spare: spare{name: name}, volume: &volume{file: f}}
		a.sealed = append(a.sealed, j)
		at := int64(0)
		for _, r := range records {
			at += recordHeader
			if err := s.adoptOne(ctx, db, found, last, j, r, at); err != nil {
				return a, err
			}
			at += int64(len(r.octets))
			a.highest = max(a.highest, r.id)
		}
	}
	return a, nil
}

func (s *Store) adoptOne(ctx context.Context, db *sql.DB, found map[int64]bool, last int64, j *sealed, r kept, at int64) error {
	var named bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM contents WHERE id = ? AND sha256 = ?)", r.id, r.sum).Scan(&named); err != nil {
		return err
	}
	switch {
	case named:
		laid := false
		if found[r.id] {
			there, err := os.ReadFile(s.contentPath(r.id))
			laid = err == nil && sha256.Sum256(there) == [sha256.Size]byte(r.sum)
		}
		found[r.id] = true
		j.contents = append(j.contents, r.id)
		s.fresh.add(r.id, freshContent{volume: j.volume, at: at, size: int64(len(r.octets)), laid: laid})
	case r.id > last:
		j.unnamed = append(j.unnamed, r)
	} // else it was deleted since
	return nil
}

// putAside writes what the index has never named to unclaimed/.
func (s *Store) putAside(r kept) error {
	unclaimed := filepath.Join(s.dir, "unclaimed")
	if err := s.disk.Mkdir(unclaimed); err != nil {
		return err
	}
	path := filepath.Join(unclaimed, contentName(r.id))
	s.log.Warn("putting aside a message that the index has never named: a delivery that was cut off, or the index is an older copy", "file", path)
	tmp := filepath.Join(s.dir, "tmp", contentName(r.id))
	if err := s.disk.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.disk.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(r.octets)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		s.disk.Remove(tmp)
		return err
	}
	if err := s.disk.Rename(tmp, path); err != nil {
		return err
	}
	if err := s.disk.SyncDir(unclaimed); err != nil {
		return err
	}
	return s.removeContent(r.id) // its file, if one was begun: the journal has all of it
}

func (a adopted) close() {
	for _, j := range a.sealed {
		j.volume.close()
	}
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

// clearJournals gives what is in the journals its files, while nobody has the
// store open.
func (s *Store) clearJournals(ctx context.Context, db *sql.DB, found map[int64]bool) error {
	a, err := s.adopt(ctx, db, found)
	if err != nil {
		return err
	}
	defer a.close()
	for _, j := range a.sealed {
		if err := s.layAll(j); err != nil {
			return err
		}
		j.volume.close()
		if err := s.disk.Remove(j.name); err != nil {
			return err
		}
	}
	return nil
}
