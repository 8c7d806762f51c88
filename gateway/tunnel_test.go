package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
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

// The page's port bears as many connections as there may be tunnels, and pages beside them.
func TestConnectionsFollowSessions(t *testing.T) {
	for sessions, want := range map[int]int{0: -1, 10: 4096, 1000: 4096, 2500: 5000, 10_000: 20_000} {
		if got := connections(sessions); got != want {
			t.Errorf("%d sessions: %d connections, want %d", sessions, got, want)
		}
	}
}
