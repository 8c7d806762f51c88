package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// DeskWorld is where the ways of the demo world are made to fail, and its clock to run.
type DeskWorld struct{ App *view.App }

func (c *DeskWorld) lasts(f api.WorldFault) string {
	name, _ := view.FaultName(f.Kind)
	return view.DomainName(f.Domain) + ": " + name + ", " + c.App.Desk.World.Lasts(f)
}
