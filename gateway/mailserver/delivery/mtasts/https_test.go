package mtasts

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

func TestFetch(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		cert   tls.Certificate // default the right one
		want   string
		err    string // part of it
	}{
		"the policy": {answer: text(example), want: example},
		"64 KiB":     {answer: text(strings.Repeat("\n", maxPolicy)), want: strings.Repeat("\n", maxPolicy)},
		"an octet more": {
			answer: text(strings.Repeat("\n", maxPolicy+1)), err: "more than 65536",
		},
		"a redirect": {
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://mta-sts.example.test/other", http.StatusFound)
			},
			err: "a redirect",
		},
		"a page": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, example)
			},
			err: `type "text/html"`,
		},
		"no type": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				io.WriteString(w, example)
			},
			err: `type ""`,
		},
		"not found": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http.StatusNotFound)
				io.WriteString(w, example)
			},
			err: "404",
		},
		"cut": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, example)
			},
			err: "unexpected EOF",
		},
		"headers without end": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("X-More", strings.Repeat("x", maxPolicy+8<<10))
			},
			err: "exceeded",
		},
		"another's certificate": {answer: text(example), cert: authority.Server("example.test"), err: "certificate is valid for"},
		"expired":               {answer: text(example), cert: authority.Expired("mta-sts.example.test"), err: "expired"},
		"nobody's certificate":  {answer: text(example), cert: mailtest.SelfSigned(t, "mta-sts.example.test"), err: "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.Host+r.URL.Path)
				c.answer(w, r)
			}))
			if c.cert.Certificate == nil {
				c.cert = authority.Server("mta-sts.example.test")
			}
			server.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			var dialed []string
			h := NewHTTPS(func(ctx context.Context, network, address string) (net.Conn, error) {
				dialed = append(dialed, address)
				var d net.Dialer
				return d.DialContext(ctx, network, server.Listener.Addr().String())
			}, &tls.Config{RootCAs: authority.Pool()})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			b, err := h.Fetch(ctx, "example.test")
			server.Close()
			if c.err == "" && (err != nil || string(b) != c.want) {
				t.Errorf("%q, %v", b, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%q, %v; want %q", b, err, c.err)
			}
			if got := strings.Join(dialed, " "); got != "mta-sts.example.test:443" {
				t.Errorf("dialled %s", got)
			}
			want := "GET mta-sts.example.test/.well-known/mta-sts.txt"
			if strings.Contains(c.err, "certificate") || c.err == "expired" || c.err == "unknown authority" {
				want = ""
			}
			if got := strings.Join(asked, " "); got != want {
				t.Errorf("asked %q", got)
			}
		})
	}
}
