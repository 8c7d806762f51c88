package render

import (
	"fmt"
	"time"

	"github.com/vugu/vugu"
)

// Options are a renderer's settings; nil is the zero Options.
type Options struct {
	// Rooted, if set, is asked for the path on the host of each href and src that begins with a slash.
	Rooted func(path string) string
	// OnPanic is told of each panic that was caught: in a handler, a build, an update or a patch. Without it the panic
	// is written to the browser's console. It runs on the goroutine that panicked, outside the lock.
	OnPanic func(*PanicError)
	// OnRender is called after each render, inside the lock, and told how long building and patching took.
	OnRender func(took time.Duration)
}

// PanicError is a panic that the renderer caught.
type PanicError struct {
	Where string // "handler click", "build", "patch", "update"
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.Where, e.Value) }

// Unwrap gives the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// renderedPlain and renderedContext are vugu's life-cycle hooks of a component: called after each render in which it
// stands in the page.
type (
	renderedPlain   interface{ Rendered() }
	renderedContext interface{ Rendered(vugu.RenderedCtx) }
)

var _ vugu.RenderedCtx = (*renderedCtx)(nil)

type renderedCtx struct {
	env   vugu.EventEnv
	first bool
}

func (c *renderedCtx) EventEnv() vugu.EventEnv { return c.env }
func (c *renderedCtx) First() bool             { return c.first }
