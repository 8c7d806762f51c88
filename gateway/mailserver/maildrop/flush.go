package maildrop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// flushEach flushes files, one after the other, and their folders. Those that are
// gone are passed over.
func (d osDisk) flushEach(files []string) error {
	dirs := map[string]bool{}
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		dirs[filepath.Dir(name)] = true
	}
	for dir := range dirs {
		if err := d.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
