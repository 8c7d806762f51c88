package maildrop

import (
	"os"

	"golang.org/x/sys/unix"
)

// Flush flushes the whole file system that dir is on: one call, and one round of
// the disk, for any number of files.
func (osDisk) Flush(dir string, _ []string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
