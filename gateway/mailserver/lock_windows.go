package mailserver

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

// lockFile takes a lock that the system gives up when the process ends, however
// it ends.
func lockFile(f *os.File) error {
	const (
		exclusive       = 2
		failImmediately = 1
		lockViolation   = syscall.Errno(33)
	)
	// A byte far behind the end, so that the file can still be read.
	at := syscall.Overlapped{OffsetHigh: 1}
	ok, _, err := lockFileEx.Call(f.Fd(), exclusive|failImmediately, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	if ok != 0 {
		return nil
	}
	if errors.Is(err, lockViolation) {
		return ErrDataInUse
	}
	return err
}
