package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// session is one client's WebSocket.
type session struct {
	b      *Bridge
	id     string
	client netip.Prefix
	log    *slog.Logger
	local  bool               // from this machine itself
	user   string             // who it is, by the proxy's word or by a token; empty: nobody asks
	joined bool               // counted in for its user
	no     *wire.RefusedError // what it is to be told instead of a welcome

	ctx    context.Context // of its lookups and dials
	cancel context.CancelFunc

	welcomed chan struct{} // closed when tun is set or never will be
	settle   sync.Once
	tun      *tunnel.ServerSession

	mu       sync.Mutex
	ws       tunnel.MessageConn // nil until the handshake is answered
	draining bool
	active   int                 // streams
	controls map[uint32]*control // of FTP, by the streams' numbers
	quiet    chan struct{}       // closed when draining and none is active
}

func newSession(b *Bridge, client netip.Prefix) *session {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it does not fail
	s := &session{b: b, id: hex.EncodeToString(id[:]), client: client}
	s.welcomed, s.quiet = make(chan struct{}), make(chan struct{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.log = b.log.With("session", s.id, "client", client.Addr().String())
	return s
}

// settled says that tun is what it will be.
func (s *session) settled() { s.settle.Do(func() { close(s.welcomed) }) }

// serve speaks with the client until the session ends.
func (s *session) serve() {
	defer s.survive("session", nil)
	defer s.cancel()
	l := s.b.c.Limits
	tun, err := tunnel.Serve(s.ctx, s.ws, s.greet, &tunnel.Options{
		Streams: l.Streams, Handshake: l.Handshake, DeadAfter: l.DeadAfter, Refused: s.b.countRefusal,
	})
	if err != nil {
		s.noteBroken(err)
		s.log.Info("session refused", "err", err)
		return
	}
	s.tun = tun
	s.settled()
	began := time.Now()
	if s.user != "" {
		s.log = s.log.With("user", s.user)
	}
	s.log.Info("session opened", "agent", tun.Hello().Client)
	oldAge := time.AfterFunc(l.SessionTime, s.expire)
	defer func() {
		oldAge.Stop()
		s.cancel()
		_ = tun.Close() // and waits for the streams
		s.noteBroken(tun.Err())
		s.log.Info("session closed", "err", tun.Err(), "lived", time.Since(began))
	}()
	_ = tun.Each(s.stream)
}

// greet says whether the client is welcome.
func (s *session) greet(ctx context.Context, h wire.Hello) (_ wire.Welcome, err error) {
	defer s.survive("greeting", func() { err = refuse(wire.Internal, "") })
	no := s.no
	if s.b.isDraining() {
		no = refuse(wire.Draining, "the gateway is ending")
	}
	if no == nil {
		no = s.b.admit(ctx, s, h.Token)
	}
	if no == nil {
		no = s.b.join(s)
	}
	if no != nil {
		s.b.countRefusal(no.Reason)
		return wire.Welcome{}, no
	}
	return s.b.welcome(s.id), nil
}

// noteBroken counts a session that the client's breach of the protocol has ended.
func (s *session) noteBroken(err error) {
	if errors.Is(err, tunnel.ErrProtocol) {
		s.b.broken.Add(1)
	}
}

// stream answers an Open, and carries it if the answer is yes.
func (s *session) stream(request *tunnel.Request) {
	defer s.survive("stream", func() { _ = request.Refuse(refuse(wire.Internal, "")) })
	log := s.log.With("target", request.Open.String())
	if !s.begin() {
		s.b.countRefusal(wire.Draining)
		_ = request.Refuse(refuse(wire.Draining, "this session is ending"))
		return
	}
	defer s.finish()
	no := s.b.hold(s, request.Open.Service == wire.FTPData)
	var target *line
	if no == nil {
		defer s.b.drop(s)
		if s.b.discovery != nil && request.Open == (wire.Open{Service: wire.Discovery}) {
			s.b.discovery.serve(s, request)
			return
		}
		target, no = s.b.connect(s.ctx, s, request.Open)
	}
	if no != nil {
		s.b.countRefusal(no.Reason)
		log.Info("stream refused", "reason", no.Reason, "detail", no.Detail)
		_ = request.Refuse(no)
		return
	}
	defer target.close()
	if own := target.own; own != nil && own.Introduce != nil {
		defer own.Introduce(target.LocalAddr(), s.client.Addr())()
	}
	conn, err := request.Accept()
	if err != nil {
		return
	}
	s.b.streamsTotal.Add(1)
	s.b.streams.Add(1)
	defer s.b.streams.Add(-1)
	defer conn.Close()
	l := &s.b.c.Limits
	r := &relay{
		stream: conn.(*tunnel.Conn), target: target.Conn, greeting: target.greeting,
		sealed: request.Open.Host != "" && sealed[request.Open.Service], awaitTLS: l.GreetingTimeout,
		paces: s.b.paces(s), perSecond: l.BytesPerSecond,
		up: &s.b.bytesUp, down: &s.b.bytesDown, paced: &s.b.paced,
		idle: l.IdleTimeout, idleHalf: l.HalfClosedTimeout, whole: l.StreamTime,
	}
	if request.Open.Service == wire.FTPData {
		r.idle = l.DataIdleTimeout
	}
	if target.control != nil {
		defer s.carry(request.Stream(), target.control, r)()
	}
	log.Debug("stream opened")
	if no = r.run(); no != nil {
		s.b.countRefusal(no.Reason)
		log.Info("stream ended", "reason", no.Reason, "detail", no.Detail)
		request.Withdraw(no)
	}
	if r.panicked != nil {
		log.Error("panic", "in", "relay", "panic", r.panicked)
	}
	log.Debug("stream closed", "lived", time.Since(r.began))
}

// survive keeps a panic from ending the process: it costs what it happened in. See also the tunnel, which does the same for its
// own goroutines.
func (s *session) survive(where string, then func()) {
	if r := recover(); r != nil {
		s.log.Error("panic", "in", where, "panic", r, "stack", string(debug.Stack()))
		if then != nil {
			then()
		}
	}
}

func (s *session) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.active++
	return true
}

func (s *session) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	if s.draining && s.active == 0 {
		close(s.quiet)
	}
}

// drain tells the client to go elsewhere, and ends the session when its streams have ended.
func (s *session) drain() {
	<-s.welcomed
	if s.tun == nil {
		return
	}
	_ = s.tun.Notify(wire.Notice{Kind: wire.NoticeDraining})
	s.mu.Lock()
	if !s.draining && s.active == 0 {
		close(s.quiet)
	}
	s.draining = true
	s.mu.Unlock()
	select {
	case <-s.quiet:
	case <-s.ctx.Done():
	}
	_ = s.tun.Close()
}

// expire drains a session that has lasted long enough. Its streams end by their own time.
func (s *session) expire() {
	s.b.countRefusal(wire.Expired)
	s.log.Info("session has lasted long enough")
	s.drain()
}

// farewell is how long the goodbyes of a session that is cut may take. Without a bound of its own they would take the tunnel's
// five seconds and the WebSocket's five: a client that is gone, or stays on purpose, would keep the gateway from ending in time.
const farewell = 500 * time.Millisecond

// hangUpper is a MessageConn that can be closed without a word to its peer, and ends whoever waits for one there.
type hangUpper interface{ HangUp() }

// begins gives the session its WebSocket.
func (s *session) begins(ws tunnel.MessageConn) {
	s.mu.Lock()
	s.ws = ws
	s.mu.Unlock()
	if s.ctx.Err() != nil { // it was cut while the handshake was answered
		s.cut()
	}
}

// cut ends the session and its streams at once.
func (s *session) cut() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ws, ok := s.ws.(hangUpper); ok {
		time.AfterFunc(farewell, ws.HangUp)
	}
}
