package maildrop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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
// Its file is written before it is used, by zeros, and used again when it has
// served: a write that changes neither a file's size nor where it is on the disk
// is flushed in a tenth of the time, because the file system's own journal need not
// be.
//
// The committer owns it. A record is
//
//	use uint64      random, the same in all records of one use of the file: what
//	                an earlier use left behind them is no more of it
//	id uint64       big-endian, as all
//	size uint64     of the content
//	sha256 [32]byte of the content
//	check uint32    CRC-32C of all before
//	content
type journal struct {
	store  *Store
	file   file // nil: none is open
	name   string
	number int
	use    uint64
	size   int64   // of what was written in this use
	room   int64   // of the file
	ids    []int64 // of the contents in it
	buf    []byte
	idle   *time.Timer
	sealed chan sealed
	spare  chan spare
	done   chan struct{} // closed when what was sealed is gone
}

// sealed is a journal's file that is complete.
type sealed struct {
	spare
	ids []int64
}

// spare is a journal's file that can be used again.
type spare struct {
	name string
	room int64 // 0: it cannot, a write to it has failed
}

const (
	// journalMost is the largest content that goes into the journal. Of a larger
	// one the flush is little beside the writing, and it would be written twice.
	journalMost = 64 << 10
	// journalSize is how large the journal's file becomes, and with it the memory
	// that a restart after a crash takes.
	journalSize = 8 << 20
	// journalStep is by how much its file grows, ahead of what is written.
	journalStep = 1 << 20
	// journalSpares is how many files wait to be used again: while one is written
	// the one before is retired.
	journalSpares = 2
	// journalIdle is how long what is in it stays so when nothing comes any more.
	journalIdle  = 2 * time.Second
	recordHeader = 8 + 8 + 8 + sha256.Size + crc32.Size
)

// kept is a content for the journal.
type kept struct {
	id     int64
	sum    []byte
	octets []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record appends the content's record.
func (k *kept) record(b []byte, use uint64) []byte {
	begin := len(b)
	for _, n := range []uint64{use, uint64(k.id), uint64(len(k.octets))} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, k.sum...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[begin:], castagnoli))
	return append(b, k.octets...)
}

func newJournal(s *Store) *journal {
	j := &journal{store: s, idle: time.NewTimer(time.Hour), sealed: make(chan sealed, 2), spare: make(chan spare, journalSpares), done: make(chan struct{})}
	j.idle.Stop()
	go j.retire()
	return j
}

// keep makes the contents of a batch durable.
func (j *journal) keep(batch []*change) error {
	if !slices.ContainsFunc(batch, func(c *change) bool { return c.kept != nil }) {
		return nil
	}
	if err := j.open(); err != nil {
		return err
	}
	j.buf = j.buf[:0]
	for _, c := range batch {
		if c.kept == nil {
			continue
		}
		j.buf = c.kept.record(j.buf, j.use)
		j.ids = append(j.ids, c.kept.id)
	}
	err := j.grow(j.size + int64(len(j.buf)))
	if err == nil {
		_, err = j.file.WriteAt(j.buf, j.size)
	}
	if err == nil {
		err = j.file.Sync()
	}
	switch j.size += int64(len(j.buf)); {
	case err != nil: // behind a write that failed nothing could be found again
		j.room = 0
		j.seal()
	case j.size >= journalSize:
		j.seal()
	default:
		j.idle.Reset(journalIdle)
	}
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return err
}

// open takes a spare file, or makes one.
func (j *journal) open() error {
	if j.file != nil {
		return nil
	}
	var use [8]byte
	rand.Read(use[:])
	j.use, j.size = binary.BigEndian.Uint64(use[:]), 0
	d := j.store.disk
	select {
	case s := <-j.spare:
		f, err := d.Overwrite(s.name)
		if err != nil {
			return err
		}
		j.file, j.name, j.room = f, s.name, s.room
		return nil
	default:
	}
	dir := filepath.Join(j.store.dir, "journal")
	j.number++
	name := filepath.Join(dir, fmt.Sprintf("%08d", j.number))
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	j.file, j.name, j.room = f, name, 0
	return d.SyncDir(dir)
}

// grow makes room for so many octets.
func (j *journal) grow(size int64) error {
	if size <= j.room {
		return nil
	}
	zeros := make([]byte, (size+journalStep-1)/journalStep*journalStep-j.room)
	if _, err := j.file.WriteAt(zeros, j.room); err != nil {
		return err
	}
	j.room += int64(len(zeros))
	return j.file.Sync()
}

// seal ends the present file and hands it over to retire.
func (j *journal) seal() {
	j.idle.Stop()
	if j.file != nil {
		j.file.Close()
		j.sealed <- sealed{spare{j.name, j.room}, j.ids}
	}
	j.file, j.ids = nil, nil
}

// end seals the last file and waits until all are gone.
func (j *journal) end() {
	j.seal()
	close(j.sealed)
	<-j.done
	close(j.spare)
	for s := range j.spare {
		j.store.disk.Remove(s.name)
	}
}

// retire flushes the files that the journal stands in for, and lets it be used
// again.
func (j *journal) retire() {
	defer close(j.done)
	for s := range j.sealed {
		err := j.store.flush(s.ids)
		if err == nil {
			spares := j.spare
			if s.room == 0 {
				spares = nil
			}
			select {
			case spares <- s.spare:
			default:
				err = j.store.disk.Remove(s.name)
			}
		}
		if err != nil {
			j.store.log.Error("flushing message files; what the journal has of them stays until the next start", "journal", s.name, "error", err)
		}
	}
}

// flush flushes the files of contents.
func (s *Store) flush(ids []int64) error {
	files := make([]string, len(ids))
	for i, id := range ids {
		files[i] = s.contentPath(id)
	}
	return s.disk.Flush(filepath.Join(s.dir, "content"), files)
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
		if err := s.flush(ids); err != nil {
			return err
		}
		if err := s.disk.Remove(name); err != nil {
			return err
		}
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
