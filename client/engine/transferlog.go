package engine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// transferLog keeps the transfers over restarts, in a journal of frames: a length, a CRC-32C, and a JSON text. Transfers come and
// go, so it is written anew now and then, into the other of two files: a generation that is whole counts from then on. The CRC is over
// the generation too, so that what a file held before is not taken for what it holds. A frame that a power cut tore ends the journal.
//
// There is none on the device until there is a transfer: most people have mail alone.
type transferLog struct {
	root store.FS

	mu         sync.Mutex
	fs         store.FS // the folder; nil until it is needed
	file       store.File
	name       int // of the file: 0 or 1
	generation uint64
	end        int64 // of the frames that are durable
	live       map[api.TransferID]transferRecord
	last       api.TransferID // the highest number ever given
	compacted  int64          // the length of the file when it was written anew
	closed     bool
}

const (
	transfersFolder = "files" // within Config.FS: the journal, and the downloads by their numbers
	frameHeader     = 8
	mostFrame       = 1 << 20
	// slack is how much the journal may grow before it is written anew, beside what it was then.
	slack = 256 << 10
)

var logNames = [2]string{"transfers-0", "transfers-1"}

// logEntry is a frame: the first of a file has its generation and how many of the following belong to it, each of the others a transfer.
type logEntry struct {
	Generation uint64          `json:"generation,omitempty"`
	Count      int             `json:"count,omitempty"`
	Last       api.TransferID  `json:"last,omitempty"`
	Put        *transferRecord `json:"put,omitempty"`
	Gone       api.TransferID  `json:"gone,omitempty"`
}

// openTransferLog takes up what the last run left.
func openTransferLog(fs store.FS) (*transferLog, error) {
	l := &transferLog{root: fs, live: make(map[api.TransferID]transferRecord)}
	names, err := fs.List()
	if err != nil || !slices.Contains(names, transfersFolder) {
		return l, err
	}
	if l.fs, err = fs.Sub(transfersFolder); err != nil {
		return nil, err
	}
	for i := range logNames {
		if err := l.read(i); err != nil {
			if l.file != nil {
				l.file.Close()
			}
			return nil, err
		}
	}
	if l.file == nil { // nothing is known: it is made when it is needed, for there may be no room for it now
		l.fs = nil
		return l, nil
	}
	if err := l.file.Truncate(l.end); err != nil { // what follows would be taken for frames one day
		l.file.Close()
		return nil, err
	}
	return l, nil
}

// read takes up a file if it is whole, and of a later generation than the one before.
func (l *transferLog) read(name int) error {
	f, err := l.fs.Open(logNames[name])
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		f.Close()
		return err
	}
	n := &transferLog{fs: l.fs, file: f, name: name, live: make(map[api.TransferID]transferRecord)}
	whole, frames := 0, 0
	for n.end < size {
		e, length, err := readFrame(f, n.generation, n.end, size)
		if err != nil {
			f.Close()
			return err
		}
		if length == 0 || (frames == 0) != (e.Generation != 0) {
			break
		}
		if frames == 0 {
			n.generation, whole = e.Generation, e.Count
		}
		n.apply(e)
		n.end += length
		if frames++; frames == whole+1 {
			n.compacted = n.end
		}
	}
	if frames <= whole || frames == 0 || n.generation <= l.generation {
		return f.Close()
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.name, l.generation, l.end, l.live, l.last, l.compacted = n.file, n.name, n.generation, n.end, n.live, n.last, n.compacted
	return nil
}

func (l *transferLog) apply(e logEntry) {
	l.last = max(l.last, e.Last, e.Gone)
	delete(l.live, e.Gone)
	if e.Put != nil {
		l.live[e.Put.ID] = *e.Put
		l.last = max(l.last, e.Put.ID)
	}
}

// frameSum is the CRC of a frame in a generation; the first one's, which names it, is that of none.
func frameSum(generation uint64, p []byte) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, generation), castagnoli), castagnoli, p)
}

// readFrame answers a frame and its length; 0 where there is none that is whole.
func readFrame(f store.File, generation uint64, at, size int64) (e logEntry, length int64, err error) {
	var h [frameHeader]byte
	if size-at < frameHeader {
		return e, 0, nil
	}
	if _, err := f.ReadAt(h[:], at); err != nil && err != io.EOF {
		return e, 0, err
	}
	n := int64(binary.LittleEndian.Uint32(h[:]))
	if n == 0 || n > mostFrame || n > size-at-frameHeader {
		return e, 0, nil
	}
	p := make([]byte, n)
	if _, err := f.ReadAt(p, at+frameHeader); err != nil && err != io.EOF {
		return e, 0, err
	}
	if frameSum(generation, p) != binary.LittleEndian.Uint32(h[4:]) || json.Unmarshal(p, &e) != nil {
		return e, 0, nil
	}
	return e, frameHeader + n, nil
}

func appendFrame(b []byte, generation uint64, e logEntry) ([]byte, error) {
	p, err := json.Marshal(e)
	if err != nil {
		return b, err
	}
	if len(p) > mostFrame {
		return b, fmt.Errorf("a transfer of %d octets", len(p))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
	b = binary.LittleEndian.AppendUint32(b, frameSum(generation, p))
	return append(b, p...), nil
}

// folder is where the journal is, and the downloads. It is made at first use.
func (l *transferLog) folder() (store.FS, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made()
}

// made is folder, with mu held.
func (l *transferLog) made() (store.FS, error) {
	if l.fs != nil {
		return l.fs, nil
	}
	fs, err := l.root.Sub(transfersFolder)
	if err != nil {
		return nil, err
	}
	l.fs = fs
	if err = l.rewrite(); err != nil {
		l.fs = nil
		return nil, err
	}
	return fs, nil
}

// records are the transfers, in the order of their numbers.
func (l *transferLog) records() (list []transferRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(l.live)) {
		list = append(list, l.live[id])
	}
	return list
}

// put makes a transfer durable as it is.
func (l *transferLog) put(r transferRecord) error { return l.append(logEntry{Put: &r}) }

// remove makes it durable that a transfer is gone.
func (l *transferLog) remove(id api.TransferID) error { return l.append(logEntry{Gone: id}) }

func (l *transferLog) append(e logEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return store.ErrClosed
	}
	if _, err := l.made(); err != nil {
		return err
	}
	b, err := appendFrame(nil, l.generation, e)
	if err != nil {
		return err
	}
	if _, err := l.file.WriteAt(b, l.end); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.end += int64(len(b))
	l.apply(e)
	if l.end > 2*l.compacted+slack && l.rewrite() != nil {
		l.compacted = l.end // what was to be kept is kept; it is tried again later
	}
	return nil
}

// rewrite begins a generation, in the other file.
func (l *transferLog) rewrite() error {
	other := 1 - l.name
	f, err := l.fs.Open(logNames[other])
	if err != nil {
		return err
	}
	b, err := appendFrame(nil, 0, logEntry{Generation: l.generation + 1, Count: len(l.live), Last: l.last})
	for _, id := range slices.Sorted(maps.Keys(l.live)) {
		if err == nil {
			r := l.live[id]
			b, err = appendFrame(b, l.generation+1, logEntry{Put: &r})
		}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.name, l.generation, l.end, l.compacted = f, other, l.generation+1, int64(len(b)), int64(len(b))
	return nil
}

func (l *transferLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
