// Package bridge carries the streams of a tunnel to TCP.
package bridge

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ContextDialer connects; *net.Dialer is one.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Rule allows a host pattern and a port.
type Rule struct {
	host string
	port int
}

// ParseRule reads "host:port".
func ParseRule(s string) (Rule, error) { return Rule{}, nil }

// Policy says what may be reached beyond the embedded server. The zero Policy: nothing.
type Policy struct {
	Allow    []Rule
	Networks []netip.Prefix
}

// Limits bound what one client may cost.
type Limits struct {
	Sessions, SessionsPerClient, Streams int
	DialTimeout, IdleTimeout             time.Duration
}

// Config is what New needs.
type Config struct {
	Server         string // name and version, for the Welcome
	Token          string
	Policy         Policy
	Embedded       *wire.Embedded
	Services       map[wire.ServiceName]string
	Origins        []string
	TrustedProxies []netip.Prefix
	Limits         Limits
	Resolver       Resolver
	Dialer         ContextDialer
	Logger         *slog.Logger
}

// Bridge is the gateway's WebSocket endpoint.
type Bridge struct{}

// Stats counts.
type Stats struct {
	Sessions, Streams           int
	SessionsTotal, StreamsTotal int64
	BytesUp, BytesDown          int64
	Refused                     map[wire.Reason]int64
}

func New(c Config) (*Bridge, error)                                 { return &Bridge{}, nil }
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {}
func (b *Bridge) Shutdown(ctx context.Context) error               { return nil }
func (b *Bridge) Stats() Stats                                      { return Stats{} }
