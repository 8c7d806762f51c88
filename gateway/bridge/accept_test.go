package bridge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// What Accept answers is what the client gets, and a handshake that came to nothing costs no place.
func TestAcceptOfAnother(t *testing.T) {
	b, err := New(Config{Accept: func(w http.ResponseWriter, r *http.Request) (tunnel.MessageConn, error) {
		http.Error(w, "not today", http.StatusTeapot)
		return nil, errors.New("not today")
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, wire.Path, nil)
	r.Header.Set("Sec-WebSocket-Protocol", wire.Subprotocol)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Code != http.StatusTeapot || b.Stats().Sessions != 0 {
		t.Errorf("%d, and %d sessions", w.Code, b.Stats().Sessions)
	}
}

// Where names cannot be looked up, a gateway does not say that it discovers.
func TestNoDiscoverByName(t *testing.T) {
	for _, d := range []ContextDialer{nil, struct{ NameDialer }{}} {
		b, err := New(Config{Dialer: d, Access: members, Policy: Policy{Allow: rules(t, "*.example.com:995")}})
		if err != nil {
			t.Fatal(err)
		}
		if can := b.welcome("").Capabilities; slices.Contains(can, wire.CapDiscover) != (d == nil) {
			t.Errorf("with %T it says that it can %q", d, can)
		}
	}
}

// A policy that cannot be kept is none: where names cannot be looked up, nobody knows into which networks they lead.
func TestNetworksByName(t *testing.T) {
	all := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, p := range map[string]Policy{"never": {Never: all}, "allowed": {Networks: all}} {
		p.Allow = rules(t, "*.example.com:995")
		if _, err := New(Config{Access: members, Policy: p}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(Config{Access: members, Policy: p, Dialer: struct{ NameDialer }{}}); err == nil {
			t.Errorf("%s: a gateway that is given names takes it", name)
		}
	}
}
