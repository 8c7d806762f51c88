package main

import (
	"log/slog"
	"net/http"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/metrics"
)

// newMetrics answers Prometheus.
func newMetrics(tunnel *bridge.Bridge, mail embedded, files fileServers, logger *slog.Logger) http.Handler {
	c := metrics.Config{Version: version(), Tunnel: tunnel.Stats, Logger: logger}
	if files != nil {
		c.Files = files.Figures
	}
	if mail != nil {
		for _, s := range mail.Servers() {
			c.Mail = append(c.Mail, s.Figures)
		}
	}
	return metrics.Handler(c)
}
