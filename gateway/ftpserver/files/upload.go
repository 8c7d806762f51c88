package files

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// From says where an upload begins: at an octet of the file, 0 for anew, or End.
type From int64

// End is behind what is there, of a file that may be missing.
const End From = -1

// Upload is the writing of a file; see the package's comment for what it promises.
type Upload struct {
	folder *Folder
	in     *os.Root
	path   string // in full, as the folder knows it
	name   string // of it, in the folder in
	from   From
	cut    func() // ends the connection that it comes by
	done   chan struct{}

	file     *os.File // nil before the first octet
	under    string   // the name that it has meanwhile
	fresh    bool     // there was no file of that name
	start    int64    // where it begins
	size     int64    // up to now, all in all
	credit   int64    // octets of the quota that will be free when it is whole
	checked  int64    // up to here the disk was asked for room
	failure  error
	closed   bool
	progress time.Time // of folder.mu
}

// asked is how much is written between two looks at the disk's room. All uploads there are may go beyond it by as much each.
const asked = 1 << 20

// patience is how long an upload that was cut gets to end.
const patience = 5 * time.Second

// Upload begins one. Nothing is changed on the disk before the first octet comes, or Close. Cut is called if another upload
// takes its place, and must make the writer give up.
func (f *Folder) Upload(p string, from From, cut func()) (*Upload, error) {
	in, name, err := f.place(p)
	if err != nil {
		return nil, err
	}
	u := &Upload{folder: f, in: in, path: "/" + within(f.limits, p), name: name, from: from, cut: cut, done: make(chan struct{})}
	if err := u.take(); err != nil {
		in.Close()
		return nil, err
	}
	if err := u.check(); err != nil {
		u.leave()
		return nil, err
	}
	return u, nil
}

// take waits for the name, if who has it does not move any more.
func (u *Upload) take() error {
	f := u.folder
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		f.mu.Lock()
		other := f.uploads[u.path]
		if other == nil {
			f.uploads[u.path] = u
			u.progress = f.store.opts.now()
			f.mu.Unlock()
			return nil
		}
		moves := f.store.opts.now().Sub(other.progress) < f.limits.Silence
		f.mu.Unlock()
		if moves {
			return ErrBusy
		}
		other.cut()
		select {
		case <-other.done:
		case <-timer.C:
			return ErrBusy
		}
	}
}

// check finds what can be known before anything comes.
func (u *Upload) check() error {
	f := u.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := u.in.Lstat(u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && u.from > 0:
		return ErrBeyond
	case errors.Is(err, fs.ErrNotExist):
		return f.another(u.in)
	case err != nil:
		return known(err)
	case info.IsDir():
		return ErrNotFile
	case !plain(info):
		return ErrExists
	case int64(u.from) > info.Size():
		return ErrBeyond
	}
	return nil
}

// begin opens what is to be written to.
func (u *Upload) begin() (err error) {
	f := u.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	u.under = u.name
	info, err := u.in.Lstat(u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && u.from <= 0:
		if err := f.another(u.in); err != nil {
			return err
		}
		if u.file, err = u.in.OpenFile(u.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unblocked, 0o600); err != nil {
			return known(err)
		}
		u.fresh = true
		f.files++
	case err != nil:
		return known(err)
	case u.from == 0:
		if !plain(info) {
			return ErrExists
		}
		u.under = temporary + strings.ToLower(rand.Text())
		if u.file, err = u.in.OpenFile(u.under, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unblocked, 0o600); err != nil {
			return known(err)
		}
		u.credit = info.Size()
	default:
		if u.file, err = openFile(u.in, u.name, os.O_WRONLY); err != nil {
			return err
		}
		if info, err = u.file.Stat(); err != nil {
			return known(err)
		}
		u.start = info.Size()
		if u.from >= 0 {
			if u.start = int64(u.from); u.start > info.Size() { // by now: another program has made it shorter
				u.file.Close()
				u.file = nil
				return ErrBeyond
			}
			if err := u.file.Truncate(u.start); err != nil {
				return known(err)
			}
			f.octets -= info.Size() - u.start
		}
		if _, err := u.file.Seek(u.start, io.SeekStart); err != nil {
			return known(err)
		}
	}
	u.size, u.checked = u.start, u.start
	return nil
}

// Write adds octets, all of them or none. The error stays: no more can be written.
func (u *Upload) Write(p []byte) (n int, err error) {
	if u.failure != nil {
		return 0, u.failure
	}
	defer func() {
		if err != nil {
			u.failure = err
		}
	}()
	if u.file == nil {
		if err := u.begin(); err != nil {
			return 0, err
		}
	}
	f := u.folder
	if room := f.store.opts.Room; room != nil && u.size >= u.checked {
		if room(asked) != nil {
			return 0, ErrDisk
		}
		u.checked = u.size + asked
	}
	f.mu.Lock()
	more := int64(len(p))
	if f.quota.Octets > 0 && f.octets+more-u.credit > f.quota.Octets {
		f.mu.Unlock()
		return 0, ErrQuota
	}
	f.octets += more
	u.progress = f.store.opts.now()
	f.mu.Unlock()
	if n, err = u.file.Write(p); err != nil {
		u.file.Truncate(u.size)
		f.add(-more)
		return 0, known(err)
	}
	u.size += more
	return n, nil
}

func (f *Folder) add(octets int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.octets += octets
}

// Received is how large the file is with what has come.
func (u *Upload) Received() int64 { return u.size }

// Cut says that the rest will not come. Of what Write has refused it is known already.
func (u *Upload) Cut(why error) {
	if u.failure == nil {
		u.failure = cutError{why}
	}
}

type cutError struct{ why error }

func (e cutError) Error() string { return "cut: " + e.why.Error() }
func (e cutError) Unwrap() error { return e.why }

// IsCut says whether an upload has ended because Cut was called: what was received stays.
func IsCut(err error) bool {
	var cut cutError
	return errors.As(err, &cut)
}

// Close ends the upload: nil if all of it is on the disk, or the error that Write has answered, or that Cut was told.
func (u *Upload) Close() error {
	if u.closed {
		return u.failure
	}
	u.closed = true
	defer u.leave()
	if u.failure == nil && u.file == nil {
		u.failure = u.begin() // an empty file
	}
	if u.file == nil {
		return u.failure
	}
	if u.failure != nil && !IsCut(u.failure) {
		u.undo()
		return u.failure
	}
	if err := u.settle(); err != nil {
		u.failure = err
	}
	return u.failure
}

// settle makes what has come last, under its name.
func (u *Upload) settle() error {
	err := u.folder.store.opts.flush(u.file)
	if err = errors.Join(err, u.file.Close()); err != nil {
		u.drop()
		return known(err)
	}
	f := u.folder
	f.mu.Lock()
	if u.under != u.name {
		var old int64
		info, err := u.in.Lstat(u.name)
		there := err == nil && plain(info)
		if there {
			old = info.Size()
		}
		if err := u.in.Rename(u.under, u.name); err != nil {
			f.mu.Unlock()
			u.drop()
			return known(err)
		}
		f.octets -= old
		if !there {
			f.files++
		}
	}
	f.mu.Unlock()
	if err := syncFolder(u.in); err != nil {
		return known(err)
	}
	return nil
}

// undo leaves things as they were before.
func (u *Upload) undo() {
	if !u.fresh && u.under == u.name {
		if u.file.Truncate(u.start) == nil {
			u.folder.add(u.start - u.size)
		}
		u.file.Sync()
		u.file.Close()
		return
	}
	u.file.Close()
	u.drop()
}

// drop deletes what was begun.
func (u *Upload) drop() {
	if !u.fresh && u.under == u.name {
		return // somebody's file before; what has become of it nobody knows
	}
	if err := u.in.Remove(u.under); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // it stays and counts
	}
	f := u.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	f.octets -= u.size
	if u.fresh {
		f.files--
	}
}

// leave gives the name to others.
func (u *Upload) leave() {
	f := u.folder
	f.mu.Lock()
	delete(f.uploads, u.path)
	f.mu.Unlock()
	u.in.Close()
	close(u.done)
}
