//go:build unix

package smtp_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/smtpsuite"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// The suite against Postfix, by STARTTLS and by implicit TLS; what it accepts is in Dovecot's Maildirs.
func TestPostfix(t *testing.T) {
	bed := testbed.Start(t)
	target := func(user testbed.User) smtpsuite.Target {
		return smtpsuite.Target{
			Dial: func(t testing.TB) net.Conn { return bed.Dial(t, bed.Submission) },
			TLS:  bed.ClientTLS(),
			User: user.Name, Password: user.Password, Token: bed.Token(user.Name),
			Mechanisms: []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"},
			Announces:  []string{"SMTPUTF8", "DSN", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"},
			From:       user.Name + "@" + bed.Domain, To: [2]string{"alice@" + bed.Domain, "bob@" + bed.Domain},
			Unknown: "nobody@" + bed.Domain, UTF8: "büro@" + bed.Domain,
			Await: func(t testing.TB, address, marker string) []byte {
				name, _, _ := strings.Cut(address, "@")
				if name == "büro" {
					name = "bob"
				}
				return bed.Await(t, name, marker)
			},
		}
	}
	t.Run("STARTTLS", func(t *testing.T) { smtpsuite.Run(t, target(bed.Users[0])) })
	t.Run("implicit TLS, non-ASCII password", func(t *testing.T) {
		implicit := target(bed.Users[2])
		implicit.TLS = nil
		implicit.Dial = func(t testing.TB) net.Conn { return tls.Client(bed.Dial(t, bed.Submissions), bed.ClientTLS()) }
		smtpsuite.Run(t, implicit)
	})
}
