package files

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// Backup writes all users' files into a tar, their names under prefix, while they are in use. Each is as it was at a moment: one
// that is written to at its end, as a part that goes on, has the length that it had when it was opened. Empty folders, and what
// is no file, are not in it.
func (s *Store) Backup(ctx context.Context, w *tar.Writer, prefix string) error {
	top, err := s.top(false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer top.Close()
	return each(top, func(info fs.FileInfo) error {
		if !info.IsDir() || checkID(info.Name()) != nil {
			return nil
		}
		return s.copyFolder(ctx, w, top, info.Name(), path.Join(prefix, info.Name()), 0)
	})
}

func (s *Store) copyFolder(ctx context.Context, w *tar.Writer, in *os.Root, name, as string, depth int) error {
	folder, err := enter(in, name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	return each(folder, func(info fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.opts.Limits.usable(info.Name()) != nil {
			return nil // no client's
		}
		as := path.Join(as, info.Name())
		switch {
		case info.IsDir() && depth < deepest:
			return s.copyFolder(ctx, w, folder, info.Name(), as, depth+1)
		case plain(info):
			return copyFile(w, folder, info.Name(), as)
		}
		return nil
	})
}

func copyFile(w *tar.Writer, in *os.Root, name, as string) error {
	f, err := openFile(in, name, os.O_RDONLY)
	if errors.Is(err, ErrNotFound) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: as, Size: info.Size(), Mode: 0o600, ModTime: info.ModTime(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(f, info.Size()))
	if err != nil {
		return err
	}
	// One that has become shorter, to be written anew from there on, is filled up: the tar has its length already.
	_, err = io.CopyN(w, zeros{}, info.Size()-n)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
