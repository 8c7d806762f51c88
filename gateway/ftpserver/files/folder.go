package files

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Folder is a user's. Paths are absolute within it: "/" is the folder itself.
type Folder struct {
	store  *Store
	limits Limits
	id     string
	root   *os.Root
	users  int           // of store.mu
	ready  chan struct{} // closed when it is open, or
	broken error         // why it is not

	mu            sync.Mutex // held while names change
	quota         Quota
	octets, files int64
	uploads       map[string]*Upload // by path
}

// Close ends its use.
func (f *Folder) Close() error { return f.store.leave(f) }

// SetQuota bounds what the folder holds. One that is less than that deletes nothing.
func (f *Folder) SetQuota(q Quota) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quota = q
}

// Used is what the folder holds.
func (f *Folder) Used() (octets, files int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.octets, f.files
}

// Free is how many octets the quota leaves; ok is false where there is none.
func (f *Folder) Free() (octets int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.quota.Octets-f.octets, 0), f.quota.Octets > 0
}

// Entry is a file or folder as clients see it: what the system says of its owner and access is not for them.
type Entry struct {
	name     string
	size     int64 // of a folder: 0
	folder   bool
	modified time.Time
}

var _ fs.FileInfo = Entry{}

func newEntry(info fs.FileInfo) Entry {
	e := Entry{name: info.Name(), folder: info.IsDir(), modified: info.ModTime().UTC()}
	if !e.folder {
		e.size = info.Size()
	}
	return e
}

func (e Entry) Name() string       { return e.name }
func (e Entry) Size() int64        { return e.size }
func (e Entry) ModTime() time.Time { return e.modified }
func (e Entry) IsDir() bool        { return e.folder }
func (e Entry) Sys() any           { return nil }
func (e Entry) Mode() fs.FileMode {
	if e.folder {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// place opens the folder that a path's last name is in. The user's folder itself has no such place.
func (f *Folder) place(p string) (in *os.Root, name string, err error) {
	names, err := f.limits.split(p)
	if err != nil {
		return nil, "", err
	}
	if len(names) == 0 {
		return nil, "", nameError("it is the whole folder's")
	}
	last := len(names) - 1
	in, err = down(f.root, names[:last])
	return in, names[last], err
}

// Stat says what is at a path.
func (f *Folder) Stat(p string) (Entry, error) {
	names, err := f.limits.split(p)
	if err != nil {
		return Entry{}, err
	}
	if len(names) == 0 {
		info, err := f.root.Stat(".")
		if err != nil {
			return Entry{}, known(err)
		}
		e := newEntry(info)
		e.name = "/"
		return e, nil
	}
	in, name, err := f.place(p)
	if err != nil {
		return Entry{}, err
	}
	defer in.Close()
	info, err := look(in, name)
	if err != nil {
		return Entry{}, err
	}
	return newEntry(info), nil
}

// List gives what is in a folder, by name; ErrTooMany if that is more than a client is told.
func (f *Folder) List(p string) ([]fs.FileInfo, error) {
	names, err := f.limits.split(p)
	if err != nil {
		return nil, err
	}
	in, err := down(f.root, names)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	list := []fs.FileInfo{}
	err = each(in, func(info fs.FileInfo) error {
		if !info.IsDir() && !plain(info) || f.limits.usable(info.Name()) != nil {
			return nil
		}
		if len(list) >= f.limits.Entries {
			return ErrTooMany
		}
		list = append(list, newEntry(info))
		return nil
	})
	switch {
	case errors.Is(err, ErrTooMany):
		return nil, err
	case err != nil:
		return nil, known(err)
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return cmp.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Open opens a file to be read from an offset on.
func (f *Folder) Open(p string, from int64) (*os.File, error) {
	in, name, err := f.place(p)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	file, err := openFile(in, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (from < 0 || from > info.Size()) {
		file.Close()
		return nil, ErrBeyond
	}
	if err == nil {
		_, err = file.Seek(from, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, known(err)
	}
	return file, nil
}

// Mkdir makes a folder.
func (f *Folder) Mkdir(p string) error {
	in, name, err := f.place(p)
	if err != nil {
		return err
	}
	defer in.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.another(in); err != nil {
		return err
	}
	if err := in.Mkdir(name, 0o700); err != nil {
		return known(err)
	}
	f.files++
	if err := syncFolder(in); err != nil {
		return known(err)
	}
	return nil
}

// another says whether there may be one more file or folder in a folder. It is called with f.mu held.
func (f *Folder) another(in *os.Root) error {
	if f.quota.Files > 0 && f.files >= f.quota.Files {
		return ErrQuota
	}
	if f.files < int64(f.limits.Entries) {
		return nil // in all: it cannot be too many in one
	}
	n := 0
	err := each(in, func(fs.FileInfo) error {
		if n++; n >= f.limits.Entries {
			return ErrTooMany
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrTooMany) {
		err = known(err)
	}
	return err
}

// Remove deletes a file.
func (f *Folder) Remove(p string) error { return f.remove(p, false) }

// RemoveFolder deletes an empty folder.
func (f *Folder) RemoveFolder(p string) error { return f.remove(p, true) }

func (f *Folder) remove(p string, folder bool) error {
	in, name, err := f.place(p)
	if err != nil {
		return err
	}
	defer in.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy(p) {
		return ErrBusy
	}
	info, err := look(in, name)
	switch {
	case err != nil:
		return err
	case folder && !info.IsDir():
		return ErrNotFolder
	case !folder && info.IsDir():
		return ErrNotFile
	}
	if err := in.Remove(name); err != nil {
		return known(err)
	}
	if f.files--; !folder {
		f.octets -= info.Size()
	}
	return nil
}

// Rename moves a file or a folder. A file that is there already gives way to a file, in one step; a folder never does.
func (f *Folder) Rename(from, to string) error {
	source, old, err := f.place(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, name, err := f.place(to)
	if err != nil {
		return err
	}
	defer target.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy(from) || f.busy(to) {
		return ErrBusy
	}
	if strings.HasPrefix(within(f.limits, to)+"/", within(f.limits, from)+"/") && within(f.limits, to) != within(f.limits, from) {
		return nameError("a folder cannot go into itself")
	}
	moved, err := look(source, old)
	if err != nil {
		return err
	}
	if moved.IsDir() { // or who goes on moving folders into folders comes to where nothing is counted, and no backup is restored
		deep, long, err := height(source, old, f.limits.Depth)
		if err != nil {
			return known(err)
		}
		if err := f.limits.fits(within(f.limits, to), deep, long); err != nil {
			return err
		}
	}
	var replaced fs.FileInfo
	if there, err := target.Lstat(name); err == nil {
		if moved.IsDir() || !plain(there) {
			return ErrExists // and what no client sees is not to be overwritten either
		}
		if !os.SameFile(moved, there) { // by another spelling, where a system takes that for the same
			replaced = there
		}
	}
	// Both ends were walked without a link; the move itself is by path, which os.Root keeps within the folder.
	if err := f.root.Rename(within(f.limits, from), within(f.limits, to)); err != nil {
		return known(err)
	}
	if replaced != nil {
		f.octets, f.files = f.octets-replaced.Size(), f.files-1
	}
	if err := errors.Join(syncFolder(target), syncFolder(source)); err != nil {
		return known(err)
	}
	return nil
}

// within is a path, which was split before, as os.Root takes it.
func within(l Limits, p string) string {
	names, _ := l.split(p)
	return strings.Join(names, "/")
}

// Touch sets when a file was changed.
func (f *Folder) Touch(p string, modified time.Time) error {
	in, name, err := f.place(p)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := look(in, name); err != nil {
		return err
	}
	// A link that takes the name now could lead within the folder at most, to a file of the same user.
	if err := in.Chtimes(name, modified, modified); err != nil {
		return known(err)
	}
	return nil
}

// busy says whether something is uploaded to a path, or below it. It is called with f.mu held.
func (f *Folder) busy(p string) bool {
	at := "/" + within(f.limits, p)
	for other := range f.uploads {
		if other == at || strings.HasPrefix(other, at+"/") {
			return true
		}
	}
	return false
}
