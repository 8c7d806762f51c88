//go:build unix

package bridge

import (
	"context"
	"net"
	"strconv"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/ftpsuite"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// The client's suite against real servers, through the gateway: control and data connections go to where its name leads, and
// nowhere else.
func TestFTPServers(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(testing.TB) (server *testbed.FTP, implicit bool){
		"pure-ftpd, explicit TLS": func(t testing.TB) (*testbed.FTP, bool) { return testbed.StartPureFTPd(t), false },
		"vsftpd, explicit TLS":    func(t testing.TB) (*testbed.FTP, bool) { return testbed.StartVsftpd(t, false), false },
		"vsftpd, implicit TLS":    func(t testing.TB) (*testbed.FTP, bool) { return testbed.StartVsftpd(t, true), true },
	} {
		t.Run(name, func(t *testing.T) {
			server, implicit := begin(t)
			const public = "93.184.216.34"
			g := start(t, Config{
				Policy:   Policy{Allow: rules(t, "ftp.example:"+strconv.Itoa(server.Port))},
				Access:   members,
				Limits:   Limits{NewStreamsPerMinute: 10_000, NewStreamsPerTarget: 10_000},
				Resolver: names{"ftp.example": {public}},
				Dialer: dialerFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
					host, port, err := net.SplitHostPort(address)
					if err != nil || host != public {
						t.Errorf("dialled %s", address)
					}
					return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
				}),
			})
			session := g.sessionOf(t, member)
			service := wire.FTP
			if implicit {
				service = wire.FTPS
			}
			ftpsuite.Run(t, ftpsuite.Target{
				User: server.Users[1].Name, Password: server.Users[1].Password,
				TLS: server.ClientTLS(), Implicit: implicit, Resumes: name[0] == 'v', Underscores: name[0] == 'p',
				Dial: func(t testing.TB) (net.Conn, func(context.Context, int) (net.Conn, error)) {
					control, err := session.Open(context.Background(), wire.Open{Service: service, Host: "ftp.example", Port: server.Port})
					if err != nil {
						t.Fatal(err)
					}
					return control, control.(*tunnel.Conn).OpenData
				},
			})
		})
	}
}
