package engine

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
)

const (
	untilAsked = time.Duration(-1) // rest until somebody asks: the gateway is back, the user wants it

	firstBackoff = 2 * time.Second
	mostBackoff  = 5 * time.Minute

	// longestWatch bounds one XWAIT. The server may hold it for half an hour, but a connection that died without a
	// word would hide new mail for so long.
	longestWatch = 5 * time.Minute
	// unknownLoginDelay is the pause after a login that came too soon, where the server has not said how soon.
	unknownLoginDelay = time.Minute

	// shortWatch is a watch so short that a server may be turning us round in circles.
	shortWatch = 2 * time.Second
)

// inUsePauses are the pauses before a maildrop that is in use is tried again. A session of our own that was cut is
// noticed by the server in that time; another client's takes longer, and is not hurried.
var inUsePauses = []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second}

// keepFetching fetches now, at each poll, when asked, and, where the server can tell (XWAIT), when there is new mail.
// first is a session to begin with, or nil.
func (a *account) keepFetching(ctx context.Context, first *pop3.Client) {
	p := &poller{account: a, session: first}
	defer p.closeSession()
	defer a.rests.answerAll(errClosed)
	pause := time.Duration(0)
	for p.session != nil || a.rest(ctx, a.toFetch, pause) {
		if ctx.Err() != nil {
			return
		}
		pause = p.round(ctx)
	}
}

// rest waits for d, or until asked; it says false when ctx ended.
func (a *account) rest(ctx context.Context, asked <-chan struct{}, d time.Duration) bool {
	var alarm <-chan time.Time
	switch {
	case d == 0:
		return ctx.Err() == nil
	case d > 0:
		alarm = a.e.Clock.After(d)
	}
	select {
	case <-asked:
	case <-alarm:
	case <-ctx.Done():
		return false
	}
	return ctx.Err() == nil
}

// poller is what keepFetching knows from one round to the next.
type poller struct {
	account  *account
	session  *pop3.Client // open, in TRANSACTION; nil between rounds
	failures int          // rounds that failed, one after the other
	idle     int          // short watches that brought nothing, one after the other
	trouble  trouble
	last     *lastLook

	loggedIn    time.Time     // when the last session began
	loginDelay  time.Duration // what the server wants between two sessions
	unconfirmed int           // removals that the server did not confirm, one after the other
	doubt       *api.Problem  // the last of them
	removeFrom  time.Time     // before it, none is tried
}

// round fetches once and then watches, if the server can. It answers how long to rest before the next round.
func (p *poller) round(ctx context.Context) time.Duration {
	a := p.account
	defer p.closeSession()
	if p.session == nil {
		if a.awaitsGateway() {
			a.cutOff()
			a.rests.answerAll(gatewayProblem(a.e.Gateway.State().Err))
			return untilAsked
		}
		if early := p.loggedIn.Add(p.loginDelay).Sub(a.e.Clock.Now()); p.loginDelay > 0 && early > 0 {
			a.announce()
			return early // whoever asked (RFC 2449 section 6.5)
		}
		if _, err := a.credentials(ctx, maildropDoor); err != nil {
			return p.failed(ctx, err)
		}
		a.setSync(func(s *api.Sync) { *s = api.Sync{State: api.Syncing, Last: s.Last} })
		var err error
		if p.session, err = a.openMaildrop(ctx); err != nil {
			return p.failed(ctx, err)
		}
	}
	p.loggedIn = a.e.Clock.Now()
	f := &fetch{account: a, session: p.session, settings: a.settings(), trouble: &p.trouble, last: p.last}
	f.spare = p.loggedIn.Before(p.removeFrom)
	err := f.run(ctx)
	if whole := p.last == nil || f.last != p.last; whole && err == nil {
		a.copies.learn(a.box, f)
	}
	p.last, p.loginDelay = f.last, f.loginDelay
	if err != nil {
		if f.stored > 0 {
			p.failures = 0 // it gets on, in small steps
		}
		p.trouble.cutShort(f.removing)
		return p.failed(ctx, a.atServer(api.POP3, err))
	}
	p.failures = 0
	if len(f.marked) > 0 {
		a.fetched(f, p.update(ctx, f))
		if p.unconfirmed == 0 && (f.canWatch || f.more) {
			return 0 // to watch in a session that has nothing to remove, or to remove the rest
		}
		return a.e.Poll
	}
	if f.spare && f.more {
		a.fetched(f, p.doubt)
	} else {
		a.fetched(f, nil)
	}
	if f.canWatch && !f.more {
		return p.watch(ctx, f.stored > 0)
	}
	p.quit(ctx)
	if f.more && !f.spare {
		return 0
	}
	return a.e.Poll
}

// update ends the session by QUIT, at which the server removes what was marked. It answers a problem if that is not
// certain: see leave.go.
func (p *poller) update(ctx context.Context, f *fetch) *api.Problem {
	a := p.account
	err := p.session.Quit(ctx)
	if err == nil {
		p.unconfirmed, p.doubt = 0, nil
		p.trouble.halved = max(0, p.trouble.halved-1)
		f.confirmed()
		return nil
	}
	p.unconfirmed++
	p.removeFrom = a.e.Clock.Now().Add(backoff(p.unconfirmed))
	a.e.Logf("account %s: QUIT after %d DELE: %v", a.id, len(f.marked), err)
	problem := &api.Problem{Code: api.CodeUnconfirmed, Detail: a.login("").place(api.POP3).host(), Technical: err.Error()}
	if rec := a.wire.latest(api.POP3); rec != nil {
		problem = rec.linked(problem)
		rec.end(problem)
	}
	if refusal(err) == nil {
		p.trouble.cutShort(len(f.marked))
	}
	p.doubt = problem
	return problem
}

// failed marks the account with the reason and answers when to try again.
func (p *poller) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return untilAsked
	}
	a := p.account
	problem := problemOf(err)
	a.rests.answerAll(problem)
	switch problem.Code {
	case api.CodeWrongPassword:
		a.refuse(maildropDoor)
		p.failures = 0
	case api.CodePasswordNeeded, api.CodeLocked, api.CodeGatewayOffline:
		p.failures = 0
	default:
		p.failures++
	}
	if err != error(errRefusedBefore) { // what was said the first time has the server's words
		a.e.Logf("account %s: fetching: %v", a.id, err)
		a.setSync(func(s *api.Sync) { *s = api.Sync{State: api.SyncError, Last: s.Last, Problem: problem} })
	}
	if p.failures == 0 && (problem.Code != api.CodeGatewayOffline || a.awaitsGateway()) {
		return untilAsked
	}
	pause := backoff(max(p.failures, 1))
	if refused := refusal(err); refused != nil && refused.Code == "LOGIN-DELAY" {
		pause = max(pause, p.loginDelay, unknownLoginDelay)
	}
	return pause
}

// cutOff marks an account that was fetching as cut off; one that was at rest stays so, for the page shows the gateway's
// state by itself.
func (a *account) cutOff() {
	a.mu.Lock()
	was := a.sync.State
	a.mu.Unlock()
	if was == api.Syncing {
		a.setSync(func(s *api.Sync) {
			*s = api.Sync{State: api.SyncError, Last: s.Last, Problem: &api.Problem{Code: api.CodeGatewayOffline}}
		})
	}
}

// watch holds the session until there is new mail, somebody asks, or a while has passed.
func (p *poller) watch(ctx context.Context, fruitful bool) time.Duration {
	a := p.account
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := a.e.Clock.Now()
	session, done := p.session, make(chan error, 1)
	go func() {
		_, err := session.Wait(ctx, longestWatch)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil && ctx.Err() == nil {
			a.e.Logf("account %s: watching: %v", a.id, err)
		}
	case <-a.toFetch:
		cancel()
		<-done
		return 0
	}
	if fruitful || a.e.Clock.Now().Sub(began) >= shortWatch {
		p.idle = 0
		return 0
	}
	p.idle++
	return min(a.e.Poll, 250*time.Millisecond<<min(p.idle, 10))
}

// quit ends the session by QUIT, so that the server lets go of the maildrop at once. Nothing was marked as deleted.
func (p *poller) quit(ctx context.Context) {
	if err := p.session.Quit(ctx); err != nil && ctx.Err() == nil {
		p.account.e.Logf("account %s: QUIT: %v", p.account.id, err)
	}
}

func (p *poller) closeSession() {
	closeSession(p.session)
	p.session = nil
}

// backoff is the pause after so many failures in a row: 2 s, 4 s, 8 s … 5 min, a fifth more or less, so that the
// clients of a server that comes back do not come back together.
func backoff(failures int) time.Duration {
	d := min(mostBackoff, firstBackoff<<min(failures-1, 16))
	return d - d/5 + rand.N(2*d/5)
}
