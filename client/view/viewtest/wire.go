package viewtest

import (
	"context"
	"slices"

	"github.com/postern-mail/postern/client/api"
)

// Say puts lines into an account's transcript, in a session that is made if it is not there yet; change may alter it.
func (s *Service) Say(acc api.AccountID, session api.WireSession, lines ...api.WireLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.wire[acc]
	if p == nil {
		p = &api.WirePage{}
		s.wire[acc] = p
	}
	if i := slices.IndexFunc(p.Sessions, func(x api.WireSession) bool { return x.ID == session.ID }); i >= 0 {
		p.Sessions[i] = session
	} else {
		p.Sessions = append(p.Sessions, session)
	}
	for _, x := range lines {
		x.Seq, x.Session = uint64(len(p.Lines)+1), session.ID
		if x.At.IsZero() {
			x.At = session.Began
		}
		p.Lines = append(p.Lines, x)
	}
	close(s.said)
	s.said = make(chan struct{})
}

// Wire implements api.Service.
func (s *Service) Wire(ctx context.Context, q api.WireQuery) (api.WirePage, error) {
	if err := s.enter(ctx, "Wire"); err != nil {
		return api.WirePage{}, err
	}
	for {
		s.mu.Lock()
		var out api.WirePage
		if p := s.wire[q.Account]; p != nil {
			out.Sessions = slices.Clone(p.Sessions)
			for _, x := range p.Lines {
				if x.Seq > q.After && (q.Session == 0 || x.Session == q.Session) && len(out.Lines) < api.MaxWireLimit {
					out.Lines = append(out.Lines, x)
				}
			}
		}
		said := s.said
		s.mu.Unlock()
		if len(out.Lines) > 0 || !q.Wait {
			return out, nil
		}
		select {
		case <-said:
		case <-ctx.Done():
			return api.WirePage{}, ctx.Err()
		}
	}
}

// FetchRest implements api.Service.
func (s *Service) FetchRest(ctx context.Context, r api.MessageRef) error {
	return s.change(ctx, "FetchRest", r.Account, []api.MessageID{r.ID}, func(m *api.Message) { m.Partial, m.Text = false, m.Text+" And the rest." })
}

// Draft answers a draft or a message on its way as it was given.
func (s *Service) Draft(acc api.AccountID, id api.MessageID) api.Draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drafts[s.ref(acc, id)]
}

// Alter changes a message without telling of it.
func (s *Service) Alter(acc api.AccountID, id api.MessageID, change func(*api.Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := *s.messages[s.ref(acc, id)]
	change(&m)
	s.messages[s.ref(acc, id)] = &m
}

// Refuse makes a method that changes messages answer a problem for one account.
func (s *Service) Refuse(method string, acc api.AccountID, p *api.Problem) {
	s.mu.Lock()
	s.fail[method+" "+string(acc)] = p
	s.mu.Unlock()
}
