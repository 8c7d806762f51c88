package bridge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// session is one client's WebSocket.
type session struct {
	b       *Bridge
	id      string
	client  netip.Prefix
	log     *slog.Logger
	tooMany bool // over the client's limit: to be told so

	ctx    context.Context // of its lookups and dials
	cancel context.CancelFunc

	welcomed chan struct{} // closed when tun is set or never will be
	settle   sync.Once
	tun      *tunnel.ServerSession

	mu       sync.Mutex
	draining bool
	active   int           // streams
	quiet    chan struct{} // closed when draining and none is active
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
func (s *session) serve(ws *websocket.Conn) {
	defer s.survive("session", nil)
	defer s.cancel()
	l := s.b.c.Limits
	tun, err := tunnel.Serve(s.ctx, wsconn.New(ws), s.greet, &tunnel.Options{
		Streams: l.Streams, Handshake: l.Handshake, DeadAfter: l.DeadAfter,
	})
	if err != nil {
		s.log.Info("session refused", "err", err)
		return
	}
	s.tun = tun
	s.settled()
	began := time.Now()
	s.log.Info("session opened", "agent", tun.Hello().Client)
	defer func() {
		s.cancel()
		_ = tun.Close() // and waits for the streams
		s.log.Info("session closed", "err", tun.Err(), "lived", time.Since(began))
	}()
	_ = tun.Each(s.stream)
}

// greet says whether the client is welcome.
func (s *session) greet(ctx context.Context, h wire.Hello) (_ wire.Welcome, err error) {
	defer s.survive("greeting", func() { err = refuse(wire.Internal, "") })
	no := func(reason wire.Reason, detail string) (wire.Welcome, error) {
		s.b.countRefusal(reason)
		return wire.Welcome{}, refuse(reason, detail)
	}
	switch {
	case s.b.isDraining():
		return no(wire.Draining, "the gateway is ending")
	case s.tooMany:
		return no(wire.TooMany, fmt.Sprintf("%d sessions from your address are open", s.b.c.Limits.SessionsPerClient))
	case !sameToken(h.Token, s.b.c.Token):
		delay := time.NewTimer(s.b.c.Limits.TokenDelay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-ctx.Done():
		}
		if h.Token == "" {
			return no(wire.BadToken, "this gateway wants an access token")
		}
		return no(wire.BadToken, "wrong access token")
	}
	return s.b.welcome(s.id), nil
}

// sameToken compares in a time that tells nothing, not even the length.
func sameToken(given, wanted string) bool {
	if wanted == "" {
		return true
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(wanted))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// stream answers an Open, and carries it if the answer is yes.
func (s *session) stream(request *tunnel.Request) {
	defer s.survive("stream", func() { _ = request.Refuse(refuse(wire.Internal, "")) })
	log := s.log.With("target", request.Open.String())
	if !s.begin() {
		s.b.countRefusal(wire.Draining)
		_ = request.Refuse(refuse(wire.Draining, "the gateway is ending"))
		return
	}
	defer s.finish()
	no := s.b.hold(s)
	var target net.Conn
	if no == nil {
		defer s.b.drop(s)
		if s.b.discovery != nil && request.Open == (wire.Open{Service: wire.Discovery}) {
			s.b.discovery.serve(s, request)
			return
		}
		target, no = s.b.connect(s.ctx, request.Open)
	}
	if no != nil {
		s.b.countRefusal(no.Reason)
		log.Info("stream refused", "reason", no.Reason, "detail", no.Detail)
		_ = request.Refuse(no)
		return
	}
	defer target.Close()
	if own := s.b.embedded(request.Open); own != nil && own.Introduce != nil {
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
	r := &relay{
		stream: conn.(*tunnel.Conn), target: target,
		up: &s.b.bytesUp, down: &s.b.bytesDown,
		idle: s.b.c.Limits.IdleTimeout, idleHalf: s.b.c.Limits.HalfClosedTimeout,
	}
	log.Debug("stream opened")
	r.run()
	if r.panicked != nil {
		log.Error("panic", "in", "relay", "panic", r.panicked)
	}
	log.Debug("stream closed", "lived", time.Since(r.began), "idle", r.idledOut.Load())
}

// survive keeps a panic from ending the process: it costs what it happened in. See also the tunnel, which does the same
// beneath yamux.
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

// cut ends the session and its streams at once.
func (s *session) cut() {
	s.cancel()
}
