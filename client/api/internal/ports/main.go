//go:build js

// Ports is the program of the port's browser test.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/internal/browsertest/program"
)

// frames are what must arrive as it was sent.
var frames = []api.Frame{
	{ID: 1, Kind: api.KindCall, Method: "List", Body: []byte(`{"a":"日本語 😀 \u0000"}`)},
	{ID: 1<<53 - 1, Kind: api.KindReply},
	{ID: 0, Kind: api.KindEvent, Body: []byte(`{}`)},
	{ID: 7, Kind: api.KindReply, Body: []byte(`null`), Blob: bytes.Repeat([]byte{0, 255, 128}, 1<<20)},
	{ID: 8, Kind: api.KindReply, Blob: []byte{}},
	{ID: 9, Kind: api.KindCancel},
}

func exchange(ctx context.Context, near, far api.Conn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, f := range frames {
		want := f
		want.Blob = bytes.Clone(f.Blob)
		if err := near.Send(f); err != nil {
			return "", err
		}
		got, err := far.Receive(ctx)
		if err != nil {
			return "", err
		}
		if !reflect.DeepEqual(got, want) {
			return "", fmt.Errorf("frame %d came as %.100v", f.ID, got)
		}
	}
	return "ok", nil
}

func main() {
	program.Main(map[string]program.Case{
		"exchange": func(ctx context.Context, _ string) (string, error) {
			c := js.Global().Get("MessageChannel").New()
			near, far := api.Port(c.Get("port1")), api.Port(c.Get("port2"))
			defer near.Close()
			defer far.Close()
			// What is no frame is somebody else's.
			for _, junk := range []any{nil, "text", 7, []any{}, []any{1, 2, 3, 4, 5}, []any{"ready"}, map[string]any{"length": 5}} {
				c.Get("port1").Call("postMessage", junk)
			}
			if s, err := exchange(ctx, near, far); err != nil {
				return s, err
			}
			return exchange(ctx, far, near)
		},
		"closed": func(ctx context.Context, _ string) (string, error) {
			c := js.Global().Get("MessageChannel").New()
			near := api.Port(c.Get("port1"))
			waits := make(chan error, 1)
			go func() { _, err := near.Receive(ctx); waits <- err }()
			near.Close()
			near.Close()
			errs := []error{<-waits, near.Send(api.Frame{ID: 1, Kind: api.KindCall})}
			_, err := near.Receive(ctx)
			for _, err := range append(errs, err) {
				if !errors.Is(err, api.ErrClosed) {
					return "", fmt.Errorf("after Close: %v", err)
				}
			}
			ended, cancel := context.WithCancel(ctx)
			cancel()
			other := api.Port(c.Get("port2"))
			defer other.Close()
			if _, err := other.Receive(ended); !errors.Is(err, context.Canceled) {
				return "", fmt.Errorf("after the end of its context: %v", err)
			}
			return "ok", nil
		},
		// broadcast serves two tabs, one of which goes without a word.
		"broadcast": func(ctx context.Context, _ string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			early := make(chan api.Conn, 1) // dialled before there is an engine
			go func() {
				c, err := api.DialBroadcast(ctx, "test", "early")
				if err == nil {
					early <- c
				}
			}()
			time.Sleep(20 * time.Millisecond)

			served := make(chan api.Conn, 2)
			gone := make(chan struct{})
			serve, stop := context.WithCancel(ctx)
			defer stop()
			done := make(chan struct{})
			go func() {
				defer close(done)
				api.ServeBroadcast(serve, "test", "engine-1", func(ctx context.Context, tab string) {
					if tab == "silent" {
						<-gone
					} else {
						<-ctx.Done()
					}
				}, func(c api.Conn) {
					served <- c
					<-serve.Done()
				})
			}()
			one := <-early
			oneServed := <-served
			if s, err := exchange(ctx, one, oneServed); err != nil {
				return s, err
			}
			silent, err := api.DialBroadcast(ctx, "test", "silent")
			if err != nil {
				return "", err
			}
			silentServed := <-served
			if s, err := exchange(ctx, silentServed, silent); err != nil {
				return s, err
			}
			close(gone)
			if _, err := silentServed.Receive(ctx); !errors.Is(err, api.ErrClosed) {
				return "", fmt.Errorf("a tab that is gone: %v", err)
			}
			one.Close()
			if _, err := oneServed.Receive(ctx); !errors.Is(err, api.ErrClosed) {
				return "", fmt.Errorf("a tab that said bye: %v", err)
			}
			last, err := api.DialBroadcast(ctx, "test", "last")
			if err != nil {
				return "", err
			}
			<-served
			stop()
			<-done
			if _, err := last.Receive(ctx); !errors.Is(err, api.ErrClosed) {
				return "", fmt.Errorf("the engine is gone: %v", err)
			}
			return "ok", nil
		},
		"calls": func(ctx context.Context, _ string) (string, error) {
			c := js.Global().Get("MessageChannel").New()
			near, far := api.Port(c.Get("port1")), api.Port(c.Get("port2"))
			go api.Serve(ctx, far, service{}, service{})
			client := api.NewClient(near, nil)
			go client.Run(ctx)
			defer client.Close()
			defer far.Close()
			began := time.Now()
			const n = 200
			for range n {
				if _, err := client.Status(ctx); err != nil {
					return "", err
				}
			}
			each := time.Since(began) / n
			began = time.Now()
			b, err := client.Source(ctx, api.MessageRef{})
			if err != nil || len(b) != 16<<20 {
				return "", fmt.Errorf("%d octets, %v", len(b), err)
			}
			return fmt.Sprintf("%v a call, 16 MB in %v", each, time.Since(began)), nil
		},
	})
}

type service struct{ api.Service }

func (service) Status(context.Context) (api.Status, error) {
	return api.Status{Version: strings.Repeat("v", 100)}, nil
}
func (service) Source(context.Context, api.MessageRef) ([]byte, error) {
	return make([]byte, 16<<20), nil
}
func (service) Subscribe(func(api.Event)) func() { return func() {} }
