package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/smtp"
)

// progressEvery bounds how often a page is told of the octets sent.
const progressEvery = 200 * time.Millisecond

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
	current store.ID // on the wire
	size    int64    // of it
	told    time.Time
}

// round sends everything that is due and answers how long to rest.
func (s *sender) round(ctx context.Context) time.Duration {
	s.account.settleRest()
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
			if s.session != nil {
				_ = s.session.Quit(ctx) // everything was answered: the goodbye may get lost
			}
			return next
		case !a.e.online():
			return untilAsked // the gateway's return asks
		}
		if s.session == nil {
			if err := s.open(ctx); err != nil {
				return s.postpone(ctx, due, err)
			}
		}
		if pause := s.submit(ctx, due[0]); pause > 0 {
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
	return err
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
	case api.CodeWrongPassword, api.CodePasswordNeeded:
		if problem.Code == api.CodeWrongPassword {
			a.refuse(submissionDoor)
		}
		for _, e := range due {
			if had := decodeProblem(e.Delivery.Problem); had == nil || had.Code != problem.Code {
				a.change(e.ID, func(d *store.Delivery) { d.State, d.Problem = string(api.StateQueued), encodeProblem(problem) })
			}
		}
		return untilAsked
	}
	for _, e := range due {
		a.change(e.ID, func(d *store.Delivery) {
			d.Attempts++
			d.State, d.Problem = string(api.StateDeferred), encodeProblem(problem)
			d.NextTry = a.e.Clock.Now().Add(retryPause(d.Attempts))
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

// submit makes one attempt with one message and settles it. It answers how long to rest before the next: nothing, but
// where the same would only happen again.
func (s *sender) submit(ctx context.Context, e store.Entry) time.Duration {
	a := s.account
	attempts, ok, err := a.claim(e.ID)
	if err != nil {
		a.e.Logf("account %s: claiming message %d: %v", a.id, e.ID, err)
		return settlePause // the mailbox cannot be written
	}
	if !ok {
		return 0 // the user took it out
	}
	var receipt *smtp.Receipt
	content, err := a.box.Content(e.ID)
	body := &body{r: bytes.NewReader(content), commit: func() error { return a.commit(e.ID) }}
	if err == nil {
		s.current, s.size, s.told = e.ID, int64(len(content)), time.Time{}
		receipt, err = s.session.Send(ctx, smtp.Envelope{
			From: e.Delivery.From, To: e.Delivery.To, Size: int64(len(content)), UTF8: needsUTF8(e.Delivery),
		}, body)
		s.current = 0
	}
	if err != nil {
		err = a.atServer(api.SMTP, err)
		a.e.Logf("account %s: sending message %d: %v", a.id, e.ID, err)
		s.closeSession()
	}
	settled := settlement{}
	settled.state, settled.problem = judge(err, receipt)
	if settled.state == api.StateDeferred {
		settled.retryAt = a.e.Clock.Now().Add(retryPause(attempts))
	}
	a.settle(e.ID, settled)
	if settled.state == api.StateQueued {
		return firstBackoff // the gateway went away, and may be back already
	}
	return 0
}

// claim marks a message as being sent, before anything of it is on the wire.
func (a *account) claim(id store.ID) (attempts int, ok bool, err error) {
	a.outbox.Lock()
	err = a.update(func(tx *store.Tx) error {
		m, gone := a.idleInOutbox(tx, id)
		if gone != nil {
			return nil
		}
		if s := api.OutboxState(m.Delivery.State); s != api.StateQueued && s != api.StateDeferred {
			return nil
		}
		d := *m.Delivery
		d.State, d.NextTry, d.Problem = string(api.StateSending), time.Time{}, nil
		d.Attempts++
		attempts, ok = d.Attempts, true
		return tx.SetDelivery(id, &d)
	})
	if ok = ok && err == nil; ok {
		a.mu.Lock()
		a.inFlight = id
		a.mu.Unlock()
	}
	a.outbox.Unlock()
	if ok {
		a.announceOutbox(id)
	}
	return attempts, ok, err
}

// commit sets the mark that the final dot may have been sent.
func (a *account) commit(id store.ID) error {
	return storing(a.box.Update(func(tx *store.Tx) error {
		m, ok := tx.Get(id)
		if !ok || m.Delivery == nil {
			return fmt.Errorf("message %d: %w", id, store.ErrNoMessage)
		}
		d := *m.Delivery
		d.State = stateCommitting
		return tx.SetDelivery(id, &d)
	}))
}

// body is a message's content that makes the mark durable before its end is seen, so before the final dot is written.
// If that fails the content ends in an error, and the dot is not sent.
type body struct {
	r         *bytes.Reader
	commit    func() error
	committed bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != io.EOF {
		return n, err
	}
	if !b.committed {
		if err := b.commit(); err != nil {
			return 0, err
		}
		b.committed = true
	}
	return 0, io.EOF
}

// progress is told how much of the message is written.
func (s *sender) progress(octets int64) {
	a, now := s.account, s.account.e.Clock.Now()
	if s.current == 0 || s.size <= 0 || now.Sub(s.told) < progressEvery {
		return
	}
	s.told = now
	a.mu.Lock()
	a.progress[s.current] = min(1, max(0, float64(octets)/float64(s.size)))
	a.mu.Unlock()
	a.announceOutbox(s.current)
}

func (s *sender) closeSession() {
	if s.session != nil {
		s.session.Close()
		s.session = nil
	}
}

// needsUTF8 says that an address needs SMTPUTF8 (RFC 6531).
func needsUTF8(d *store.Delivery) bool {
	for _, addr := range append([]string{d.From}, d.To...) {
		for i := range len(addr) {
			if addr[i] >= 0x80 {
				return true
			}
		}
	}
	return false
}
