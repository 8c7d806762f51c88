package engine

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/smtp"
)

// retryPauses are the pauses after the first, second … failure of a temporary kind; the last goes on. A greylisting
// server (RFC 6647 section 4.1) takes a message after some minutes; RFC 5321 section 4.5.4.1 asks for 30 minutes
// between later attempts.
var retryPauses = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}

func retryPause(attempts int) time.Duration {
	return retryPauses[min(max(attempts-1, 0), len(retryPauses)-1)]
}

// settlement is what became of an attempt to send a message.
type settlement struct {
	state   api.OutboxState // sent, deferred, failed, unknown, or queued again
	problem *api.Problem
	retryAt time.Time

	session uint64          // the WireSession of the attempt
	served  []string        // who has the message now
	refused []api.Recipient // who does not, each for a reason of his own: failed, or deferred
	note    string
	crowded bool // the deferred were too many for one transaction: the next may follow at once
}

// judge says what became of a message, tried for these recipients, from how its submission ended. Package smtp promises
// that a server cannot have taken it when there is an error that is not ErrUnknown.
func judge(tried []string, err error, receipt *smtp.Receipt) (s settlement) {
	var none *smtp.RecipientsError
	switch {
	case err == nil:
		s.state = api.StateSent
		var refused []smtp.RecipientError
		if receipt != nil {
			refused = receipt.Refused
		}
		s.served = slices.DeleteFunc(slices.Clone(tried), func(addr string) bool {
			return slices.ContainsFunc(refused, func(r smtp.RecipientError) bool { return r.Recipient == addr })
		})
		s.refuse(refused)
		return s
	case errors.Is(err, smtp.ErrUnknown):
		s.state, s.problem = api.StateUnknown, problemOf(err)
		return s
	case errors.As(err, &none):
		s.state = api.StateFailed
		s.refuse(none.Refused)
		return s
	}
	s.state, s.problem = judgeWhole(err)
	return s
}

// judgeWhole is judge for an error that is about no recipient in particular.
func judgeWhole(err error) (api.OutboxState, *api.Problem) {
	problem := problemOf(err)
	var (
		reply *smtp.Error
		large *smtp.TooLargeError
	)
	switch {
	case errors.As(err, &reply):
		if reply.Temporary() || !aboutMessage(reply) || reply.Code == 530 { // 530: log in first, RFC 4954 section 6
			return api.StateDeferred, problem
		}
		return api.StateFailed, problem
	case errors.As(err, &large):
		return api.StateFailed, problem
	case errors.Is(err, smtp.ErrArgument), errors.Is(err, smtp.ErrUnsupported), errors.Is(err, store.ErrCorrupt):
		return api.StateFailed, problem
	case problem.Code == api.CodeGatewayOffline, problem.Code == api.CodeCanceled:
		return api.StateQueued, nil
	}
	return api.StateDeferred, problem
}

// refuse takes the recipients whom the server refused. One that it refused for now is tried again, alone.
func (s *settlement) refuse(refused []smtp.RecipientError) {
	if len(refused) == 0 {
		return
	}
	s.crowded = len(s.served) > 0
	for _, r := range refused {
		state := api.StateFailed
		if r.Err.Temporary() {
			state, s.state = api.StateDeferred, api.StateDeferred
			s.crowded = s.crowded && r.Err.Code == 452 // RFC 5321 section 4.5.3.1.10
		}
		s.refused = append(s.refused, api.Recipient{Addr: r.Recipient, State: state, Problem: problemOf(r.Err)})
	}
	s.problem = refusalOf(s.refused)
	s.crowded = s.crowded && s.state == api.StateDeferred
}

// apply changes what the outbox knows of a message by what became of an attempt.
func (s settlement) apply(d *store.Delivery) {
	f := decodeFate(d.Problem)
	f.problem, f.note = s.problem, s.note
	if s.session != 0 {
		f.session = s.session
	}
	apart := len(s.refused) > 0 || len(f.recipients) > 0 // some have fared differently from others
	if apart {
		for _, addr := range s.served {
			f.with(api.Recipient{Addr: addr, State: api.StateSent})
		}
		for _, r := range s.refused {
			f.with(r)
		}
		if s.state == api.StateFailed && len(s.refused) == 0 { // the message as such, after others had been given it
			for _, addr := range d.To {
				f.with(api.Recipient{Addr: addr, State: api.StateFailed, Problem: s.problem})
			}
		}
		over := append(f.in(api.StateSent), f.in(api.StateFailed)...)
		d.To = slices.DeleteFunc(slices.Clone(d.To), func(addr string) bool { return slices.Contains(over, addr) })
	}
	if s.state == api.StateFailed && len(f.in(api.StateSent)) > 0 {
		s.state = api.StateSent // somebody has it
	}
	if s.state == api.StateSent && len(f.in(api.StateFailed)) > 0 {
		f.problem = refusalOf(slices.DeleteFunc(slices.Clone(f.recipients), func(r api.Recipient) bool { return r.State != api.StateFailed }))
	}
	d.State, d.NextTry, d.Problem = string(s.state), s.retryAt, f.encode()
}

// refusalOf is the problem of a message that these recipients did not get.
func refusalOf(list []api.Recipient) *api.Problem {
	p := *list[0].Problem
	p.Code = api.CodeRecipientRefused
	p.Detail = enumerate(len(list), func(i int) (string, string) { return list[i].Addr, list[i].Problem.Detail })
	return &p
}

// settle writes down what became of a message: sent messages go to Sent, in the same update in which the message
// that they answer is marked. When that cannot be written, it is remembered and tried again: a message that the server
// took must not look as if it could be sent once more.
func (a *account) settle(id store.ID, s settlement) {
	a.outbox.Lock()
	err := a.update(func(tx *store.Tx) error {
		m, ok := tx.Get(id)
		if !ok || m.Delivery == nil {
			return nil
		}
		d := *m.Delivery
		s.apply(&d)
		if err := tx.SetDelivery(id, &d); err != nil || d.State != string(api.StateSent) {
			return err
		}
		if err := tx.SetFolder(id, sent); err != nil {
			return err
		}
		if err := a.markAnswered(tx, id); err != nil {
			return err
		}
		return tx.SetMeta(originKey(id), nil)
	})
	a.mu.Lock()
	if err != nil {
		a.unsettled[id] = s
	} else {
		delete(a.unsettled, id)
	}
	if a.inFlight == id {
		a.inFlight = 0
	}
	delete(a.progress, id)
	a.mu.Unlock()
	a.outbox.Unlock()
	if err != nil {
		a.e.Logf("account %s: message %d is %s, which could not be written: %v", a.id, id, s.state, err)
	}
	a.announceOutbox(id)
}

// markAnswered marks the message that an outgoing one answers, if it is still there.
func (a *account) markAnswered(tx *store.Tx, id store.ID) error {
	origin, ok := a.box.Meta(originKey(id))
	if !ok {
		return nil
	}
	d, err := decodeDraft(origin)
	if err != nil || d.Answers == 0 {
		return nil
	}
	answered, ok := tx.Get(store.ID(d.Answers))
	if !ok || answered.Flags.Answered {
		return nil
	}
	answered.Flags.Answered = true
	return tx.SetFlags(answered.ID, answered.Flags)
}

// settlePause is how long after a failure to write a settlement is tried again.
const settlePause = 30 * time.Second

// settleRest writes down what could not be written before.
func (a *account) settleRest() {
	a.mu.Lock()
	rest := maps.Clone(a.unsettled)
	a.mu.Unlock()
	for id, s := range rest {
		a.settle(id, s)
	}
}

func (a *account) hasUnsettled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.unsettled) > 0
}
