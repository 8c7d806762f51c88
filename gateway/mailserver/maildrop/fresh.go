package maildrop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// fresh are the contents that the journal alone has for certain. They get their
// files when there is time for it (journal.retire), and are fresh until these are
// flushed. They are read from the journal; and most of what goes to other servers
// is gone by then, and never costs the making and the removal of a file, which are
// by far the slowest of what a file system does for a small message.
type fresh struct {
	mu       sync.Mutex
	contents map[int64]*freshContent
	waiting  int64 // octets of those that have no file
	most     int64 // of them that may wait
}

// freshContent is where one is.
type freshContent struct {
	volume   *volume
	at, size int64
	laid     bool // its file is written, not flushed
	gone     bool // removed, maybe while its file was written
}

// volume is a file of the journal, for those who read it.
type volume struct {
	file    *os.File
	reading sync.RWMutex // against the next use of the file
}

// close waits for those who read. Nobody may find the volume any more.
func (v *volume) close() {
	v.reading.Lock()
	defer v.reading.Unlock()
	v.file.Close()
}

func newFresh(most int64) *fresh { return &fresh{contents: map[int64]*freshContent{}, most: most} }

// many says whether there are too many for one more: then who delivers writes the
// file, and mail comes no faster than files can be made.
func (f *fresh) many() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting > f.most
}

func (f *fresh) add(id int64, c freshContent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contents[id] = &c
	if !c.laid {
		f.waiting += c.size
	}
}

// remove answers false for a content that has a file.
func (f *fresh) remove(id int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.contents[id]
	if c == nil {
		return false
	}
	c.gone = true
	delete(f.contents, id)
	if c.laid {
		return false
	}
	f.waiting -= c.size
	return true
}

// read answers false for a content that is not fresh, or is no more.
func (f *fresh) read(id int64) (octets []byte, ok bool, err error) {
	f.mu.Lock()
	c := f.contents[id]
	if c == nil {
		f.mu.Unlock()
		return nil, false, nil
	}
	c.volume.reading.RLock() // before the content can be dropped, and its volume with it
	f.mu.Unlock()
	defer c.volume.reading.RUnlock()
	octets = make([]byte, c.size)
	_, err = c.volume.file.ReadAt(octets, c.at)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return octets, true, err
}

// lay writes the content's file, if it has none, and removes it if the content
// was removed meanwhile.
func (f *fresh) lay(id int64, write func(octets []byte) error, remove func()) error {
	f.mu.Lock()
	c := f.contents[id]
	waits := c != nil && !c.laid
	f.mu.Unlock()
	if !waits {
		return nil
	}
	octets, ok, err := f.read(id)
	if !ok || err != nil {
		return err
	}
	if err := write(octets); err != nil {
		return err
	}
	f.mu.Lock()
	gone := c.gone
	if !gone {
		c.laid = true
		f.waiting -= c.size
	}
	f.mu.Unlock()
	if gone {
		remove()
	}
	return nil
}

// laid chooses those contents that have a file to be flushed.
func (f *fresh) laid(ids []int64) (laid []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if c := f.contents[id]; c != nil && c.laid {
			laid = append(laid, id)
		}
	}
	return laid
}

// unlay takes back that contents have files.
func (f *fresh) unlay(ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if c := f.contents[id]; c != nil {
			c.laid = false
			f.waiting += c.size
		}
	}
}

// settle is for contents whose files are flushed: they are read from there.
func (f *fresh) settle(ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.contents, id)
	}
}

// openContent gives a content's octets, all of its size; ErrDamaged if they are
// not there.
func (s *Store) openContent(id, size int64) (io.ReadCloser, error) {
	octets, ok, err := s.fresh.read(id)
	if err != nil {
		return nil, err
	}
	if ok {
		return io.NopCloser(bytes.NewReader(octets)), nil
	}
	f, err := s.disk.Open(s.contentPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	if err := sized(f, size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func sized(f *os.File, size int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%w: %s has %d octets", ErrDamaged, f.Name(), info.Size())
	}
	return err
}

// removeContent removes what there is of a content.
func (s *Store) removeContent(id int64) error {
	if s.fresh.remove(id) {
		return nil
	}
	err := s.disk.Remove(s.contentPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
