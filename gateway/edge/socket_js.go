package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall/js"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// Socket is the gateway's end of a WebSocketPair: a tunnel.MessageConn.
type Socket struct {
	ws     js.Value
	came   chan struct{} // there may be something in queue; holds one
	closed chan struct{}

	mu     sync.Mutex
	queue  []js.Value // ArrayBuffers that nobody has read, or strings
	queued int        // what they cost, in bytes
	cause  error      // why it is closed

	buf []byte // of the last message, used again for the next
	out lent
}

var _ tunnel.Unpaced = (*Socket)(nil)

// The codes of RFC 6455 section 7.4.1.
const (
	closeNormal      = 1000
	closeUnsupported = 1003
	closeTooBig      = 1009
)

// mostQueued is what may have come and not been read. The tunnel reads at once what comes, so an honest client's full
// windows are not in here; it is for one that sends faster than a Worker may run.
const mostQueued = 4 << 20

// perMessage is about what one costs beside its bytes: a client may send any number of empty ones.
const perMessage = 128

var errFlood = fmt.Errorf("%w: more than can be taken", tunnel.ErrProtocol)

// newSocket makes a pair; remote is the client's end, for the answer to its request.
func newSocket() (s *Socket, remote js.Value) {
	pair := js.Global().Get("WebSocketPair").New()
	s = &Socket{ws: pair.Get("1"), came: make(chan struct{}, 1), closed: make(chan struct{})}
	s.ws.Set("binaryType", "arraybuffer") // before accept: from then on messages come as they come
	s.on("message", func(e js.Value) { s.message(e.Get("data")) })
	s.on("close", func(e js.Value) {
		// Answered in kind: the platform does not do it.
		s.end(closeNormal, "", fmt.Errorf("websocket: closed with %d", e.Get("code").Int()))
	})
	s.on("error", func(js.Value) { s.end(closeNormal, "", errors.New("websocket: cut off")) })
	s.ws.Call("accept")
	return s, pair.Get("0")
}

func (s *Socket) on(event string, f func(js.Value)) {
	// Never let go: an event may come after the end, and the instance does not outlive its session.
	s.ws.Call("addEventListener", event, js.FuncOf(func(_ js.Value, args []js.Value) any {
		f(first(args))
		return js.Undefined() // null would be a value, and the platform wonders at it
	}))
}

func (s *Socket) message(data js.Value) {
	happens()
	size := 0
	if data.Type() == js.TypeObject {
		size = data.Get("byteLength").Int()
	} else {
		data = js.Null() // a text, and whatever it says
	}
	s.mu.Lock()
	if s.cause != nil { // the client goes on after the end, and nobody listens
		s.mu.Unlock()
		drop(data)
		return
	}
	s.queue = append(s.queue, data)
	s.queued += size + perMessage
	flood := s.queued > mostQueued
	s.mu.Unlock()
	if flood {
		s.end(closeTooBig, "more than can be taken", errFlood)
		return
	}
	notify(s.came)
}

// end closes it, once. What has come is still read.
func (s *Socket) end(code int, reason string, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = cause
	_, _ = try(func() js.Value { return s.ws.Call("close", code, reason) })
	if cause == errFlood {
		for _, m := range s.queue {
			drop(m)
		}
		s.queue = nil
	}
	close(s.closed)
}

// Done is closed when the WebSocket is.
func (s *Socket) Done() <-chan struct{} { return s.closed }

// InFlight implements tunnel.Unpaced.
func (s *Socket) InFlight() int { return InFlight }

// Read implements tunnel.MessageConn.
func (s *Socket) Read(ctx context.Context) ([]byte, error) {
	m, size, err := s.next(ctx)
	switch {
	case err != nil:
		return nil, err
	case m.IsNull():
		s.end(closeUnsupported, "binary messages only", fmt.Errorf("%w: a text message", tunnel.ErrProtocol))
		return nil, s.why()
	case size > wire.MaxMessage:
		s.end(closeTooBig, "message too long", fmt.Errorf("%w: a message over %d bytes", tunnel.ErrProtocol, wire.MaxMessage))
		return nil, s.why()
	case size > cap(s.buf):
		s.buf = make([]byte, min(wire.MaxMessage, max(size, 2*cap(s.buf))))
	}
	js.CopyBytesToGo(s.buf[:size], uint8Array.New(m))
	drop(m)
	return s.buf[:size], nil
}

// next takes the oldest message.
func (s *Socket) next(ctx context.Context) (m js.Value, size int, err error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			m, s.queue = s.queue[0], s.queue[1:]
			if !m.IsNull() {
				size = m.Get("byteLength").Int()
			}
			s.queued -= size + perMessage
			s.mu.Unlock()
			return m, size, nil
		}
		s.queue = nil // or what is before it is kept for ever
		err := s.cause
		s.mu.Unlock()
		if err != nil {
			return js.Value{}, 0, err
		}
		select {
		case <-s.came:
		case <-s.closed:
		case <-ctx.Done():
			return js.Value{}, 0, ctx.Err()
		}
	}
}

func (s *Socket) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Write implements tunnel.MessageConn. It never waits: what the client does not take, the platform holds.
func (s *Socket) Write(_ context.Context, p []byte) error {
	if err := s.why(); err != nil {
		return err
	}
	happens()
	// The platform takes its copy at once.
	if _, err := try(func() js.Value { return s.ws.Call("send", s.out.of(p)) }); err != nil {
		return fmt.Errorf("websocket: %w", err)
	}
	return nil
}

var errClosedHere = errors.New("websocket: closed here")

// Close implements tunnel.MessageConn. It does not wait for the client's answer.
func (s *Socket) Close(reason string) error {
	s.end(closeNormal, reason, errClosedHere)
	return nil
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
