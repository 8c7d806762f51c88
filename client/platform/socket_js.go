package platform

import (
	"context"
	"fmt"
	"sync"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// Socket is a WebSocket of the browser's that carries binary messages (RFC 6455): what tunnel.MessageConn asks for.
//
// It is written straight onto the browser's own. A WebSocket library for Go brings net/http along, which is 0.1 MB of the
// engine for nothing that a browser has not, and copies each message once more.
type Socket struct {
	ws   js.Value
	most int
	stop []func()

	came   chan struct{} // there may be something in queue; holds one
	closed chan struct{}
	once   sync.Once
	err    error // why it is closed; of closed

	mu    sync.Mutex
	queue []js.Value // the messages that nobody has read, as ArrayBuffers (or strings)

	buf []byte // of the last message, used again for the next
}

// The codes of RFC 6455 section 7.4. A page may give 1000 or one of 3000 to 4999, so the others are given with 3000 added.
const (
	closeNormal      = 1000
	closeUnsupported = 3000 + 1003
	closeTooBig      = 3000 + 1009
)

// DialSocket opens a WebSocket and waits until it is open. Messages longer than most octets close it.
func DialSocket(ctx context.Context, url, subprotocol string, most int) (*Socket, error) {
	s := &Socket{most: most, came: make(chan struct{}, 1), closed: make(chan struct{})}
	kind := js.Global().Get("FarSocket") // of worker.js; where there is none, messages come no faster than they are read
	if kind.IsUndefined() {
		kind = js.Global().Get("WebSocket")
	}
	if err := promise.Try(func() { s.ws = kind.New(url, subprotocol) }); err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	s.ws.Set("binaryType", "arraybuffer")
	opened := make(chan struct{})
	s.stop = []func(){
		listen(s.ws, "open", func(js.Value) { close(opened) }),
		listen(s.ws, "message", func(e js.Value) { s.message(e.Get("data")) }),
		listen(s.ws, "close", func(e js.Value) { // comes after every error, too, which has no words of its own
			s.end(fmt.Errorf("websocket: closed with %d %s", e.Get("code").Int(), e.Get("reason").String()))
		}),
	}
	select {
	case <-opened:
		return s, nil
	case <-s.closed:
		return nil, s.err
	case <-ctx.Done():
		s.close(closeNormal, "")
		return nil, ctx.Err()
	}
}

func (s *Socket) message(data js.Value) {
	s.mu.Lock()
	s.queue = append(s.queue, data)
	s.mu.Unlock()
	notify(s.came)
}

// end tells whoever reads and writes that it is over.
func (s *Socket) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.closed)
		for _, stop := range s.stop {
			stop()
		}
	})
}

// close asks the browser to close. Its close event comes when the peer has answered, or a time of the browser's own
// choosing later when the network is gone; nobody waits for it.
func (s *Socket) close(code int, reason string) {
	_ = promise.Try(func() { s.ws.Call("close", code, reason) }) // throws for a reason of over 123 octets; then nothing is said
}

// next takes the oldest message. What came before the end is still read.
func (s *Socket) next(ctx context.Context) (js.Value, error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			m := s.queue[0]
			s.queue[0] = js.Undefined() // or the browser would keep it
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return m, nil
		}
		s.queue = nil
		s.mu.Unlock()
		select {
		case <-s.came:
			continue
		default:
		}
		select {
		case <-s.came:
		case <-s.closed:
			return js.Value{}, s.err
		case <-ctx.Done():
			return js.Value{}, ctx.Err()
		}
	}
}

// Read answers the next message. The slice is the reader's until the next Read.
func (s *Socket) Read(ctx context.Context) ([]byte, error) {
	m, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	if m.Type() != js.TypeObject {
		s.close(closeUnsupported, "binary messages only")
		return nil, fmt.Errorf("websocket: a text message")
	}
	n := m.Get("byteLength").Int()
	if n > s.most {
		s.close(closeTooBig, "message too long")
		return nil, fmt.Errorf("websocket: a message of %d octets", n)
	}
	if n > cap(s.buf) {
		s.buf = make([]byte, min(s.most, max(n, 2*cap(s.buf))))
	}
	js.CopyBytesToGo(s.buf[:n], js.Global().Get("Uint8Array").New(m))
	release(m)
	return s.buf[:n], nil
}

// release frees an ArrayBuffer that has been read, by giving its octets away to nobody. Go lets go of what it holds of the
// browser's only when it collects its own garbage, and who writes what comes to a file makes none: a download of 800 MB was
// in memory as a whole.
func release(buffer js.Value) {
	js.Global().Call("structuredClone", nil, map[string]any{"transfer": []any{buffer}})
}

// Write sends a message. It never waits: what the network has not taken, the browser holds. The tunnel's windows bound
// that.
func (s *Socket) Write(_ context.Context, p []byte) error {
	select {
	case <-s.closed:
		return s.err
	default:
	}
	octets := js.Global().Get("Uint8Array").New(len(p))
	js.CopyBytesToJS(octets, p)
	if err := promise.Try(func() { s.ws.Call("send", octets) }); err != nil {
		return fmt.Errorf("websocket: %w", err)
	}
	return nil
}

// Close gives the peer the reason and does not wait for its answer.
func (s *Socket) Close(reason string) error {
	s.close(closeNormal, reason)
	s.end(fmt.Errorf("websocket: closed here"))
	return nil
}
