package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// What can be wrong, in words for who asked. None has a name of a file in it.
var (
	ErrName      = errors.New("that name cannot be used")
	ErrNotFound  = errors.New("there is no such file or folder")
	ErrNotFile   = errors.New("that is not a file")
	ErrNotFolder = errors.New("that is not a folder")
	ErrExists    = errors.New("that name is taken")
	ErrNotEmpty  = errors.New("the folder is not empty")
	ErrBusy      = errors.New("somebody is uploading to that name, try again later")
	ErrQuota     = errors.New("the quota is used up")
	ErrDisk      = errors.New("the server's disk is full, try again later")
	ErrTooMany   = errors.New("the folder has too many entries")
	ErrBeyond    = errors.New("the file is shorter than that")
	ErrFailed    = errors.New("the server cannot do that now")
)

func nameError(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrName, fmt.Sprintf(format, a...))
}

// known makes one of the above of what the system says, and takes the names out of the rest: they go to the log.
func known(err error) error {
	for _, k := range []struct{ is, as error }{
		{fs.ErrNotExist, ErrNotFound}, {syscall.ENOTEMPTY, ErrNotEmpty}, {fs.ErrExist, ErrExists}, {syscall.ENOSPC, ErrDisk}, {syscall.EDQUOT, ErrDisk},
		{syscall.ENOTDIR, ErrNotFolder}, {syscall.ELOOP, ErrNotFound}, {syscall.ENAMETOOLONG, ErrName},
	} {
		if errors.Is(err, k.is) {
			return k.as
		}
	}
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}
