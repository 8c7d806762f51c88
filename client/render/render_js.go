package render

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"syscall/js"
	"time"

	"github.com/vugu/vugu"
)

// ErrNoMount says that the selector given to New matches nothing.
var ErrNoMount = errors.New("render: no element to render into")

// hiddenDelay is how long, in milliseconds, a render waits for an animation frame before a timer does its work: a
// hidden tab gets no frames, and must still follow (its title counts unread messages).
const hiddenDelay = 250

// Renderer keeps the content of one element equal to what a root component builds.
//
// One lock guards the application's state. Handlers of DOM events run with it held; everything else that reads or
// changes state does so in Update. Neither may block, or wait for the browser: while the lock is held nothing is drawn.
type Renderer struct {
	selector string
	opts     Options

	mu   sync.RWMutex
	dom  *jsDocument
	tree *tree[js.Value]
	seen map[any]bool // components whose Rendered has been called

	asked   chan struct{} // holds one token when a render is due
	late    bool          // one is going to be, by Later
	drawing bool
	after   []func() // what happened while drawing, to be run with the lock held
}

// New makes a renderer into the first element that matches selector. What the element holds (a shell painted before
// any of this was loaded) is replaced at the first render. New touches nothing; Run does.
func New(selector string, o *Options) *Renderer {
	r := &Renderer{selector: selector, asked: make(chan struct{}, 1), seen: map[any]bool{}}
	if o != nil {
		r.opts = *o
	}
	return r
}

// EventEnv is the renderer's lock in vugu's terms.
func (r *Renderer) EventEnv() vugu.EventEnv { return eventEnv{r} }

// Update runs fn with the lock held and asks for a render. It is not reentrant. A panic in fn is reported.
func (r *Renderer) Update(fn func()) {
	r.mu.Lock()
	failure := caught("update", fn)
	r.mu.Unlock()
	r.report(failure)
	r.Request()
}

// Listen runs fn for an event that came from outside the components (the window's keydown, say): at once when the lock
// is free, so that fn can still prevent the default, else as soon as it is. It never blocks the browser's event loop.
// It asks for a render.
func (r *Renderer) Listen(where string, fn func()) {
	switch {
	case r.drawing: // removing or moving a node fired an event; the drawer holds the lock
		r.after = append(r.after, fn)
	case r.mu.TryLock():
		failure := caught(where, fn)
		r.mu.Unlock()
		r.report(failure)
		r.Request()
	default: // a goroutine was suspended inside an Update
		go func() {
			r.mu.Lock()
			failure := caught(where, fn)
			r.mu.Unlock()
			r.report(failure)
			r.Request()
		}()
	}
}

// Request asks for a render at the next animation frame. Any number of requests before it make one render.
func (r *Renderer) Request() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// laterDelay is how long what nobody waits for may stay undrawn.
const laterDelay = 200 * time.Millisecond

// Later is Update for what nobody waits to see: all that comes within a moment is drawn at once.
func (r *Renderer) Later(fn func()) {
	r.mu.Lock()
	failure := caught("later", fn)
	due := !r.late
	r.late = true
	r.mu.Unlock()
	r.report(failure)
	if due {
		time.AfterFunc(laterDelay, func() { r.Update(func() { r.late = false }) })
	}
}

// Run renders root at once, and then whenever asked, until ctx ends. What stands in the page stays.
func (r *Renderer) Run(ctx context.Context, env *vugu.BuildEnv, root vugu.Builder) error {
	mount := js.Global().Get("document").Call("querySelector", r.selector)
	if !mount.Truthy() {
		return ErrNoMount
	}
	r.dom = newDocument(r.dispatch, r.Request)
	r.dom.rooted = r.opts.Rooted
	defer r.dom.close()
	r.tree = newTree[js.Value](r.dom, mount)

	frame := newFrame()
	defer frame.release()
	for {
		r.draw(env, root)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.asked:
		}
		if err := frame.wait(ctx); err != nil {
			return err
		}
		select { // what was asked while waiting is in this frame
		case <-r.asked:
		default:
		}
	}
}

// draw builds and patches once.
func (r *Renderer) draw(env *vugu.BuildEnv, root vugu.Builder) {
	r.mu.Lock()
	r.drawing = true
	began := time.Now()
	var built *vugu.BuildResults
	failure := caught("build", func() { built = env.RunBuild(root) })
	if failure == nil {
		fresh := r.tree.kids == nil
		failure = caught("patch", func() {
			if fresh {
				r.tree.mount.Set("textContent", "")
			}
			r.tree.render(built)
			r.invokeRendered()
			if r.opts.OnRender != nil {
				r.opts.OnRender(time.Since(began))
			}
		})
		if failure != nil {
			// Somebody else (an extension, a translator) changed what we hold, or a component's code failed halfway:
			// what stands there is not known any more, so it is all made anew, once.
			r.tree.reset()
			if !fresh {
				r.Request()
			}
		}
	}
	r.drawing = false
	after := r.after
	r.after = nil
	var late []*PanicError
	for _, fn := range after {
		if f := caught("handler", fn); f != nil {
			late = append(late, f)
		}
	}
	r.mu.Unlock()
	if len(after) > 0 {
		r.Request()
	}
	r.report(failure)
	for _, f := range late {
		r.report(f)
	}
}

// invokeRendered calls the components' Rendered hooks. vugu's own renderer does so for the root's children alone.
func (r *Renderer) invokeRendered() {
	if len(r.tree.rendered) == 0 && len(r.seen) == 0 {
		return
	}
	now := make(map[any]bool, len(r.tree.rendered))
	for _, c := range r.tree.rendered {
		now[c] = true
		switch h := c.(type) {
		case renderedPlain:
			h.Rendered()
		case renderedContext:
			h.Rendered(&renderedCtx{env: r.EventEnv(), first: !r.seen[c]})
		}
	}
	r.seen = now
}

// dispatch is called by the browser for every event that a component listens to.
func (r *Renderer) dispatch(value js.Value, capture bool) {
	current := value.Get("currentTarget")
	eventType := value.Get("type").String()
	handlers := r.tree.handlers(identity(current), eventType, capture)
	if len(handlers) == 0 {
		return
	}
	if eventType == "input" || eventType == "change" {
		r.tree.touch(identity(value.Get("target")))
	}
	e := &event{value: value, current: current, env: r.EventEnv()}
	r.Listen("handler "+eventType, func() {
		for _, h := range handlers {
			h(e)
		}
	})
}

// caught runs fn and returns its panic.
func caught(where string, fn func()) (failure *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			failure = &PanicError{Where: where, Value: v, Stack: debug.Stack()}
		}
	}()
	fn()
	return nil
}

func (r *Renderer) report(failure *PanicError) {
	if failure == nil {
		return
	}
	if r.opts.OnPanic == nil {
		js.Global().Get("console").Call("error", failure.Error()+"\n"+string(failure.Stack))
		return
	}
	r.opts.OnPanic(failure)
}

// eventEnv gives vugu's components the renderer's lock.
type eventEnv struct{ r *Renderer }

func (e eventEnv) Lock()         { e.r.mu.Lock() }
func (e eventEnv) UnlockOnly()   { e.r.mu.Unlock() }
func (e eventEnv) UnlockRender() { e.r.mu.Unlock(); e.r.Request() }
func (e eventEnv) RLock()        { e.r.mu.RLock() }
func (e eventEnv) RUnlock()      { e.r.mu.RUnlock() }

// frame waits for the browser's animation frames.
type frame struct {
	window js.Value
	tick   js.Func
	now    chan struct{}
}

func newFrame() *frame {
	f := &frame{window: js.Global(), now: make(chan struct{}, 1)}
	f.tick = js.FuncOf(func(js.Value, []js.Value) any {
		select {
		case f.now <- struct{}{}:
		default:
		}
		return nil
	})
	return f
}

func (f *frame) wait(ctx context.Context) error {
	raf := f.window.Call("requestAnimationFrame", f.tick)
	timer := f.window.Call("setTimeout", f.tick, hiddenDelay)
	defer func() {
		f.window.Call("cancelAnimationFrame", raf)
		f.window.Call("clearTimeout", timer)
	}()
	select {
	case <-f.now:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *frame) release() { f.tick.Release() }
