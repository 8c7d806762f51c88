package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/smtp"
)

// progressEvery bounds how often a page is told of the octets sent.
const progressEvery = 200 * time.Millisecond

// submit makes one attempt with one message and settles it. It answers how long to rest before the next: nothing, but
// where the same would only happen again.
func (s *sender) submit(ctx context.Context, id store.ID) time.Duration {
	a := s.account
	e, ok, err := a.claim(id)
	if err != nil {
		a.e.Logf("account %s: claiming message %d: %v", a.id, id, err)
		return settlePause // the mailbox cannot be written
	}
	if !ok {
		return 0 // the user took it out
	}
	settled, stale := s.attempt(ctx, e)
	if settled.state == api.StateDeferred && !settled.crowded {
		settled.retryAt = a.e.Clock.Now().Add(retryPause(e.Delivery.Attempts))
	}
	a.settle(id, settled)
	if settled.state == api.StateQueued && !stale {
		return firstBackoff // the gateway went away, and may be back already
	}
	return 0
}

// attempt submits one message and judges the outcome. A session is stale when it was at its end before this message could
// be given to it: then the message waits for the next, at once.
func (s *sender) attempt(ctx context.Context, e store.Entry) (settled settlement, stale bool) {
	a := s.account
	content, err := a.box.Content(e.ID)
	if err != nil {
		return s.judged(e, judge(nil, storing(err), nil)), false
	}
	s.wire.note("Message " + strconv.FormatUint(uint64(e.ID), 10) + ", for " + strconv.Itoa(len(e.Delivery.To)) + " of its recipients")
	body := &body{r: bytes.NewReader(content), commit: func() error { return a.commit(e.ID) }}
	envelope := a.envelope(&e, content)
	s.current, s.size, s.told = e.ID, int64(len(content)), time.Time{}
	receipt, err := s.session.Send(ctx, envelope, body)
	s.current = 0
	a.learnSize(func(m mailSize) mailSize { return m.after(s.size, err) })
	used := s.used
	s.used = true
	switch {
	case err == nil:
	case isRefusal(err):
		a.e.Logf("account %s: sending message %d: %v", a.id, e.ID, err)
	case used && !body.committed && ctx.Err() == nil && a.e.online() && isOver(err):
		s.closeSession()
		return settlement{state: api.StateQueued}, true
	default:
		err = a.atServer(api.SMTP, err)
		a.e.Logf("account %s: sending message %d: %v", a.id, e.ID, err)
		s.closeSession()
	}
	settled = s.judged(e, judge(e.Delivery.To, err, receipt))
	if err == nil && envelope.DSN != nil && receipt != nil && !receipt.DSN {
		settled.note = noReceipt
	}
	return settled, false
}

// noReceipt is what the person reads in a message for which a receipt was wanted.
const noReceipt = "No receipt of delivery will come: this mail server cannot ask for one."

// judged adds to a settlement the session in which it was made.
func (s *sender) judged(e store.Entry, settled settlement) settlement {
	settled.session = s.wire.id()
	settled.problem = s.wire.linked(settled.problem)
	for i := range settled.refused {
		settled.refused[i].Problem = s.wire.linked(settled.refused[i].Problem)
	}
	if settled.problem != nil && s.session != nil {
		s.fault = settled.problem
	}
	return settled
}

// envelope is for whom a message is that is tried now.
func (a *account) envelope(e *store.Entry, content []byte) smtp.Envelope {
	survey, _ := smtp.Survey(bytes.NewReader(content)) // memory has no errors
	envelope := smtp.Envelope{From: e.Delivery.From, To: e.Delivery.To, Content: &survey}
	origin, ok := a.box.Meta(originKey(e.ID))
	if d, err := decodeDraft(origin); ok && err == nil && d.Receipt {
		envelope.DSN = &smtp.DSN{Notify: []string{"SUCCESS", "FAILURE", "DELAY"}, Return: "HDRS"}
		if id := strings.Trim(e.Summary.MessageID, "<>"); len(id) <= 100 { // RFC 3461 section 4.4
			envelope.DSN.EnvelopeID = id
		}
	}
	return envelope
}

// isRefusal says whether the server refused a message, and its session goes on.
func isRefusal(err error) bool {
	var (
		reply *smtp.Error
		none  *smtp.RecipientsError
		large *smtp.TooLargeError
	)
	return errors.As(err, &none) || errors.As(err, &large) || errors.Is(err, smtp.ErrUnsupported) || errors.Is(err, smtp.ErrArgument) ||
		errors.As(err, &reply) && reply.Code != 421 && aboutMessage(reply)
}

// isOver says whether a session had ended: closed without a word, or with that word. RFC 5321 section 3.8.
func isOver(err error) bool {
	var reply *smtp.Error
	return errors.As(err, &reply) && reply.Code == 421 || isClosed(err) && !errors.Is(err, smtp.ErrUnknown)
}

// claim marks a message as being sent, before anything of it is on the wire, and answers it as it is then.
func (a *account) claim(id store.ID) (e store.Entry, ok bool, err error) {
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
		f := decodeFate(d.Problem)
		f.problem = nil
		d.State, d.NextTry, d.Problem = string(api.StateSending), time.Time{}, f.encode()
		d.Attempts++
		e, ok = m, true
		e.Delivery = &d
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
	return e, ok, err
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
