package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/ftpserver"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(c Config, path string) *httptest.ResponseRecorder {
	c.Logger = slog.New(slog.DiscardHandler)
	w := httptest.NewRecorder()
	Handler(c).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func tunnel() bridge.Stats {
	return bridge.Stats{Sessions: 1, Streams: 2, SessionsTotal: 3, StreamsTotal: 4, BytesUp: 5, BytesDown: 6, Refused: map[wire.Reason]int64{wire.BadToken: 7}}
}

func TestFigures(t *testing.T) {
	one := func(context.Context) (mailserver.Figures, error) {
		return mailserver.Figures{Accounts: 1, Messages: 20, Octets: 300, Near: 4, Far: 5, Queue: map[string]int64{"waiting": 6}}, nil
	}
	ftp := func() ftpserver.Figures {
		return ftpserver.Figures{Sessions: 1, Transfers: 2, Uploads: 3, Downloads: 4, Cut: 5, OverQuota: 6, OctetsIn: 7, OctetsOut: 8, RefusedLogins: 9, ForeignConnections: 10, RefusedActiveTargets: 11}
	}
	w := get(Config{Version: "v1", Tunnel: tunnel, Files: ftp, Mail: []func(context.Context) (mailserver.Figures, error){one, one}}, "/metrics")
	text := w.Body.String()
	for _, want := range []string{
		`postern_build_info{version="v1"} 1`, "postern_tunnel_sessions 1", "postern_tunnel_streams 2", "postern_tunnel_sessions_total 3",
		"postern_tunnel_streams_total 4", `postern_tunnel_payload_bytes_total{direction="up"} 5`, `postern_tunnel_payload_bytes_total{direction="down"} 6`,
		`postern_tunnel_refused_total{reason="` + string(wire.BadToken) + `"} 7`, "postern_mail_accounts 2", "postern_mail_messages 40", "postern_mail_messages_bytes 600",
		`postern_mail_queue_recipients{state="waiting"} 12`, `postern_mail_queue_recipients{state="held"} 0`, `postern_mail_connections{from="far"} 10`,
		"postern_ftp_sessions 1", "postern_ftp_transfers 2", `postern_ftp_transfers_total{outcome="upload"} 3`, `postern_ftp_transfers_total{outcome="download"} 4`,
		`postern_ftp_transfers_total{outcome="cut"} 5`, `postern_ftp_transfers_total{outcome="over_quota"} 6`, `postern_ftp_payload_bytes_total{direction="up"} 7`,
		`postern_ftp_payload_bytes_total{direction="down"} 8`, "postern_ftp_refused_logins_total 9", `postern_ftp_foreign_connections_total{by="others"} 10`,
		`postern_ftp_foreign_connections_total{by="server"} 11`,
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, "\n"+want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "postern_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// What cannot be asked for leaves the rest as it is.
func TestMailThatFails(t *testing.T) {
	fails := func(context.Context) (mailserver.Figures, error) { return mailserver.Figures{}, errors.New("no index") }
	w := get(Config{Tunnel: tunnel, Mail: []func(context.Context) (mailserver.Figures, error){fails}}, "/metrics")
	if text := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(text, "postern_tunnel_sessions 1\n") || strings.Contains(text, "postern_mail_accounts ") {
		t.Errorf("%d\n%s", w.Code, text)
	}
	if w := get(Config{Tunnel: tunnel}, "/metrics"); strings.Contains(w.Body.String(), "postern_mail") {
		t.Errorf("figures of a mail server that is off:\n%s", w.Body)
	}
	if w := get(Config{Tunnel: tunnel}, "/"); w.Code != http.StatusNotFound {
		t.Errorf("/: %d", w.Code)
	}
}
