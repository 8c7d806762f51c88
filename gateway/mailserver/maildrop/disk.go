package maildrop

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// disk is what the store asks of the file system. Its order of flushes is what
// the store's promise rests on, so tests put one in its place that forgets
// whatever was not flushed.
type disk interface {
	Mkdir(dir string) error // no error if it is there
	Create(name string) (file, error)
	Overwrite(name string) (file, error) // opens a file that is there, and leaves what is in it
	Open(name string) (*os.File, error)
	Rename(from, to string) error
	Remove(name string) error
	List(dir string) ([]string, error)
	SyncDir(dir string) error // flushes the entries of a folder
	// Flush flushes files below dir, and the entries of their folders. After an
	// error they are to be written anew.
	Flush(dir string, files []string) error
	Free(dir string) (octets int64, err error) // that can still be written
	Commit(index func() error) error           // runs the commit of the index
}

type file interface {
	io.WriteCloser
	io.WriterAt
	Sync() error // flushes the content, and of the rest what is needed to read it
}

// osFile is the real one; its Sync is the system's cheapest that keeps the promise.
type osFile struct{ *os.File }

// osDisk is the real one.
type osDisk struct{}

var _ disk = osDisk{}

func (osDisk) Mkdir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (osDisk) Create(name string) (file, error) {
	return openFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
}

func (osDisk) Overwrite(name string) (file, error) { return openFile(name, os.O_WRONLY) }

func openFile(name string, flags int) (file, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err // not f: a nil *os.File is no nil file
	}
	return osFile{f}, nil
}

func (osDisk) Open(name string) (*os.File, error) { return os.Open(name) }
func (osDisk) Rename(from, to string) error       { return os.Rename(from, to) }
func (osDisk) Remove(name string) error           { return os.Remove(name) }

func (osDisk) List(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (osDisk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // NTFS journals its folders, and has no call to flush one
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (osDisk) Commit(index func() error) error { return index() }

// MakeFolder makes a folder, and those above it that are missing, durably: mail
// in a folder whose own entry was not flushed is gone with it.
func MakeFolder(dir string) error { return makeFolder(osDisk{}.SyncDir, dir) }

func makeFolder(syncDir func(string) error, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var parents []string // of those that are missing
	for d := dir; filepath.Dir(d) != d; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parents = append(parents, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range parents {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// Contents are spread over folders of 4,096, which every file system lists and
// searches quickly; neighbours in time share one, and so its flush.
const shardBits = 12

const contentSuffix = ".eml" // RFC 5322 messages, which a person can open

func shardName(id int64) string   { return hex(id>>shardBits, 4) }
func contentName(id int64) string { return hex(id, 12) + contentSuffix }

func (s *Store) shardDir(id int64) string { return filepath.Join(s.dir, "content", shardName(id)) }
func (s *Store) contentPath(id int64) string {
	return filepath.Join(s.shardDir(id), contentName(id))
}

func hex(n int64, width int) string {
	const digits = "0123456789abcdef"
	var buf [16]byte
	i := len(buf)
	for n > 0 || width > 0 {
		i--
		buf[i] = digits[n&15]
		n >>= 4
		width--
	}
	return string(buf[i:])
}

// contentID reads the id from a file's name; ok is false for what this package
// did not name, which it leaves alone.
func contentID(name string) (id int64, ok bool) {
	stem, found := strings.CutSuffix(name, contentSuffix)
	if !found || len(stem) < 12 || len(stem) > 15 {
		return 0, false
	}
	for _, c := range []byte(stem) {
		switch {
		case '0' <= c && c <= '9':
			id = id<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			id = id<<4 | int64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return id, contentName(id) == name
}
