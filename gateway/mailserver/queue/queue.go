package queue

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// Deliverer tries once. [*delivery.Deliverer] is one.
type Deliverer interface {
	Deliver(ctx context.Context, domain string, m delivery.Message) ([]delivery.Result, delivery.Transcript)
}

// Forgetter is a Deliverer that remembers for a while which servers it could not connect to. [*delivery.Deliverer] is one.
type Forgetter interface {
	Forget(domain string)
}

var _ Forgetter = (*delivery.Deliverer)(nil)

// Store is where the rows are. [*maildrop.Store] is one, and says what its methods do.
type Store interface {
	Due(ctx context.Context, now time.Time, after string, limit int) ([]maildrop.Due, error)
	DueRows(ctx context.Context, destination string, now time.Time, limit int) ([]maildrop.Queued, error)
	NextTry(ctx context.Context) (at time.Time, ok bool, err error)
	Queue(ctx context.Context, f maildrop.Filter) ([]maildrop.Queued, error)
	Newest(ctx context.Context) (id int64, err error)
	OpenContent(q maildrop.Queued) (io.ReadCloser, error)

	Claim(ctx context.Context, destination string, now time.Time, limit int, claim int64) ([]maildrop.Queued, error)
	Unclaim(ctx context.Context, claim int64) error
	Settle(ctx context.Context, settlements []maildrop.Settlement) error
	Put(ctx context.Context, content []byte, env maildrop.Envelope) error
	Unsettled(ctx context.Context, now time.Time, problem string) error
	PullIn(ctx context.Context, now, latest time.Time) (int64, error)
}

var _ Store = (*maildrop.Store)(nil)

// Clock is the time as the queue sees it: the demo world has a faster one.
type Clock interface {
	Now() time.Time
	// After is a channel that gets a value when so much of the clock's time has passed, and what gives it up.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// Config of a Queue.
type Config struct {
	Store     Store
	Deliverer Deliverer
	Hostname  string // of this server: what reports come from
	// Postmaster is the address whose reports they are.
	Postmaster string
	// Lookup says where a sender is, to whom a report goes: its mailboxes here, or local false.
	Lookup   func(ctx context.Context, address string) (mailboxes []string, local bool, err error)
	Clock    Clock // default: the system's
	Logger   *slog.Logger
	Schedule Schedule
	Limits   Limits
}

// Schedule says when what could not be delivered is tried again. Zero values are the defaults.
type Schedule struct {
	First  time.Duration // before the second attempt; 30 minutes, the least that RFC 5321 §4.5.4.1 wants
	Growth float64       // of the interval, with each attempt; 1.5
	Most   time.Duration // the longest interval; 4 hours
	Delay  time.Duration // after which the sender is told that it takes long; 4 hours. Negative: never
	GiveUp time.Duration // after which it is given up; 5 days (RFC 5321 §4.5.4.1 has four to five)
	Pause  time.Duration // for which a destination that cannot be reached is left alone; 5 minutes, doubling up to First
}

// Limits bound the queue's work. Zero values are the defaults.
type Limits struct {
	Attempts       int // at the same time; 1,000: most of them wait for a server that does not answer
	PerDestination int // of them at one destination, once its servers have been seen to work; 4
	Recipients     int // of a message in one attempt; 100, what every server takes in a transaction
	Turn           int // messages that a destination gets before the others have their turn; 20
	Transcript     int // octets kept of what was said in the last attempt; 32 KiB
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&c.Schedule.First, 30 * time.Minute}, {&c.Schedule.Most, 4 * time.Hour}, {&c.Schedule.Delay, 4 * time.Hour}, {&c.Schedule.GiveUp, 5 * 24 * time.Hour}, {&c.Schedule.Pause, 5 * time.Minute}} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if c.Schedule.Growth < 1 {
		c.Schedule.Growth = 1.5
	}
	for _, n := range []struct {
		value     *int
		otherwise int
	}{{&c.Limits.Attempts, 1000}, {&c.Limits.PerDestination, 4}, {&c.Limits.Recipients, 100}, {&c.Limits.Turn, 20}, {&c.Limits.Transcript, 32 << 10}} {
		if *n.value <= 0 {
			*n.value = n.otherwise
		}
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// Queue works on the rows of a store. Run it once.
type Queue struct {
	cfg    Config
	log    *slog.Logger
	kicked chan struct{} // holds one: there may be something to do
	last   int64         // the number of the last claim

	mu       sync.Mutex
	running  int // attempts
	probing  int // of them at destinations that are not known to work
	turns    map[string]int
	troubled map[string]trouble // destinations that could not be reached
	working  map[string]bool    // those that could, a moment ago
	workers  sync.WaitGroup

	counters  Counters
	listeners map[chan Event]bool
}

// trouble is a destination that is left alone.
type trouble struct {
	until time.Time
	pause time.Duration
}

// mostRemembered bounds what is remembered of destinations: it is for speed and fairness alone.
const mostRemembered = 100_000

// New makes a Queue.
func New(c Config) *Queue {
	c.setDefaults()
	return &Queue{cfg: c, log: c.Logger, kicked: make(chan struct{}, 1), turns: map[string]int{}, troubled: map[string]trouble{}, working: map[string]bool{}, listeners: map[chan Event]bool{}}
}

// Kick says that rows were added, or changed by hand.
func (q *Queue) Kick() {
	select {
	case q.kicked <- struct{}{}:
	default:
	}
}

// Retry says that an administrator wants to see it tried, what is due: destinations that were left alone are not any more, and
// whether their servers answer is asked anew.
func (q *Queue) Retry(ctx context.Context) {
	if d, ok := q.cfg.Deliverer.(Forgetter); ok {
		if err := q.forget(ctx, d); err != nil {
			q.log.Error("queue: the destinations that are due cannot be read", "error", err)
		}
	}
	q.mu.Lock()
	clear(q.troubled)
	q.mu.Unlock()
	q.Kick()
}

// forget has forgotten what is remembered of every destination that has something due.
func (q *Queue) forget(ctx context.Context, d Forgetter) error {
	for now, after := q.cfg.Clock.Now(), ""; ; {
		due, err := q.cfg.Store.Due(ctx, now, after, page)
		for _, to := range due {
			d.Forget(to.Destination)
			after = to.Destination
		}
		if err != nil || len(due) < page {
			return err
		}
	}
}

// Run works until ctx ends, and returns when every attempt has ended. An attempt that is cut off by that, before the other
// server could have the message, does not count.
func (q *Queue) Run(ctx context.Context) error {
	defer q.workers.Wait()
	if err := q.recover(ctx); err != nil {
		return err
	}
	q.last = q.cfg.Clock.Now().UnixMicro() // no run makes a million claims a second
	before := q.cfg.Clock.Now()
	for {
		now := q.cfg.Clock.Now()
		if now.Before(before) { // the clock was set back
			q.pullIn(ctx, now)
		}
		before = now
		wait, err := q.dispatch(ctx, now)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			q.log.Error("queue: the index cannot be read; it is tried again in a minute", "error", err)
			wait = time.Minute
		}
		timer, stop := q.cfg.Clock.After(wait)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-q.kicked:
		case <-timer:
		}
		stop()
	}
}

// recover takes up what was being sent when the server stopped. What may arrive twice is said before it is settled: a server
// that is killed in between says it again, and not never. A disk that is full is waited for: that is no reason for a server not
// to start.
func (q *Queue) recover(ctx context.Context) error {
	now := q.cfg.Clock.Now()
	q.pullIn(ctx, now)
	rows, err := q.cfg.Store.Queue(context.WithoutCancel(ctx), maildrop.Filter{State: maildrop.Sending})
	if err != nil || len(rows) == 0 {
		return err
	}
	for _, r := range rows {
		q.log.Warn("queue: cut off while it was sent; the other server may have it, and may get it twice", "row", r.ID, "to", r.Recipient)
	}
	var lasting error
	err = q.insist(ctx, "what was being sent when this server stopped cannot be taken up", func() error {
		err := q.cfg.Store.Unsettled(ctx, now, "this server stopped while the message was being sent: it may have been delivered, and is tried again")
		if errors.Is(err, maildrop.ErrFull) {
			return err
		}
		lasting = err
		return nil
	})
	if ctx.Err() != nil { // it is for the next start
		err = nil
	}
	return cmp.Or(lasting, err)
}

func (q *Queue) pullIn(ctx context.Context, now time.Time) {
	n, err := q.cfg.Store.PullIn(ctx, now, now.Add(q.cfg.Schedule.Most))
	switch {
	case err != nil:
		q.log.Error("queue: times that are too far ahead cannot be mended", "error", err)
	case n > 0:
		q.log.Warn("queue: the clock was set back; rows that would have waited for too long wait less", "rows", n)
	}
}

// idle is how long to wait when nothing waits: somebody will call Kick.
const idle = time.Hour

// page is how many destinations are looked at together.
const page = 500

// dispatch starts attempts at the destinations that have something due, and answers how long to wait before the next look, unless
// something happens.
func (q *Queue) dispatch(ctx context.Context, now time.Time) (wait time.Duration, err error) {
	wait = idle
	if next, ok, err := q.cfg.Store.NextTry(ctx); err != nil {
		return 0, err
	} else if !ok {
		return idle, nil
	} else if next.After(now) {
		return min(next.Sub(now), idle), nil
	}
	for after := ""; ; {
		due, err := q.cfg.Store.Due(ctx, now, after, page)
		if err != nil {
			return 0, err
		}
		for _, d := range due {
			if paused := q.start(ctx, d, now); paused > 0 {
				wait = min(wait, paused)
			}
		}
		if len(due) < page {
			break
		}
		after = due[len(due)-1].Destination
	}
	// What is due later is looked for when something due now has ended, or at the latest then.
	return min(wait, time.Minute), nil
}

// start begins attempts at a destination, or answers how much longer it is left alone.
func (q *Queue) start(ctx context.Context, d maildrop.Due, now time.Time) (paused time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if left := q.troubled[d.Destination].until.Sub(now); left > 0 && left <= q.cfg.Schedule.longestPause() { // or the clock was set back
		return left
	}
	most, works := 1, q.working[d.Destination] // one until it is known to answer
	if works {
		most = min(q.cfg.Limits.PerDestination, d.Rows)
	}
	for q.turns[d.Destination] < most && q.running < q.cfg.Limits.Attempts {
		if !works {
			// Those that answer have a fourth for themselves, however many do not.
			if q.probing >= max(1, q.cfg.Limits.Attempts*3/4) {
				return 0
			}
			q.probing++
		}
		q.turns[d.Destination]++
		q.running++
		q.workers.Go(func() { q.turn(ctx, d.Destination, !works) })
	}
	return 0
}

// turn makes a destination's attempts, some of them, and has the others looked at again.
func (q *Queue) turn(ctx context.Context, destination string, probing bool) {
	defer func() {
		q.mu.Lock()
		q.running--
		if probing {
			q.probing--
		}
		if q.turns[destination]--; q.turns[destination] == 0 {
			delete(q.turns, destination)
		}
		q.mu.Unlock()
		q.Kick()
	}()
	for range q.cfg.Limits.Turn {
		q.mu.Lock()
		q.last++
		claim := q.last
		q.mu.Unlock()
		rows, err := q.cfg.Store.Claim(ctx, destination, q.cfg.Clock.Now(), q.cfg.Limits.Recipients, claim)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, maildrop.ErrClosed) {
				q.log.Error("queue: rows cannot be marked as being sent", "error", err)
				q.rest(destination, q.cfg.Clock.Now())
			}
			q.unclaim(ctx, claim)
			return
		}
		if len(rows) == 0 || !q.attempt(ctx, destination, rows) {
			return
		}
	}
}

// unclaim gives back what may have been claimed.
func (q *Queue) unclaim(ctx context.Context, claim int64) {
	err := q.insist(ctx, "rows cannot be given back", func() error { return q.cfg.Store.Unclaim(context.Background(), claim) })
	if err != nil && !errors.Is(err, maildrop.ErrClosed) {
		q.log.Error("queue: rows were not given back; they will be at the next start", "error", err)
	}
}

// rest leaves a destination alone for a while, each time for longer.
func (q *Queue) rest(destination string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.troubled[destination]
	t.pause = min(max(2*t.pause, q.cfg.Schedule.Pause), q.cfg.Schedule.longestPause())
	t.until = now.Add(t.pause)
	if len(q.troubled) >= mostRemembered {
		clear(q.troubled)
	}
	q.troubled[destination] = t
	delete(q.working, destination)
}

// Resting is until when a destination is left alone, because it did not answer; the zero time, or one that is past, if it is not.
func (q *Queue) Resting(destination string) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.troubled[destination].until
}

// works says that a destination answers.
func (q *Queue) works(destination string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.troubled, destination)
	if len(q.working) >= mostRemembered {
		clear(q.working)
	}
	q.working[destination] = true
}
