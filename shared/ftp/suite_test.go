package ftp_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/ftpsuite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite against the server in memory, whole and with each thing missing that servers do miss.
func TestInMemory(t *testing.T) {
	t.Parallel()
	authority := mailtest.NewAuthority(t)
	secure := func(f *mailtest.FTP) { f.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}} }
	for _, c := range []struct {
		name   string
		faults *mailtest.Faults
		mend   func(*mailtest.FTP)
	}{
		{"plain", nil, func(*mailtest.FTP) {}},
		{"explicit TLS", nil, func(f *mailtest.FTP) { secure(f); f.Reuse = true }},
		{"implicit TLS", nil, func(f *mailtest.FTP) { secure(f); f.Implicit = true }},
		{"listening during transfers", nil, func(f *mailtest.FTP) { f.Attentive = true }},
		{"the same under TLS", nil, func(f *mailtest.FTP) { secure(f); f.Attentive = true }},
		{"LIST", nil, func(f *mailtest.FTP) { f.NoMLST = true }},
		{"octet by octet", &mailtest.Faults{Packet: 1}, func(f *mailtest.FTP) { f.DataFaults = &mailtest.Faults{Packet: 999} }},
		{"over loopback", nil, func(f *mailtest.FTP) { f.TCP = true }},
		{"over loopback under TLS", nil, func(f *mailtest.FTP) { secure(f); f.TCP, f.Reuse, f.Attentive = true, true, true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewFTP()
			c.mend(server)
			target := ftpsuite.Target{
				Dial: func(t testing.TB) (net.Conn, func(context.Context, int) (net.Conn, error)) {
					return mailtest.Connect(t, server, c.faults), server.Dial
				},
				Implicit: server.Implicit, Resumes: server.Reuse,
				User: "bob", Password: "bob-pw",
			}
			if server.TLS != nil {
				target.TLS = &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
			}
			ftpsuite.Run(t, target)
		})
	}
}
