//go:build unix

package delivery

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// TestPostfix delivers to a real Postfix as to anybody's server: by the MX of its domain, over TLS with a certificate for that
// host. What it takes is in Dovecot's Maildirs.
func TestPostfix(t *testing.T) {
	bed := testbed.Start(t)
	w := newWorld(t)
	w.domain(bed.Domain, "10 dead."+bed.Domain+" 127.0.0.9", "20 mail."+bed.Domain+" "+bed.Host) // nobody listens at the first
	w.domain("elsewhere.test", "10 mail."+bed.Domain+" "+bed.Host)
	d := New(Config{
		Hostname: "mail.postern.test", Resolver: w, Port: uint16(bed.SMTP), Roots: bed.Roots,
		Refuse: func(a netip.Addr) string {
			if !a.IsLoopback() {
				return "the test is not to leave this machine"
			}
			return ""
		},
		Policies: policies{bed.Domain: mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"*." + bed.Domain}}},
	})
	defer d.Close()
	deliver := func(t *testing.T, domain, content string, to ...string) []Result {
		t.Helper()
		m := message(content, to...)
		m.UTF8 = true
		m.EnvelopeID, m.Return = "an id", "HDRS"
		m.Recipients[0].Notify, m.Recipients[0].Original = []string{"FAILURE"}, "rfc822;first@postern.test"
		results, transcript := d.Deliver(t.Context(), domain, m)
		for _, r := range results {
			if r.TLS != "TLS 1.3, verified" || r.Server != fmt.Sprintf("mail.%s (%s)", bed.Domain, bed.Host) {
				t.Errorf("%+v\n%s", r, said(transcript))
			}
		}
		if t.Failed() {
			t.Log(said(transcript))
		}
		return results
	}
	alice, bob, nobody := "alice@"+bed.Domain, "bob@"+bed.Domain, "nobody@"+bed.Domain
	t.Run("to two who are there and one who is not", func(t *testing.T) {
		results := deliver(t, bed.Domain, "Subject: one\r\n\r\nmarker-one, überall\r\n.\r\n..\r\n", alice, nobody, bob)
		for i, outcome := range []string{"delivered 250 2.0.0", "failed 550 5.1.1", "delivered 250 2.0.0"} {
			want(t, results[i], outcome, nil)
		}
		for _, user := range []string{"alice", "bob"} {
			if got := bed.Await(t, user, "marker-one"); !strings.Contains(string(got), "marker-one, überall\n.\n..\n") {
				t.Errorf("%q", got)
			}
		}
	})
	t.Run("beyond ASCII", func(t *testing.T) {
		want(t, deliver(t, bed.Domain, "Subject: Grüße\r\n\r\nmarker-two\r\n", "büro@"+bed.Domain)[0], "delivered", nil)
		bed.Await(t, "bob", "marker-two")
	})
	t.Run("long lines", func(t *testing.T) {
		line := "marker-three" + strings.Repeat(" long", 1000)
		want(t, deliver(t, bed.Domain, "Subject: three\r\n\r\n"+line+"\r\n", alice)[0], "delivered", nil)
		if got := bed.Await(t, "alice", "marker-three"); !strings.Contains(string(got), line) {
			t.Errorf("the line has changed: %.2000q", got)
		}
	})
	t.Run("no relay", func(t *testing.T) {
		want(t, deliver(t, "elsewhere.test", hello, "b@elsewhere.test")[0], "failed 554 5.7.1", nil)
	})
	t.Run("too large", func(t *testing.T) {
		want(t, deliver(t, bed.Domain, hello+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 160_000), alice)[0], "failed 552 5.3.4", nil)
	})
	t.Run("a host that is not of the policy", func(t *testing.T) {
		w.domain("strict.test", "10 mail."+bed.Domain+" "+bed.Host)
		d.config.Policies.(policies)["strict.test"] = mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mail.strict.test"}}
		results, transcript := d.Deliver(t.Context(), "strict.test", message(hello, "b@strict.test"))
		want(t, results[0], "deferred 4.7.1", transcript)
	})
}
