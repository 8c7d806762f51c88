package engine

import (
	"context"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// sessionPool keeps sessions for a while that nobody uses.
type sessionPool struct {
	site *site

	mu      sync.Mutex
	idle    []*siteSession // that was used last is the last
	tending bool
	closed  bool
	ended   chan struct{} // closed with the pool; nil before tending
	tasks   sync.WaitGroup
}

// look runs fn with a session, for somebody who looks and waits: one after another, or a page would have a server see as many
// sessions as it has questions.
func (s *site) look(ctx context.Context, fn func(x *siteSession) error) error {
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.session(ctx, fn)
}

// session runs fn with a session: one that is idle, or a new one. What goes wrong is told by a failure.
func (s *site) session(ctx context.Context, fn func(x *siteSession) error) error {
	x, err := s.pool.take(ctx)
	if err != nil {
		return err
	}
	err = x.failed(fn(x))
	s.pool.give(x)
	return err
}

// take answers a session that lives.
func (p *sessionPool) take(ctx context.Context) (*siteSession, error) {
	s := p.site
	for {
		x := p.pop()
		if x == nil {
			break
		}
		if s.e.Clock.Now().Sub(x.last) < sessionFresh && x.State().Phase == ftp.Ready {
			return x, nil
		}
		asking, cancel := context.WithTimeout(ctx, noopPatience)
		err := x.Noop(asking)
		cancel()
		if err == nil {
			return x, nil
		}
		x.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	password, err := s.secret(ctx)
	if err != nil {
		return nil, err
	}
	x, err := s.connect(ctx, s.record().Server, password)
	s.met(problemOf(err))
	if err != nil {
		return nil, err
	}
	s.setHome(x.home())
	s.e.transfers.tidy(s)
	return x, nil
}

// setHome remembers where one is after the login, if that changed.
func (s *site) setHome(home api.FilePath) {
	s.mu.Lock()
	changed := s.joined && s.rec.Home != home
	s.rec.Home = home
	s.mu.Unlock()
	if !changed {
		return
	}
	if err := s.e.registry.updateSite(s.id, func(rec *siteRecord) { rec.Home = home }); err != nil {
		s.e.Logf("site %s: %v", s.id, err) // it will be found again
	}
	s.announce()
}

func (p *sessionPool) pop() *siteSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	x := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return x
}

// give takes a session back.
func (p *sessionPool) give(x *siteSession) {
	x.last = p.site.e.Clock.Now()
	p.mu.Lock()
	keep := !p.closed && x.State().Phase == ftp.Ready && len(p.idle) < mostIdle
	if keep {
		p.idle = append(p.idle, x)
		if !p.tending {
			p.tending = true
			if p.ended == nil {
				p.ended = make(chan struct{})
			}
			p.tasks.Go(p.tend)
		}
	}
	p.mu.Unlock()
	if !keep {
		x.Close()
	}
}

// tend ends sessions that were idle for too long, until there are none.
func (p *sessionPool) tend() {
	clock := p.site.e.Clock
	for {
		p.mu.Lock()
		var old []*siteSession
		for len(p.idle) > 0 && clock.Now().Sub(p.idle[0].last) >= sessionIdle {
			old = append(old, p.idle[0])
			p.idle = p.idle[1:]
		}
		p.tending = len(p.idle) > 0 && !p.closed
		tending, wait := p.tending, sessionIdle
		if tending {
			wait = sessionIdle - clock.Now().Sub(p.idle[0].last)
		}
		p.mu.Unlock()
		for _, x := range old {
			x.leave()
		}
		if !tending {
			return
		}
		select {
		case <-clock.After(wait):
		case <-p.ended:
		}
	}
}

// leave says goodbye.
func (x *siteSession) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), quitPatience)
	defer cancel()
	_ = x.Quit(ctx)
	x.Close()
}

// drop closes the sessions that are idle: the tunnel went, or the settings are others.
func (p *sessionPool) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, x := range idle {
		x.Close()
	}
}

func (p *sessionPool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		if p.ended != nil {
			close(p.ended)
		}
	}
	p.mu.Unlock()
	p.drop()
	p.tasks.Wait()
}
