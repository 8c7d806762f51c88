package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const alice = "alice@postern.test"

// servers are those of others: what they answer is the test's to say.
type servers struct {
	mu     sync.Mutex
	answer func(domain string, m delivery.Message, r delivery.Recipient) delivery.Result
	tried  []string // "after 30m0s bob@elsewhere.test"
	began  time.Time
	log    bool
	calls  map[string]int // by destination

	forgotten []string
}

func (s *servers) Deliver(ctx context.Context, domain string, m delivery.Message) (list []delivery.Result, said delivery.Transcript) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[domain]++
	for _, r := range m.Recipients {
		if s.log {
			s.tried = append(s.tried, fmt.Sprint("after ", time.Since(s.began).Round(time.Minute), " ", r.Address))
		}
		if err := ctx.Err(); err != nil {
			list = append(list, delivery.Result{Outcome: delivery.Deferred, Enhanced: "4.4.1", Text: err.Error(), Local: true})
			continue
		}
		list = append(list, s.answer(domain, m, r))
	}
	return list, delivery.Transcript{{Time: time.Now(), Who: delivery.Server, Text: "220 hello"}}
}

func (s *servers) Forget(domain string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = append(s.forgotten, domain)
}

// looks says how often a destination was tried.
func (s *servers) looks(domain string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[domain]
}

func (s *servers) attempts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tried)
}

var (
	taken    = delivery.Result{Outcome: delivery.Relayed, Code: 250, Enhanced: "2.0.0", Text: "OK", Server: "mx.elsewhere.test (192.0.2.1)"}
	greylist = delivery.Result{Outcome: delivery.Deferred, Code: 450, Enhanced: "4.2.0", Text: "come back later", Server: "mx.elsewhere.test (192.0.2.1)"}
	unknown  = delivery.Result{Outcome: delivery.Failed, Code: 550, Enhanced: "5.1.1", Text: "no such user", Server: "mx.elsewhere.test (192.0.2.1)"}
	cut      = delivery.Result{Outcome: delivery.Unknown, Code: 451, Enhanced: "4.4.2", Text: "cut", Local: true}
	gone     = delivery.Result{Outcome: delivery.Deferred, Code: 451, Enhanced: "4.4.1", Text: "no answer", Local: true}
)

// always answers the same.
func always(r delivery.Result) *servers {
	return &servers{answer: func(string, delivery.Message, delivery.Recipient) delivery.Result { return r }}
}

// post is a store with alice in it, and a queue that works on it within a bubble.
type post struct {
	*testing.T
	store *maildrop.Store
	queue *Queue
	*servers
	noRoom atomic.Bool // for reports
	stop   func()
}

type noRoom struct {
	*maildrop.Store
	reports *atomic.Bool
}

func (s *noRoom) Put(ctx context.Context, content []byte, env maildrop.Envelope) error {
	if s.reports.Load() {
		return maildrop.ErrFull
	}
	return s.Store.Put(ctx, content, env)
}

func open(t *testing.T, dir string, d Deliverer) *post { return openWith(t, dir, d, Limits{}) }

func openWith(t *testing.T, dir string, d Deliverer, l Limits) *post {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := maildrop.Open(t.Context(), filepath.Join(dir, "mail"), &maildrop.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AddAccount(account.Record{Account: account.Account{Email: alice}, Hash: "x"}); err != nil && !errors.Is(err, maildrop.ErrAccountExists) {
		t.Fatal(err)
	}
	s, _ := d.(*servers)
	p := &post{T: t, store: store, servers: s}
	p.queue = New(Config{
		Store: &noRoom{Store: store, reports: &p.noRoom}, Deliverer: d, Hostname: "postern.test", Postmaster: "postmaster@postern.test", Logger: quiet, Limits: l,
		Lookup: func(ctx context.Context, address string) ([]string, bool, error) {
			if !strings.HasSuffix(address, "@postern.test") {
				return nil, false, nil
			}
			boxes, err := store.Resolve(ctx, address)
			return boxes, true, err
		},
	})
	if s != nil {
		s.began = time.Now()
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.queue.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	p.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		store.Close()
	})
	return p
}

const letter = "From: alice@postern.test\r\nTo: bob@elsewhere.test\r\nSubject: Lunch\r\nMessage-ID: <1@postern.test>\r\n\r\nAt noon?\r\n"

func (p *post) send(env maildrop.Envelope) {
	p.Helper()
	in, err := p.store.Create()
	if err != nil {
		p.Fatal(err)
	}
	io.WriteString(in, letter)
	if err := in.Deliver(p.Context(), env); err != nil {
		p.Fatal(err)
	}
	p.queue.Kick()
}

func to(addresses ...string) (l []maildrop.Recipient) {
	for _, a := range addresses {
		l = append(l, maildrop.Recipient{Address: a})
	}
	return l
}

// reports are those that alice has, as "action status recipient".
func (p *post) reports() (list []string) {
	p.Helper()
	drop, err := p.store.Lock(p.Context(), alice)
	if err != nil {
		p.Fatal(err)
	}
	defer drop.Unlock()
	for _, m := range drop.Messages() {
		r, err := drop.Open(m)
		if err != nil {
			p.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			p.Fatal(err)
		}
		report, ok := mail.Reader{}.Report(raw)
		if !ok {
			p.Fatalf("no report:\n%s", raw)
		}
		for _, c := range report.Recipients {
			list = append(list, strings.TrimSpace(fmt.Sprint(c.Action, " ", c.Status, " ", c.Final)))
		}
	}
	return list
}

func (p *post) left() int {
	p.Helper()
	rows, err := p.store.Queue(p.Context(), maildrop.Filter{})
	if err != nil {
		p.Fatal(err)
	}
	return len(rows)
}

// within runs a test in a bubble, in which days pass in no time.
func within(t *testing.T, s *servers, fn func(p *post)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := open(t, dir, s)
		defer p.stop()
		fn(p)
	})
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func TestDelivered(t *testing.T) {
	within(t, always(taken), func(p *post) {
		p.log = true
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test", "carol@elsewhere.test", "dan@third.test")})
		time.Sleep(time.Second)
		got := p.attempts()
		slices.Sort(got)
		equal(p, "at once", got, "[after 0s bob@elsewhere.test after 0s carol@elsewhere.test after 0s dan@third.test]")
		equal(p, "rows", p.left(), 0)
		equal(p, "reports", p.reports(), "[]")
	})
}

func TestTemporaryFailureIsTriedForFiveDays(t *testing.T) {
	within(t, always(greylist), func(p *post) {
		p.log = true
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		time.Sleep(29 * time.Minute)
		equal(p, "once so far", len(p.attempts()), 1)
		time.Sleep(6 * time.Minute)
		equal(p, "again after half an hour", len(p.attempts()), 2)
		equal(p, "nobody is told yet", p.reports(), "[]")
		time.Sleep(8 * time.Hour)
		equal(p, "told that it takes long, once", p.reports(), "[delayed 4.2.0 bob@elsewhere.test]")
		rows, _ := p.store.Queue(p.Context(), maildrop.Filter{})
		equal(p, "waits", fmt.Sprint(rows[0].State, rows[0].Last.Problem, rows[0].DelayTold), "waitingcome back latertrue")
		if text, err := p.store.Transcript(p.Context(), rows[0].ID); err != nil || !strings.Contains(text, "S 220 hello") {
			p.Errorf("transcript %q %v", text, err)
		}
		time.Sleep(5 * 24 * time.Hour)
		equal(p, "given up", p.reports(), "[delayed 4.2.0 bob@elsewhere.test failed 4.2.0 bob@elsewhere.test]")
		equal(p, "rows", p.left(), 0)
		if n := len(p.attempts()); n < 25 || n > 45 {
			p.Errorf("%d attempts: %q", n, p.attempts())
		}
	})
}

func TestPermanentFailureIsReportedAtOnce(t *testing.T) {
	within(t, always(unknown), func(p *post) {
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test", "carol@elsewhere.test")})
		time.Sleep(time.Second)
		equal(p, "one report of both", p.reports(), "[failed 5.1.1 bob@elsewhere.test failed 5.1.1 carol@elsewhere.test]")
		equal(p, "rows", p.left(), 0)
	})
}

func TestNobodyIsToldOfReports(t *testing.T) {
	within(t, always(unknown), func(p *post) {
		p.send(maildrop.Envelope{From: "", Remote: to("bob@elsewhere.test")})
		p.send(maildrop.Envelope{From: "gone@postern.test", Remote: to("bob@elsewhere.test")})
		// A sender elsewhere is told by mail, and if that fails, too, it ends there.
		p.send(maildrop.Envelope{From: "eve@elsewhere.test", Remote: to("bob@third.test")})
		time.Sleep(time.Minute)
		equal(p, "rows", p.left(), 0)
		equal(p, "reports", p.reports(), "[]")
	})
}

func TestNotify(t *testing.T) {
	for _, c := range []struct {
		notify []string
		result delivery.Result
		want   string
	}{
		{[]string{"NEVER"}, unknown, "[]"},
		{[]string{"SUCCESS"}, unknown, "[]"},
		{[]string{"FAILURE"}, unknown, "[failed 5.1.1 bob@elsewhere.test]"},
		{[]string{"SUCCESS"}, taken, "[relayed 2.0.0 bob@elsewhere.test]"},
		{nil, taken, "[]"},
		{[]string{"FAILURE"}, greylist, "[failed 4.2.0 bob@elsewhere.test]"},
		{[]string{"DELAY"}, greylist, "[delayed 4.2.0 bob@elsewhere.test]"},
	} {
		within(t, always(c.result), func(p *post) {
			p.send(maildrop.Envelope{From: alice, Remote: []maildrop.Recipient{{Address: "bob@elsewhere.test", Notify: c.notify}}})
			time.Sleep(6 * 24 * time.Hour)
			equal(p, fmt.Sprint(c.notify, c.result.Outcome), p.reports(), c.want)
			equal(p, "rows", p.left(), 0)
		})
	}
}

func TestUnknownOutcomeIsTriedAgainAndCounted(t *testing.T) {
	within(t, always(cut), func(p *post) {
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		time.Sleep(time.Second)
		rows, _ := p.store.Queue(p.Context(), maildrop.Filter{})
		equal(p, "unknown", rows[0].Unknown, 1)
	})
}

func TestStopIsNoAttempt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := open(t, dir, slowServers{})
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		synctest.Wait()
		p.stop()
		p = open(t, dir, always(greylist))
		defer p.stop()
		time.Sleep(time.Second)
		rows, _ := p.store.Queue(t.Context(), maildrop.Filter{})
		equal(t, "attempts", rows[0].Attempts, 1)
		equal(t, "in doubt", rows[0].Unknown, 0)
	})
}

// slowServers answer when the attempt is cut off.
type slowServers struct{}

func (slowServers) Deliver(ctx context.Context, _ string, m delivery.Message) ([]delivery.Result, delivery.Transcript) {
	<-ctx.Done()
	return []delivery.Result{{Outcome: delivery.Deferred, Enhanced: "4.4.2", Text: ctx.Err().Error(), Local: true}}, nil
}

func TestCrashWhileSending(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := always(taken)
		p := open(t, dir, s)
		p.stop()
		quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
		store, err := maildrop.Open(t.Context(), filepath.Join(dir, "mail"), &maildrop.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		in, _ := store.Create()
		io.WriteString(in, letter)
		if err := in.Deliver(t.Context(), maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")}); err != nil {
			t.Fatal(err)
		}
		if rows, err := store.Claim(t.Context(), "elsewhere.test", time.Now(), 10, 1); err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		store.Close() // and that was the crash
		s.answer = func(string, delivery.Message, delivery.Recipient) delivery.Result { return greylist }
		p = open(t, dir, s)
		defer p.stop()
		time.Sleep(time.Second)
		rows, _ := p.store.Queue(t.Context(), maildrop.Filter{})
		equal(t, "tried again, and known to be in doubt", fmt.Sprint(rows[0].Unknown, rows[0].Attempts), "1 2")
	})
}

func TestClockThatJumpsAheadGivesNothingUpAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := always(greylist)
		p := open(t, dir, s)
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		time.Sleep(time.Second)
		p.stop()
		time.Sleep(30 * 24 * time.Hour) // the clock, and not the world
		s.mu.Lock()
		s.answer = func(string, delivery.Message, delivery.Recipient) delivery.Result { return greylist }
		s.mu.Unlock()
		p = open(t, dir, s)
		defer p.stop()
		time.Sleep(time.Second)
		equal(t, "rows", p.left(), 1)
	})
}

// A destination that does not answer has nobody else wait, and costs no more memory for the many that wait for it.
func TestDeadDestinationsHoldNobodyUp(t *testing.T) {
	destinations, each := 200, 10
	if underRace {
		destinations = 20
	}
	s := &servers{answer: func(domain string, _ delivery.Message, _ delivery.Recipient) delivery.Result {
		if strings.HasPrefix(domain, "dead") {
			return gone
		}
		return taken
	}}
	within(t, s, func(p *post) {
		for range each {
			var list []maildrop.Recipient
			for d := range destinations {
				kind := "dead"
				if d%2 == 0 {
					kind = "live"
				}
				list = append(list, maildrop.Recipient{Address: fmt.Sprintf("bob@%s%d.test", kind, d)})
			}
			p.send(maildrop.Envelope{From: alice, Remote: list})
		}
		time.Sleep(2 * time.Minute)
		rows, err := p.store.Queue(p.Context(), maildrop.Filter{Text: "@live"})
		if err != nil || len(rows) != 0 {
			p.Fatalf("%d rows for the living wait: %v", len(rows), err)
		}
		dead, _ := p.store.Queue(p.Context(), maildrop.Filter{})
		equal(p, "the others", len(dead), destinations/2*each)
		time.Sleep(8 * time.Minute) // what came while a destination was left alone is looked at with the rest
		dead, _ = p.store.Queue(p.Context(), maildrop.Filter{})
		for d := 1; d < destinations; d += 2 {
			if n := p.looks(fmt.Sprintf("dead%d.test", d)); n > each/2 { // not each message for itself
				p.Errorf("dead%d.test was looked at %d times", d, n)
			}
		}
		for _, r := range dead {
			if r.Attempts == 0 || r.Last.Problem != gone.Text {
				p.Fatalf("a message does not share what was found: %+v", r)
			}
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.Logf("%d MB of heap", m.HeapAlloc>>20)
		s.mu.Lock()
		s.answer = func(string, delivery.Message, delivery.Recipient) delivery.Result { return taken }
		s.mu.Unlock()
		p.queue.Retry(p.Context())
		time.Sleep(2 * time.Hour)
		equal(p, "they are back", p.left(), 0)
	})
}

// Who wants it tried now has what is remembered of the destinations forgotten: of those that are due, and of no others.
func TestRetryForgets(t *testing.T) {
	f := always(gone)
	within(t, f, func(p *post) {
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@dead.test", "carol@down.test")})
		time.Sleep(time.Minute)
		now := time.Now()
		if n, err := p.store.Hasten(p.Context(), maildrop.Filter{Destination: "dead.test"}, now); n != 1 || err != nil {
			p.Fatal(n, err)
		}
		p.queue.Retry(p.Context())
		time.Sleep(time.Second)
		equal(p, "forgotten", fmt.Sprint(f.forgotten), "[dead.test]")
	})
}

// Who writes to a destination that is down is told so in time, however many others do.
func TestEveryMessageToADeadDestinationIsReportedInTime(t *testing.T) {
	within(t, always(gone), func(p *post) {
		messages := 60
		if underRace {
			messages = 10
		}
		for range messages {
			p.send(maildrop.Envelope{From: alice, Remote: to("bob@dead.test", "carol@dead.test")})
		}
		// In time, and up to half an hour more: a destination that is down is not looked at for each message.
		time.Sleep(4*time.Hour + 31*time.Minute)
		equal(p, "told of the delay", len(p.reports()), 2*messages)
		if underRace { // the days to come are as many more hours
			return
		}
		calls := p.looks("dead.test")
		if calls > 40 {
			p.Errorf("looked at %d times", calls)
		}
		time.Sleep(5*24*time.Hour - 4*time.Hour)
		p.Logf("looked at %d times", p.looks("dead.test"))
		equal(p, "told of the failure", len(p.reports()), 4*messages)
		equal(p, "rows", p.left(), 0)
	})
}

// A computer that wakes up after days has no network for the first minute: what is over its time is not given up for that.
func TestSleepGivesNothingUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := always(gone)
		p := open(t, dir, s)
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		time.Sleep(10 * time.Hour) // many attempts
		p.stop()
		time.Sleep(30 * 24 * time.Hour)
		p = open(t, dir, s)
		defer p.stop()
		time.Sleep(time.Minute)
		equal(t, "rows after an attempt that failed", p.left(), 1)
		s.mu.Lock()
		s.answer = always(taken).answer
		s.mu.Unlock()
		time.Sleep(31 * time.Minute)
		equal(t, "rows", p.left(), 0)
		equal(t, "reports", p.reports(), "[delayed 4.4.1 bob@elsewhere.test]")
	})
}

func TestReturn(t *testing.T) {
	within(t, always(greylist), func(p *post) {
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test", "carol@elsewhere.test", "dan@third.test")})
		p.send(maildrop.Envelope{From: "", Remote: to("bob@elsewhere.test")})
		p.send(maildrop.Envelope{From: alice, Remote: []maildrop.Recipient{{Address: "eve@elsewhere.test", Notify: []string{"NEVER"}}}})
		time.Sleep(time.Second)
		if _, err := p.store.Hold(p.Context(), maildrop.Filter{Text: "carol"}); err != nil {
			p.Fatal(err)
		}
		n, err := p.queue.Return(p.Context(), maildrop.Filter{Destination: "elsewhere.test"})
		equal(p, "given back", fmt.Sprint(n, err), "4 <nil>")
		equal(p, "reports", p.reports(), "[failed 5.7.0 bob@elsewhere.test failed 5.7.0 carol@elsewhere.test]")
		equal(p, "rows", p.left(), 1)
	})
}

// The reports of what is given back wait here, too, if the sender is elsewhere: they are not given back with it.
func TestReturnLeavesWhatComes(t *testing.T) {
	within(t, always(greylist), func(p *post) {
		for range 2 * swept {
			p.send(maildrop.Envelope{From: "dave@elsewhere.test", Remote: to("bob@elsewhere.test")})
		}
		time.Sleep(time.Second)
		n, err := p.queue.Return(p.Context(), maildrop.Filter{Destination: "elsewhere.test"})
		equal(p, "given back", fmt.Sprint(n, err), fmt.Sprint(2*swept, nil))
		equal(p, "reports that wait", p.left(), 2*swept)
	})
}

func TestEvents(t *testing.T) {
	s := &servers{answer: func(domain string, _ delivery.Message, r delivery.Recipient) delivery.Result {
		return map[string]delivery.Result{"a.test": taken, "b.test": greylist, "c.test": unknown, "d.test": cut, "e.test": {Outcome: delivery.Delivered}}[domain]
	}}
	within(t, s, func(p *post) {
		events, cancel := p.queue.Subscribe(10)
		_, deaf := p.queue.Subscribe(1) // who does not read holds nobody up
		defer deaf()
		p.send(maildrop.Envelope{From: alice, Remote: to("x@a.test", "x@b.test", "x@c.test", "x@d.test", "x@e.test")})
		time.Sleep(time.Second)
		equal(p, "counters", fmt.Sprintf("%+v", p.queue.Counters()), "{Delivered:2 Deferred:1 Failed:1 GivenUp:0 Unknown:1}")
		cancel()
		cancel()
		var got []string
		for e := range events {
			got = append(got, fmt.Sprint(e.Recipient, " ", e.Kind, " ", e.Attempts, " ", e.NextTry.IsZero()))
		}
		slices.Sort(got)
		equal(p, "events", got, "[x@a.test delivered 1 true x@b.test deferred 1 false x@c.test failed 1 true x@d.test unknown 1 false x@e.test delivered 1 true]")
	})
}

func TestTooMuchToDoIsNoAttempt(t *testing.T) {
	full := delivery.Result{Outcome: delivery.Deferred, Code: 451, Enhanced: "4.4.5", Text: "too many connections", Local: true}
	within(t, always(full), func(p *post) {
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		time.Sleep(time.Minute)
		rows, _ := p.store.Queue(p.Context(), maildrop.Filter{})
		equal(p, "attempts", rows[0].Attempts, 0)
		time.Sleep(5 * time.Minute)
		equal(p, "tried again soon", p.looks("elsewhere.test"), 2)
	})
}

// A deliverer with a fault loses no mail.
func TestResultsThatAreMissing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := open(t, dir, mute{})
		defer p.stop()
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test", "carol@elsewhere.test")})
		time.Sleep(time.Second)
		rows, _ := p.store.Queue(t.Context(), maildrop.Filter{})
		equal(t, "in doubt", fmt.Sprint(len(rows), rows[0].Unknown, rows[1].Unknown), "2 1 1")
	})
}

type mute struct{}

func (mute) Deliver(context.Context, string, delivery.Message) ([]delivery.Result, delivery.Transcript) {
	return nil, nil
}

// A failure that nobody can be told of, because the disk is full, waits.
func TestReportThatCannotBeStored(t *testing.T) {
	within(t, always(unknown), func(p *post) {
		p.noRoom.Store(true)
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@elsewhere.test")})
		time.Sleep(time.Hour)
		equal(p, "rows", p.left(), 1)
		p.noRoom.Store(false)
		time.Sleep(6 * time.Minute)
		equal(p, "rows", p.left(), 0)
		equal(p, "reports", p.reports(), "[failed 5.1.1 bob@elsewhere.test]")
	})
}

// More dead destinations than there are attempts at a time leave some for those that are known to answer.
func TestThoseThatAnswerHaveRoom(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := openWith(t, dir, hanging{}, Limits{Attempts: 8})
		defer p.stop()
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@live.test")})
		time.Sleep(time.Second)
		equal(t, "delivered", p.left(), 0)
		var dead []string
		for i := range 100 {
			dead = append(dead, fmt.Sprintf("bob@dead%d.test", i))
		}
		p.send(maildrop.Envelope{From: alice, Remote: to(dead...)})
		time.Sleep(time.Second)
		p.send(maildrop.Envelope{From: alice, Remote: to("bob@live.test")})
		time.Sleep(time.Second)
		equal(t, "left", p.left(), len(dead))
	})
}

// hanging are servers of which the dead ones take a day not to answer.
type hanging struct{}

func (hanging) Deliver(ctx context.Context, domain string, m delivery.Message) ([]delivery.Result, delivery.Transcript) {
	if domain == "live.test" {
		return []delivery.Result{{Outcome: delivery.Delivered}}, nil
	}
	select {
	case <-time.After(24 * time.Hour):
	case <-ctx.Done():
	}
	return []delivery.Result{gone}, nil
}
