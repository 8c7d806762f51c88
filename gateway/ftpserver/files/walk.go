package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// enter opens the folder of that name: a real one, and the one that was looked at.
func enter(in *os.Root, name string) (*os.Root, error) {
	seen, err := in.Lstat(name)
	if err != nil {
		return nil, known(err)
	}
	switch {
	case seen.IsDir():
	case plain(seen):
		return nil, ErrNotFolder
	default: // a link, wherever it leads
		return nil, ErrNotFound
	}
	r, err := in.OpenRoot(name)
	if err != nil {
		return nil, known(err)
	}
	if got, err := r.Stat("."); err != nil || !os.SameFile(seen, got) {
		r.Close()
		return nil, ErrNotFound
	}
	return r, nil
}

// down opens the folder that the names lead to.
func down(from *os.Root, names []string) (*os.Root, error) {
	at, err := from.OpenRoot(".")
	if err != nil {
		return nil, known(err)
	}
	for _, name := range names {
		next, err := enter(at, name)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// plain says whether something is a file of ours: regular, and known by one name.
func plain(info fs.FileInfo) bool { return info.Mode().IsRegular() && names(info) == 1 }

// look finds what a client may see under a name.
func look(in *os.Root, name string) (fs.FileInfo, error) {
	info, err := in.Lstat(name)
	if err != nil {
		return nil, known(err)
	}
	if !info.IsDir() && !plain(info) {
		return nil, ErrNotFound
	}
	return info, nil
}

// openFile opens the file of that name, the one that was looked at. It does not wait for whoever is at the other end of a pipe,
// and nothing is changed before it is known what was opened.
func openFile(in *os.Root, name string, flag int) (*os.File, error) {
	seen, err := look(in, name)
	if err != nil {
		return nil, err
	}
	if seen.IsDir() {
		return nil, ErrNotFile
	}
	f, err := in.OpenFile(name, flag|unblocked, 0)
	if err != nil {
		return nil, known(err)
	}
	if got, err := f.Stat(); err != nil || !os.SameFile(seen, got) {
		f.Close()
		return nil, ErrNotFound
	}
	return f, nil
}

// each calls fn with what is in a folder, whatever it is, in no order.
func each(in *os.Root, fn func(info fs.FileInfo) error) error {
	dir, err := in.OpenFile(".", os.O_RDONLY|unblocked, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return eachName(dir, func(name string) error {
		info, err := in.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		return fn(info)
	})
}

// eachName calls fn with each name in a folder, once: some systems tell one that is replaced meanwhile again, and a backup that had a
// file twice would not be restored.
func eachName(dir interface{ Readdirnames(n int) ([]string, error) }, fn func(name string) error) error {
	seen := make(map[string]bool)
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			if err := fn(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// height is how deep a folder is, of what clients can see: 0 if nothing is in it, 1 if there are files; and how many octets the
// longest path in it has, with the slash before it. It looks no deeper than most.
func height(in *os.Root, name string, most int) (deep, long int, err error) {
	folder, err := enter(in, name)
	if errors.Is(err, ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer folder.Close()
	err = each(folder, func(info fs.FileInfo) error {
		below, longest := 0, 0
		if info.IsDir() && most > 0 {
			if below, longest, err = height(folder, info.Name(), most-1); err != nil {
				return err
			}
		}
		deep, long = max(deep, 1+below), max(long, 1+len(info.Name())+longest)
		return nil
	})
	return deep, long, err
}

// deepest is where counting ends: no client comes so deep.
const deepest = 256

// tally adds up what clients can see, and calls stray, if there is one, for what an upload has left that will not go on.
func tally(in *os.Root, depth int, stray func(in *os.Root, name string) error) (octets, files int64, err error) {
	err = each(in, func(info fs.FileInfo) error {
		switch {
		case strings.HasPrefix(info.Name(), temporary) && info.Mode().IsRegular():
			if stray != nil {
				return stray(in, info.Name())
			}
		case info.IsDir() && depth < deepest:
			sub, err := enter(in, info.Name())
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			defer sub.Close()
			o, n, err := tally(sub, depth+1, stray)
			octets, files = octets+o, files+n+1
			return err
		case plain(info):
			octets, files = octets+info.Size(), files+1
		}
		return nil
	})
	return octets, files, err
}

// tidy is tally, and removes what uploads that were not to be have left.
func tidy(in *os.Root, depth int) (octets, files int64, err error) {
	return tally(in, depth, func(in *os.Root, name string) error { return in.Remove(name) })
}

// syncFolder flushes the entries of a folder, where a system has a call for it.
func syncFolder(r *os.Root) error {
	f, err := r.OpenFile(".", os.O_RDONLY|unblocked, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if runtime.GOOS == "windows" {
		err = nil
	}
	return errors.Join(err, f.Close())
}
