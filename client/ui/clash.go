package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Clash asks what is to become of a file that has the name of one that is sent. Nothing has been sent yet.
type Clash struct {
	App *view.App

	all bool
}

func (c *Clash) name() string { n, _ := c.App.Transfers.Clash(); return n }
func (c *Clash) more() int    { _, n := c.App.Transfers.Clash(); return n }

func (c *Clash) settle(e api.Exists) {
	all := c.all
	c.all = false
	c.App.Transfers.Settle(e, all)
}
