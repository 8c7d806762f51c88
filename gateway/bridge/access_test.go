package bridge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

var loopbackNet = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestTokens(t *testing.T) {
	g := start(t, Config{
		Access: Access{Tokens: []Token{{"family", "the token of the family"}, {"office", "the token of the office"}}},
		Limits: Limits{TokenDelay: time.Millisecond},
	})
	for token, want := range map[string]wire.Reason{
		"": wire.BadToken, "the token": wire.BadToken, "the token of the office!": wire.BadToken, "The token of the office": wire.BadToken,
		"family": wire.BadToken, "the token of the family": "", "the token of the office": "",
	} {
		s, err := g.dial(t, wire.Hello{Token: token})
		if reason(err) != want || err != nil && want == "" {
			t.Errorf("%q: %v", token, err)
		}
		if s != nil {
			_ = s.Close()
		}
	}
	if n := g.Stats().Refused[wire.BadToken]; n != 5 {
		t.Errorf("%d are counted", n)
	}
}

func TestAccessValidate(t *testing.T) {
	proxies := loopbackNet
	good := Token{"a", "sixteen letters."}
	for i, a := range []Access{{}, {Tokens: []Token{good}}, {UserHeader: "Remote-User", UserProxies: proxies}, {Tokens: []Token{good}, UserHeader: "Remote-User", UserProxies: proxies}} {
		if err := a.Validate(); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if a.Open() != (i == 0) {
			t.Errorf("%d: open", i)
		}
	}
	for _, a := range []Access{
		{Tokens: []Token{{"a", "too short"}}}, {Tokens: []Token{{"", good.Secret}}}, {Tokens: []Token{{"two words", good.Secret}}},
		{Tokens: []Token{good, {"a", "another of sixteen"}}}, {Tokens: []Token{good, {"b", good.Secret}}}, {Tokens: []Token{{"a", "sixteen letters\n."}}},
		{Tokens: []Token{{"a", strings.Repeat("x", 513)}}}, {UserHeader: "Remote-User"}, {UserProxies: proxies},
		{UserHeader: "Remote User", UserProxies: proxies}, {Tokens: make([]Token, 1001)},
	} {
		err := a.Validate()
		if err == nil {
			t.Errorf("%+v passes", a)
		} else if strings.Contains(err.Error(), good.Secret) || strings.Contains(err.Error(), "too short") {
			t.Errorf("%q shows a secret", err)
		}
	}
	for _, p := range []Policy{{Mode: "mail"}, {Allow: rules(t, "*:995")}} {
		if _, err := New(Config{Policy: p}); err == nil {
			t.Errorf("%+v is open to everybody", p)
		}
		if _, err := New(Config{Policy: p, Access: members}); err != nil {
			t.Error(err)
		}
	}
}

func TestParseTokens(t *testing.T) {
	got, err := ParseTokens(strings.NewReader("# who may\n\nfamily: the token of the family\r\n  the token of nobody in particular \n"))
	if err != nil || len(got) != 2 || got[0] != (Token{"family", "the token of the family"}) || got[1] != (Token{"4", "the token of nobody in particular"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := ParseTokens(strings.NewReader("")); err != nil || len(got) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"short", "# nobody yet", "\n", "#a\n\n#b\n", "a:b", "a: the token of the family\na: the token of the office", strings.Repeat("x", 1<<17)} {
		if _, err := ParseTokens(strings.NewReader(s)); err == nil {
			t.Errorf("%.20q passes", s)
		}
	}
}

// as is a session whose handshake has some header fields.
func (g gateway) as(t testing.TB, token string, h http.Header) (*tunnel.Session, error) {
	t.Helper()
	ws, resp, err := g.webSocket(t, h)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("status %d", resp.StatusCode)
		}
		t.Fatal(err)
	}
	s, err := tunnel.Client(t.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Token: token}, nil)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// TestUserHeader: what a proxy says of its user counts if it is a trusted one's word, and there is one.
func TestUserHeader(t *testing.T) {
	for _, test := range []struct {
		name    string
		proxies string
		tokens  []Token
		token   string
		header  http.Header
		want    wire.Reason
		status  string
	}{
		{name: "a user", proxies: "127.0.0.0/8", header: http.Header{"Remote-User": {"alice@example.com"}}},
		{name: "none", proxies: "127.0.0.0/8", want: wire.NoLogin},
		{name: "an empty one", proxies: "127.0.0.0/8", header: http.Header{"Remote-User": {""}}, want: wire.NoLogin},
		{name: "two", proxies: "127.0.0.0/8", header: http.Header{"Remote-User": {"alice", "admin"}}, status: "status 400"},
		{name: "a long one", proxies: "127.0.0.0/8", header: http.Header{"Remote-User": {strings.Repeat("a", 257)}}, status: "status 400"},
		{name: "another field", proxies: "127.0.0.0/8", header: http.Header{"X-Remote-User": {"alice"}, "Remote_User": {"alice"}}, want: wire.NoLogin},
		{name: "from somewhere else", proxies: "10.0.0.0/8", header: http.Header{"Remote-User": {"alice"}}, want: wire.NoLogin},
		{name: "from somewhere else, that calls itself the proxy", proxies: "10.0.0.0/8", header: http.Header{"Remote-User": {"alice"}, "X-Forwarded-For": {"10.0.0.1"}}, want: wire.NoLogin},
		{name: "a token will do", proxies: "127.0.0.0/8", tokens: members.Tokens, token: member},
		{name: "a wrong token will not", proxies: "127.0.0.0/8", tokens: members.Tokens, token: "x", want: wire.BadToken},
		{name: "nor a user from somewhere else for one", proxies: "10.0.0.0/8", tokens: members.Tokens, header: http.Header{"Remote-User": {"alice"}}, want: wire.BadToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, Config{
				Access:         Access{Tokens: test.tokens, UserHeader: "Remote-User", UserProxies: []netip.Prefix{netip.MustParsePrefix(test.proxies)}},
				TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				Limits:         Limits{TokenDelay: time.Millisecond},
			})
			_, err := g.as(t, test.token, test.header)
			if test.status != "" {
				if err == nil || err.Error() != test.status {
					t.Errorf("%v, want %s", err, test.status)
				}
				return
			}
			if reason(err) != test.want || err != nil && test.want == "" {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// The names that a proxy gives are addresses of people, often. Neither log nor counts hold them.
func TestUsersAreNotLogged(t *testing.T) {
	var log safeBuffer
	g := start(t, Config{
		Access: Access{UserHeader: "Remote-User", UserProxies: loopbackNet},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	s, err := g.as(t, "", http.Header{"Remote-User": {"alice@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if g.Stats().Users != 1 {
		t.Errorf("%+v", g.Stats())
	}
	_ = s.Close()
	eventually(t, "the session's end is not logged", func() bool { return strings.Contains(log.String(), "session closed") })
	if strings.Contains(log.String(), "alice") || !strings.Contains(log.String(), "user=user:") {
		t.Error(log.String())
	}
	if g.Stats().Users != 0 {
		t.Errorf("%+v", g.Stats())
	}
}

// Without tokens the list is for this machine: what comes over the network, or through a proxy, reaches the embedded servers alone.
func TestOpenIsForThisMachine(t *testing.T) {
	for _, test := range []struct {
		remote, host string
		header       http.Header
		want         bool
	}{
		{"127.0.0.1:1", "localhost:8080", nil, true},
		{"[::1]:1", "[::1]:8080", nil, true},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1:8080", nil, true},
		{"192.168.1.7:1", "localhost:8080", nil, false},
		{"198.51.100.7:1", "mail.example", nil, false},
		{"127.0.0.1:1", "mail.example", nil, false},
		{"127.0.0.1:1", "localhost.mail.example", nil, false},
		{"127.0.0.1:1", "localhost:8080", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, false},
		{"127.0.0.1:1", "localhost:8080", http.Header{"X-Forwarded-For": {""}}, false},
		{"127.0.0.1:1", "localhost:8080", http.Header{"Forwarded": {"for=127.0.0.1"}}, false},
		{"127.0.0.1:1", "localhost:8080", http.Header{"Via": {"1.1 proxy"}}, false},
		{"rubbish", "localhost:8080", nil, false},
	} {
		r := httptest.NewRequest(http.MethodGet, wire.Path, nil)
		r.RemoteAddr, r.Host, r.Header = test.remote, test.host, test.header
		if r.Header == nil {
			r.Header = http.Header{}
		}
		for _, of := range []struct {
			c    Config
			want bool
		}{
			{Config{}, test.want},
			{Config{Origins: []string{"http://localhost:3000"}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, test.want},
			// A proxy that does not say that it is one, as those that only take TLS off, brings everybody from this machine, with
			// whatever Host they like.
			{Config{Origins: []string{"https://mail.example"}}, false},
			{Config{TrustedProxies: append(loopbackNet, netip.MustParsePrefix("::1/128"))}, false},
		} {
			b, err := New(of.c)
			if err != nil {
				t.Fatal(err)
			}
			if b.local(r) != of.want {
				t.Errorf("%+v, where the operator says %q and %v", test, of.c.Origins, of.c.TrustedProxies)
			}
		}
	}
	d := new(noDialler)
	g := start(t, Config{
		Policy: Policy{Allow: rules(t, "mail.example:995")}, Resolver: names{"mail.example": {"93.184.216.34"}}, SRVResolver: new(srvTable), Dialer: d,
		Embedded: pop3("127.0.0.1:2110"),
	})
	there, err := g.as(t, "", http.Header{"X-Forwarded-For": {"198.51.100.7"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.Open(t.Context(), open("mail.example", 995)); reason(err) != wire.Denied {
		t.Errorf("%v", err)
	}
	if _, err := ask(t, there, "mail.example"); reason(err) != wire.Denied {
		t.Errorf("%v", err)
	}
	if got := d.sorted(); len(got) > 0 {
		t.Errorf("dialled %q", got)
	}
	_, _ = there.Open(t.Context(), embedded)
	_, _ = g.session(t).Open(t.Context(), open("mail.example", 995))
	if got := d.sorted(); len(got) != 2 || got[0] != "127.0.0.1:2110" || got[1] != "93.184.216.34:995" {
		t.Errorf("dialled %q", got)
	}
}

// TestLockout: who guesses is stopped, with the right token too, until some time has passed; who comes with one old token is not.
func TestLockout(t *testing.T) {
	limits := Limits{WrongTokens: 3}.WithDefaults()
	hash := func(i int) [sha256.Size]byte { return sha256.Sum256([]byte{byte(i >> 8), byte(i)}) }
	l := newLockouts(limits)
	now := time.Unix(1, 0)
	one, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	for i := range 100 { // two pages in one household, each with an old token of its own
		l.try(other, hash(i%2), false, now)
	}
	for i := range 3 {
		if !l.until(one, now).IsZero() {
			t.Fatalf("locked out after %d", i)
		}
		l.try(one, hash(i), false, now)
	}
	if got := l.until(one, now); got != now.Add(limits.Lockout) {
		t.Errorf("locked out until %v", got)
	}
	if !l.until(other, now).IsZero() || l.locked(now) != 1 {
		t.Error("somebody else is locked out")
	}
	if !l.until(one, now.Add(limits.Lockout)).IsZero() {
		t.Error("it does not end")
	}
	slow := netip.MustParsePrefix("192.0.2.3/32")
	for i := range 100 { // two in ten minutes are typing errors
		l.try(slow, hash(i), false, now.Add(time.Duration(i)*6*time.Minute))
	}
	if l.locked(now.Add(600*time.Minute)) != 0 {
		t.Error("typing errors lock somebody out")
	}
	for i := range 13 { // from one /64 after the other
		l.try(netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:%x::/64", i)), hash(i), false, now)
	}
	if l.until(netip.MustParsePrefix("2001:db8:0:ffff::/64"), now).IsZero() || !l.until(netip.MustParsePrefix("2001:db8:1::/64"), now).IsZero() {
		t.Error("a site gets around it, or its neighbour is locked out")
	}

	// However many come at once, no more are looked at.
	all := newLockouts(limits)
	var looked atomic.Int32
	var guesses sync.WaitGroup
	for i := range 64 {
		guesses.Go(func() {
			if all.try(one, hash(i), false, now).IsZero() {
				looked.Add(1)
			}
		})
	}
	if guesses.Wait(); looked.Load() != 3 {
		t.Errorf("%d guesses are looked at", looked.Load())
	}

	few := newLockouts(Limits{WrongTokens: 3, Remembered: 50}.WithDefaults())
	for i := range 1000 {
		few.try(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), hash(i), false, now)
		if len(few.of) > 51 {
			t.Fatalf("%d are remembered", len(few.of))
		}
	}
}

// The same over the wire.
func TestGuessing(t *testing.T) {
	g := start(t, Config{Access: members, Limits: Limits{TokenDelay: time.Millisecond, WrongTokens: 4}})
	in := g.sessionOf(t, member)
	for range 5 { // an old page, and one that has not asked its user yet
		_, _ = g.dial(t, wire.Hello{Token: "an old one"})
		_, _ = g.dial(t, wire.Hello{})
	}
	if s, err := g.dial(t, wire.Hello{Token: member}); err != nil {
		t.Fatalf("an old token locks others out: %v", err)
	} else {
		_ = s.Close()
	}
	for i := range 3 {
		_, _ = g.dial(t, wire.Hello{Token: fmt.Sprint("guess ", i)})
	}
	_, err := g.dial(t, wire.Hello{Token: member})
	var no *wire.RefusedError
	if !errors.As(err, &no) || no.Reason != wire.LockedOut {
		t.Fatalf("%v", err)
	}
	if in.Err() != nil {
		t.Error("who was in is thrown out")
	}
	if st := g.Stats(); st.LockedOut != 1 || st.Refused[wire.LockedOut] != 1 {
		t.Errorf("%+v", st)
	}
}

// Whatever is presented, every token is compared.
func TestFindLooksAtAll(t *testing.T) {
	var list []Token
	for i := range 5 {
		list = append(list, Token{fmt.Sprint("t", i), fmt.Sprint("the secret of the number ", i)})
	}
	tokens := newTokens(list)
	for _, one := range list {
		if got := tokens.find(tokens.hash(one.Secret)); got != one.Name {
			t.Errorf("%q, want %q", got, one.Name)
		}
	}
	if got := tokens.find(tokens.hash("")); got != "" {
		t.Errorf("nothing is %q", got)
	}
	if other := newTokens(list); bytes.Equal(other.hashes[0][:], tokens.hashes[0][:]) {
		t.Error("hashes are the same in every process")
	}
}
