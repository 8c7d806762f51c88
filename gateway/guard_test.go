package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestGuard(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	loopback, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, c := range []struct {
		listener net.Addr
		host     string
		passes   bool
	}{
		{loopback, "localhost:8080", true},
		{loopback, "LOCALHOST", true},
		{loopback, "127.0.0.1:8080", true},
		{loopback, "[::1]:8080", true},
		{loopback, "mail.localhost:8080", true},
		{loopback, "mail.example.org", true},
		{loopback, "Mail.Example.org:443", true},
		{loopback, "evil.example:8080", false},
		{loopback, "localhost.evil.example", false},
		{loopback, "10.0.0.1:8080", false},
		{loopback, "", false},
		{everywhere, "evil.example", true}, // its names are not known; the Origin is still compared with the Host
	} {
		r := httptest.NewRequest("GET", "/tunnel", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		guard(inner, c.listener, []string{"https://mail.example.org"}).ServeHTTP(w, r)
		if got := w.Code == http.StatusTeapot; got != c.passes {
			t.Errorf("host %q at %v: %d", c.host, c.listener, w.Code)
		}
	}
}
