package main

import (
	"net"
	"net/http"
	"strings"
)

// guard keeps a gateway that listens on this machine alone from being reached through a name that somebody else points
// at it (DNS rebinding): the page of such a name would count as the gateway's own. Tunnels are let through under the
// names of the loopback interface and those of the origins that the operator gave. On other interfaces a gateway cannot
// know its names.
func guard(tunnel http.Handler, listener net.Addr, origins []string) http.Handler {
	addr, ok := listener.(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return tunnel
	}
	known := make(map[string]bool)
	for _, o := range origins {
		_, host, _ := strings.Cut(o, "://")
		known[hostname(host)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		ip := net.ParseIP(host)
		if host != "localhost" && !strings.HasSuffix(host, ".localhost") && (ip == nil || !ip.IsLoopback()) && !known[host] {
			http.Error(w, "this gateway does not go by that name; --origin tells it one", http.StatusForbidden)
			return
		}
		tunnel.ServeHTTP(w, r)
	})
}

// hostname is the host of host:port, lower-case, without brackets.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
