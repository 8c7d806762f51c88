package mailserver

import (
	"context"
)

// Figures are what the server holds at a moment.
type Figures struct {
	Accounts, Messages, Octets int64
	Queue                      map[string]int64 // rows, one for each recipient, by state: waiting, held, sending
	Near, Far                  int64            // connections: from loopback, which the tunnel's are too, and from elsewhere
}

// Add adds those of another server.
func (f *Figures) Add(g Figures) {
	f.Accounts, f.Messages, f.Octets = f.Accounts+g.Accounts, f.Messages+g.Messages, f.Octets+g.Octets
	f.Near, f.Far = f.Near+g.Near, f.Far+g.Far
	if f.Queue == nil {
		f.Queue = make(map[string]int64)
	}
	for state, n := range g.Queue {
		f.Queue[state] += n
	}
}

// Figures counts, from the index alone: the accounts' sums are kept, the queue's rows are counted.
func (s *Server) Figures(ctx context.Context) (f Figures, err error) {
	if f.Accounts, f.Messages, f.Octets, err = s.store.Sums(ctx); err != nil {
		return f, err
	}
	tally, err := s.store.Tally(ctx)
	if err != nil {
		return f, err
	}
	f.Queue = make(map[string]int64)
	for state, n := range tally {
		f.Queue[string(state)] = int64(n)
	}
	f.Near, f.Far = s.turnstile.Count()
	return f, nil
}
