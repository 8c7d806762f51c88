package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	journalName = "journal.log"
	contentName = "content.log"
)

// Options of a mailbox; nil is zero, and zero values are the defaults. A limit of -1 is none.
type Options struct {
	// MaxContent bounds one message or blob, in octets. The default, 256 MiB, is more than any mail server takes, and
	// what a browser tab can still hold in memory.
	MaxContent int64
	// MaxUpdate bounds the journal record of one update, in octets. The default, 64 MiB, is some 100,000 messages.
	MaxUpdate int64
	// Now is the clock that Entry.Stored is taken from. The default is time.Now.
	Now func() time.Time

	key key // of a new mailbox; zero: a random one
}

// Mailbox is one account's mail on this device. Its methods may be called from any goroutine.
type Mailbox struct {
	maxContent int64
	maxUpdate  int64
	now        func() time.Time
	recovery   Recovery
	key        key

	writer  sync.Mutex // held by the one Update that runs
	journal *logFile
	content *logFile

	files  sync.RWMutex // held for reading while content is read, for writing by Close
	closed bool

	mu sync.RWMutex // held by readers for a look, by Update to swap a finished change in
	s  *state
}

// Open opens the mailbox in fs, or makes one. It reads the whole journal; see Recovery for what it did about damage.
func Open(fs FS, o *Options) (*Mailbox, error) {
	if o == nil {
		o = &Options{}
	}
	m := &Mailbox{maxContent: limit(o.MaxContent, 256<<20, 1<<32-1), maxUpdate: limit(o.MaxUpdate, 64<<20, 1<<32-1), now: o.Now}
	if m.now == nil {
		m.now = time.Now
	}
	if m.key = o.key; m.key == (key{}) {
		m.key = newKey()
	}
	var err error
	if m.content, err = openLog(fs, contentName, magicContent); err != nil {
		return nil, err
	}
	if m.journal, err = openLog(fs, journalName, magicJournal); err != nil {
		m.content.f.Close()
		return nil, err
	}
	if err := m.replay(); err != nil {
		m.content.f.Close()
		m.journal.f.Close()
		return nil, err
	}
	return m, nil
}

// limit answers n, or def for 0, or most for none or too much.
func limit(n, def, most int64) int64 {
	switch {
	case n == 0:
		return def
	case n < 0 || n > most:
		return most
	}
	return n
}

// Close waits for the update that runs and closes the files. Get, List and the like go on answering from memory.
func (m *Mailbox) Close() error {
	m.writer.Lock()
	defer m.writer.Unlock()
	m.files.Lock()
	defer m.files.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	return errors.Join(m.journal.f.Close(), m.content.f.Close())
}

// Get answers a message's entry.
func (m *Mailbox) Get(id ID) (Entry, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if r := m.s.entries[id]; r != nil {
		return r.Entry, true
	}
	return Entry{}, false
}

// Content answers a message's octets. They are those that were stored, or the error is ErrCorrupt.
func (m *Mailbox) Content(id ID) ([]byte, error) {
	m.mu.RLock()
	r := m.s.entries[id]
	m.mu.RUnlock()
	if r == nil {
		return nil, fmt.Errorf("%w: %d", ErrNoMessage, id)
	}
	p, err := m.read(r.location())
	var c *CorruptError
	if errors.As(err, &c) {
		c.ID = id
	}
	return p, err
}

// Blob answers the octets that PutBlob gave this name.
func (m *Mailbox) Blob(name string) ([]byte, error) {
	var sum Sum
	if len(name) != hex.EncodedLen(len(sum)) {
		return nil, fmt.Errorf("%w: %q", ErrNoBlob, name)
	}
	if _, err := hex.Decode(sum[:], []byte(name)); err != nil {
		return nil, fmt.Errorf("%w: %q", ErrNoBlob, name)
	}
	m.mu.RLock()
	loc, ok := m.s.blobs[sum]
	m.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoBlob, name)
	}
	p, err := m.read(loc)
	var c *CorruptError
	if errors.As(err, &c) {
		c.Blob = name
	}
	return p, err
}

// read reads and checks octets of content.log.
func (m *Mailbox) read(loc location) ([]byte, error) {
	m.files.RLock()
	defer m.files.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	if loc.size == 0 {
		return []byte{}, nil // nothing was written
	}
	size, err := m.content.f.Size()
	if err != nil {
		return nil, fmt.Errorf("store: size of %s: %w", contentName, err)
	}
	if loc.size > size || loc.off > size-frameHeader-loc.size {
		return nil, &CorruptError{Err: io.ErrUnexpectedEOF}
	}
	p := make([]byte, loc.size)
	if err := readFull(m.content.f, p, loc.off+frameHeader); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &CorruptError{Err: err}
		}
		return nil, fmt.Errorf("store: reading %s: %w", contentName, err)
	}
	if m.key.sum(p) != loc.sum {
		return nil, &CorruptError{Err: errors.New("its sum is another")}
	}
	return p, nil
}

// Meta answers a value set by SetMeta.
func (m *Mailbox) Meta(key string) ([]byte, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.s.meta[key]
	return append([]byte(nil), v...), ok
}

// HasUID says whether a message with this unique-id was ever stored, also when it was removed since.
func (m *Mailbox) HasUID(uid string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.s.uids[uid]
	return ok
}

// Named answers the message that this unique-id names, or named: it may have been removed since.
func (m *Mailbox) Named(uid string) (ID, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.s.uids[uid]
	return id, ok
}

// Erased answers what is remembered of a fetched message that was removed.
func (m *Mailbox) Erased(id ID) (Erased, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.s.erased[id]
	return e, ok
}

// Erasures counts the fetched messages that were removed.
func (m *Mailbox) Erasures() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.s.erased)
}

// UIDs counts the unique-ids that HasUID knows.
func (m *Mailbox) UIDs() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.s.uids)
}

// Counts answers a folder's figures.
func (m *Mailbox) Counts(f Folder) Counts {
	c, _ := m.snapshot(f)
	return c
}

func (m *Mailbox) snapshot(f Folder) (Counts, order) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d := m.s.folders[f]
	if d == nil {
		return Counts{}, order{}
	}
	return Counts{Total: d.order.n, Unread: d.unread, Revision: d.revision}, d.order
}

// List answers limit entries of a folder from offset on, newest first: by Summary.Date (Stored where there is none),
// then the one stored last. Without match it takes time for the window alone. With match, which says whether an entry
// counts, it looks at the whole folder, on a snapshot: updates go on meanwhile. match must not change the entry.
func (m *Mailbox) List(f Folder, match func(*Entry) bool, offset, limit int) Window {
	c, o := m.snapshot(f)
	w := Window{Total: c.Total, Unread: c.Unread, Revision: c.Revision}
	offset, limit = max(offset, 0), max(limit, 0)
	if match == nil {
		if n := min(limit, o.n-offset); n > 0 {
			w.Entries = make([]Entry, 0, n)
			o.each(offset, func(r *record) bool {
				w.Entries = append(w.Entries, r.Entry)
				return len(w.Entries) < n
			})
		}
		return w
	}
	w.Total, w.Unread = 0, 0
	o.each(0, func(r *record) bool {
		if !match(&r.Entry) {
			return true
		}
		if w.Total >= offset && len(w.Entries) < limit {
			w.Entries = append(w.Entries, r.Entry)
		}
		w.Total++
		w.Unread += unread(r)
		return true
	})
	return w
}
