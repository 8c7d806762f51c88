package bridge

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/shared/wire"
)

// What a bridge is given to decide whom it may reach, and to reach them: see package reach.
type (
	Policy        = reach.Policy
	Rule          = reach.Rule
	Resolver      = reach.Resolver
	ContextDialer = reach.ContextDialer
	NameDialer    = reach.NameDialer
)

// ParseRule reads a rule of a Policy: see reach.ParseRule.
func ParseRule(s string) (Rule, error) { return reach.ParseRule(s) }

// SRVResolver looks up SRV records. *net.Resolver is one.
type SRVResolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// line is a connection to a target.
type line struct {
	net.Conn
	greeting []byte    // what was read of it to know that it greets
	release  func()    // gives back what was held for it; nil for a server of the gateway's own
	own      *Embedded // the server, if it is one of the gateway's own, and the connection one that it is told of
	control  *control  // data connections may be opened beside it; nil: none
}

func (l *line) close() {
	_ = l.Close()
	if l.release != nil {
		l.release()
	}
}

// connect reaches an Open's target, or says why not. Where the server speaks first, it has greeted.
func (b *Bridge) connect(ctx context.Context, s *session, open wire.Open) (*line, *wire.RefusedError) {
	dialling, cancel := context.WithTimeout(ctx, b.c.Limits.DialTimeout)
	defer cancel()
	if open.Service == wire.FTPData {
		return b.connectData(dialling, s, open)
	}
	if open.Host == "" {
		own := b.embedded(open)
		if own == nil {
			return nil, refuse(wire.Denied, "no such service here")
		}
		conn, err := b.dialOwn(dialling, own, open.Service)
		if errors.Is(err, errNoService) {
			return nil, refuse(wire.Denied, "no such service here")
		}
		if err != nil {
			return nil, reach.DialRefusal(err)
		}
		l := &line{Conn: conn, own: own}
		if own.Data != nil && (open.Service == wire.FTP || open.Service == wire.FTPS) {
			l.control = &control{own: own, from: conn.LocalAddr()}
		}
		return l, nil
	}
	if b.c.Access.Open() && !s.local {
		return nil, refuse(wire.Denied, "without an access token this gateway reaches no other servers, but for this machine")
	}
	targets, no := b.gate.Targets(dialling, open)
	if no != nil {
		return nil, no
	}
	var to reach.Target
	conn, release, no := b.gate.Dial(dialling, targets, func(t reach.Target) (func(), *wire.RefusedError) {
		to = t // the last one is it
		return b.holdTarget(t, b.streamRates)
	})
	if no != nil {
		return nil, no
	}
	l := &line{Conn: conn, release: release}
	if reach.CarriesData(open.Service, open.Port) {
		l.control = &control{target: to}
	}
	if say := greetings[open.Service]; say != nil {
		if no := l.greet(ctx, open.Service, say, b.c.Limits.GreetingTimeout); no != nil {
			l.close()
			return nil, no
		}
	}
	return l, nil
}

var errNoService = errors.New("bridge: no such service")

// dialOwn connects to a server of the gateway's own.
func (b *Bridge) dialOwn(ctx context.Context, own *Embedded, service wire.ServiceName) (net.Conn, error) {
	if inside := own.Inside[service]; inside != nil {
		return inside(ctx)
	}
	if address := own.Services[service]; address != "" {
		return b.c.Dialer.DialContext(ctx, "tcp", address)
	}
	return nil, errNoService
}

// greet waits for a server's greeting.
func (l *line) greet(ctx context.Context, service wire.ServiceName, say judge, within time.Duration) *wire.RefusedError {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // when the session ends
	defer stop()
	p, v, err := firstWords(l.Conn, say, within)
	if v != right {
		return notMail(service, v, err)
	}
	l.greeting = p
	if service == wire.FTP && bytes.Contains(bytes.ToUpper(p), []byte("SMTP")) {
		return notMail(service, wrong, nil) // it says 220 as well, and there is more to be had beside FTP: see data.go
	}
	return nil
}

// holdTarget counts a stream to a target in, and says no over a limit.
func (b *Bridge) holdTarget(t reach.Target, r rates) (release func(), no *wire.RefusedError) {
	l, to := b.c.Limits, t.Addr()
	if !r.targets.take(to, time.Now()) {
		return nil, refuse(wire.TooFast, "too many streams have gone to that server within a minute")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if over(b.targets[to], l.StreamsPerTarget) {
		return nil, refuse(wire.TooMany, "as many streams go to that server as may")
	}
	b.targets[to]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.targets[to]--; b.targets[to] == 0 {
			delete(b.targets, to)
		}
	}, nil
}

func refuse(reason wire.Reason, detail string) *wire.RefusedError {
	return &wire.RefusedError{Reason: reason, Detail: detail}
}
