package mtasts

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A policy holds over a restart, also for one who cannot fetch it again; and no longer than it says.
func TestPoliciesOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.publish("a.test", "1", Enforce, 10*day)
		w.publish("b.test", "1", Testing, 2*day)
		before := &Cache{Resolver: w, Fetcher: w}
		for _, domain := range []string{"a.test", "b.test", "none.test"} {
			before.Policy(t.Context(), domain)
		}
		var file bytes.Buffer
		if err := before.Save(&file); err != nil {
			t.Fatal(err)
		}
		w.dnsDown, w.webDown = true, true
		after := func() *Cache {
			c := &Cache{Resolver: w, Fetcher: w}
			if err := c.Load(bytes.NewReader(file.Bytes())); err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, step := range []struct {
			sleep time.Duration
			a, b  Mode
		}{{0, Enforce, Testing}, {3 * day, Enforce, NoPolicy}, {8 * day, NoPolicy, NoPolicy}} {
			time.Sleep(step.sleep)
			c := after()
			a, b := c.Policy(t.Context(), "a.test"), c.Policy(t.Context(), "b.test")
			if a.Mode != step.a || b.Mode != step.b || a.Mode == Enforce && !a.Matches("mx.a.test") {
				t.Errorf("%v later: %+v %+v", step.sleep, a, b)
			}
			if p := c.Policy(t.Context(), "none.test"); p.Mode != NoPolicy {
				t.Errorf("none.test has %+v", p)
			}
		}
	})
}

func TestLoadOfWhatIsNoPolicy(t *testing.T) {
	for _, text := range []string{"", "[", "{}", `[{"domain":"a.test","mode":"enforce","maxAge":1,"expires":"9999-01-01T00:00:00Z"}]`, `[{"domain":"a.test","expires":"9999-01-01T00:00:00Z"}]`} {
		w := newWorld()
		c := &Cache{Resolver: w, Fetcher: w}
		err := c.Load(strings.NewReader(text))
		if (err == nil) != strings.HasPrefix(text, "[{") {
			t.Errorf("%s: %v", text, err)
		}
		if p := c.Policy(t.Context(), "a.test"); p.Mode != NoPolicy {
			t.Errorf("%s: %+v", text, p)
		}
	}
}
