package api

import (
	"context"
	"sync"
	"syscall/js"
	"time"
)

// The tabs that do not hold the engine speak to it over a BroadcastChannel, on which everybody hears everything. Each
// message is an array that begins with what it is:
//
//	["here", engine]         an engine has started; whoever spoke to another one starts over
//	["hello", tab]           a tab asks for the engine
//	["welcome", tab, engine] the engine answers; from now on frames pass
//	["up", tab, frame]       from the tab to the engine
//	["down", tab, frame]     from the engine to the tab
//	["bye", tab]             the tab goes
//	["gone", engine]         the engine goes
const (
	wordHere    = "here"
	wordHello   = "hello"
	wordWelcome = "welcome"
	wordUp      = "up"
	wordDown    = "down"
	wordBye     = "bye"
	wordGone    = "gone"
)

// helloAgain is how often a tab that hears nothing asks again: an engine that starts says so itself, so this only mends
// what was lost while either side was suspended.
const helloAgain = time.Second

// DialBroadcast waits until an engine on the channel answers, as the tab with that name. The Conn is closed when the
// engine goes, or another one takes its place.
func DialBroadcast(ctx context.Context, channel, tab string) (Conn, error) {
	ch := newChannel(channel)
	p := &port{inbox: newInbox()}
	welcomed := make(chan struct{})
	var engine string
	p.post = func(message js.Value, _ []any) error {
		return tried(func() { ch.post(wordUp, tab, message) })
	}
	p.stop = func() {
		if !ch.closed {
			ch.post(wordBye, tab)
		}
		ch.close()
	}
	ch.hear(func(word, name string, rest js.Value) {
		switch {
		case word == wordWelcome && name == tab && engine == "":
			engine = rest.Index(2).String()
			close(welcomed)
		case word == wordDown && name == tab && engine != "":
			if f, ok := frameOf(rest.Index(2)); ok {
				p.put(f)
			}
		case word == wordHere && engine == "":
			ch.post(wordHello, tab)
		case word == wordHere && name != engine, word == wordGone && name == engine:
			p.close()
		}
	})
	again := time.NewTicker(helloAgain)
	defer again.Stop()
	for {
		ch.post(wordHello, tab)
		select {
		case <-welcomed:
			return p, nil
		case <-again.C:
		case <-ctx.Done():
			ch.close()
			return nil, ctx.Err()
		}
	}
}

// ServeBroadcast answers the tabs on the channel until ctx ends: serve is called for each of them on a goroutine of its
// own with a Conn that is closed when the tab goes. alive, which may be nil, waits until the tab with that name is gone,
// for the tab that could not say bye.
func ServeBroadcast(ctx context.Context, channel, engine string, alive func(ctx context.Context, tab string), serve func(Conn)) {
	ch := newChannel(channel)
	tabs := map[string]*port{}
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	drop := func(tab string) {
		if p := tabs[tab]; p != nil {
			delete(tabs, tab)
			p.close()
		}
	}
	ch.hear(func(word, tab string, rest js.Value) {
		switch word {
		case wordHello:
			drop(tab) // it starts over: nobody waits for what was under way
			p := &port{inbox: newInbox(), stop: func() {}}
			p.post = func(message js.Value, _ []any) error {
				return tried(func() { ch.post(wordDown, tab, message) })
			}
			tabs[tab] = p
			ch.post(wordWelcome, tab, engine)
			work.Go(func() { serve(p) })
			if alive != nil {
				work.Go(func() {
					alive(ctx, tab)
					if tabs[tab] == p {
						drop(tab)
					}
				})
			}
		case wordUp:
			if p := tabs[tab]; p != nil {
				if f, ok := frameOf(rest.Index(2)); ok {
					p.put(f)
				}
			}
		case wordBye:
			drop(tab)
		}
	})
	ch.post(wordHere, engine)
	<-ctx.Done()
	ch.post(wordGone, engine)
	ch.close()
	for tab := range tabs {
		drop(tab)
	}
	work.Wait()
}

// channel is a BroadcastChannel that hears the words above and nothing else.
type channel struct {
	js       js.Value
	listener js.Func
	closed   bool
}

func newChannel(name string) *channel {
	return &channel{js: js.Global().Get("BroadcastChannel").New(name)}
}

func (c *channel) hear(fn func(word, name string, message js.Value)) {
	array := js.Global().Get("Array")
	c.listener = js.FuncOf(func(_ js.Value, a []js.Value) any {
		m := a[0].Get("data")
		if c.closed || !array.Call("isArray", m).Bool() || m.Length() < 2 {
			return nil
		}
		word, name := m.Index(0), m.Index(1)
		if word.Type() == js.TypeString && name.Type() == js.TypeString {
			fn(word.String(), name.String(), m)
		}
		return nil
	})
	c.js.Call("addEventListener", "message", c.listener)
}

func (c *channel) post(words ...any) {
	if !c.closed {
		c.js.Call("postMessage", words)
	}
}

func (c *channel) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.js.Call("close")
	if !c.listener.IsUndefined() {
		c.listener.Release()
	}
}
