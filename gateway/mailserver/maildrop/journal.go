package maildrop

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// journal makes contents durable that are committed together by one write and
// one flush: one behind the other, in a file of its own. Their files, which are
// what everybody reads, were written before and not flushed. That is done later,
// for all of them at once, and then the journal's file goes. After a crash, Open
// writes those of them anew that are not what the journal has (replay).
//
// The committer owns it. A record is
//
//	id uint64       big-endian, as is
//	size uint64     of the content
//	sha256 [32]byte of the content
//	content
type journal struct {
	store  *Store
	file   file // nil: none is open
	name   string
	number int
	size   int64
	ids    []int64 // of the contents in it
	buf    []byte
	idle   *time.Timer
	sealed chan sealed
	done   chan struct{} // closed when what was sealed is gone
}

// sealed is a journal's file that is complete.
type sealed struct {
	name string
	ids  []int64
}

const (
	// journalMost is the largest content that goes into the journal. Of a larger
	// one the flush is little beside the writing, and it would be written twice.
	journalMost = 64 << 10
	// journalSize is how large the journal's file becomes, and with it the memory
	// that a restart after a crash takes.
	journalSize = 8 << 20
	// journalIdle is how long it stays when nothing comes any more.
	journalIdle  = 2 * time.Second
	recordHeader = 8 + 8 + sha256.Size
)

// kept is a content for the journal.
type kept struct {
	id     int64
	sum    []byte
	octets []byte
}

func newJournal(s *Store) *journal {
	j := &journal{store: s, idle: time.NewTimer(time.Hour), sealed: make(chan sealed, 2), done: make(chan struct{})}
	j.idle.Stop()
	go j.retire()
	return j
}

// keep makes the contents of a batch durable.
func (j *journal) keep(batch []*change) error {
	j.buf = j.buf[:0]
	for _, c := range batch {
		if c.kept == nil {
			continue
		}
		j.buf = binary.BigEndian.AppendUint64(j.buf, uint64(c.kept.id))
		j.buf = binary.BigEndian.AppendUint64(j.buf, uint64(len(c.kept.octets)))
		j.buf = append(append(j.buf, c.kept.sum...), c.kept.octets...)
		j.ids = append(j.ids, c.kept.id)
	}
	if len(j.buf) == 0 {
		return nil
	}
	err := j.open()
	if err == nil {
		_, err = j.file.Write(j.buf)
	}
	if err == nil {
		err = j.file.Sync()
	}
	if j.size += int64(len(j.buf)); err != nil || j.size >= journalSize {
		j.seal() // behind a write that failed nothing could be found again
	} else {
		j.idle.Reset(journalIdle)
	}
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return err
}

func (j *journal) open() error {
	if j.file != nil {
		return nil
	}
	d := j.store.disk
	dir := filepath.Join(j.store.dir, "journal")
	j.number++
	j.name = filepath.Join(dir, fmt.Sprintf("%08d", j.number))
	f, err := d.Create(j.name)
	if err != nil {
		return err
	}
	j.file, j.size = f, 0
	return d.SyncDir(dir)
}

// seal ends the present file and hands it over to retire.
func (j *journal) seal() {
	j.idle.Stop()
	if j.file != nil {
		j.file.Close()
		j.sealed <- sealed{j.name, j.ids}
	}
	j.file, j.ids = nil, nil
}

// end seals the last file and waits until all are gone.
func (j *journal) end() {
	j.seal()
	close(j.sealed)
	<-j.done
}

// retire flushes the files that the journal stands in for, and removes it.
func (j *journal) retire() {
	defer close(j.done)
	for s := range j.sealed {
		if err := j.store.retire(s.name, s.ids); err != nil {
			j.store.log.Error("flushing message files; what the journal has of them stays until the next start", "journal", s.name, "error", err)
		}
	}
}

func (s *Store) retire(name string, ids []int64) error {
	files := make([]string, len(ids))
	for i, id := range ids {
		files[i] = s.contentPath(id)
	}
	if err := s.disk.Flush(filepath.Join(s.dir, "content"), files); err != nil {
		return err
	}
	return s.disk.Remove(name)
}

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
			if !named && !found[r.id] { // never acknowledged, or deleted since
				continue
			}
			if err := s.renew(r); err != nil {
				return err
			}
			found[r.id] = true
			ids = append(ids, r.id)
		}
		if err := s.retire(name, ids); err != nil {
			return err
		}
	}
	return nil
}

// readJournal answers the records of a file, up to the first that was not written
// whole.
func readJournal(name string) (records []kept, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for len(b) >= recordHeader {
		id, size := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		sum, rest := b[16:recordHeader], b[recordHeader:]
		if size > uint64(len(rest)) {
			break
		}
		octets := rest[:size]
		if got := sha256.Sum256(octets); [sha256.Size]byte(sum) != got {
			break
		}
		records = append(records, kept{int64(id), sum, octets})
		b = rest[size:]
	}
	return records, nil
}

// renew writes a content's file anew, unless it is what it should be.
func (s *Store) renew(r kept) error {
	path := s.contentPath(r.id)
	if there, err := os.ReadFile(path); err == nil && sha256.Sum256(there) == [sha256.Size]byte(r.sum) {
		return nil
	}
	s.log.Info("a message file was not on the disk when the server ended, and is written from the journal", "file", path)
	if err := s.makeShard(r.id); err != nil {
		return err
	}
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
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.disk.Rename(tmp, path)
}

// lay writes a small content's file, and does not flush it: the journal has it.
func (in *Incoming) lay() error {
	s := in.store
	if err := s.makeShard(in.id); err != nil {
		return err
	}
	path := s.contentPath(in.id)
	f, err := s.disk.Create(path)
	if err != nil {
		return err
	}
	if len(in.buf) > 0 {
		_, err = f.Write(in.buf)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		s.disk.Remove(path)
	}
	return err
}
