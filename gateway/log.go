package main

import (
	"io"
	"log/slog"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/redact"
)

// newLogger writes what the settings want, and never an address of somebody's mail.
func newLogger(c config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(redact.Handler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(redact.Handler(slog.NewTextHandler(w, options)))
}
