//go:build !unix

package control

import (
	"context"
	"errors"
	"net"
)

// ErrNoServer says that nobody listens: no server runs on that folder.
var ErrNoServer = errors.New("control: no server runs on this folder")

// Listen has no socket to make: on this system commands work while no server
// runs.
func Listen(string) (net.Listener, error) {
	return nil, errors.New("there is no control socket on this system; commands work while no server runs")
}

// Dial answers ErrNoServer.
func Dial(context.Context, string) (*Client, error) { return nil, ErrNoServer }
