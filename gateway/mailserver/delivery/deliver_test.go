package delivery

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
)

// checkPeers fails the test for what peers saw that they should not have.
func checkPeers(t *testing.T, peers ...*mailtest.SMTP) {
	t.Helper()
	for _, p := range peers {
		if v := p.Violations(); v != nil {
			t.Errorf("violations: %q", v)
		}
	}
}

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		d := w.deliverer()
		m := message(hello, "b@example.org", "c@example.org")
		m.Return, m.EnvelopeID = "HDRS", "id 7"
		m.Recipients[0].Notify, m.Recipients[0].Original = []string{"SUCCESS", "FAILURE"}, "rfc822;first@postern.test"
		m.Recipients[1].Notify = []string{"NEVER"}
		results, transcript := d.Deliver(t.Context(), "Example.org", m)
		for _, r := range results {
			if r != (Result{Outcome: Delivered, Code: 250, Enhanced: "2.0.0", Text: "queued as 1", Server: "mx.example.org (192.0.2.1)", TLS: "none"}) {
				t.Errorf("%+v\n%s", r, said(transcript))
			}
		}
		got := peer.Received()
		if len(got) != 1 || string(got[0].Content) != hello || got[0].From != "a@postern.test" || !slices.Equal(got[0].To, []string{"b@example.org", "c@example.org"}) {
			t.Fatalf("%+v", got)
		}
		if !strings.Contains(got[0].Params, "RET=HDRS ENVID=id+207") || got[0].Rcpt[0] != "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@postern.test" || got[0].Rcpt[1] != "NOTIFY=NEVER" {
			t.Errorf("%q, %q", got[0].Params, got[0].Rcpt)
		}
		text := said(transcript)
		for _, line := range []string{"* connecting to mx.example.org (192.0.2.1) port 25\n", "C EHLO mail.postern.test\n", "C RCPT TO:<c@example.org> NOTIFY=NEVER\n", fmt.Sprintf("C ... %d octets\n", len(hello)), "S 250 2.0.0 queued as 1\n"} {
			if !strings.Contains(text, line) {
				t.Errorf("no %q in\n%s", line, text)
			}
		}
		if strings.Contains(text, "Subject") {
			t.Error("content in the transcript")
		}
		if !slices.Equal(w.dials(), []string{"192.0.2.1:25"}) {
			t.Errorf("%q", w.dials())
		}
		checkPeers(t, peer)
	})
}

// The sender of a report is nobody, and a peer without DSN makes it "relayed".
func TestNullSenderAndRelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t, func(s *mailtest.SMTP) { s.DSN, s.Pipelining = false, false })
		m := message(hello, "b@example.org")
		m.From, m.Return, m.EnvelopeID, m.Recipients[0].Notify = "", "FULL", "x", []string{"NEVER"}
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", m)
		want(t, results[0], "relayed 250 2.0.0", transcript)
		if got := peer.Received(); len(got) != 1 || got[0].From != "" || strings.Contains(got[0].Params+got[0].Rcpt[0], "NOTIFY") {
			t.Errorf("%+v", got)
		}
		checkPeers(t, peer)
	})
}

// What cannot be asked for as reports is left out: the message goes.
func TestOddRequestsForReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		m := message(hello, "b@example.org")
		m.EnvelopeID, m.Recipients[0].Original = strings.Repeat("x", 200), "no type"
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", m)
		want(t, results[0], "relayed", transcript)
		checkPeers(t, peer)
	})
}

func TestAddressesThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		d := w.deliverer()
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org", "x>\r\nDATA@example.org", "c@example.org"))
		want(t, results[0], "delivered", transcript)
		want(t, results[1], "failed 5.1.3", transcript)
		want(t, results[2], "delivered", transcript)
		m := message(hello, "b@example.org")
		m.From = "a b@postern.test"
		results, transcript = d.Deliver(t.Context(), "example.org", m)
		want(t, results[0], "failed 5.1.7", transcript)
		if results, _ := d.Deliver(t.Context(), "example.org", message(hello)); len(results) != 0 {
			t.Error(results)
		}
		checkPeers(t, peer)
	})
}

// TestLoop: RFC 5321 section 6.3 wants at least 100 Received fields to be let through.
func TestLoop(t *testing.T) {
	for _, c := range []struct {
		most, fields int
		outcome      string
	}{{0, 100, "delivered"}, {0, 101, "failed 554 5.4.6"}, {50, 100, "delivered"}, {-1, 101, "failed 5.4.6"}, {150, 150, "delivered"}, {150, 151, "failed 5.4.6"}} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := one(t)
			d := w.deliverer(func(conf *Config) { conf.MaxReceived = c.most })
			content := strings.Repeat("Received: from a by b;\r\n\tThu, 1 Jan 2026 00:00:00 +0000\r\nreceived: x\nX-Received: no\r\n", c.fields/2) +
				strings.Repeat("RECEIVED:y\r\n", c.fields%2) + "Subject: x\r\n\r\n" + strings.Repeat("Received: in the body\r\n", 200)
			results, transcript := d.Deliver(t.Context(), "example.org", message(content, "b@example.org"))
			want(t, results[0], c.outcome, transcript)
			if c.outcome != "delivered" && len(w.dials()) > 0 {
				t.Error("dialled")
			}
		})
	}
}

// A message that cannot be read is tried again, whenever that is found out; what was sent of it is not a message.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		d := w.deliverer()
		for fails := 1; fails <= 2; fails++ { // the look at it, the sending
			opened := 0
			m := message(hello, "b@example.org")
			m.Open = func() (io.ReadCloser, error) {
				if opened++; opened == fails {
					return nil, errBroken
				}
				return io.NopCloser(strings.NewReader(hello)), nil
			}
			results, transcript := d.Deliver(t.Context(), "example.org", m)
			want(t, results[0], "deferred 4.3.0", transcript)
			opened = 0
			m.Open = func() (io.ReadCloser, error) {
				if opened++; opened == fails {
					return io.NopCloser(io.MultiReader(strings.NewReader(hello), iotest.ErrReader(errBroken))), nil
				}
				return io.NopCloser(strings.NewReader(hello)), nil
			}
			results, transcript = d.Deliver(t.Context(), "example.org", m)
			want(t, results[0], "deferred 4.3.0", transcript)
		}
		if len(peer.Received()) > 0 {
			t.Error("delivered")
		}
	})
}

// Who is refused has his own result, and the others get the message.
func TestRecipientsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t, func(s *mailtest.SMTP) {
			s.Refuse = map[string]string{"no@example.org": "550 5.1.1 nobody\x07 here", "later@example.org": "451 greylisted", "full@example.org": "452 4.2.2 full"}
		})
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, "b@example.org", "no@example.org", "later@example.org", "full@example.org", "no@example.org"))
		for i, outcome := range []string{"delivered", "failed 550 5.1.1", "deferred 451 4.0.0", "deferred 452 4.2.2", "failed 550 5.1.1"} {
			want(t, results[i], outcome, transcript)
		}
		if results[1].Text != "nobody  here" || results[1].Local || results[1].Server == "" || len(peer.Received()) != 1 {
			t.Errorf("%+v", results[1])
		}
		checkPeers(t, peer)
	})
}

// Who is refused because there are too many is in the next transaction, RFC 5321 section 4.5.3.1.10; and no transaction has more
// than every server has to take.
func TestManyRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := make([]string, 250)
		for i := range to {
			to[i] = fmt.Sprintf("user%d@example.org", i)
		}
		w, peer := one(t)
		rcpt := 0
		peer.Fault = func(stage string) *mailtest.SMTPFault {
			switch stage {
			case "MAIL":
				rcpt = 0
			case "RCPT":
				if rcpt++; rcpt > 40 {
					return &mailtest.SMTPFault{Reply: "452 4.5.3 too many recipients\r\n"}
				}
			}
			return nil
		}
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, to...))
		for _, r := range results {
			want(t, r, "delivered", transcript)
		}
		var got []string
		for _, m := range peer.Received() {
			if len(m.To) > 40 {
				t.Errorf("%d recipients", len(m.To))
			}
			got = append(got, m.To...)
		}
		slices.Sort(got)
		slices.Sort(to)
		if !slices.Equal(got, to) || len(w.dials()) != 1 {
			t.Errorf("to %d, over %d connections", len(got), len(w.dials()))
		}
		checkPeers(t, peer)
	})
}

// A server that takes nobody at all because there are too many is believed: nothing would become better by trying on.
func TestTooManyForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t, func(s *mailtest.SMTP) { s.Refuse = map[string]string{"b@example.org": "452 4.5.3 too many"} })
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "deferred 452 4.5.3", transcript)
		checkPeers(t, peer)
	})
}

// Which host has the message in the end, by what the others do. RFC 5321 section 5.1.
func TestNextHost(t *testing.T) {
	reply := func(stage, text string) func(*mailtest.SMTP) {
		return func(s *mailtest.SMTP) {
			s.Fault = func(at string) *mailtest.SMTPFault {
				if at == stage {
					return &mailtest.SMTPFault{Reply: text + "\r\n", Cut: strings.HasPrefix(text, "421")}
				}
				return nil
			}
		}
	}
	for _, c := range []struct {
		name    string
		first   func(*mailtest.SMTP) // nil: refuses connections
		outcome string
		by      string // which host's words these are
	}{
		{"refuses connections", nil, "delivered", "mx2"},
		{"greets with 421", reply("", "421 4.3.2 busy"), "delivered", "mx2"},
		{"greets with 554", reply("", "554 no mail here"), "delivered", "mx2"},
		{"EHLO and HELO refused", func(s *mailtest.SMTP) {
			s.Fault = func(at string) *mailtest.SMTPFault {
				if at == "EHLO" || at == "HELO" {
					return &mailtest.SMTPFault{Reply: "502 no\r\n"}
				}
				return nil
			}
		}, "delivered", "mx2"},
		{"MAIL 4yz", reply("MAIL", "451 4.3.0 not now"), "delivered", "mx2"},
		{"MAIL 5yz", reply("MAIL", "550 5.7.1 not from you"), "failed 550 5.7.1", "mx1"},
		{"MAIL 421", reply("MAIL", "421 4.3.2 bye"), "delivered", "mx2"},
		{"RCPT 4yz", reply("RCPT", "450 4.2.0 greylisted"), "deferred 450 4.2.0", "mx1"},
		{"RCPT 5yz", reply("RCPT", "550 5.1.1 nobody"), "failed 550 5.1.1", "mx1"},
		{"RCPT 421", reply("RCPT", "421 4.3.2 bye"), "delivered", "mx2"},
		{"DATA 4yz", reply("DATA", "451 4.3.0 later"), "deferred 451 4.3.0", "mx1"},
		{"DATA 5yz", reply("DATA", "554 5.5.0 no"), "failed 554 5.5.0", "mx1"},
		{"DATA 421", reply("DATA", "421 4.3.2 bye"), "delivered", "mx2"},
		{"message 4yz", reply(".", "451 4.3.0 later"), "deferred 451 4.3.0", "mx1"},
		{"message 5yz", reply(".", "550 5.7.1 spam"), "failed 550 5.7.1", "mx1"},
		{"message 421", reply(".", "421 4.3.2 bye"), "delivered", "mx2"},
		{"too small", func(s *mailtest.SMTP) { s.Size = 10 }, "failed 552 5.3.4", "mx1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.domain("example.org", "10 mx1.example.org 192.0.2.1", "20 mx2.example.org 192.0.2.2")
				first, second := stranger(), stranger()
				if c.first != nil {
					c.first(first)
					w.serve("192.0.2.1", first)
				}
				w.serve("192.0.2.2", second)
				results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, "b@example.org", "c@example.org"))
				for _, r := range results {
					want(t, r, c.outcome, transcript)
					if !strings.HasPrefix(r.Server, c.by) {
						t.Errorf("the words of %s", r.Server)
					}
				}
				if n := len(second.Received()); (n == 1) != (c.by == "mx2") || len(first.Received()) > 0 {
					t.Errorf("the second has %d messages, the first %d", n, len(first.Received()))
				}
				checkPeers(t, first, second)
			})
		})
	}
}

// When no host takes the message, the most hopeful of their answers is told.
func TestNoHost(t *testing.T) {
	greet := func(text string) *mailtest.SMTP {
		return stranger(func(s *mailtest.SMTP) {
			s.Fault = func(string) *mailtest.SMTPFault { return &mailtest.SMTPFault{Reply: text + "\r\n", Cut: true} }
		})
	}
	for _, c := range []struct{ first, second, outcome string }{
		{"", "", "deferred 451 4.4.1"},
		{"554 5.3.2 no mail here", "", "deferred 451 4.4.1"},
		{"521 5.3.2 no mail here", "554 never", "failed 521 5.3.2"}, // RFC 7504
		{"421 4.3.2 busy", "", "deferred 421 4.3.2"},
		{"", "421 busy", "deferred 421 4.0.0"},
		{"554 no", "421 4.3.2 busy", "deferred 421 4.3.2"},
		{"this is not SMTP", "", "deferred 451 4.4.2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.domain("example.org", "10 mx1.example.org 192.0.2.1", "20 mx2.example.org 192.0.2.2")
			if c.first != "" {
				w.serve("192.0.2.1", greet(c.first))
			}
			if c.second != "" {
				w.serve("192.0.2.2", greet(c.second))
			}
			results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
			want(t, results[0], c.outcome, transcript)
		})
	}
}

// Every address of a host is tried before the next host.
func TestNextAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.domain("example.org", "10 mx1.example.org 192.0.2.1 2001:db8::1", "20 mx2.example.org 192.0.2.2")
		peer := stranger()
		w.serve("192.0.2.2", peer)
		w.slow["192.0.2.1:25"] = true
		began := time.Now()
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "delivered", transcript)
		if !slices.Equal(w.dials(), []string{"[2001:db8::1]:25", "192.0.2.1:25", "192.0.2.2:25"}) || time.Since(began) != 30*time.Second {
			t.Errorf("%q after %v", w.dials(), time.Since(began))
		}
	})
}

// Nothing of a stranger's record is dialled that is refused.
func TestRefusedAddressIsNotDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.domain("example.org", "10 mx.example.org 127.0.0.1 ::1 10.1.2.3 169.254.169.254")
		d := w.deliverer(func(c *Config) { c.Refuse = nil })
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "failed 5.4.4", transcript)
		results, transcript = d.Deliver(t.Context(), "[127.0.0.1]", message(hello, "b@[127.0.0.1]"))
		want(t, results[0], "failed 5.4.4", transcript)
		if len(w.dials()) > 0 {
			t.Errorf("dialled %q", w.dials())
		}
	})
}

func TestLiteralIsDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		d := w.deliverer()
		results, transcript := d.Deliver(t.Context(), "[192.0.2.1]", message(hello, "b@[192.0.2.1]"))
		want(t, results[0], "delivered", transcript)
		if results[0].Server != "[192.0.2.1] (192.0.2.1)" || len(w.asked) > 0 || len(peer.Received()) != 1 {
			t.Errorf("%+v, asked %v", results[0], w.asked)
		}
	})
}

// A context that ends is a deferral; after the last word, it is not known.
func TestContextEnds(t *testing.T) {
	for stage, outcome := range map[string]string{"": "deferred 4.4.2", "EHLO": "deferred 4.4.2", "MAIL": "deferred 4.4.2", "DATA": "deferred 4.4.2", ".": "unknown 4.4.2"} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := one(t, func(s *mailtest.SMTP) {
				s.Fault = func(at string) *mailtest.SMTPFault {
					if at == stage {
						return &mailtest.SMTPFault{Stall: true}
					}
					return nil
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			results, transcript := w.deliverer().Deliver(ctx, "example.org", message(hello, "b@example.org"))
			want(t, results[0], outcome, transcript)
			if time.Since(began) != time.Minute || !results[0].Local {
				t.Errorf("after %v", time.Since(began))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w, _ := one(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		results, transcript := w.deliverer().Deliver(ctx, "example.org", message(hello, "b@example.org"))
		want(t, results[0], "deferred", transcript)
		if len(w.dials()) > 0 {
			t.Error("dialled")
		}
	})
}

// An attempt ends, whatever a peer does.
func TestAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := make([]string, 90)
		for i := range to {
			to[i] = fmt.Sprintf("u%d@example.org", i)
		}
		w, peer := one(t, func(s *mailtest.SMTP) { s.Pipelining = false })
		peer.Fault = func(stage string) *mailtest.SMTPFault {
			time.Sleep(4 * time.Minute)
			return nil
		}
		began := time.Now()
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, to...))
		want(t, results[0], "deferred 4.4.2", transcript)
		if took := time.Since(began); took != 30*time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

// An attempt whose time is over while it connects says so, and not that the destination is down: its servers had no time to answer.
func TestTimeIsOverWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.domain("example.org", "10 mx1.example.org 192.0.2.1", "20 mx2.example.org 192.0.2.2")
		w.slow["192.0.2.2:25"] = true
		w.serve("192.0.2.1", stranger(func(s *mailtest.SMTP) {
			s.Fault = func(string) *mailtest.SMTPFault {
				time.Sleep(9 * time.Minute)
				return &mailtest.SMTPFault{Reply: "421 4.3.2 not now\r\n"}
			}
		}))
		for _, attempt := range []time.Duration{9*time.Minute + 10*time.Second, 30 * time.Second} {
			if attempt < time.Minute {
				w.slow["192.0.2.1:25"] = true
			}
			d := w.deliverer(func(c *Config) {
				c.Limits.Attempt, c.Limits.Timeout, c.Limits.Dial = attempt, 10*time.Minute, time.Minute
			})
			results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
			if r := results[0]; r.Outcome != Deferred || r.Enhanced == "4.4.1" {
				t.Errorf("in %v: %v %s %s\n%s", attempt, r.Outcome, r.Enhanced, r.Text, said(transcript))
			}
			if r := results[0]; attempt < time.Minute && (r.Enhanced != "4.4.7" || !r.Local) {
				t.Errorf("in %v: %s %s", attempt, r.Enhanced, r.Text)
			}
		}
	})
}

func TestSmarthost(t *testing.T) {
	for _, c := range []struct {
		name    string
		host    Smarthost
		mend    func(*mailtest.SMTP, *mailtest.Authority)
		outcome string
		tls     string
	}{
		{"plain", Smarthost{Host: "relay.example.net"}, func(s *mailtest.SMTP, _ *mailtest.Authority) { s.OpenMail = true }, "delivered", "none"},
		{"by address", Smarthost{Host: "192.0.2.1"}, func(s *mailtest.SMTP, _ *mailtest.Authority) { s.OpenMail = true }, "delivered", "none"},
		{"STARTTLS and AUTH", Smarthost{Host: "relay.example.net", TLS: RequireTLS, Credentials: sasl.Credentials{User: "bob", Password: "bob-pw"}}, nil, "delivered", "TLS 1.3, verified"},
		{"TLS and AUTH", Smarthost{Host: "relay.example.net", TLS: ImplicitTLS, Credentials: sasl.Credentials{User: "bob", Password: "bob-pw"}}, nil, "delivered", "TLS 1.3, verified"},
		{"wrong password", Smarthost{Host: "relay.example.net", TLS: RequireTLS, Credentials: sasl.Credentials{User: "bob", Password: "no"}}, nil, "deferred 535 4.7.8", "TLS 1.3, verified"},
		{"wrong certificate", Smarthost{Host: "relay.example.net", TLS: RequireTLS, Credentials: sasl.Credentials{User: "bob", Password: "bob-pw"}}, func(s *mailtest.SMTP, a *mailtest.Authority) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{a.Server("other.example.net")}}
		}, "deferred 4.7.5", "none"},
		{"no TLS where it must be", Smarthost{Host: "relay.example.net", TLS: RequireTLS}, func(s *mailtest.SMTP, _ *mailtest.Authority) { s.TLS = nil }, "deferred 4.7.4", "none"},
		{"no password without TLS", Smarthost{Host: "relay.example.net", Credentials: sasl.Credentials{User: "bob", Password: "bob-pw"}}, func(s *mailtest.SMTP, _ *mailtest.Authority) { s.TLS = nil }, "deferred 4.7.8", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				authority := mailtest.NewAuthority(t)
				peer := mailtest.NewSMTP()
				peer.Anybody, peer.DSN = true, true
				peer.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server("relay.example.net")}}
				if c.mend != nil {
					c.mend(peer, authority)
				}
				w.ip["relay.example.net"] = []string{"192.0.2.1"}
				if c.host.TLS == ImplicitTLS {
					w.peer["192.0.2.1:465"] = mailtest.ServerFunc(implicit(peer))
				} else {
					if w.serve("192.0.2.1", peer); c.host.Host == "192.0.2.1" {
						peer.TLS = nil
					}
				}
				if c.name == "plain" {
					peer.TLS = nil
				}
				d := w.deliverer(func(conf *Config) { // the operator's choice is not asked about
					conf.Smarthost, conf.Roots, conf.Refuse = &c.host, authority.Pool(), func(netip.Addr) string { return "no" }
				})
				m := message(hello, "b@example.org", "c@elsewhere.test")
				results, transcript := d.Deliver(t.Context(), "example.org", m)
				for _, r := range results {
					want(t, r, c.outcome, transcript)
					if r.TLS != c.tls {
						t.Errorf("TLS %q", r.TLS)
					}
				}
				if strings.Contains(said(transcript), "bob-pw") || strings.Contains(said(transcript), "Ym9i") {
					t.Error("a password in the transcript")
				}
				if d.Deliver(t.Context(), "elsewhere.test", m); c.outcome == "delivered" && len(w.dials()) != 1 {
					t.Errorf("dialled %q", w.dials())
				}
				if w.asked["MX example.org"] > 0 {
					t.Error("asked for MX")
				}
				checkPeers(t, peer)
			})
		})
	}
}

// Words of a peer are printable, and bounded, wherever they go.
func TestPeerFloodsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("550-5.1.1 \x1b[31mé\u202e"+strings.Repeat("x", 900)+"\r\n", 60) + "550 5.1.1 end\r\n"
		w, _ := one(t, func(s *mailtest.SMTP) {
			s.Fault = func(stage string) *mailtest.SMTPFault {
				if stage == "RCPT" {
					return &mailtest.SMTPFault{Reply: long}
				}
				return nil
			}
		})
		d := w.deliverer(func(c *Config) { c.Limits.Transcript, c.Limits.LineLength = 20, 100 })
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "failed 550 5.1.1", transcript)
		if n := len([]rune(results[0].Text)); n > maxText+1 {
			t.Errorf("%d characters", n)
		}
		if len(transcript) > 20 || !strings.Contains(said(transcript), "lines left out") || !strings.Contains(said(transcript), "EHLO") {
			t.Errorf("%d lines\n%s", len(transcript), said(transcript))
		}
		for _, l := range transcript {
			if len([]rune(l.Text)) > 101 || strings.ContainsAny(l.Text, "\x1b\u202e\r\n") {
				t.Errorf("%q", l.Text)
			}
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		quits := 0
		peer.Fault = func(stage string) *mailtest.SMTPFault {
			if stage == "QUIT" {
				quits++
			}
			return nil
		}
		d := w.deliverer()
		d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		d.Close()
		if quits != 1 || w.open() != 0 {
			t.Errorf("%d QUIT, %d connections", quits, w.open())
		}
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "deferred 4.3.2", transcript)
		d.Close()
	})
}
