package view

import (
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// World is the demo world beside the queue: what goes wrong on the way to its servers, and its clock.
type World struct {
	State api.World // without servers there is none

	// What is about to be switched on.
	Domain string // "*" is every way
	Kind   api.FaultKind
	For    time.Duration // by the world's clock; 0 until it is switched off

	app *App
	at  time.Time
}

// Faults are what can go wrong, with their names and what they do.
var Faults = []struct {
	Kind        api.FaultKind
	Name, Means string
}{
	{api.FaultDown, "Down", "nothing can connect"},
	{api.FaultGreylist, "Greylisting", "mail is taken when it comes again, five minutes later"},
	{api.FaultTemporary, "Refused for now (4xx)", "every recipient is refused, to be tried again"},
	{api.FaultPermanent, "Refused for good (5xx)", "every recipient is refused, and the mail comes back"},
	{api.FaultDropData, "Cut at DATA", "the connection breaks where the message begins"},
	{api.FaultDropDot, "Cut after the message", "it was taken, and the sender cannot know: it comes twice"},
	{api.FaultSlow, "Slow", "some 2,000 octets go over the line in a second"},
}

// FaultTimes are for how long a fault can be switched on, with their names.
var FaultTimes = []struct {
	For  time.Duration
	Name string
}{{0, "until I end it"}, {10 * time.Minute, "for 10 minutes"}, {time.Hour, "for an hour"}, {24 * time.Hour, "for a day"}}

// Rates are how fast the clock can go, with their names.
var Rates = []struct {
	Rate float64
	Name string
}{{1, "As ours"}, {60, "A minute a second"}, {3600, "An hour a second"}}

// Jumps are by how much the clock can be put forward, with their names.
var Jumps = []struct {
	By   time.Duration
	Name string
}{{30 * time.Minute, "30 min"}, {4 * time.Hour, "4 h"}, {24 * time.Hour, "1 day"}, {5 * 24 * time.Hour, "5 days"}}

// There says that the server is in a demo world.
func (w *World) There() bool { return len(w.State.Servers) > 0 }

// Domains are those to which a way leads, "*" last.
func (w *World) Domains() (list []string) {
	for _, s := range w.State.Servers {
		list = append(list, s.Domains...)
	}
	return append(list, "*")
}

// DomainName is a domain's, for people.
func DomainName(d string) string {
	if d == "*" {
		return "every server"
	}
	return d
}

// FaultName is a fault's, for people.
func FaultName(k api.FaultKind) (name, means string) {
	for _, f := range Faults {
		if f.Kind == k {
			return f.Name, f.Means
		}
	}
	return string(k), ""
}

// Lasts says for how long a fault does.
func (w *World) Lasts(f api.WorldFault) string {
	if f.For == 0 {
		return "until you end it"
	}
	return "for another " + Duration(f.For)
}

// Clock is what time it is there.
func (w *World) Clock() string {
	at := w.State.Now
	if w.State.Rate > 0 {
		at = at.Add(time.Duration(float64(w.app.platform.Now().Sub(w.at)) * w.State.Rate))
	}
	words := FullDate(w.app.platform.Local(at))
	if w.State.Ahead >= time.Minute {
		words += ", " + Duration(w.State.Ahead) + " ahead of ours"
	}
	return words
}

// load asks how the world is.
func (w *World) load() { w.change(api.WorldChange{}) }

// Start lets the fault that was chosen begin.
func (w *World) Start() {
	w.change(api.WorldChange{Fault: &api.WorldFault{Domain: w.Domain, Kind: w.Kind, For: w.For}})
}

// End ends the fault on a way.
func (w *World) End(domain string) {
	w.change(api.WorldChange{Fault: &api.WorldFault{Domain: domain, Kind: api.FaultOff}})
}

// SetRate lets the clock go so many times as fast.
func (w *World) SetRate(rate float64) { w.change(api.WorldChange{Rate: rate}) }

// Jump puts the clock forward.
func (w *World) Jump(by time.Duration) { w.change(api.WorldChange{Jump: by}) }

func (w *World) change(c api.WorldChange) {
	d := &w.app.Desk
	turn, looks := d.turn, c == api.WorldChange{}
	c.Account = d.Account
	var state api.World
	w.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		state, err = svc.World(ctx, c)
		return err
	}, func(p *api.Problem) {
		switch {
		case turn != d.turn:
			return
		case p != nil:
			if !looks {
				w.app.Toasts.Show(Toast{Text: WordsFor(p).Title, Problem: p})
			}
			return
		}
		faster := state.Rate != w.State.Rate
		w.State, w.at = state, w.app.platform.Now()
		if w.Domain == "" && w.There() { // the other servers' way is what one tries out
			w.Domain, w.Kind = w.other(), api.FaultDown
		}
		if !looks {
			w.app.Voice.Say("Done")
			d.load(nil)
		}
		if faster && d.tick != nil && d.tick.Stop() {
			d.ticks(d.turn)
		}
	})
}

// other is the domain of a server that is not the account's own.
func (w *World) other() string {
	own := w.app.AccountOf(w.app.Desk.Account).Email
	for _, s := range w.State.Servers {
		for _, d := range s.Domains {
			if len(own) <= len(d) || own[len(own)-len(d)-1:] != "@"+d {
				return d
			}
		}
	}
	return "*"
}
