package main

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// What the settings say to be the defaults are those of the bridge, for which its comments give the reasons.
func TestLimitsAreTheBridges(t *testing.T) {
	c, err := config.Parse(nil, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bridgeLimits(c.Limits).WithDefaults(), (bridge.Limits{}).WithDefaults(); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	none, err := config.Parse([]string{"--limit-sessions", "0", "--limit-bytes-per-second", "none", "--limit-streams", "7"}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if l := bridgeLimits(none.Limits); l.Sessions != -1 || l.BytesPerSecond != -1 || l.StreamsInAll != 7 {
		t.Errorf("%+v", l)
	}
}

// The page's port takes as many connections as there may be tunnels, and more.
func TestConnectionsForTunnels(t *testing.T) {
	for _, test := range []struct{ sessions, perClient, all, ofOne int }{
		{1000, 16, 4096, 256}, {100, 1, 4096, 256}, {10_000, 100, 40_000, 400}, {0, 0, math.MaxInt, math.MaxInt}, {math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt},
	} {
		got := connections(config.Config{Limits: config.Limits{Sessions: test.sessions, SessionsPerClient: test.perClient}})
		if got.Connections != test.all || got.ConnectionsPerClient != test.ofOne {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

// Who wants a token asked for and gives none by mistake gets an error, and not a gateway that lets everybody in.
func TestNoTokenIsNoOpenGateway(t *testing.T) {
	nobody := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(nobody, []byte("# phone: 0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--token", ""}, {"--token", " "}, {"--token-file", nobody}} {
		p := start(t, "", append([]string{"config", "check"}, args...)...)
		if <-p.ended; p.code == 0 || !strings.Contains(p.stderr.String(), "token") {
			t.Errorf("%q: %d %s%s", args, p.code, p.stdout, p.stderr)
		}
	}
}

// Settings of access reach the tunnel: tokens of a file, a proxy's user, limits.
func TestAccessBySettings(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("# ours\nphone: 0123456789abcdef\nlaptop: fedcba9876543210\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serveOn(t, "--data", filepath.Join(t.TempDir(), "data"), "--deliver=false", "--token-file", tokens,
		"--trusted-proxy", "127.0.0.1", "--user-header", "Remote-User", "--limit-streams-per-session", "1")
	url := p.find(`Page +(http://localhost:\d+)`)
	reason := func(err error) wire.Reason {
		var no *wire.RefusedError
		errors.As(err, &no)
		if no == nil {
			return ""
		}
		return no.Reason
	}
	for token, want := range map[string]wire.Reason{"0123456789abcdef": "", "fedcba9876543210": "", "": wire.BadToken, "phone": wire.BadToken, "# ours": wire.BadToken} {
		s, err := dialAs(t, url, wire.Hello{Token: token}, nil)
		if reason(err) != want || (err == nil) != (want == "") {
			t.Errorf("%q: %v, want %q", token, err, want)
		}
		if s != nil {
			s.Close()
		}
	}
	s, err := dialAs(t, url, wire.Hello{}, http.Header{"Remote-User": {"eve"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, err := s.Open(t.Context(), wire.Open{Service: wire.POP3})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := s.Open(t.Context(), wire.Open{Service: wire.POP3}); !errors.Is(err, tunnel.ErrTooMany) {
		t.Errorf("a second stream: %v", err)
	}
}
