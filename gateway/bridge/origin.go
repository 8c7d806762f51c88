package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/postern-mail/postern/shared/endsite"
)

// A WebSocket is not bound by the same-origin policy: any page may open one to any gateway that its reader can reach,
// and only the Origin that the browser adds tells (RFC 6455 section 10.2).

var errOrigin = errors.New("cross-site WebSocket refused")

// checkOrigin lets a request pass that comes from a page of the gateway's own host, from a configured origin, or from
// no browser at all.
func (b *Bridge) checkOrigin(r *http.Request) error {
	given := r.Header.Values("Origin")
	if len(given) == 0 {
		return nil // a browser always sends one
	}
	if len(given) > 1 {
		return fmt.Errorf("%w: two origins", errOrigin)
	}
	scheme, host, err := splitOrigin(given[0])
	if err != nil {
		return fmt.Errorf("%w: %.200q is not an origin", errOrigin, given[0])
	}
	if slices.Contains(b.origins, scheme+"://"+host) {
		return nil
	}
	if own, err := withPort(r.Host, scheme); err != nil || own != host {
		return fmt.Errorf("%w: origin %.200q, host %.200q", errOrigin, given[0], r.Host)
	}
	if scheme == "http" && rebindable(r.Host) {
		return fmt.Errorf("%w: host %.200q may be anybody's name for this machine; if it is yours, allow its origin", errOrigin, r.Host)
	}
	return nil
}

// rebindable is true of a name that somebody else may point at this gateway (DNS rebinding): the page of such a name has
// the gateway's own host for its origin. An address cannot be pointed elsewhere, localhost is this machine's, and under
// https the gateway has shown a certificate for the name. Nobody misses plain http by name: browsers give a page there
// neither storage nor cryptography.
func rebindable(hostport string) bool {
	if loopback(hostport) {
		return false
	}
	_, err := netip.ParseAddr(hostOf(hostport))
	return err != nil
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return host
}

// loopback is true of localhost, the names below it (RFC 6761 section 6.3) and loopback addresses, with or without port.
func loopback(hostport string) bool {
	host := hostOf(hostport)
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// splitOrigin reads an origin (RFC 6454 section 6.2) into its scheme and its host with port, in one form.
func splitOrigin(s string) (scheme, host string, err error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", "", fmt.Errorf("%q is not an origin", s)
	}
	host, err = withPort(u.Host, u.Scheme)
	return u.Scheme, host, err
}

// withPort lowers a host's case and adds the scheme's port if it has none.
func withPort(host, scheme string) (string, error) {
	u := url.URL{Host: strings.ToLower(host)}
	port := u.Port()
	if port == "" {
		switch scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		}
	}
	if u.Hostname() == "" || strings.ContainsAny(host, "/@?# ") {
		return "", fmt.Errorf("%q is not a host", host)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// clientAddr is who asks, for the limits: the peer, or behind a trusted proxy the last address that the
// proxies do not know to be their own.
func (b *Bridge) clientAddr(r *http.Request) netip.Prefix {
	a := peerOf(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(b.c.TrustedProxies, a); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		a = hop.Unmap().WithZone("")
	}
	return endsite.Client(a)
}

// parseHop reads what a proxy has written into X-Forwarded-For: an address, in brackets as some have it, or with the port that others
// add. Taken for nothing, all of such a proxy's clients would be one.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a, true
	}
	a, err := netip.ParseAddrPort(s)
	return a.Addr(), err == nil
}

// peerOf is the other end of a request's connection.
func peerOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap().WithZone("")
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
