package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
	"pgregory.net/rapid"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func newClock() *clock                { return &clock{time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func newRates(l RateLimits) (*Rates, *clock) {
	r, c := NewRates(l), newClock()
	r.now = c.now
	return r, c
}

var (
	far  = netip.MustParseAddr("192.0.2.1")
	near = netip.MustParseAddr("127.0.0.1")
)

func TestRates(t *testing.T) {
	r, c := newRates(RateLimits{ClientMessages: 3, UserMessages: 2, UserRecipients: -1})
	takes := func(what counted, ip netip.Addr, user string, want ...bool) {
		t.Helper()
		for i, w := range want {
			if r.spent(what, ip, user) == w {
				t.Errorf("before %d: spent %v", i+1, w)
			}
			if got := r.take(what, ip, user); got != w {
				t.Errorf("%d: %v, want %v", i+1, got, w)
			}
		}
	}
	takes(messages, far, "", true, true, true, false, false)
	takes(messages, netip.MustParseAddr("::ffff:192.0.2.1"), "", false) // the same, as IPv6 writes it
	takes(messages, netip.MustParseAddr("192.0.2.2"), "", true)
	takes(recipients, far, "", true) // of its own limit
	takes(messages, netip.MustParseAddr("2001:db8::1"), "", true, true)
	takes(messages, netip.MustParseAddr("2001:db8::2"), "", true, false) // one customer's network
	takes(messages, near, "", true, true, true, true)
	takes(messages, netip.Addr{}, "", true, true, true, true)
	takes(messages, near, "alice", true, true, false) // wherever she sends from
	takes(messages, far, "alice", false)
	takes(recipients, far, "alice", true, true, true)
	c.pass(20 * time.Minute)
	takes(messages, far, "", true, false)
	c.pass(30 * time.Minute)
	takes(messages, far, "alice", true, false)
	c.pass(48 * time.Hour) // no more than an hour's worth gathers
	takes(messages, far, "", true, true, true, false)
	var none *Rates
	if !none.take(messages, far, "") || none.spent(messages, far, "") {
		t.Error("no rates are no limit")
	}
	if l := NewRates(RateLimits{}).limits; l != (RateLimits{1000, 5000, 60, 300, 1000}) {
		t.Errorf("defaults %+v", l)
	}
}

// However many come, the table has its bound, and who did most is not forgotten
// for those who did little.
func TestRatesAreBounded(t *testing.T) {
	r, c := newRates(RateLimits{ClientMessages: 10})
	for range 10 {
		r.take(messages, far, "")
	}
	for i := range 3 * maxBuckets {
		c.pass(time.Millisecond)
		r.take(messages, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "")
		if len(r.buckets) > maxBuckets {
			t.Fatalf("%d buckets", len(r.buckets))
		}
	}
	if !r.spent(messages, far, "") {
		t.Error("a flood of others washed the count away")
	}
}

func newGreylist(entries int) (*Greylist, *clock) {
	c := newClock()
	return NewGreylist(GreylistOptions{Entries: entries, Now: c.now}), c
}

func TestGreylist(t *testing.T) {
	g, c := newGreylist(0)
	var none authenticity.SPF
	pass := func(domain string) authenticity.SPF {
		return authenticity.SPF{Result: authenticity.Pass, Domain: domain}
	}
	asks := func(ip string, spf authenticity.SPF, from, to string, want time.Duration) {
		t.Helper()
		if got := g.wait(netip.MustParseAddr(ip), spf, from, to); got != want {
			t.Errorf("%s %s to %s: wait %v, want %v", ip, from, to, got, want)
		}
	}
	asks("192.0.2.1", none, "a@x.test", "b", 5*time.Minute)
	c.pass(time.Minute)
	asks("192.0.2.1", none, "a@x.test", "b", 4*time.Minute)
	asks("192.0.2.1", none, "a@x.test", "c", 5*time.Minute)
	asks("192.0.2.1", none, "d@x.test", "b", 5*time.Minute)
	asks("198.51.100.1", none, "a@x.test", "b", 5*time.Minute)
	c.pass(4 * time.Minute)
	asks("192.0.2.200", none, "A@X.test", "B", 0) // another machine of the same network
	asks("192.0.2.1", none, "a@x.test", "c", time.Minute)
	c.pass(34 * 24 * time.Hour)
	asks("192.0.2.1", none, "a@x.test", "b", 0)
	c.pass(34 * 24 * time.Hour) // each time counts anew
	asks("192.0.2.1", none, "a@x.test", "b", 0)
	c.pass(35 * 24 * time.Hour)
	asks("192.0.2.1", none, "a@x.test", "b", 5*time.Minute)
	c.pass(24 * time.Hour) // too late
	asks("192.0.2.1", none, "a@x.test", "b", 5*time.Minute)

	// IPv6: 64 bits.
	asks("2001:db8::1", none, "a@x.test", "b", 5*time.Minute)
	c.pass(5 * time.Minute)
	asks("2001:db8::ffff", none, "a@x.test", "b", 0)
	asks("2001:db8:0:1::1", none, "a@x.test", "b", 5*time.Minute)

	// A domain whose SPF passes comes from anywhere, and is known once it has.
	asks("203.0.113.1", pass("big.test"), "a@big.test", "b", 5*time.Minute)
	c.pass(5 * time.Minute)
	asks("198.51.100.9", authenticity.SPF{Result: authenticity.SoftFail, Domain: "big.test"}, "a@big.test", "b", 5*time.Minute)
	asks("198.51.100.77", pass("big.test"), "a@big.test", "b", 0)
	asks("198.51.100.78", pass("big.test"), "other@big.test", "c", 0)
	asks("198.51.100.78", pass("another.test"), "other@big.test", "c", 5*time.Minute)
	asks("198.51.100.79", none, "evil@big.test", "c", 5*time.Minute)
}

// A flood of those who never come again leaves those who did.
func TestGreylistIsBounded(t *testing.T) {
	g, c := newGreylist(1000)
	var none authenticity.SPF
	g.wait(far, none, "friend@x.test", "b")
	c.pass(5 * time.Minute)
	if g.wait(far, none, "friend@x.test", "b") != 0 {
		t.Fatal("not let through")
	}
	for i := range 10_000 {
		c.pass(time.Second)
		g.wait(far, none, fmt.Sprint(i), "b")
		if len(g.known) > 1000 {
			t.Fatalf("%d entries", len(g.known))
		}
	}
	if g.wait(far, none, "friend@x.test", "b") != 0 {
		t.Error("a friend was forgotten")
	}
	c.pass(time.Second)
	if g.wait(far, none, "9999", "b") == 5*time.Minute {
		t.Error("the newest was forgotten")
	}
	// And if all have come again, there is a bound still.
	g, c = newGreylist(100)
	for i := range 1000 {
		g.wait(far, none, fmt.Sprint(i), "b")
		c.pass(5 * time.Minute)
		g.wait(far, none, fmt.Sprint(i), "b")
		if len(g.known) > 100 {
			t.Fatalf("%d entries", len(g.known))
		}
	}
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		s := &spool{dir: dir}
		defer s.Close()
		var want, got bytes.Buffer
		for i, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 1000, maxHeld - 1, maxHeld, maxHeld + 1, 2 * maxHeld}), 0, 6).Draw(r, "writes") {
			p := bytes.Repeat([]byte{byte('a' + i)}, n)
			want.Write(p)
			if _, err := s.Write(p); err != nil {
				r.Fatal(err)
			}
			clear(p) // the writer's again
		}
		if cap(s.held) > 2*maxHeld {
			r.Fatalf("%d octets held", cap(s.held))
		}
		if n, err := s.WriteTo(&got); err != nil || n != int64(want.Len()) || !bytes.Equal(got.Bytes(), want.Bytes()) {
			r.Fatalf("%d of %d octets, %v", n, want.Len(), err)
		}
		s.Close()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			r.Fatalf("left behind: %v", left)
		}
	})
	s := &spool{dir: dir + "/missing"}
	s.Write(make([]byte, maxHeld+1))
	if _, err := s.WriteTo(&bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its folder: %v", err)
	}
}
