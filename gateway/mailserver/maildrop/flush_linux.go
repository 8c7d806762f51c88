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

// Sync flushes what fdatasync(2) does: not the times of a file, whose change would
// cost a commit of the file system's journal.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
