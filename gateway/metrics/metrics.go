// Package metrics answers Prometheus: how many sessions, streams and bytes there are, what was refused and why, and what the
// embedded mail server holds. No label has a name, an address or a host in it: figures are not about persons.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/ftpserver"
	"github.com/postern-mail/postern/gateway/mailserver"
)

// Config says where the figures come from. They are asked for when Prometheus asks.
type Config struct {
	Version string
	Tunnel  func() bridge.Stats
	Mail    []func(context.Context) (mailserver.Figures, error) // of each embedded server; they are added up
	Files   func() ftpserver.Figures                            // of the FTP servers; nil: there are none
	Logger  *slog.Logger
}

// patience bounds the asking: Prometheus gives up after ten seconds.
const patience = 5 * time.Second

// Handler answers /metrics.
func Handler(c Config) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{c})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 2, // whoever asks more often than it is answered waits
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            errorLog{c.Logger},
	}))
	return mux
}

type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Warn("metrics", "error", v) }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("postern_"+name, help, labels, nil)
}

var (
	build         = describe("build_info", "The version that runs; always 1.", "version")
	sessions      = describe("tunnel_sessions", "Sessions that are open: browsers, or other clients.")
	streams       = describe("tunnel_streams", "Streams that are open: connections to mail servers.")
	sessionsTotal = describe("tunnel_sessions_total", "Sessions since the start.")
	streamsTotal  = describe("tunnel_streams_total", "Streams since the start.")
	octets        = describe("tunnel_payload_bytes_total", "Payload of streams: up from clients, down to them.", "direction")
	refused       = describe("tunnel_refused_total", "Sessions and streams that were refused, by the reason that the client is told.", "reason")
	clients       = describe("tunnel_clients", "Addresses (of IPv6: /64) that have a session open.")
	users         = describe("tunnel_users", "Tokens and users of a proxy that have a session open.")
	targets       = describe("tunnel_targets", "Mail servers besides the own ones that a stream is open to.")
	lockedOut     = describe("tunnel_locked_out", "Addresses and sites that presented too many wrong tokens and have to wait.")
	turnedAway    = describe("tunnel_turned_away_total", "Handshakes and sessions that ended without a word: cross_site from pages of other origins, foreign those that are none of a tunnel's, broken those that went against the protocol.", "why")
	paced         = describe("tunnel_paced_seconds_total", "How long bytes have waited for the limit of bytes in a second, all together.")
	accounts      = describe("mail_accounts", "Accounts of the embedded mail server.")
	messages      = describe("mail_messages", "Messages in maildrops.")
	size          = describe("mail_messages_bytes", "What they take.")
	queue         = describe("mail_queue_recipients", "What waits for other servers, a row for each recipient, by state: waiting, held, sending.", "state")
	connections   = describe("mail_connections", "Connections to the mail server that are open; those by way of the tunnel are near.", "from")
	ftpSessions   = describe("ftp_sessions", "Control connections to the FTP server that are open.")
	ftpTransfers  = describe("ftp_transfers", "Transfers that are under way.")
	ftpLogins     = describe("ftp_refused_logins_total", "Logins that were refused.")
	ftpEnded      = describe("ftp_transfers_total", "Transfers of files since the start: uploads and downloads that were whole, what was cut, and uploads that were over a quota or the disk.", "outcome")
	ftpOctets     = describe("ftp_payload_bytes_total", "Files and listings: up from clients, down to them.", "direction")
	ftpForeign    = describe("ftp_foreign_connections_total", "Data connections that others than the client opened, or wanted the server to open.", "by")
)

type collector struct{ Config }

func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{build, sessions, streams, sessionsTotal, streamsTotal, octets, refused, clients, users, targets, lockedOut, turnedAway, paced, accounts, messages, size, queue, connections,
		ftpSessions, ftpTransfers, ftpLogins, ftpEnded, ftpOctets, ftpForeign} {
		to <- d
	}
}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(build, 1, c.Version)
	s := c.Tunnel()
	gauge(sessions, int64(s.Sessions))
	gauge(streams, int64(s.Streams))
	count(sessionsTotal, s.SessionsTotal)
	count(streamsTotal, s.StreamsTotal)
	count(octets, s.BytesUp, "up")
	count(octets, s.BytesDown, "down")
	for reason, n := range s.Refused {
		count(refused, n, string(reason))
	}
	gauge(clients, int64(s.Clients))
	gauge(users, int64(s.Users))
	gauge(targets, int64(s.Targets))
	gauge(lockedOut, int64(s.LockedOut))
	count(turnedAway, s.CrossSite, "cross_site")
	count(turnedAway, s.Foreign, "foreign")
	count(turnedAway, s.Broken, "broken")
	to <- prometheus.MustNewConstMetric(paced, prometheus.CounterValue, s.Paced.Seconds())
	if c.Files != nil {
		f := c.Files()
		gauge(ftpSessions, f.Sessions)
		gauge(ftpTransfers, f.Transfers)
		count(ftpLogins, f.RefusedLogins)
		count(ftpEnded, f.Uploads, "upload")
		count(ftpEnded, f.Downloads, "download")
		count(ftpEnded, f.Cut, "cut")
		count(ftpEnded, f.OverQuota, "over_quota")
		count(ftpOctets, f.OctetsIn, "up")
		count(ftpOctets, f.OctetsOut, "down")
		count(ftpForeign, f.ForeignConnections, "others")
		count(ftpForeign, f.RefusedActiveTargets, "server")
	}
	if len(c.Mail) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	sum := mailserver.Figures{Queue: map[string]int64{"waiting": 0, "held": 0, "sending": 0}}
	for _, ask := range c.Mail {
		f, err := ask(ctx)
		if err != nil {
			to <- prometheus.NewInvalidMetric(queue, err)
			return
		}
		sum.Add(f)
	}
	gauge(accounts, sum.Accounts)
	gauge(messages, sum.Messages)
	gauge(size, sum.Octets)
	for state, n := range sum.Queue {
		gauge(queue, n, state)
	}
	gauge(connections, sum.Near, "near")
	gauge(connections, sum.Far, "far")
}
