// Package web serves the page: static files with the right types, precompressed variants, caching by hash, a strict
// Content-Security-Policy and the other security headers, and the liveness check.
//
// HTTP semantics are those of RFC 9110 (methods in section 9, content negotiation in section 12, conditional requests in
// section 13), caching those of RFC 9111 with immutable of RFC 8246.
package web

import (
	"io/fs"
	"log/slog"
	"net/http"
)

// Config says what a Handler serves.
type Config struct {
	// Assets is the packed page: index.html at its root, hashed files under assets/. Required.
	Assets fs.FS
	// Tunnel answers TunnelPath, if set.
	Tunnel     http.Handler
	TunnelPath string
	// Health answers /healthz: nil is healthy, an error's text is sent with 503. Nil is always healthy.
	Health func() error
	// Reload, in development, reads Assets anew when they change and tells open pages so.
	Reload bool
	// Logger takes faults of the server itself. Nil discards them.
	Logger *slog.Logger
}
