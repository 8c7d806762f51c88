package maildrop

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// journal makes contents durable that are committed together by one write and
// one flush: one behind the other, in a file of its own. What is in it is fresh:
// it gets its own file later; when all have theirs they are flushed at once, and
// the journal's file has served. After a crash, Open goes on where it was (adopt).
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
	store    *Store
	file     file // nil: none is open
	volume   *volume
	name     string
	number   int // of the newest file
	use      uint64
	size     int64   // of what was written in this use
	room     int64   // of the file
	contents []int64 // in it
	buf      []byte
	idle     *time.Timer
	spare    chan spare
	ending   chan struct{} // closed: nothing more comes
	done     chan struct{} // closed when what was sealed is gone

	mu     sync.Mutex
	sealed []*sealed     // the oldest first, until it is gone
	more   chan struct{} // buffered: there is one more
}

// sealed is a journal's file that is complete.
type sealed struct {
	spare
	volume   *volume
	contents []int64
	unnamed  []kept // what no row names: see recover
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
	// that a restart after a crash takes: some thousand messages that come at once
	// are on the disk before the first of them gets its file.
	journalSize = 32 << 20
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
	laid   bool // it has its file, not flushed
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

func journalName(number int) string { return fmt.Sprintf("%08d", number) }

// journalNumber is ok for the names that this package gives.
func journalNumber(name string) (number int, ok bool) {
	number, err := strconv.Atoi(name)
	return number, err == nil && journalName(number) == name
}

func newJournal(s *Store, a adopted) *journal {
	j := &journal{
		store: s, idle: time.NewTimer(time.Hour), spare: make(chan spare, journalSpares),
		ending: make(chan struct{}), done: make(chan struct{}), more: make(chan struct{}, 1), sealed: a.sealed,
	}
	for _, s := range a.sealed {
		n, _ := journalNumber(filepath.Base(s.name))
		j.number = max(j.number, n)
	}
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
		if c.kept != nil {
			j.buf = c.kept.record(j.buf, j.use)
		}
	}
	err := j.grow(j.size + int64(len(j.buf)))
	if err == nil {
		_, err = j.file.WriteAt(j.buf, j.size)
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil { // behind a write that failed nothing could be found again
		j.room = 0
		j.seal()
		return err
	}
	for _, c := range batch {
		if c.kept == nil {
			continue
		}
		size := int64(len(c.kept.octets))
		j.contents = append(j.contents, c.kept.id)
		j.store.fresh.add(c.kept.id, freshContent{volume: j.volume, at: j.size + recordHeader, size: size, laid: c.kept.laid})
		j.size += recordHeader + size
	}
	if j.size >= j.store.opts.journal {
		j.seal()
	} else {
		j.idle.Reset(journalIdle)
	}
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return nil
}

// open takes a spare file, or makes one.
func (j *journal) open() error {
	if j.file != nil {
		return nil
	}
	d := j.store.disk
	var next spare
	var f file
	var err error
	select {
	case next = <-j.spare:
		f, err = d.Overwrite(next.name)
	default:
		dir := filepath.Join(j.store.dir, "journal")
		j.number++
		next.name = filepath.Join(dir, journalName(j.number))
		if f, err = d.Create(next.name); err != nil {
			return err
		}
		err = d.SyncDir(dir)
	}
	var readable *os.File
	if err == nil {
		readable, err = d.Open(next.name)
	}
	if err != nil { // nobody would know of the file
		if f != nil {
			f.Close()
		}
		d.Remove(next.name)
		return err
	}
	var use [8]byte
	rand.Read(use[:])
	j.use, j.size = binary.BigEndian.Uint64(use[:]), 0
	j.file, j.volume, j.name, j.room = f, &volume{file: readable}, next.name, next.room
	return nil
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
	if j.file == nil {
		return
	}
	j.file.Close()
	j.file = nil
	if len(j.contents) == 0 { // the first write failed, for room maybe: this one is not to wait for those before it
		j.volume.close()
		j.store.disk.Remove(j.name)
		return
	}
	j.mu.Lock()
	j.sealed = append(j.sealed, &sealed{spare: spare{j.name, j.room}, volume: j.volume, contents: j.contents})
	j.mu.Unlock()
	j.volume, j.contents = nil, nil
	select {
	case j.more <- struct{}{}:
	default:
	}
}

// rest is for a time in which nothing comes.
func (j *journal) rest() {
	if j.oldest() != nil { // for room on the disk, maybe: no reason to make more files
		j.idle.Reset(journalIdle)
		return
	}
	j.seal()
}

// end seals the last file and waits until all are gone.
func (j *journal) end() {
	j.seal()
	close(j.ending)
	<-j.done
	close(j.spare)
	for s := range j.spare {
		j.store.disk.Remove(s.name)
	}
}
