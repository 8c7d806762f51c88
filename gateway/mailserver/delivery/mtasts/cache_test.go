package mtasts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a DNS and a web of policies.
type world struct {
	mu      sync.Mutex
	records map[string]string // by the name asked for
	files   map[string]string // by domain
	dnsDown bool
	webDown bool
	hangs   bool          // the web says nothing until the context ends
	slow    time.Duration // of a fetch
	asked   int
	fetched int
}

func (w *world) LookupTXT(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.dnsDown {
		return nil, errors.New("timeout")
	}
	if r := w.records[name]; r != "" {
		return []string{r}, nil
	}
	return nil, errors.New("no such host")
}

func (w *world) Fetch(ctx context.Context, domain string) ([]byte, error) {
	w.mu.Lock()
	w.fetched++
	slow, hangs, down, file := w.slow, w.hangs, w.webDown, w.files[domain]
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(slow)
	if down || file == "" {
		return nil, errors.New("404 Not Found")
	}
	return []byte(file), nil
}

// publish makes a domain announce a policy, and serve it.
func (w *world) publish(domain, id string, mode Mode, maxAge time.Duration) {
	w.records["_mta-sts."+domain] = "v=STSv1; id=" + id + ";"
	w.files[domain] = fmt.Sprintf("version: STSv1\nmode: %s\nmx: mx.%s\nmax_age: %d\n", mode, domain, maxAge/time.Second)
}

func newWorld() *world { return &world{records: map[string]string{}, files: map[string]string{}} }

const day = 24 * time.Hour

// TestCache goes through a domain's life; each step is some time after the one before.
func TestCache(t *testing.T) {
	type step struct {
		after   time.Duration
		do      func(*world)
		want    Mode
		asked   int // in all
		fetched int
	}
	publish := func(id string, m Mode, maxAge time.Duration) func(*world) {
		return func(w *world) { w.publish("a.test", id, m, maxAge) }
	}
	for name, steps := range map[string][]step{
		"none": {
			{0, nil, NoPolicy, 1, 0}, {4 * time.Minute, nil, NoPolicy, 1, 0}, {time.Minute, nil, NoPolicy, 2, 0},
		},
		"fetched once": {
			{0, publish("1", Enforce, 30*day), Enforce, 1, 1}, {time.Minute, nil, Enforce, 1, 1}, {time.Hour, nil, Enforce, 2, 1},
			{14 * day, nil, Enforce, 3, 1},
		},
		"a new id": {
			{0, publish("1", Enforce, 30*day), Enforce, 1, 1}, {time.Minute, publish("2", Testing, 30*day), Enforce, 1, 1},
			{5 * time.Minute, nil, Testing, 2, 2}, {time.Hour, publish("3", None, day), None, 3, 3},
		},
		"another file under the same id": {
			{0, publish("1", Enforce, 30*day), Enforce, 1, 1}, {time.Hour, publish("1", Testing, 30*day), Enforce, 2, 1},
		},
		"the DNS is down": {
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1}, {time.Hour, func(w *world) { w.dnsDown = true }, Enforce, 2, 1},
			{8 * day, nil, Enforce, 3, 1}, {time.Minute, func(w *world) { w.dnsDown = false }, Enforce, 3, 1}, {4 * time.Minute, nil, Enforce, 4, 2},
			{9 * day, nil, Enforce, 5, 3},
		},
		"the record is gone": {
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1}, {time.Hour, func(w *world) { clear(w.records) }, Enforce, 2, 1},
			{10*day - time.Hour - time.Second, nil, Enforce, 3, 1}, {time.Second, nil, NoPolicy, 3, 1},
		},
		"a new one cannot be fetched": {
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1},
			{time.Hour, func(w *world) { w.publish("a.test", "2", Testing, day); w.webDown = true }, Enforce, 2, 2},
			{time.Minute, nil, Enforce, 2, 2}, {4 * time.Minute, nil, Enforce, 3, 3},
			{time.Hour, func(w *world) { w.webDown = false }, Testing, 4, 4},
		},
		"a new one cannot be read": {
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1},
			{time.Hour, func(w *world) { w.publish("a.test", "2", "strict", day) }, Enforce, 2, 2},
		},
		"never seen, and not to be fetched": {
			{0, func(w *world) { w.publish("a.test", "1", Enforce, day); w.webDown = true }, NoPolicy, 1, 1},
			{time.Minute, func(w *world) { w.webDown = false }, NoPolicy, 1, 1}, {4 * time.Minute, nil, Enforce, 2, 2},
		},
		"the web hangs": {
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1},
			{time.Hour, func(w *world) { w.publish("a.test", "2", Testing, day); w.hangs = true }, Enforce, 2, 2},
		},
		"grown old": { // fetched again in the second half of its life
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1}, {5*day - time.Second, nil, Enforce, 2, 1}, {5 * time.Minute, nil, Enforce, 3, 2},
			{time.Hour, nil, Enforce, 4, 2},
		},
		"over": {
			{0, publish("1", Enforce, day), Enforce, 1, 1}, {day, func(w *world) { w.webDown = true }, NoPolicy, 2, 2},
		},
		"the clock jumps back": {
			{0, publish("1", Enforce, 10*day), Enforce, 1, 1}, {-day, publish("2", Testing, 10*day), Testing, 2, 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // Fetch's time is that of the bubble, the cache's is ours
				w, now := newWorld(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				c := &Cache{Resolver: w, Fetcher: w, Now: func() time.Time { return now }}
				for i, s := range steps {
					now = now.Add(s.after)
					if s.do != nil {
						s.do(w)
					}
					if p := c.Policy(t.Context(), "a.test"); p.Mode != s.want || w.asked != s.asked || w.fetched != s.fetched {
						t.Fatalf("step %d: %q, asked %d times, fetched %d times; want %+v", i, p.Mode, w.asked, w.fetched, s)
					}
				}
			})
		})
	}
}

func TestConcurrentCallersFetchOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.publish("a.test", "1", Enforce, day)
		w.publish("b.test", "1", Testing, day)
		w.slow = 10 * time.Second
		c := &Cache{Resolver: w, Fetcher: w}
		var all sync.WaitGroup
		start := time.Now()
		for i := range 40 {
			domain, want := "a.test", Enforce
			if i%2 == 1 {
				domain, want = "b.test", Testing
			}
			all.Go(func() {
				if p := c.Policy(t.Context(), domain); p.Mode != want {
					t.Errorf("%s: %q", domain, p.Mode)
				}
			})
		}
		synctest.Wait() // until both fetches are under way
		// Who cannot wait goes without, and the others do not mind.
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p := c.Policy(short, "a.test"); p.Mode != NoPolicy {
			t.Errorf("before it was fetched: %q", p.Mode)
		}
		all.Wait()
		if took := time.Since(start); w.fetched != 2 || w.asked != 2 || took != w.slow {
			t.Errorf("asked %d times, fetched %d times, in %v", w.asked, w.fetched, took)
		}
	})
}

// TestCallerGone: a fetch that ended with its caller says nothing of the domain, so the next caller fetches.
func TestCallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.publish("a.test", "1", Enforce, day)
		w.hangs = true
		c := &Cache{Resolver: w, Fetcher: w}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p := c.Policy(short, "a.test"); p.Mode != NoPolicy {
			t.Errorf("%q", p.Mode)
		}
		w.hangs = false
		if p := c.Policy(t.Context(), "a.test"); p.Mode != Enforce || w.fetched != 2 {
			t.Errorf("%q, fetched %d times", p.Mode, w.fetched)
		}
	})
}

func TestMost(t *testing.T) {
	w := newWorld()
	c := &Cache{Resolver: w, Fetcher: w, Most: 20}
	for i := range 10 {
		domain := fmt.Sprintf("kept%d.test", i)
		w.publish(domain, "1", Enforce, day)
		c.Policy(t.Context(), domain)
	}
	for i := range 200 {
		c.Policy(t.Context(), fmt.Sprintf("none%d.test", i))
		if n := len(c.domains); n > 20 {
			t.Fatalf("%d domains are remembered", n)
		}
	}
	for i := range 10 { // strangers without a policy have not pushed them out
		if p := c.Policy(t.Context(), fmt.Sprintf("kept%d.test", i)); p.Mode != Enforce {
			t.Errorf("%d: %q", i, p.Mode)
		}
	}
	if w.fetched != 10 {
		t.Errorf("fetched %d times", w.fetched)
	}
	for i := range 200 { // and of policies alone there are not more, either
		domain := fmt.Sprintf("more%d.test", i)
		w.publish(domain, "1", Enforce, day)
		if p := c.Policy(t.Context(), domain); p.Mode != Enforce {
			t.Fatalf("%s: %q", domain, p.Mode)
		}
		if n := len(c.domains); n > 20 {
			t.Fatalf("%d domains are remembered", n)
		}
	}
}
