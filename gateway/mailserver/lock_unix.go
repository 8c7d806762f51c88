//go:build unix

package mailserver

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a lock that the system gives up when the process ends, however
// it ends.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrDataInUse
	}
	return err
}
