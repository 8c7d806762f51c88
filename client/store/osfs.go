//go:build !js

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

// OSFS is a folder of the operating system. The folder must exist or its parent must.
func OSFS(dir string) FS { return osFS(dir) }

type osFS string

var _ FS = osFS("")

func (d osFS) path(name string) (string, error) {
	if !validName(name) {
		return "", fmt.Errorf("store: %q is no file name", name)
	}
	return filepath.Join(string(d), name), nil
}

func (d osFS) Open(name string) (File, error) {
	p, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := d.make(); err != nil {
			return nil, err
		}
		if f, err = os.OpenFile(p, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			err = d.sync() // or a crash could take the file's name away with all that was synced in it
		}
	}
	if err != nil {
		return nil, full(err)
	}
	return osFile{f}, nil
}

func (d osFS) make() error {
	if err := os.Mkdir(string(d), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return full(err)
	}
	return nil
}

func (d osFS) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d osFS) List() ([]string, error) {
	l, err := os.ReadDir(string(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range l {
		names = append(names, e.Name())
	}
	sort.Strings(names)
	return names, err
}

func (d osFS) Remove(name string) error {
	p, err := d.path(name)
	if err != nil {
		return err
	}
	return os.Remove(p)
}

func (d osFS) Sub(name string) (FS, error) {
	p, err := d.path(name)
	if err != nil {
		return nil, err
	}
	if err := d.make(); err != nil {
		return nil, err
	}
	sub := osFS(p)
	if err := sub.make(); err != nil {
		return nil, err
	}
	return sub, d.sync()
}

func (d osFS) RemoveAll(name string) error {
	p, err := d.path(name)
	if err != nil {
		return err
	}
	return os.RemoveAll(p)
}

type osFile struct{ *os.File }

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, full(err)
}

func (f osFile) Sync() error { return full(f.File.Sync()) }

func (f osFile) Size() (int64, error) {
	s, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return s.Size(), nil
}

// full makes what the system says of a full device ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
