package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// StatusBar says how fetching stands and how the page stands with the gateway.
type StatusBar struct{ App *view.App }

func (c *StatusBar) state() string {
	if s := c.App.Current().Sync.State; s != "" {
		return string(s)
	}
	return string(api.SyncIdle)
}

func (c *StatusBar) text() string {
	s, _ := c.App.SyncWords()
	return s
}

// progress is in thousandths, below 0 when it is not known.
func (c *StatusBar) progress() int {
	_, p := c.App.SyncWords()
	return int(p * 1000)
}

func (c *StatusBar) detail() string {
	acc := c.App.Current()
	if acc.Sync.Problem != nil {
		w := view.WordsFor(acc.Sync.Problem)
		return w.Means + " " + w.Do
	}
	return ""
}
