package mailserver

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// listen binds a service's address; an error is a *PortError.
func listen(ctx context.Context, service, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	const windowsInUse = syscall.Errno(10048) // WSAEADDRINUSE
	inUse := errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, windowsInUse)
	return nil, &PortError{Service: service, Address: address, InUse: inUse, Err: err}
}
