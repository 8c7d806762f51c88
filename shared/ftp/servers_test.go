//go:build unix

package ftp_test

import (
	"context"
	"net"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/ftpsuite"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// The suite against pure-ftpd and vsftpd, in plain text and under TLS, explicit and implicit; carol's password is not ASCII.
func TestPureFTPd(t *testing.T) {
	t.Parallel()
	server := testbed.StartPureFTPd(t)
	target := func(user int) ftpsuite.Target {
		o := target(server, user)
		o.Underscores = true
		return o
	}
	t.Run("plain", func(t *testing.T) { ftpsuite.Run(t, target(1)) })
	t.Run("explicit TLS", func(t *testing.T) {
		secure := target(2)
		secure.TLS = server.ClientTLS()
		ftpsuite.Run(t, secure)
	})
}

func TestVsftpd(t *testing.T) {
	t.Parallel()
	explicit, implicit := testbed.StartVsftpd(t, false), testbed.StartVsftpd(t, true)
	t.Run("plain", func(t *testing.T) { ftpsuite.Run(t, target(explicit, 1)) })
	t.Run("explicit TLS", func(t *testing.T) {
		secure := target(explicit, 2)
		secure.TLS, secure.Resumes = explicit.ClientTLS(), true
		ftpsuite.Run(t, secure)
	})
	t.Run("implicit TLS", func(t *testing.T) {
		secure := target(implicit, 0)
		secure.TLS, secure.Resumes, secure.Implicit = implicit.ClientTLS(), true, true
		ftpsuite.Run(t, secure)
	})
}

func target(server *testbed.FTP, user int) ftpsuite.Target {
	u := server.Users[user]
	return ftpsuite.Target{User: u.Name, Password: u.Password, Dial: func(t testing.TB) (net.Conn, func(context.Context, int) (net.Conn, error)) {
		return server.Dial(t), server.DialData
	}}
}
