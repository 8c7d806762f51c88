//go:build unix

package engine

import (
	"bytes"
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// The same with Dovecot and Postfix.
func TestTheGatewayIsBlindToRealServers(t *testing.T) {
	bed := testbed.Start(t)
	servers := &mailServers{
		host: bed.Host, pop3: bed.POP3, pop3s: bed.POP3S, submission: bed.Submission, submission2: bed.Submissions,
		roots: bed.Roots, email: "alice@" + bed.Domain, user: "alice", password: bed.Users[0].Password, recipient: "bob@" + bed.Domain,
		deliver: func(message []byte) { bed.Deliver(t, "alice", message) },
		received: func(marker string) []byte {
			return bytes.ReplaceAll(bed.Await(t, "bob", marker), []byte("\n"), []byte("\r\n"))
		},
	}
	for _, security := range []api.Security{api.TLS, api.STARTTLS, api.Plain} {
		t.Run(string(security), func(t *testing.T) { wantBlind(t, servers, security) })
	}
}
