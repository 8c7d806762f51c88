package api

import (
	"context"
	"sync"
	"syscall/js"
)

// Port makes a Conn of a Worker, a MessagePort, or (in a worker) the global scope. Messages that are no frames are left
// to others. Close removes the listener; it neither closes the port nor ends the worker.
func Port(target js.Value) Conn {
	p := &port{inbox: newInbox()}
	p.post = func(message js.Value, transfer []any) error {
		return tried(func() { target.Call("postMessage", message, transfer) })
	}
	listener := js.FuncOf(func(_ js.Value, a []js.Value) any {
		if f, ok := frameOf(a[0].Get("data")); ok {
			p.put(f)
		}
		return nil
	})
	target.Call("addEventListener", "message", listener)
	if start := target.Get("start"); start.Type() == js.TypeFunction {
		target.Call("start") // a MessagePort holds its messages back until then
	}
	p.stop = func() {
		target.Call("removeEventListener", "message", listener)
		listener.Release()
	}
	return p
}

// port is a Conn over something that posts messages.
type port struct {
	*inbox
	post func(message js.Value, transfer []any) error
	stop func()
	once sync.Once
}

var _ Conn = (*port)(nil)

func (p *port) Send(f Frame) error {
	if p.isClosed() {
		return ErrClosed
	}
	message, transfer := messageOf(f)
	return p.post(message, transfer)
}

func (p *port) Close() error {
	p.once.Do(func() {
		p.close()
		p.stop()
	})
	return nil
}

// inbox holds frames that came and were not received yet. The browser gives no way to slow a sender down, and what a
// page or engine sends is bounded by what is asked of it, so it has no bound of its own.
type inbox struct {
	mu     sync.Mutex
	frames []Frame
	closed bool
	signal chan struct{}
}

func newInbox() *inbox { return &inbox{signal: make(chan struct{}, 1)} }

func (b *inbox) put(f Frame) {
	b.mu.Lock()
	if !b.closed {
		b.frames = append(b.frames, f)
	}
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wake()
}

func (b *inbox) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *inbox) wake() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

func (b *inbox) Receive(ctx context.Context) (Frame, error) {
	for {
		b.mu.Lock()
		if len(b.frames) > 0 {
			f := b.frames[0]
			b.frames[0] = Frame{}
			b.frames = b.frames[1:]
			b.mu.Unlock()
			return f, nil
		}
		closed := b.closed
		b.mu.Unlock()
		if closed {
			b.wake() // for a Receive after this one
			return Frame{}, ErrClosed
		}
		select {
		case <-b.signal:
		case <-ctx.Done():
			return Frame{}, ctx.Err()
		}
	}
}

// messageOf is a frame as the array that Frame's comment describes, and the buffers that go over without a copy.
func messageOf(f Frame) (message js.Value, transfer []any) {
	var blob any
	transfer = []any{}
	if f.Blob != nil {
		octets := js.Global().Get("Uint8Array").New(len(f.Blob))
		js.CopyBytesToJS(octets, f.Blob)
		blob = octets
		transfer = append(transfer, octets.Get("buffer"))
	}
	return js.ValueOf([]any{float64(f.ID), int(f.Kind), f.Method, string(f.Body), blob}), transfer
}

// frameOf reads a frame; what is not of its shape is none.
func frameOf(v js.Value) (Frame, bool) {
	array := js.Global().Get("Array")
	if v.Type() != js.TypeObject || !array.Call("isArray", v).Bool() || v.Length() != 5 {
		return Frame{}, false
	}
	id, kind, method, body, blob := v.Index(0), v.Index(1), v.Index(2), v.Index(3), v.Index(4)
	if id.Type() != js.TypeNumber || kind.Type() != js.TypeNumber || method.Type() != js.TypeString || body.Type() != js.TypeString {
		return Frame{}, false
	}
	f := Frame{ID: uint64(id.Float()), Kind: Kind(kind.Int()), Method: method.String()}
	if s := body.String(); s != "" {
		f.Body = []byte(s)
	}
	if blob.Type() == js.TypeObject && blob.InstanceOf(js.Global().Get("Uint8Array")) {
		f.Blob = make([]byte, blob.Length())
		js.CopyBytesToGo(f.Blob, blob)
	}
	return f, true
}

// tried turns what JavaScript throws (a port whose buffer cannot be cloned) into a Problem.
func tried(fn func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			e, ok := v.(js.Error)
			if !ok {
				panic(v)
			}
			err = &Problem{Code: CodeInternal, Technical: "postMessage: " + e.Error()}
		}
	}()
	fn()
	return nil
}
