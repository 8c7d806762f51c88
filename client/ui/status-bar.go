package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// StatusBar says how fetching stands and how the page stands with the gateway.
type StatusBar struct{ App *view.App }

func (c *StatusBar) state() string {
	if s := c.App.Speaking().Sync.State; s != "" {
		return string(s)
	}
	return string(api.SyncIdle)
}

func (c *StatusBar) text() string {
	s, _ := c.App.SyncWords()
	if c.App.InAll() && c.state() == string(api.SyncError) {
		return view.Label(c.App.Speaking()) + ": " + s
	}
	return s
}

// progress is in thousandths, below 0 when it is not known.
func (c *StatusBar) progress() int {
	_, p := c.App.SyncWords()
	return int(p * 1000)
}

func (c *StatusBar) detail() string {
	acc := c.App.Speaking()
	if acc.Sync.Problem != nil {
		w := view.WordsFor(acc.Sync.Problem)
		return w.Means + " " + w.Do
	}
	return ""
}

// fault is what went wrong with fetching, if there is something to show of it.
func (c *StatusBar) fault() *api.Problem {
	if y := c.App.Speaking().Sync; y.State == api.SyncError && y.Problem != nil && y.Problem.Session != 0 {
		return y.Problem
	}
	return nil
}
