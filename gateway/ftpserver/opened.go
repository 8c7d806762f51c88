package ftpserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// ErrNoDoor says that no session waits for such a data connection.
var ErrNoDoor = errors.New("ftpserver: no data connection is awaited there")

// OpenData opens a data connection for the gateway, beside the control connection that it has made from that address: to the port
// that the server has told there last, by EPSV or PASV, and once. It is the client's whose control connection that is by how it
// comes about, and needs no address and no port to be known by. The errors are ErrNoDoor and those of the system.
func (s *Server) OpenData(ctx context.Context, control net.Addr, port int) (net.Conn, error) {
	ch := s.door(control, port)
	if ch == nil {
		return nil, ErrNoDoor
	}
	theirs, ours, err := pair(ctx, ch.s.local.Addr())
	if err != nil {
		return nil, err
	}
	if !ch.give(ours) {
		theirs.Close()
		ours.Close()
		return nil, ErrNoDoor
	}
	return theirs, nil
}

// door finds the data connection that a session waits for.
func (s *Server) door(control net.Addr, port int) *channel {
	from, err := netip.ParseAddrPort(control.String())
	if err != nil {
		return nil
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.sessions {
		if ses.remote != from || !ses.inside {
			continue
		}
		ses.mu.Lock()
		ch := ses.door
		ses.mu.Unlock()
		if ch != nil && int(ch.port) == port {
			return ch
		}
	}
	return nil
}
