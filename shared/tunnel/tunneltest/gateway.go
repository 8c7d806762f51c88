package tunneltest

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// Gateway is a gateway in memory: give its Connect to a tunnel.Dialer. It answers each Open by Handle, in a goroutine of
// its own.
type Gateway struct {
	Welcome wire.Welcome
	// Greet, if it is set, says whether a session is welcome; a *wire.RefusedError is a typed no.
	Greet func(wire.Hello) error
	// Handle answers an Open: a refusal, or a function that gets the stream and must close it.
	Handle  func(wire.Open) (serve func(net.Conn), refused *wire.RefusedError)
	Options *tunnel.Options
	// ToGateway and ToClient are the faults of each connection made.
	ToGateway, ToClient Faults

	mu         sync.Mutex
	down       bool
	conns      map[*Conn]*tunnel.ServerSession
	goroutines sync.WaitGroup
}

// ErrDown is what Connect returns while the gateway is down.
var ErrDown = errors.New("tunneltest: the gateway is down")

// Connect is a Dialer's Connect.
func (g *Gateway) Connect(context.Context) (tunnel.MessageConn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return nil, ErrDown
	}
	client, server := Pipe(g.ToGateway, g.ToClient)
	if g.conns == nil {
		g.conns = make(map[*Conn]*tunnel.ServerSession)
	}
	g.conns[server] = nil
	g.goroutines.Go(func() {
		defer g.forget(server)
		g.serve(server)
	})
	return client, nil
}

func (g *Gateway) forget(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *Gateway) serve(c *Conn) {
	greet := func(_ context.Context, h wire.Hello) (wire.Welcome, error) {
		if g.Greet != nil {
			if err := g.Greet(h); err != nil {
				return wire.Welcome{}, err
			}
		}
		return g.Welcome, nil
	}
	s, err := tunnel.Serve(context.Background(), c, greet, g.Options)
	if err != nil {
		return
	}
	g.mu.Lock()
	g.conns[c] = s
	g.mu.Unlock()
	for {
		r, err := s.Accept(context.Background())
		if err != nil {
			_ = s.Close()
			return
		}
		g.goroutines.Go(func() { g.answer(r) })
	}
}

func (g *Gateway) answer(r *tunnel.Request) {
	serve, refused := g.Handle(r.Open)
	if refused != nil {
		_ = r.Refuse(refused)
		return
	}
	if conn, err := r.Accept(); err == nil {
		serve(conn)
	}
}

// Notify sends a notice to every session.
func (g *Gateway) Notify(n wire.Notice) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.conns {
		if s != nil {
			_ = s.Notify(n)
		}
	}
}

// SetDown makes Connect fail, or work again, and in going down cuts every session as a crash does.
func (g *Gateway) SetDown(down bool) {
	g.mu.Lock()
	g.down = down
	g.mu.Unlock()
	if down {
		g.Cut()
	}
}

// Cut cuts every session, as a network does.
func (g *Gateway) Cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.Cut()
	}
}

// Close takes the gateway down and waits until nothing of it runs. Handlers must have returned or end by their conn's
// end.
func (g *Gateway) Close() {
	g.SetDown(true)
	g.goroutines.Wait()
}
