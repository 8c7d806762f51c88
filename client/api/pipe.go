package api

import (
	"bytes"
	"context"
	"sync"
)

// pipeDepth is how many frames one direction of a Pipe holds before Send waits: enough that neither side has to be
// scheduled for each frame, few enough that a test notices a reader that stopped.
const pipeDepth = 64

// Pipe joins a page and an engine in one process: what is sent into one end is received from the other. Bytes are
// copied, as a MessagePort would.
func Pipe() (Conn, Conn) {
	there, back := make(chan Frame, pipeDepth), make(chan Frame, pipeDepth)
	closed := &pipeClosed{done: make(chan struct{})}
	return &pipeEnd{in: back, out: there, closed: closed}, &pipeEnd{in: there, out: back, closed: closed}
}

type pipeClosed struct {
	once sync.Once
	done chan struct{}
}

type pipeEnd struct {
	in     <-chan Frame
	out    chan<- Frame
	closed *pipeClosed
}

func (p *pipeEnd) Send(f Frame) error {
	f.Body, f.Blob = bytes.Clone(f.Body), bytes.Clone(f.Blob)
	select {
	case <-p.closed.done:
		return ErrClosed
	default:
	}
	select {
	case p.out <- f:
		return nil
	case <-p.closed.done:
		return ErrClosed
	}
}

func (p *pipeEnd) Receive(ctx context.Context) (Frame, error) {
	select {
	case f := <-p.in:
		return f, nil
	default:
	}
	select {
	case f := <-p.in:
		return f, nil
	case <-ctx.Done():
		return Frame{}, ctx.Err()
	case <-p.closed.done:
		select { // what was sent before the close
		case f := <-p.in:
			return f, nil
		default:
			return Frame{}, ErrClosed
		}
	}
}

func (p *pipeEnd) Close() error {
	p.closed.once.Do(func() { close(p.closed.done) })
	return nil
}
