package bridge

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/wire"
)

// TestMeter: over any time, nobody gets more than a minute's worth and what has flowed since; others are not touched; and no more
// is remembered than may be.
func TestMeter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perMinute, most := rapid.IntRange(1, 50).Draw(t, "per minute"), rapid.IntRange(1, 5).Draw(t, "most")
		m := newMeter[int](perMinute, most)
		began := time.Unix(1, 0)
		now := began
		got := map[int]int{}
		for range rapid.IntRange(1, 300).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20000).Draw(t, "ms")) * time.Millisecond)
			k := rapid.IntRange(0, 7).Draw(t, "who")
			if m.take(k, now) {
				got[k]++
			}
			if len(m.of) > most {
				t.Fatalf("%d are remembered", len(m.of))
			}
			allowed := float64(perMinute)*(1+now.Sub(began).Minutes()) + 1e-6
			all := 0
			for k, n := range got {
				all += n
				if float64(n) > 2*allowed { // from the place of one, and then from the one that is shared
					t.Fatalf("%d got %d in %v", k, n, now.Sub(began))
				}
			}
			if min := 1; all < min {
				t.Fatal("nobody gets anything")
			}
		}
	})
	m := newMeter[string](60, 2)
	now := time.Unix(1, 0)
	for range 60 {
		if !m.take("a", now) {
			t.Fatal("a minute's worth is not to be had at once")
		}
	}
	if m.take("a", now) || !m.take("b", now) {
		t.Error("a gets more, or b nothing")
	}
	if !m.take("a", now.Add(time.Second)) || m.take("a", now.Add(time.Second)) {
		t.Error("it does not flow one in a second")
	}
	for i := range 100 {
		m.take(fmt.Sprint(i), now)
	}
	if m.take("z", now) || len(m.of) != 2 {
		t.Error("those without a place get a minute's worth each")
	}
	if !m.take("z", now.Add(2*time.Minute)) || m.of["z"] == nil {
		t.Error("those who left keep their places")
	}
	if none := newMeter[string](-1, 1); !none.take("a", now) || len(none.of) > 0 {
		t.Error("no limit is one")
	}
}

func TestClientMeter(t *testing.T) {
	m := newClientMeter(10, 1000)
	now, got := time.Unix(1, 0), 0
	for i := range 20 {
		for range 20 {
			if m.take(netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:%x::/64", i)), now) {
				got++
			}
		}
	}
	if got != 40 {
		t.Errorf("a site gets %d, want four clients' worth", got)
	}
}

// Somebody who has an IPv6 /48 comes from a new /64 each time: neither the places nor the count that those without one share are
// his alone after that. And a client that wants too much takes nothing from its neighbours.
func TestClientMeterAgainstASite(t *testing.T) {
	m := newClientMeter(300, 10_000)
	now := time.Unix(1, 0)
	for i := range 60_000 { // a thousand in a second
		m.take(netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:%x::/64", i)), now.Add(time.Duration(i)*time.Millisecond))
	}
	if n := len(m.own.of); n > 3000 {
		t.Errorf("one site has %d of 10,000 places", n)
	}
	for i := range 20 {
		if !m.take(netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i)), now.Add(time.Minute)) {
			t.Fatal("others are kept out by it")
		}
	}

	m = newClientMeter(10, 1000)
	greedy, neighbour := netip.MustParsePrefix("2001:db8:1:1::/64"), netip.MustParsePrefix("2001:db8:1:2::/64")
	for range 1000 {
		m.take(greedy, now)
	}
	if !m.take(neighbour, now) {
		t.Error("a neighbour is kept out")
	}
}

func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.IntRange(1000, 100<<20).Draw(t, "per second")
		var p pace
		began := time.Unix(1, 0)
		now, sent := began, 0
		for range rapid.IntRange(1, 50).Draw(t, "writes") {
			n := rapid.IntRange(1, wire.MaxMessage).Draw(t, "bytes")
			sent += n
			now = now.Add(p.owe(n, perSecond, now)).Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "ms")) * time.Millisecond)
		}
		holds := max(float64(perSecond)/10, wire.MaxMessage)
		if most := holds + float64(perSecond)*now.Sub(began).Seconds() + 1; float64(sent) > most {
			t.Fatalf("%d bytes in %v at %d", sent, now.Sub(began), perSecond)
		}
	})
}

// A client's streams share its rate, whatever their number, and others have their own.
func TestBytesPerSecond(t *testing.T) {
	const perSecond = 4 << 20
	g := start(t, Config{Embedded: pop3(serveTCP(t, source)), Limits: Limits{BytesPerSecond: perSecond}, TrustedProxies: loopbackNet})
	mine, err := g.as(t, "", http.Header{"X-Forwarded-For": {"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	done := make(chan struct{})
	for range 2 {
		c := openStream(t, mine)
		go func() {
			_, _ = io.CopyN(io.Discard, c, perSecond/2)
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	// Both got two seconds' worth of half the rate, less what is let through at once and what lies in windows.
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("%d bytes took %v", perSecond, took)
	}
	if g.Stats().Paced == 0 {
		t.Error("it is not counted")
	}
}

// TestLimits: each limit, what it bounds, and how the client is told.
func TestLimits(t *testing.T) {
	target := open("mail.example", 995)
	for _, test := range []struct {
		name   string
		limits Limits
		want   wire.Reason
		sought func(t *testing.T, g gateway) error // the last thing, which is too much
	}{
		{"sessions of a user", Limits{SessionsPerUser: 2}, wire.TooMany, func(t *testing.T, g gateway) error {
			g.sessionOf(t, member)
			g.sessionOf(t, member)
			_, err := g.as(t, member, http.Header{"X-Forwarded-For": {"192.0.2.9"}})
			return err
		}},
		{"new sessions in a minute", Limits{NewSessionsPerMinute: 2}, wire.TooFast, func(t *testing.T, g gateway) error {
			_ = g.sessionOf(t, member).Close()
			_ = g.sessionOf(t, member).Close()
			_, err := g.dial(t, wire.Hello{Token: member})
			return err
		}},
		{"streams of a user", Limits{StreamsPerUser: 2}, wire.TooMany, func(t *testing.T, g gateway) error {
			openStream(t, g.sessionOf(t, member))
			openStream(t, g.sessionOf(t, member))
			s, err := g.as(t, member, http.Header{"X-Forwarded-For": {"192.0.2.9"}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Open(t.Context(), embedded)
			return err
		}},
		{"new streams in a minute", Limits{NewStreamsPerMinute: 2}, wire.TooFast, func(t *testing.T, g gateway) error {
			s := g.sessionOf(t, member)
			_ = openStream(t, s).Close()
			_ = openStream(t, s).Close()
			_, err := s.Open(t.Context(), embedded)
			return err
		}},
		{"new streams of a user in a minute", Limits{NewStreamsPerMinute: 2}, wire.TooFast, func(t *testing.T, g gateway) error {
			for i := range 2 {
				s, err := g.as(t, member, http.Header{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", i)}})
				if err != nil {
					t.Fatal(err)
				}
				_ = openStream(t, s).Close()
			}
			_, err := g.sessionOf(t, member).Open(t.Context(), embedded)
			return err
		}},
		{"streams to a target", Limits{StreamsPerTarget: 1}, wire.TooMany, func(t *testing.T, g gateway) error {
			if _, err := g.sessionOf(t, member).Open(t.Context(), target); err != nil {
				t.Fatal(err)
			}
			_, err := g.sessionOf(t, member).Open(t.Context(), open("other-name.example", 995)) // the same address
			return err
		}},
		{"new streams to a target in a minute", Limits{NewStreamsPerTarget: 1}, wire.TooFast, func(t *testing.T, g gateway) error {
			s := g.sessionOf(t, member)
			c, err := s.Open(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			_, err = s.Open(t.Context(), target)
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := serveTCP(t, echo)
			g := start(t, Config{
				Access: members, TrustedProxies: loopbackNet, Limits: test.limits, Embedded: pop3(address), SRVResolver: new(srvTable),
				Policy: Policy{Allow: rules(t, "*.example:995")}, Resolver: names{"mail.example": {"93.184.216.34"}, "other-name.example": {"93.184.216.34"}},
				Dialer: anywhere(address),
			})
			err := test.sought(t, g)
			if reason(err) != test.want {
				t.Errorf("%v, want %q", err, test.want)
			}
			if g.Stats().Refused[test.want] != 1 {
				t.Errorf("it is not counted: %+v", g.Stats().Refused)
			}
		})
	}
}

// Every limit has a default, and those that can be switched off are by -1.
func TestLimitsDefaults(t *testing.T) {
	if l := (Limits{}).WithDefaults(); l.Sessions != 1000 || l.StreamsPerTarget != 1024 || l.StreamTime != 24*time.Hour || l.Handshake != 0 {
		t.Errorf("%+v", l)
	}
	none := Limits{Sessions: -1, SessionsPerClient: -1, SessionsPerUser: -1, NewSessionsPerMinute: -1, StreamsPerClient: -1, StreamsPerUser: -1,
		StreamsPerTarget: -1, StreamsInAll: -1, NewStreamsPerMinute: -1, NewStreamsPerTarget: -1, BytesPerSecond: -1, WrongTokens: -1, Lookups: -1}
	g := start(t, Config{Access: members, Limits: none, Embedded: pop3(serveTCP(t, echo))})
	for range 20 {
		openStream(t, g.sessionOf(t, member))
	}
}
