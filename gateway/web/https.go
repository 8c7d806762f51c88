package web

import (
	"net"
	"net/http"
	"strings"
)

// ToHTTPS leads browsers from http to https at the same name and the given port. See RFC 9110 section 15.4.9.
func ToHTTPS(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), "")
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if host == "" || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`/\?#@"<>`, c) }) {
			http.Error(w, "no name to lead to", http.StatusBadRequest)
			return
		}
		to := net.JoinHostPort(host, port)
		if port == "443" {
			to = strings.TrimSuffix(to, ":443")
		}
		// The path is the browser's own, and begins with one slash: what comes after the name is no part of it.
		path := r.URL.EscapedPath()
		if r.URL.RawQuery != "" {
			path += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, "https://"+to+"/"+strings.TrimLeft(path, "/"), http.StatusPermanentRedirect)
	})
}
