package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Quota bounds what a user's folder holds; 0 is no limit.
type Quota struct {
	Octets int64
	Files  int64 // and folders
}

// Limits bound what paths and folders can be. Zero is the default.
type Limits struct {
	Name    int           // octets of a name; 255, what file systems take
	Path    int           // octets of a path; 1,024
	Depth   int           // folders in folders; 32: every one is opened on the way
	Entries int           // of one folder; 50,000: a listing is made in memory, some 200 octets for each
	Silence time.Duration // of an upload, after which another may take its place; 10 seconds
}

func (l *Limits) setDefaults() {
	for _, v := range []struct {
		limit *int
		usual int
	}{{&l.Name, 255}, {&l.Path, 1024}, {&l.Depth, 32}, {&l.Entries, 50_000}} {
		if *v.limit == 0 {
			*v.limit = v.usual
		}
	}
	if l.Silence == 0 {
		l.Silence = 10 * time.Second
	}
}

// Options of a Store; nil and zero values are the defaults.
type Options struct {
	Limits Limits
	// Room answers an error when the disk has no room for so many octets more. Nil: the disk has its say when it is written to.
	Room func(octets int64) error

	now   func() time.Time
	flush func(f *os.File) error // a file's content
}

// Store is the folders of users, within one folder.
type Store struct {
	dir  string
	opts Options

	mu   sync.Mutex
	open map[string]*Folder
}

// New makes a store within dir. It does no I/O: dir is made with the first user's folder.
func New(dir string, o *Options) *Store {
	if o == nil {
		o = &Options{}
	}
	s := &Store{dir: dir, opts: *o, open: map[string]*Folder{}}
	s.opts.Limits.setDefaults()
	if s.opts.flush == nil {
		s.opts.flush = (*os.File).Sync
	}
	if s.opts.now == nil {
		s.opts.now = time.Now
	}
	return s
}

// Folder opens the folder of a user, which is made if it is missing. Those who have it open at a time share it; the first
// counts what is in it. Each of them closes it.
//
// ID is the user's for ever, in small letters, digits and hyphens: it outlives a change of address, and is never another's.
func (s *Store) Folder(id string, q Quota) (*Folder, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	f, first := s.open[id], false
	if first = f == nil; first {
		f = &Folder{store: s, limits: s.opts.Limits, id: id, uploads: map[string]*Upload{}, ready: make(chan struct{})}
		s.open[id] = f
	}
	f.users++
	s.mu.Unlock()
	if first { // others wait, but not those of other folders: counting can take its time
		f.broken = f.begin()
		close(f.ready)
	}
	<-f.ready
	if f.broken != nil {
		s.leave(f)
		return nil, f.broken
	}
	f.SetQuota(q)
	return f, nil
}

// begin opens the folder, makes it if it is missing, and counts what is in it.
func (f *Folder) begin() error {
	top, err := f.store.top(true)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := top.Mkdir(f.id, 0o700); err == nil {
		if err := syncFolder(top); err != nil {
			return known(err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return known(err)
	}
	root, err := enter(top, f.id)
	if err != nil {
		return err
	}
	if f.octets, f.files, err = tidy(root, 0); err != nil {
		root.Close()
		return known(err)
	}
	f.root = root
	return nil
}

// top opens the folder of all.
func (s *Store) top(make bool) (*os.Root, error) {
	if _, err := os.Stat(s.dir); make && errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, known(err)
		}
		above, err := os.OpenRoot(filepath.Dir(s.dir))
		if err == nil {
			err = errors.Join(syncFolder(above), above.Close()) // what is put into it is lost with it
		}
		if err != nil {
			return nil, known(err)
		}
	}
	top, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, known(err)
	}
	return top, nil
}

// Holds says whether a user has any file or folder.
func (s *Store) Holds(id string) (bool, error) {
	if err := checkID(id); err != nil {
		return false, err
	}
	top, err := s.top(false)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer top.Close()
	root, err := enter(top, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer root.Close()
	octets, files, err := tally(root, 0, nil)
	if err != nil {
		return false, known(err)
	}
	return octets > 0 || files > 0, nil
}

// Remove deletes a user's folder and all that is in it; links are deleted, and not followed. Nothing is nothing to do.
func (s *Store) Remove(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	top, err := s.top(false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer top.Close()
	if err := top.RemoveAll(id); err != nil {
		return known(err)
	}
	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%w: not an account's id", ErrFailed)
	}
	return nil
}

// leave is one user less of a folder.
func (s *Store) leave(f *Folder) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.users--; f.users > 0 {
		return nil
	}
	delete(s.open, f.id)
	if f.root == nil {
		return nil
	}
	return f.root.Close()
}
