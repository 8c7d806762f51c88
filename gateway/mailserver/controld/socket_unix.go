//go:build unix

package controld

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/postern-mail/postern/shared/control"
)

// SocketName is the socket's in the data folder.
const SocketName = "control.sock"

// maxPath is how long a socket's path may be: less than every Unix allows
// (sun_path has 104 octets at least).
const maxPath = 100

// ErrNoServer says that nobody listens: no server runs on that folder.
var ErrNoServer = errors.New("controld: no server runs on this folder")

// Listen makes the socket of a data folder, for its owner alone. The caller has
// the folder to itself: what is left of a server that crashed is removed.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, SocketName)
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s: a socket's path has at most %d octets; commands can reach this server only if its folder's path is shorter", path, maxPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// The folder is its owner's alone, so that nobody comes in before the mode is set.
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dial connects to the server that runs on a data folder; ErrNoServer if none
// does.
func Dial(ctx context.Context, dir string) (*control.Client, error) {
	path := filepath.Join(dir, SocketName)
	if len(path) > maxPath {
		return nil, ErrNoServer
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNoServer
	case err != nil:
		return nil, err
	}
	return control.NewClient(conn, control.Limits{}), nil
}
