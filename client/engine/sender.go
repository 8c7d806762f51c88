package engine

import (
	"context"
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/smtp"
)

// keepSending sends what is due whenever something may be.
func (a *account) keepSending(ctx context.Context) {
	s := &sender{account: a}
	pause := time.Duration(0)
	for a.rest(ctx, a.toSend, pause) {
		pause = s.round(ctx)
		s.closeSession()
	}
}

// sender has the submission session of an account, for as long as there is something to send.
type sender struct {
	account *account
	session *smtp.Client
	wire    *wireRecorder // of the session
	used    bool          // a message was sent over it, or refused
	fault   *api.Problem  // the last that the server refused in it
	current store.ID      // on the wire
	size    int64         // of it
	told    time.Time
}

// round sends everything that is due and answers how long to rest.
func (s *sender) round(ctx context.Context) time.Duration {
	s.account.settleRest()
	s.account.hurry()
	pause := s.sendDue(ctx)
	if s.account.hasUnsettled() {
		pause = sooner(pause, settlePause)
	}
	return pause
}

func (s *sender) sendDue(ctx context.Context) time.Duration {
	a := s.account
	for ctx.Err() == nil {
		due, next := a.due()
		switch {
		case len(due) == 0:
			s.quit(ctx)
			return next
		case !a.e.online():
			return untilAsked // the gateway's return asks
		}
		if s.session == nil {
			if err := s.open(ctx); err != nil {
				return s.postpone(ctx, due, err)
			}
		}
		if pause := s.submit(ctx, due[0].ID); pause != 0 {
			return pause
		}
	}
	return untilAsked
}

// sooner is the shorter of two rests, of which either may be untilAsked.
func sooner(x, y time.Duration) time.Duration {
	if x == untilAsked || y != untilAsked && y < x {
		return y
	}
	return x
}

// due answers what is to be sent now, the oldest first, and how long until the next is due.
func (a *account) due() (due []store.Entry, next time.Duration) {
	now := a.e.Clock.Now()
	next = untilAsked
	w := a.box.List(outbox, func(e *store.Entry) bool { return e.Delivery != nil }, 0, maxWindow)
	for _, e := range w.Entries {
		switch api.OutboxState(e.Delivery.State) {
		case api.StateQueued:
			due = append(due, e)
		case api.StateDeferred:
			if wait := e.Delivery.NextTry.Sub(now); wait > 0 {
				next = sooner(next, wait)
			} else {
				due = append(due, e)
			}
		}
	}
	slices.SortFunc(due, func(x, y store.Entry) int { return int(int64(x.ID) - int64(y.ID)) })
	return due, next
}

func (s *sender) open(ctx context.Context) (err error) {
	a := s.account
	s.session, err = a.openSubmission(ctx, &smtp.Options{Timeout: a.e.Limits.Answer, Progress: s.progress})
	s.wire, s.used, s.fault = nil, false, nil
	if err != nil {
		return err
	}
	s.wire = a.wire.latest(api.SMTP)
	if announced, err := s.session.Extensions(ctx); err == nil { // it is known already
		a.learnSize(func(m mailSize) mailSize { return mailSize{announced.Size, m.Refused} })
	}
	return nil
}

// hurry makes messages due at once that were put off for want of a connection, if there may be one again.
func (a *account) hurry() {
	if !a.reachable.Swap(false) {
		return
	}
	w := a.box.List(outbox, func(e *store.Entry) bool {
		return e.Delivery != nil && e.Delivery.State == string(api.StateDeferred) && !e.Delivery.NextTry.IsZero() &&
			isUnreached(decodeFate(e.Delivery.Problem).problem)
	}, 0, maxWindow)
	for _, e := range w.Entries {
		a.change(e.ID, func(d *store.Delivery) { d.NextTry = time.Time{} })
	}
}

// isUnreached says whether a message was put off because the server was not to be reached, not by its word.
func isUnreached(p *api.Problem) bool {
	if p == nil {
		return false
	}
	switch p.Code {
	case api.CodeGatewayOffline, api.CodeGatewayRefused, api.CodeGatewayBusy, api.CodeGatewayCut,
		api.CodeServerUnreachable, api.CodeServerTimeout, api.CodeServerClosed:
		return true
	case api.CodeCertificate, api.CodeNoTLS, api.CodeNoMechanism, api.CodeSettingsNeeded, api.CodeTargetRefused:
		return true // which the account's settings can change
	}
	return false
}

// postpone says of all that is due why it cannot be sent now, and answers how long to rest. Without the gateway, or
// a password, messages wait in the queue.
func (s *sender) postpone(ctx context.Context, due []store.Entry, err error) time.Duration {
	a := s.account
	if ctx.Err() != nil {
		return untilAsked
	}
	problem := problemOf(err)
	a.e.Logf("account %s: sending: %v", a.id, err)
	switch problem.Code {
	case api.CodeGatewayOffline:
		if a.e.online() {
			return firstBackoff
		}
		return untilAsked
	case api.CodeWrongPassword, api.CodePasswordNeeded, api.CodeLocked:
		if problem.Code == api.CodeWrongPassword {
			a.refuse(submissionDoor)
		}
		for _, e := range due {
			if had := decodeFate(e.Delivery.Problem).problem; had == nil || had.Code != problem.Code {
				a.change(e.ID, func(d *store.Delivery) {
					settlement{state: api.StateQueued, problem: problem, session: problem.Session}.apply(d)
				})
			}
		}
		return untilAsked
	}
	for _, e := range due {
		a.change(e.ID, func(d *store.Delivery) {
			d.Attempts++
			settlement{
				state: api.StateDeferred, problem: problem, session: problem.Session, retryAt: a.e.Clock.Now().Add(retryPause(d.Attempts)),
			}.apply(d)
		})
	}
	_, next := a.due()
	return max(next, firstBackoff) // what could not be written is still due: not in circles
}

// change changes a message that waits in the outbox, and tells of it. One that the user took out meanwhile is left.
func (a *account) change(id store.ID, fn func(d *store.Delivery)) bool {
	a.outbox.Lock()
	err := a.update(func(tx *store.Tx) error {
		m, err := a.idleInOutbox(tx, id)
		if err != nil {
			return err
		}
		if s := api.OutboxState(m.Delivery.State); s != api.StateQueued && s != api.StateDeferred {
			return errNotDue
		}
		d := *m.Delivery
		fn(&d)
		return tx.SetDelivery(id, &d)
	})
	a.outbox.Unlock()
	if err != nil {
		return false
	}
	a.announceOutbox(id)
	return true
}

var errNotDue = &api.Problem{Code: api.CodeBadRequest, Technical: "the message does not wait to be sent"}

// quit ends the session in good order: everything was answered, and the goodbye may get lost.
func (s *sender) quit(ctx context.Context) {
	if s.session != nil {
		_ = s.session.Quit(ctx)
		s.closeSession()
	}
}

func (s *sender) closeSession() {
	if s.session != nil {
		s.session.Close()
		s.session = nil
		s.wire.end(s.fault)
	}
}
