package world

import (
	"context"
	"fmt"
	"strings"

	"github.com/postern-mail/postern/shared/control"
)

// ShowWorld is the world as it is now.
func (w *World) ShowWorld(ctx context.Context) (control.WorldState, error) {
	state := control.WorldState{Faults: w.faults.list()}
	state.Now, state.Rate, state.Ahead = w.clock.State()
	for _, h := range w.hosts {
		s := control.WorldServer{Hostname: h.name, Domains: h.domains, Address: h.address.String()}
		if at, ok := h.smtp(); ok {
			s.SMTP = at.String()
		}
		users, err := h.server.Admin().Users(ctx)
		if err != nil {
			return state, err
		}
		for _, u := range users {
			s.Accounts = append(s.Accounts, u.Email)
		}
		rows, err := h.server.Admin().ListQueue(ctx, control.QueueFilter{})
		if err != nil {
			return state, err
		}
		s.Waiting = len(rows)
		state.Servers = append(state.Servers, s)
	}
	return state, nil
}

// SetFault begins or ends a fault. What goes over a link that is down from now on is cut.
func (w *World) SetFault(ctx context.Context, f control.Fault) (control.WorldState, error) {
	f.Domain = strings.ToLower(strings.TrimSuffix(f.Domain, "."))
	if f.Domain != control.AllDomains && w.home(f.Domain) == nil {
		return control.WorldState{}, &control.Error{Kind: control.NotFound, Text: fmt.Sprintf("no server of this world is home to %.80q; %s stands for all", f.Domain, control.AllDomains)}
	}
	if err := w.faults.set(f); err != nil {
		return control.WorldState{}, err
	}
	if f.Kind == control.FaultDown {
		for _, h := range w.hosts {
			if w.way(h) == control.FaultDown {
				h.cut()
			}
		}
	}
	return w.ShowWorld(ctx)
}

// SetClock changes the clock of all queues.
func (w *World) SetClock(ctx context.Context, c control.ClockChange) (control.WorldState, error) {
	if err := w.clock.Change(c); err != nil {
		return control.WorldState{}, err
	}
	for _, h := range w.hosts {
		h.server.Wake()
	}
	return w.ShowWorld(ctx)
}

// cut ends the connections to a host.
func (h *host) cut() {
	h.mu.Lock()
	var list []*link
	for l := range h.links {
		list = append(list, l)
	}
	h.mu.Unlock()
	for _, l := range list {
		l.Close()
	}
}
