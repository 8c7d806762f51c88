//go:build !unix

package controld

import (
	"context"
	"errors"
	"net"

	"github.com/postern-mail/postern/shared/control"
)

// ErrNoServer says that nobody listens: no server runs on that folder.
var ErrNoServer = errors.New("controld: no server runs on this folder")

// Listen has no socket to make: on this system commands work while no server
// runs.
func Listen(string) (net.Listener, error) {
	return nil, errors.New("there is no control socket on this system; commands work while no server runs")
}

// Dial answers ErrNoServer.
func Dial(context.Context, string) (*control.Client, error) { return nil, ErrNoServer }
