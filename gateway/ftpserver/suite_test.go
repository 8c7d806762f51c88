package ftpserver

import (
	"context"
	"net"
	"strconv"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/ftpsuite"
)

// The suite that every FTP server must pass with the project's own client: in plain text (from this machine), and under TLS,
// explicit and implicit.
func TestSuite(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- r.server.ServeTLS(l) }()
	t.Cleanup(func() {
		must(t, l.Close())
		<-served
	})
	at := func(address string) func(testing.TB) (net.Conn, func(context.Context, int) (net.Conn, error)) {
		return func(t testing.TB) (net.Conn, func(context.Context, int) (net.Conn, error)) {
			control, err := net.Dial("tcp", address)
			must(t, err)
			return control, func(ctx context.Context, port int) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			}
		}
	}
	target := ftpsuite.Target{User: alice, Password: password, Strict: true}
	t.Run("plain", func(t *testing.T) {
		plain := target
		plain.Dial = at(r.address)
		ftpsuite.Run(t, plain)
	})
	t.Run("explicit TLS", func(t *testing.T) {
		explicit := target
		explicit.Dial, explicit.TLS, explicit.Resumes = at(r.address), r.tls, true
		ftpsuite.Run(t, explicit)
	})
	t.Run("implicit TLS", func(t *testing.T) {
		implicit := target
		implicit.Dial, implicit.TLS, implicit.Resumes, implicit.Implicit = at(l.Addr().String()), r.tls, true, true
		ftpsuite.Run(t, implicit)
	})
}
