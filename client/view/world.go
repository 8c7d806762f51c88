package view

import (
	"context"
	"strconv"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// World is the demo world beside the queue: what goes wrong on the way to its servers, and its clock.
type World struct {
	State api.World // without servers there is none

	// What is about to be switched on.
	Domain string // "*" is every way
	Kind   string // an api.FaultKind
	For    string // seconds by the world's clock; "0" until it is switched off

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
	Seconds, Name string
}{{"0", "until I end it"}, {"600", "10 minutes"}, {"3600", "an hour"}, {"86400", "a day"}}

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

// Fields are the form in which a fault is chosen.
func (w *World) Fields() []Field {
	where := Field{ID: "admin-way", Kind: ChoiceField, Label: "On the way to", Value: &w.Domain}
	for _, d := range w.Domains() {
		where.Options = append(where.Options, Option{Value: d, Label: DomainName(d)})
	}
	what := Field{ID: "admin-fault", Kind: ChoiceField, Label: "This goes wrong", Value: &w.Kind}
	for _, f := range Faults {
		what.Options = append(what.Options, Option{Value: string(f.Kind), Label: f.Name})
	}
	_, what.Hint = FaultName(api.FaultKind(w.Kind))
	long := Field{ID: "admin-for", Kind: ChoiceField, Label: "For how long", Value: &w.For}
	for _, t := range FaultTimes {
		long.Options = append(long.Options, Option{Value: t.Seconds, Label: t.Name})
	}
	return []Field{where, what, long}
}

// Summary says in a line how the world is.
func (w *World) Summary() string {
	words := "everything works"
	for i, f := range w.State.Faults {
		name, _ := FaultName(f.Kind)
		if i == 0 {
			words = ""
		} else {
			words += ", "
		}
		words += DomainName(f.Domain) + ": " + name
	}
	if w.State.Rate > 1 {
		words += "; the clock runs " + Number(int(w.State.Rate)) + " times as fast"
	}
	return words
}

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
	seconds, _ := strconv.Atoi(w.For)
	w.change(api.WorldChange{Fault: &api.WorldFault{Domain: w.Domain, Kind: api.FaultKind(w.Kind), For: time.Duration(seconds) * time.Second}})
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
			w.Domain, w.Kind, w.For = w.other(), string(api.FaultDown), "0"
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
