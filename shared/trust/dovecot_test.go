//go:build unix

package trust_test

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/trust"
)

// What Dovecot shows of itself is refused for its reason, not a word of POP3 being said; pinned, it is believed; and
// another certificate in its place is refused, be it better.
func TestDovecot(t *testing.T) {
	bed := testbed.StartDovecot(t)
	open := func(t *testing.T, host string, port int, o trust.Options) (said int, err error) {
		t.Helper()
		conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		c := pop3.New(tls.Client(conn, trust.Config(o)), &pop3.Options{Trace: func(pop3.Exchange) { said++ }})
		defer c.Close()
		_, err = c.Capa(t.Context())
		return said, err
	}
	refused := func(t *testing.T, said int, err error, reason string) *trust.CertificateError {
		t.Helper()
		var e *trust.CertificateError
		if !errors.As(err, &e) {
			t.Fatalf("want %s, got %v", reason, err)
		}
		if e.Reason != reason || said != 0 {
			t.Errorf("%v, want %s; %d lines said", err, reason, said)
		}
		return e
	}
	local := trust.Options{ServerName: "localhost", Roots: bed.Roots}

	if _, err := open(t, bed.Host, bed.POP3S, local); err != nil {
		t.Errorf("a good certificate: %v", err)
	}
	for reason, door := range map[string]*testbed.Door{
		trust.Expired: &bed.Expired, trust.WrongHost: &bed.WrongHost, trust.SelfSigned: &bed.SelfSigned,
	} {
		t.Run(reason, func(t *testing.T) {
			said, err := open(t, door.Host, door.POP3S, local)
			e := refused(t, said, err, reason)
			if e.Fingerprint != trust.Fingerprint(door.Certificate.Leaf.Raw) {
				t.Errorf("the fingerprint %s is another's", e.Fingerprint)
			}
			pinned := local
			pinned.Pins = []string{e.Fingerprint}
			if _, err := open(t, door.Host, door.POP3S, pinned); err != nil {
				t.Errorf("pinned: %v", err)
			}
			said, err = open(t, bed.Host, bed.POP3S, pinned)
			refused(t, said, err, trust.PinChanged)
		})
	}
	t.Run("by STLS", func(t *testing.T) {
		stls := func(o trust.Options) error {
			c := pop3.New(bed.Dial(t, bed.POP3), nil)
			defer c.Close()
			return c.STLS(t.Context(), trust.Config(o))
		}
		if err := stls(local); err != nil {
			t.Errorf("a good certificate: %v", err)
		}
		err := stls(trust.Options{ServerName: "elsewhere.test", Roots: bed.Roots})
		refused(t, 0, err, trust.WrongHost)
		err = stls(trust.Options{ServerName: "localhost", Roots: bed.Roots, Pins: []string{trust.Fingerprint(bed.Expired.Certificate.Leaf.Raw)}})
		refused(t, 0, err, trust.PinChanged)
		err = stls(trust.Options{ServerName: "localhost"})
		refused(t, 0, err, trust.UnknownAuthority)
	})
}
