package bridge

import (
	"context"
	"net"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/shared/wire"
)

// The data connections of FTP (RFC 959 section 3.2). They have no first words to be judged by, so that everything about one has to
// come from its control connection: a stream of the same session that has passed the guard as one of FTP, and of which both
// directions are open. A data connection goes to the address to which that stream has gone, which the policy has allowed, and says
// nothing but a port, which is none that is known for another service. So nobody gets anywhere by it but to the machine of a server
// of FTP that he holds on to.
//
// When a control connection ends, what goes on beside it may end by itself: a server that has said 221 sends the rest of a file all
// the same, and to cut it would make half a file of a whole one. Nothing new comes to it.

// dataConnections is how many times as many of them there may be in a minute as of other streams.
const dataConnections = 10

// control is a control connection.
type control struct {
	own    *Embedded    // the server, if it is one of the gateway's own
	from   net.Addr     // and the gateway's end of the connection
	target reach.Target // else where it has gone
	relay  *relay
	data   int // connections beside it; of session.mu
}

// carriesData reports whether there can be data connections at all.
func (b *Bridge) carriesData() bool {
	if !b.c.Policy.Nothing() {
		return true
	}
	for _, e := range b.c.Embedded {
		if e.Data != nil {
			return true
		}
	}
	return false
}

func (b *Bridge) ratesOf(data bool) rates {
	if data {
		return b.dataRates
	}
	return b.streamRates
}

// carry lets data connections be opened beside a control connection until end is called.
func (s *session) carry(stream uint32, c *control, r *relay) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.relay = r
	if s.controls == nil {
		s.controls = make(map[uint32]*control)
	}
	s.controls[stream] = c
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.controls[stream] == c { // the number may be another stream's by now
			delete(s.controls, stream)
		}
	}
}

// beside counts a data connection in beside its control connection.
func (s *session) beside(stream uint32) (c *control, leave func(), no *wire.RefusedError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = s.controls[stream]
	if c == nil || !c.relay.carries() {
		return nil, nil, errNoControl
	}
	if most := s.b.c.Limits.DataPerControl; over(c.data, most) {
		return nil, nil, refuse(wire.TooMany, "as many data connections are open beside that control connection as may be")
	}
	c.data++
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.data--
	}, nil
}

var errNoControl = refuse(wire.Denied, "a data connection is beside a control connection of FTP that is open in this session")

// connectData reaches the target of a data connection, or says why not.
func (b *Bridge) connectData(ctx context.Context, s *session, open wire.Open) (_ *line, no *wire.RefusedError) {
	c, leave, no := s.beside(open.Control)
	if no != nil {
		return nil, no
	}
	l, no := b.dialData(ctx, s, c, open.Port)
	if no == nil && !c.relay.carries() { // any more
		l.close()
		no = errNoControl
	}
	if no != nil {
		leave()
		return nil, no
	}
	release := l.release
	l.release = func() {
		leave()
		if release != nil {
			release()
		}
	}
	return l, nil
}

func (b *Bridge) dialData(ctx context.Context, s *session, c *control, port int) (*line, *wire.RefusedError) {
	if c.own != nil {
		conn, err := c.own.Data(ctx, c.from, port)
		if err != nil {
			return nil, refuse(wire.Denied, "the server does not wait for a data connection at that port")
		}
		return &line{Conn: conn}, nil
	}
	to, no := b.gate.Beside(c.target, port)
	if no != nil {
		return nil, no
	}
	if b.dataFailed.spent(s.client, time.Now()) {
		return nil, refuse(wire.TooFast, "too many data connections have failed within a minute")
	}
	conn, release, no := b.gate.Dial(ctx, []reach.Target{to}, func(t reach.Target) (func(), *wire.RefusedError) {
		return b.holdTarget(t, b.dataRates)
	})
	if no != nil {
		b.dataFailed.take(s.client, time.Now())
		return nil, no
	}
	return &line{Conn: conn, release: release}, nil
}
