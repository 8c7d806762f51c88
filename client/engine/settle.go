package engine

import (
	"errors"
	"maps"
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

// judge says what became of a message from how its submission ended. Package smtp promises that a server cannot have
// taken it when there is an error that is not ErrUnknown.
func judge(err error, receipt *smtp.Receipt) (api.OutboxState, *api.Problem) {
	if err == nil {
		if receipt != nil && len(receipt.Refused) > 0 {
			p := &smtp.RecipientsError{Refused: receipt.Refused}
			return api.StateSent, &api.Problem{Code: api.CodeRecipientRefused, Detail: refusals(receipt.Refused), Technical: p.Error()}
		}
		return api.StateSent, nil
	}
	problem := problemOf(err)
	var (
		none  *smtp.RecipientsError
		reply *smtp.Error
		large *smtp.TooLargeError
	)
	switch {
	case errors.Is(err, smtp.ErrUnknown):
		return api.StateUnknown, problem
	case errors.As(err, &none):
		for _, r := range none.Refused {
			if r.Err != nil && r.Err.Temporary() {
				return api.StateDeferred, problem
			}
		}
		return api.StateFailed, problem
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
		d.State, d.NextTry, d.Problem = string(s.state), s.retryAt, encodeProblem(s.problem)
		if err := tx.SetDelivery(id, &d); err != nil || s.state != api.StateSent {
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
