package queue

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/mail"
)

// TestNothingIsLostAndNothingSentTwice lets things go wrong at random: servers, crashes, full disks, clocks, administrators.
// In the end every recipient that was accepted has the message, or the sender has a report, or it was dropped by hand; nobody
// has it twice but where SMTP cannot know, and then the log says so; and nothing is given up without a reason: a refusal, its
// time being over, or an administrator.
func TestNothingIsLostAndNothingSentTwice(t *testing.T) {
	if underRace {
		flag.Set("rapid.checks", "10")
	}
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 5, 25).Draw(rt, "steps")
		dir, err := os.MkdirTemp("", "queue")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		var problems []string
		synctest.Test(t, func(t *testing.T) { // rapid's own calls stay outside
			w := newWorld(dir)
			w.start(t.Context())
			for _, s := range steps {
				w.do(t.Context(), s)
			}
			problems = w.end(t.Context())
		})
		if len(problems) > 0 {
			rt.Fatalf("%s", strings.Join(problems, "\n"))
		}
	})
}

// step is one thing that happens.
type step struct {
	kind   string
	n      int           // which destination, or how many recipients
	answer string        // of a destination from now on
	wait   time.Duration // that passes, or by which the clock jumps
	late   bool          // the crash comes behind the write's effect
	sender string
	notify string
}

var answers = []string{"takes", "relays", "defers", "refuses", "is down", "takes and cuts", "loses and cuts"}

const places = 3

func drawStep(t *rapid.T) step {
	minutes := rapid.OneOf(rapid.IntRange(1, 90), rapid.IntRange(1, 24*60), rapid.IntRange(1, 8*24*60))
	return step{
		kind:   rapid.SampledFrom([]string{"send", "send", "send", "world", "world", "wait", "wait", "jump", "crash", "crash twice", "restart", "full", "hold", "release", "drop", "return", "retry"}).Draw(t, "kind"),
		n:      rapid.IntRange(0, places-1).Draw(t, "n"),
		answer: rapid.SampledFrom(answers).Draw(t, "answer"),
		wait:   time.Duration(minutes.Draw(t, "minutes")) * time.Minute,
		late:   rapid.Bool().Draw(t, "late"),
		sender: rapid.SampledFrom([]string{alice, alice, "", "eve@place0.test", "gone@postern.test"}).Draw(t, "sender"),
		notify: rapid.SampledFrom([]string{"", "", "NEVER", "SUCCESS", "FAILURE,DELAY"}).Draw(t, "notify"),
	}
}

func (s step) String() string {
	return fmt.Sprint(s.kind, " ", s.n, " ", s.answer, " ", s.wait, " late ", s.late, " <", s.sender, "> ", s.notify)
}

// world is a store, a queue and the servers of others, and knows what is true of them.
type world struct {
	dir    string
	store  *maildrop.Store
	faults *faults
	queue  *Queue
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	offset   time.Duration // by which the clock is wrong
	furthest time.Duration // by which it was ever ahead
	answer   [places]string
	sent     int
	expected map[string]step // accepted recipients, and how they were sent
	arrived  map[string]int
	doubts   map[string]int // log lines that say that a recipient may get it twice
	reported map[string]bool
	dropped  map[string]bool
	accepted map[string]time.Time // when
	excused  map[string]bool      // those that there is a reason to give up
	problems []string
}

func newWorld(dir string) *world {
	w := &world{dir: dir, expected: map[string]step{}, arrived: map[string]int{}, doubts: map[string]int{}, reported: map[string]bool{}, dropped: map[string]bool{},
		accepted: map[string]time.Time{}, excused: map[string]bool{}}
	for i := range w.answer {
		w.answer[i] = "takes"
	}
	return w
}

// Now and After make the world a Clock.
func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.offset)
}

func (w *world) After(d time.Duration) (<-chan time.Time, func()) { return systemClock{}.After(d) }

func (w *world) problem(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, a...))
}

func (w *world) start(ctx context.Context, prepare ...func(*faults)) {
	store, err := maildrop.Open(ctx, filepath.Join(w.dir, "mail"), &maildrop.Options{Logger: slog.New(slog.DiscardHandler), Now: w.Now})
	if err != nil {
		w.problem("open: %v", err)
		panic(err)
	}
	store.AddAccount(account.Record{Account: account.Account{Email: alice}, Hash: "x"})
	w.store, w.faults, w.ended = store, &faults{Store: store, world: w}, make(chan struct{})
	for _, p := range prepare {
		p(w.faults)
	}
	w.queue = New(Config{
		Store: w.faults, Deliverer: w, Hostname: "postern.test", Postmaster: "postmaster@postern.test", Clock: w, Logger: slog.New(&doubtful{world: w}),
		Lookup: func(ctx context.Context, address string) ([]string, bool, error) {
			if !strings.HasSuffix(address, "@postern.test") {
				return nil, false, nil
			}
			boxes, err := store.Resolve(ctx, address)
			return boxes, true, err
		},
	})
	var running context.Context
	running, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(w.ended)
		if err := w.queue.Run(running); err != nil && !errors.Is(err, errPower) {
			w.problem("run: %v", err)
		}
	}()
}

func (w *world) stop() {
	w.cancel()
	<-w.ended
	if err := w.store.Close(); err != nil {
		w.problem("close: %v", err)
	}
}

func (w *world) do(ctx context.Context, s step) {
	destination := maildrop.Filter{Destination: fmt.Sprintf("place%d.test", s.n)}
	var err error
	switch s.kind {
	case "send":
		err = w.send(ctx, s)
	case "world":
		w.mu.Lock()
		w.answer[s.n] = s.answer
		w.mu.Unlock()
	case "wait":
		time.Sleep(s.wait)
	case "jump":
		w.mu.Lock()
		w.offset += s.wait * time.Duration(1-2*(s.n%2))
		w.furthest = max(w.furthest, w.offset)
		w.mu.Unlock()
	case "crash", "crash twice":
		w.faults.cut(s.n+1, s.late)
		w.queue.Retry(context.Background())
		time.Sleep(s.wait)
		w.faults.cut(1, false) // at the latest now
		w.stop()
		if s.kind == "crash twice" { // the second time at the first write of the new start
			w.start(ctx, func(f *faults) { f.until, f.late = 1, s.n > 0 })
			time.Sleep(time.Minute)
			w.faults.cut(1, false)
			w.stop()
		}
		w.start(ctx)
	case "restart":
		w.stop()
		w.start(ctx)
	case "full":
		w.faults.fill(s.n+1, s.late)
		w.queue.Retry(context.Background())
		time.Sleep(min(s.wait, 3*time.Hour))
		w.faults.fill(0, false)
		time.Sleep(2 * time.Minute) // until it is tried again
	case "hold":
		_, err = w.store.Hold(ctx, destination)
	case "release":
		_, err = w.store.Release(ctx, destination, w.Now())
		w.queue.Kick()
	case "retry":
		_, err = w.store.Hasten(ctx, destination, w.Now())
		w.queue.Retry(context.Background())
	case "drop":
		err = w.drop(ctx, destination)
	case "return":
		err = w.giveBack(ctx, destination)
	}
	if err != nil {
		w.problem("%v: %v", s, err)
	}
}

func (w *world) send(ctx context.Context, s step) error {
	env := maildrop.Envelope{From: s.sender}
	var notify []string
	if s.notify != "" {
		notify = strings.Split(s.notify, ",")
	}
	for i := range s.n + 1 {
		address := fmt.Sprintf("m%dr%d@place%d.test", w.sent, i, (s.n+i/2)%places)
		env.Remote = append(env.Remote, maildrop.Recipient{Address: address, Notify: notify})
		w.mu.Lock()
		w.expected[address], w.accepted[address] = s, time.Now().Add(w.offset)
		w.mu.Unlock()
	}
	w.sent++
	err := w.store.Put(ctx, []byte(letter), env)
	w.queue.Kick()
	return err
}

// drop takes what waits away, as an administrator does.
func (w *world) drop(ctx context.Context, f maildrop.Filter) error {
	rows, err := w.store.Queue(ctx, f)
	for _, r := range rows {
		if r.State == maildrop.Sending {
			continue
		}
		switch err := w.store.Settle(ctx, []maildrop.Settlement{{Row: r, Gone: true}}); {
		case err == nil:
			w.mu.Lock()
			w.dropped[r.Recipient] = true
			w.mu.Unlock()
		case !errors.Is(err, maildrop.ErrSettled):
			return err
		}
	}
	return err
}

// giveBack returns what waits to its senders, as an administrator does.
func (w *world) giveBack(ctx context.Context, f maildrop.Filter) error {
	rows, err := w.store.Queue(ctx, f)
	if err != nil {
		return err
	}
	w.mu.Lock()
	for _, r := range rows {
		w.excused[r.Recipient] = true
	}
	w.mu.Unlock()
	_, err = w.queue.Return(ctx, f)
	return err
}

// overdue hears that the queue gave a recipient up, and asks whether by any clock that there was it could be time for that.
func (w *world) overdue(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.excused[address] = true
	if age := time.Now().Add(w.furthest).Sub(w.accepted[address]); age < 5*24*time.Hour {
		w.problems = append(w.problems, fmt.Sprintf("%s is given up after %v", address, age))
	}
}

// note reads what a report that was stored says of whom. Alice's are read from her maildrop in the end; others' are on their
// way, and if that fails nobody is told.
func (w *world) note(raw []byte) {
	report, ok := mail.Reader{}.Report(raw)
	if !ok {
		w.problem("no report: %s", raw)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range report.Recipients {
		if c.Action == "failed" {
			w.reported[c.Final] = true
		}
	}
}

// Deliver is the servers of others.
func (w *world) Deliver(ctx context.Context, domain string, m delivery.Message) (results []delivery.Result, said delivery.Transcript) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range m.Recipients {
		if ctx.Err() != nil {
			results = append(results, delivery.Result{Outcome: delivery.Deferred, Code: 451, Enhanced: "4.4.2", Text: "stopped", Local: true})
			continue
		}
		place := int(domain[len("place")] - '0')
		result, has := taken, true
		switch w.answer[place] {
		case "takes":
			result.Outcome = delivery.Delivered
		case "takes and cuts":
			result = cut
		case "loses and cuts":
			result, has = cut, false
		case "defers":
			result, has = greylist, false
		case "refuses":
			result, has = unknown, false
			w.excused[r.Address] = true
		case "is down":
			result, has = gone, false
		}
		if has {
			w.arrived[r.Address]++
		}
		results = append(results, result)
	}
	return results, nil
}

// end makes everything work, waits, and says what is not as it should be.
func (w *world) end(ctx context.Context) []string {
	w.mu.Lock()
	for i := range w.answer {
		w.answer[i] = "takes"
	}
	w.mu.Unlock()
	if _, err := w.store.Release(ctx, maildrop.Filter{}, w.Now()); err != nil {
		w.problem("release: %v", err)
	}
	w.queue.Kick()
	time.Sleep(10 * time.Hour) // longer than anything waits
	rows, err := w.store.Queue(ctx, maildrop.Filter{})
	for _, r := range rows {
		w.problem("%s is left in the queue: %+v", r.Recipient, r)
	}
	drop, lerr := w.store.Lock(ctx, alice)
	if err = errors.Join(err, lerr); err != nil {
		w.problem("%v", err)
		return w.problems
	}
	for _, m := range drop.Messages() {
		r, err := drop.Open(m)
		if err != nil {
			w.problem("%v", err)
			continue
		}
		raw, _ := io.ReadAll(r)
		r.Close()
		w.note(raw)
	}
	drop.Unlock()
	w.stop()
	for _, address := range slices.Sorted(maps.Keys(w.expected)) { // the same history is to give the same words: rapid compares them
		s := w.expected[address]
		silent := s.notify == "NEVER" || s.notify == "SUCCESS" || s.sender == "" || s.sender == "gone@postern.test"
		switch n := w.arrived[address]; {
		case n == 0 && !w.reported[address] && !w.dropped[address] && !silent:
			w.problem("%s is lost (%v)", address, s)
		case n > 1+w.doubts[address]:
			w.problem("%s has it %d times, and the log has doubts about %d", address, n, w.doubts[address])
		case n > 0 && w.reported[address] && w.doubts[address] == 0:
			w.problem("%s has it, and the sender was told otherwise", address)
		case (n == 0 || w.reported[address]) && !w.excused[address] && !w.dropped[address]:
			w.problem("%s is given up without a reason (%v)", address, s)
		}
	}
	return w.problems
}
