package ui

import (
	"strconv"

	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Wire is the wire view.
type Wire struct {
	App *view.App

	lines         []wireLine
	before, after int
	ended         bool // the end of what is drawn is on the screen
	held          held
}

// held is a line that was brought to where it can be seen. It stays there while the page finds its measure, until somebody
// scrolls.
type held struct {
	seq         uint64
	top, height float64 // scrollTop and clientHeight with that
}

type wireLine struct {
	api.WireLine
	seq, at, says string
	heading       string // of the connection, where another begins
	same          bool   // the line before is in the same state
	fault         bool   // the failure is about it
	data          string // of a file server: the data connection that it is about
	phase, held   string // and what the server holds of the session, where that is not what it was
}

// Compute runs before each build.
func (c *Wire) Compute() {
	w := &c.App.Wire
	drawn, before, after := w.Drawn()
	c.before, c.after = before, after
	c.lines = wireLines(drawn)
	for i := range c.lines {
		l := &c.lines[i]
		l.fault = l.Seq == w.Marked
		if i == 0 || drawn[i-1].Session != l.Session {
			l.heading = w.Heading(w.SessionOf(l.Session))
		} else {
			l.same = drawn[i-1].State == l.State
		}
		if w.Files() {
			phase, held := view.SplitState(l.State)
			if l.State = phase; l.Data != 0 {
				l.data = strconv.Itoa(l.Data)
			}
			if !l.same {
				l.phase, l.held = phase, held
			}
		}
	}
}

// wireLines are lines of a transcript as they are drawn.
func wireLines(list []api.WireLine) []wireLine {
	lines := make([]wireLine, len(list))
	for i, x := range list {
		lines[i] = wireLine{WireLine: x, seq: strconv.FormatUint(x.Seq, 10), at: view.Stamp(x.At), says: view.Says(x.Who)}
	}
	return lines
}

func (c *Wire) files() any {
	if c.App.Wire.Files() {
		return "true"
	}
	return nil
}

func (c *Wire) open(session uint64) {
	if c.App.Wire.Files() {
		c.App.OpenSiteWire(c.App.Wire.Account, session)
		return
	}
	c.App.OpenWire(c.App.Wire.Account, session)
}

// words are of what went wrong in the connection that is shown alone.
func (c *Wire) words() view.Words {
	if c.App.Wire.Files() {
		return view.FileWords(c.failed())
	}
	return view.WordsFor(c.failed())
}

func (c *Wire) emptyText() string {
	if c.App.Wire.Files() {
		return "What this page and the file server say to each other appears here as it is said, with passwords masked."
	}
	return "What this page and your mail servers say to each other appears here as it is said, with passwords masked."
}

func (c *Wire) pauseText() string {
	if c.App.Wire.Paused {
		return "Go on"
	}
	return "Pause"
}

func (c *Wire) pauseIcon() string {
	if c.App.Wire.Paused {
		return "play"
	}
	return "pause"
}

type wireSession struct {
	id                   uint64
	title, more, outcome string
	icon, tone           string
}

// sessions are what can be shown: all connections together, and each.
func (c *Wire) sessions() []wireSession {
	w := &c.App.Wire
	out := []wireSession{{title: "All connections"}}
	for _, s := range w.Sessions {
		x := wireSession{id: s.ID, title: view.Speaks(s.Protocol) + " " + s.Server, more: w.When(s), outcome: w.Outcome(s), icon: "check", tone: "good"}
		switch {
		case s.Problem != nil && view.WordsFor(s.Problem).Waits:
			x.icon, x.tone = "alert", "waits"
		case s.Problem != nil:
			x.icon, x.tone = "alert", "bad"
		case s.Ended.IsZero():
			x.icon, x.tone = "sync", "open"
		}
		out = append(out, x)
	}
	return out
}

// failed is what went wrong in the connection that is shown alone.
func (c *Wire) failed() *api.Problem {
	if w := &c.App.Wire; w.Session != 0 {
		return w.SessionOf(w.Session).Problem
	}
	return nil
}

// watch hears the scrolling: at the end the newest lines are followed, elsewhere what is looked at stays.
func (c *Wire) watch(el js.Value) {
	c.ended = true
	options := js.Global().Get("Object").New()
	options.Set("passive", true)
	el.Call("addEventListener", "scroll", js.FuncOf(func(js.Value, []js.Value) any {
		if end := el.Get("scrollHeight").Float()-el.Get("scrollTop").Float()-el.Get("clientHeight").Float() < 24; end != c.ended {
			c.ended = end
			c.App.Do(func() { c.App.Wire.Follow(end) })
		}
		return nil
	}), options)
}

// tail shows the end of what is drawn, or the line that the failure is about, amid what was said before and after, or the
// line that was the first before earlier ones were drawn.
func (c *Wire) tail(el js.Value) {
	w := &c.App.Wire
	h := &c.held
	if w.Anchor != 0 {
		*h, w.Anchor = held{seq: w.Anchor}, 0
	} else if h.seq != 0 && (w.Following() || el.Get("scrollTop").Float() != h.top) {
		h.seq = 0
	}
	switch {
	case h.seq != 0 && el.Get("clientHeight").Float() != h.height:
		if line := el.Call("querySelector", `[data-seq="`+strconv.FormatUint(h.seq, 10)+`"]`); line.Truthy() {
			where := js.Global().Get("Object").New()
			where.Set("block", "start")
			if h.seq == w.Marked {
				where.Set("block", "center")
			}
			line.Call("scrollIntoView", where)
		}
		h.top, h.height = el.Get("scrollTop").Float(), el.Get("clientHeight").Float()
	case w.Following():
		el.Set("scrollTop", el.Get("scrollHeight").Float())
	}
}
