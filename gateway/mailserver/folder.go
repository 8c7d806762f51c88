package mailserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// ErrDataInUse says that another process has the data folder open.
var ErrDataInUse = errors.New("data folder is in use by another process")

// lockName is the file that is locked.
const lockName = "lock"

// lockFolder makes the data folder and keeps other processes out of it until
// the file that it returns is closed.
func lockFolder(dir string) (*os.File, error) {
	if dir == "" {
		return nil, errors.New("mail server: no data folder was given")
	}
	if err := maildrop.MakeFolder(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		if errors.Is(err, ErrDataInUse) {
			return nil, fmt.Errorf("%s: %w (%s); stop it, or choose another data folder", dir, err, strings.TrimSpace("process "+string(pid)))
		}
		return nil, fmt.Errorf("cannot lock the data folder %s: %w", dir, err)
	}
	// For the message above; the lock does not depend on it.
	f.Truncate(0)
	fmt.Fprintf(f, "%d\n", os.Getpid())
	return f, nil
}

// isData says whether a folder is a server's data folder.
func isData(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, lockName))
	return err == nil
}

// syncFolder flushes the entries of a folder, where a system has a call for it.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if runtime.GOOS == "windows" {
		err = nil
	}
	return errors.Join(err, f.Close())
}
