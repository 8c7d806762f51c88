// Package acmetest is an authority for tests: pebble, an ACME server that signs whatever can be proved, with a DNS in which
// every name is this machine.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

// Authority is a running one.
type Authority struct {
	Directory string         // its URL
	Root      string         // a PEM file with the certificate by which its server is believed
	Roots     *x509.CertPool // by which the certificates are that it signs
	Stop      func()         // it answers nobody any more; at the end of the test it is called, too

	orders atomic.Int64
}

// Orders is how many certificates were asked for (RFC 8555 section 7.4), or refused for a nonce.
func (a *Authority) Orders() int64 { return a.orders.Load() }

// newOrderPath is pebble's.
const newOrderPath = "/order-plz"

// Start starts one that asks at these ports, instead of 80 and 443.
func Start(t *testing.T, httpPort, tlsPort int) *Authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "20") // as a real one may, now and then
	silent := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := &Authority{Roots: x509.NewCertPool()}
	issuing := ca.New(silent, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 90 * 24 * 3600}})
	front := wfe.New(silent, store, va.New(silent, httpPort, tlsPort, true, everyName(t), store), issuing, []string{"ca.example"}, true, false, 0, 0)
	answer := front.Handler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == newOrderPath {
			authority.orders.Add(1)
		}
		answer.ServeHTTP(w, r)
	}))
	authority.Stop = sync.OnceFunc(server.Close)
	t.Cleanup(authority.Stop)
	authority.Directory = server.URL + wfe.DirectoryPath
	authority.Root = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(authority.Root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	authority.Roots.AddCert(issuing.GetRootCert(0).Cert)
	return authority
}

// Lasting are the goroutines of the libraries that a test is not to look for: those that last as long as the program (one
// for each account and authority), and those that notice within seconds that their lock is no more.
func Lasting() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
	}
}

// everyName is a DNS server that says 127.0.0.1 to everything.
func everyName(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // pebble asks by TCP
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}
