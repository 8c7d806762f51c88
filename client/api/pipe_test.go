package api

import (
	"context"
	"testing"
)

func TestPipeKeepsWhatWasSentBeforeTheClose(t *testing.T) {
	a, b := Pipe()
	body := []byte("one")
	if err := a.Send(Frame{ID: 1, Body: body}); err != nil {
		t.Fatal(err)
	}
	body[0] = 'X' // the pipe has a copy, as a port would
	a.Close()
	a.Close()
	if f, err := b.Receive(t.Context()); err != nil || string(f.Body) != "one" {
		t.Errorf("got %q, %v", f.Body, err)
	}
	if _, err := b.Receive(t.Context()); err != ErrClosed {
		t.Errorf("after the last frame: %v", err)
	}
	if err := b.Send(Frame{}); err != ErrClosed {
		t.Errorf("sending to a closed end: %v", err)
	}
}

func TestPipeReceiveEndsWithItsContext(t *testing.T) {
	a, _ := Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Receive(ctx); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
