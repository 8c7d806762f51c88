package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// ErrPower is what a MemFS answers after its power was cut.
var ErrPower = errors.New("store: power is cut")

// MemFS is a folder in memory that fails on demand: it keeps what was written apart from what was synced, so that a
// test can cut the power at any octet and see what a disk might hold then.
type MemFS struct {
	disk *memDisk
	dir  *memDir
}

var _ FS = (*MemFS)(nil)

// memDisk is what all folders of one MemFS share.
type memDisk struct {
	mu     sync.Mutex
	cut    bool
	steps  int64 // until the power is cut; < 0: never
	done   int64 // steps taken
	room   int64 // octets that may still be written past ends of files; < 0: no limit
	reads  func(name string, off int64, p []byte) error
	syncs  error
	resize error
}

type memDir struct {
	files map[string]*memFile
	dirs  map[string]*memDir
}

// memFile is a file: what was synced, and what happened to it since.
type memFile struct {
	synced  []byte
	data    []byte
	pending []memChange
}

// memChange is a write of p at off, or (p nil) a truncation to off.
type memChange struct {
	off int64
	p   []byte
}

// NewMemFS makes an empty folder.
func NewMemFS() *MemFS {
	return &MemFS{disk: &memDisk{steps: -1, room: -1}, dir: newMemDir()}
}

func newMemDir() *memDir { return &memDir{files: map[string]*memFile{}, dirs: map[string]*memDir{}} }

// CutPower cuts the power after so many more steps. Every octet written is a step, and so is every truncation, sync,
// creation and removal. The write in which it happens is torn there; after that everything fails with ErrPower.
func (m *MemFS) CutPower(steps int64) {
	m.with(func(d *memDisk) { d.steps, d.cut = steps, steps == 0 })
}

// Steps counts the steps taken so far, as CutPower counts them.
func (m *MemFS) Steps() (n int64) {
	m.with(func(d *memDisk) { n = d.done })
	return n
}

// SetRoom limits how many octets files may still grow; a write past it is short, and ErrFull. Negative is no limit.
func (m *MemFS) SetRoom(octets int64) { m.with(func(d *memDisk) { d.room = octets }) }

// FailSync makes every Sync answer err, and leaves the octets unsynced, until it is set to nil.
func (m *MemFS) FailSync(err error) { m.with(func(d *memDisk) { d.syncs = err }) }

// FailTruncate makes every Truncate answer err until it is set to nil.
func (m *MemFS) FailTruncate(err error) { m.with(func(d *memDisk) { d.resize = err }) }

// FailRead calls fn before every read; an error of it is the read's. nil ends it.
func (m *MemFS) FailRead(fn func(name string, off int64, p []byte) error) {
	m.with(func(d *memDisk) { d.reads = fn })
}

func (m *MemFS) with(fn func(*memDisk)) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	fn(m.disk)
}

// Restart answers what is on the disk after the power came back. Without r nothing is there that was not synced; with r
// any of the changes since the last sync is there or not or in parts, in no order.
func (m *MemFS) Restart(r *rand.Rand) *MemFS {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	n := NewMemFS()
	n.dir = m.dir.restart(r)
	return n
}

func (d *memDir) restart(r *rand.Rand) *memDir {
	n := newMemDir()
	for _, name := range slices.Sorted(maps.Keys(d.files)) { // in order, so that a seed says all
		n.files[name] = d.files[name].restart(r)
	}
	for _, name := range slices.Sorted(maps.Keys(d.dirs)) {
		n.dirs[name] = d.dirs[name].restart(r)
	}
	return n
}

func (f *memFile) restart(r *rand.Rand) *memFile {
	data := slices.Clone(f.synced)
	if r != nil {
		for _, c := range f.pending {
			switch p := c.p; {
			case r.IntN(3) == 0:
			case p == nil:
				data = resize(data, c.off)
			case r.IntN(3) == 0:
				i := r.IntN(len(p) + 1)
				j := i + r.IntN(len(p)-i+1)
				data = overwrite(data, c.off+int64(i), p[i:j])
			default:
				data = overwrite(data, c.off, p)
			}
		}
	}
	return &memFile{synced: data, data: slices.Clone(data)}
}

func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		clear(b[n:])
		return b[:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}

func overwrite(b []byte, off int64, p []byte) []byte {
	if len(p) == 0 {
		return b
	}
	if end := off + int64(len(p)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[off:], p)
	return b
}

// step takes one step; it answers ErrPower when the power is cut.
func (d *memDisk) step() error {
	if d.take(1) == 0 {
		return ErrPower
	}
	return nil
}

// take takes up to n steps and answers how many were left to take.
func (d *memDisk) take(n int64) int64 {
	if d.cut {
		return 0
	}
	if d.steps >= 0 {
		if n >= d.steps {
			n, d.cut = d.steps, true
		}
		d.steps -= n
	}
	d.done += n
	return n
}

// Open opens a file. That it exists is durable at once.
func (m *MemFS) Open(name string) (File, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if !validName(name) || m.dir.dirs[name] != nil {
		return nil, fmt.Errorf("store: %q is no file name", name)
	}
	if m.disk.cut {
		return nil, ErrPower
	}
	f := m.dir.files[name]
	if f == nil {
		if err := m.disk.step(); err != nil {
			return nil, err
		}
		f = &memFile{}
		m.dir.files[name] = f
	}
	return &memHandle{disk: m.disk, f: f, name: name}, nil
}

// List names what is in the folder.
func (m *MemFS) List() ([]string, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	names := slices.AppendSeq(slices.Collect(maps.Keys(m.dir.files)), maps.Keys(m.dir.dirs))
	slices.Sort(names)
	return names, nil
}

// Remove removes a file, durably at once.
func (m *MemFS) Remove(name string) error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if m.dir.files[name] == nil {
		return fmt.Errorf("store: removing %q: %w", name, fs.ErrNotExist)
	}
	if err := m.disk.step(); err != nil {
		return err
	}
	delete(m.dir.files, name)
	return nil
}

// Sub answers a folder within this one.
func (m *MemFS) Sub(name string) (FS, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if !validName(name) || m.dir.files[name] != nil {
		return nil, fmt.Errorf("store: %q is no folder name", name)
	}
	d := m.dir.dirs[name]
	if d == nil {
		if err := m.disk.step(); err != nil {
			return nil, err
		}
		d = newMemDir()
		m.dir.dirs[name] = d
	}
	return &MemFS{disk: m.disk, dir: d}, nil
}

// RemoveAll removes a file or a folder with all in it.
func (m *MemFS) RemoveAll(name string) error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if err := m.disk.step(); err != nil {
		return err
	}
	if f := m.dir.files[name]; f != nil && m.disk.room >= 0 {
		m.disk.room += int64(len(f.data))
	}
	delete(m.dir.files, name)
	delete(m.dir.dirs, name)
	return nil
}

// memHandle is an open memFile.
type memHandle struct {
	disk   *memDisk
	f      *memFile
	name   string
	closed bool
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.usable(); err != nil {
		return 0, err
	}
	if h.disk.reads != nil {
		if err := h.disk.reads(h.name, off, p); err != nil {
			return 0, err
		}
	}
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) usable() error {
	switch {
	case h.closed:
		return fs.ErrClosed
	case h.disk.cut:
		return ErrPower
	}
	return nil
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.usable(); err != nil {
		return 0, err
	}
	var failure error
	n := int64(len(p))
	if h.disk.room >= 0 {
		growth := max(0, off+n-int64(len(h.f.data)))
		if growth > h.disk.room {
			n, failure = max(0, n-(growth-h.disk.room)), ErrFull
			growth = h.disk.room
		}
		h.disk.room -= growth
	}
	if t := h.disk.take(n); t < n {
		n, failure = t, ErrPower
	}
	if n > 0 {
		h.f.data = overwrite(h.f.data, off, p[:n])
		h.f.pending = append(h.f.pending, memChange{off, append([]byte{}, p[:n]...)})
	}
	return int(n), failure
}

func (h *memHandle) Truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.usable(); err != nil {
		return err
	}
	if h.disk.resize != nil {
		return h.disk.resize
	}
	if err := h.disk.step(); err != nil {
		return err
	}
	if h.disk.room >= 0 {
		h.disk.room += max(0, int64(len(h.f.data))-size)
	}
	h.f.data = resize(h.f.data, size)
	h.f.pending = append(h.f.pending, memChange{off: size})
	return nil
}

func (h *memHandle) Size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return int64(len(h.f.data)), h.usable()
}

func (h *memHandle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.usable(); err != nil {
		return err
	}
	if h.disk.syncs != nil {
		return h.disk.syncs
	}
	if err := h.disk.step(); err != nil {
		return err
	}
	for _, c := range h.f.pending { // not a copy of all, or 10,000 small updates would take minutes
		if c.p == nil {
			h.f.synced = resize(h.f.synced, c.off)
		} else {
			h.f.synced = overwrite(h.f.synced, c.off, c.p)
		}
	}
	h.f.pending = nil
	return nil
}

func (h *memHandle) Close() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	return nil
}
