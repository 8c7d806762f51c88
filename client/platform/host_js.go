package platform

import (
	"context"
	"sync"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/api"
	json "github.com/postern-mail/postern/client/internal/wirejson"
)

// The names that the tabs of one origin share.
const (
	engineLock    = "postern-engine"
	engineChannel = "postern-engine"
)

// A worker that fails is started again after a while that doubles, so that an engine that fails at every start does not
// keep the processor busy. A worker that ran for restartCalm begins anew.
const (
	restartMin  = 500 * time.Millisecond
	restartMax  = 30 * time.Second
	restartCalm = time.Minute
)

// What a worker says to its page besides frames: an array of the word and, for a problem, its JSON.
const (
	wordReady  = "ready"  // the engine answers from now on
	wordNotice = "notice" // something is wrong that no call can tell
	wordFatal  = "fatal"  // why the worker ends
)

// Host finds the engine for a page: in the worker that this tab starts, when it has the lock, else in another tab's.
type Host struct {
	// Worker is the URL of the worker's script, Engine that of its WebAssembly, both from this origin.
	Worker, Engine string
	// Attach is called with each way to the engine, one after the other, and returns when that one is closed or ctx
	// ends. Each new way means that the engine may be another one, and that events may have been missed. While there is
	// no engine because of a fault, the way is one over which every call fails and says why.
	Attach func(ctx context.Context, conn api.Conn)
	// Notice is told what the engine has to say outside of calls.
	Notice func(*api.Problem)
}

// Run works until ctx ends. A page in the back-forward cache holds neither lock nor worker; when it comes back, it
// takes part again.
func (h *Host) Run(ctx context.Context) error {
	shown, hidden := make(chan struct{}, 1), make(chan struct{}, 1)
	defer listen(js.Global(), "pagehide", func(js.Value) { notify(hidden) })()
	defer listen(js.Global(), "pageshow", func(e js.Value) {
		if e.Get("persisted").Bool() {
			notify(shown)
		}
	})()
	for {
		visit, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); h.visit(visit) }()
		select {
		case <-hidden:
		case <-ctx.Done():
		}
		cancel()
		<-done // all that can be let go of without waiting is let go of before the page freezes
		select {
		case <-shown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// visit is the time between two freezes of the page.
func (h *Host) visit(ctx context.Context) {
	release, err := lock(ctx, engineLock, true)
	if err == nil {
		h.lead(ctx, release)
		return
	}
	if ctx.Err() != nil {
		return
	}
	// Somebody leads: speak to them, and stand in line.
	follow, stop := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { h.follow(follow) })
	release, err = lock(ctx, engineLock, false)
	stop()
	following.Wait()
	if err == nil {
		h.lead(ctx, release)
	}
}

// follow speaks to the engine of another tab.
func (h *Host) follow(ctx context.Context) {
	tab := randomName()
	here, err := lock(ctx, tabLock(tab), true)
	if err != nil {
		return
	}
	defer here()
	for ctx.Err() == nil {
		conn, err := api.DialBroadcast(ctx, engineChannel, tab)
		if err != nil {
			return
		}
		h.Attach(ctx, conn)
		conn.Close()
	}
}

// lead runs the engine in a worker of this tab.
func (h *Host) lead(ctx context.Context, release func()) {
	defer release()
	wait := restartMin
	for ctx.Err() == nil {
		began := time.Now()
		problem := h.work(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > restartCalm {
			wait = restartMin
		}
		h.wait(ctx, problem, wait)
		wait = min(2*wait, restartMax)
	}
}

// wait lets time pass before the next try, and tells every call meanwhile why there is no engine.
func (h *Host) wait(ctx context.Context, problem *api.Problem, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	conn := Broken(problem)
	defer conn.Close()
	h.Attach(ctx, conn)
	<-ctx.Done()
}

// work is the life of one worker; it answers why the worker ended.
func (h *Host) work(ctx context.Context) *api.Problem {
	worker := js.Global().Get("Worker").New(h.Worker + "?wasm=" + js.Global().Call("encodeURIComponent", h.Engine).String())
	defer worker.Call("terminate")
	ready := make(chan struct{}, 1)
	failed := make(chan *api.Problem, 1)
	fail := func(p *api.Problem) {
		select {
		case failed <- p:
		default:
		}
	}
	var told *api.Problem // it says better why the worker ended than the end of the worker does
	defer listen(worker, "message", func(e js.Value) {
		word, rest := wordsOf(e.Get("data"))
		switch word {
		case wordReady:
			notify(ready)
		case wordNotice, wordFatal:
			p := &api.Problem{}
			if json.Unmarshal([]byte(rest), p) != nil {
				return
			}
			if word == wordFatal {
				told = p
			} else {
				go h.Notice(p)
			}
		}
	})()
	defer listen(worker, "error", func(e js.Value) {
		e.Call("preventDefault")
		reason := "the worker could not be loaded"
		if m := e.Get("message"); m.Type() == js.TypeString {
			reason = m.String()
		}
		fail(&api.Problem{Code: api.CodeInternal, Detail: "The mail engine stopped and is being started again", Technical: reason})
	})()

	select {
	case <-ready:
	case p := <-failed:
		if told != nil {
			return told
		}
		return p
	case <-ctx.Done():
		return nil
	}
	conn := api.Port(worker)
	life, cancel := context.WithCancel(ctx)
	var attached sync.WaitGroup
	attached.Go(func() { h.Attach(life, conn) })
	defer func() {
		cancel()
		conn.Close()
		attached.Wait()
	}()
	select {
	case p := <-failed:
		if told != nil {
			return told
		}
		return p
	case <-ctx.Done():
		return nil
	}
}

// wordsOf reads a message of the shape [word] or [word, text].
func wordsOf(m js.Value) (word, rest string) {
	if m.Type() != js.TypeObject || !js.Global().Get("Array").Call("isArray", m).Bool() || m.Length() == 0 || m.Length() > 2 {
		return "", ""
	}
	if w := m.Index(0); w.Type() == js.TypeString {
		word = w.String()
	}
	if m.Length() == 2 && m.Index(1).Type() == js.TypeString {
		rest = m.Index(1).String()
	}
	return word, rest
}
