package mailserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/gateway/mailserver/queue"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// neighbours are mail servers that find each other, and nobody else: a DNS, and a network that leads to this machine alone.
type neighbours struct {
	mu     sync.Mutex
	places map[string]string // of a domain's server: its address in the DNS, which leads nowhere (RFC 5737)
	leads  map[string]string // where it is in truth, on this machine
}

// lead says where a domain's server listens.
func (n *neighbours) lead(domain, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.places == nil {
		n.places, n.leads = map[string]string{}, map[string]string{}
	}
	if n.places[domain] == "" {
		n.places[domain] = fmt.Sprintf("192.0.2.%d", 1+len(n.places))
	}
	n.leads[net.JoinHostPort(n.places[domain], "25")] = to
}

func (n *neighbours) place(domain string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.places[domain]; p != "" {
		return p, nil
	}
	return "", &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
}

func (n *neighbours) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if _, err := n.place(name); err != nil {
		return nil, err
	}
	return []*net.MX{{Host: "mx." + name + ".", Pref: 10}}, nil
}

func (n *neighbours) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	p, err := n.place(strings.TrimPrefix(host, "mx."))
	if err != nil {
		return nil, err
	}
	return []net.IPAddr{{IP: net.ParseIP(p)}}, nil
}

func (n *neighbours) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n *neighbours) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	to := n.leads[address]
	n.mu.Unlock()
	if to == "" {
		return nil, fmt.Errorf("dial %s: nobody is there", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// sending is a configuration whose mail leaves for the neighbours.
func (n *neighbours) sending(dir string) Config {
	c := testConfig(dir)
	c.Sending = &Sending{
		Delivery: delivery.Config{
			Resolver: n, Dialer: n, Refuse: func(netip.Addr) string { return "" }, Limits: delivery.Limits{Remember: 50 * time.Millisecond, Idle: time.Second},
		},
		Schedule: queue.Schedule{First: 50 * time.Millisecond, Pause: 50 * time.Millisecond},
	}
	return c
}

// await waits until a maildrop has a message in which marker occurs.
func (s *Server) await(t testing.TB, email, marker string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, text := range s.fetch(t, email) {
			if strings.Contains(text, marker) {
				return text
			}
		}
	}
	t.Fatalf("%s has no message with %q", email, marker)
	return ""
}

// A message goes from a user of one server to a user of another, straight, and the answer comes back.
func TestJourneyBetweenServers(t *testing.T) {
	n := &neighbours{}
	here := start(t, n.sending(t.TempDir()))
	there := testConfig(t.TempDir())
	there.Hostname, there.Domains = "mx.elsewhere.test", []string{"elsewhere.test"}
	there.Sending = n.sending("").Sending
	b, err := Open(t.Context(), there)
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- b.Serve(context.Background()) }()
	t.Cleanup(func() {
		must(t, b.Close())
		must(t, <-served)
	})
	must(t, b.EnsureUser(t.Context(), Account{"carol@elsewhere.test", "Carol", password}))
	n.lead("postern.test", here.Addr(SMTP).String())
	n.lead("elsewhere.test", b.Addr(SMTP).String())

	here.submit(t, alice, "From: alice@postern.test\r\nTo: carol@elsewhere.test\r\nSubject: over there\r\n\r\nHello.\r\n", "carol@elsewhere.test")
	got := b.await(t, "carol@elsewhere.test", "over there")
	if !strings.Contains(got, "Return-Path: <alice@postern.test>") || !strings.Contains(got, "with ESMTPS") {
		t.Errorf("it came as\n%s", got)
	}
	b.submit(t, "carol@elsewhere.test", "From: carol@elsewhere.test\r\nTo: alice@postern.test\r\nSubject: and back\r\n\r\nHello.\r\n", alice)
	here.await(t, alice, "and back")

	// An address that the other server does not know comes back as a report; so does a domain that nobody knows.
	for to, status := range map[string]string{"nobody@elsewhere.test": "5.1.1", "x@unheard-of.test": "5.1.2"} {
		here.submit(t, alice, "From: alice@postern.test\r\nTo: "+to+"\r\nSubject: lost\r\n\r\nHello.\r\n", to)
		report, ok := mail.Reader{}.Report([]byte(here.await(t, alice, "Final-Recipient: rfc822; "+to)))
		if !ok || report.Recipients[0].Status != status || report.Recipients[0].Action != "failed" {
			t.Errorf("%s: %+v", to, report)
		}
	}
}

// What waited for a server that is down arrives when it is back.
func TestServerThatIsDown(t *testing.T) {
	n := &neighbours{}
	n.lead("elsewhere.test", "127.0.0.1:1")
	here := start(t, n.sending(t.TempDir()))
	here.submit(t, alice, "From: alice@postern.test\r\nTo: bob@elsewhere.test\r\nSubject: patience\r\n\r\nHello.\r\n", "bob@elsewhere.test")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		rows, err := here.store.Queue(t.Context(), maildrop.Filter{})
		must(t, err)
		if len(rows) == 1 && rows[0].Attempts > 1 && rows[0].Last.Enhanced == "4.4.1" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it is not tried again: %+v", rows)
		}
	}
	back := mailtest.NewSMTP()
	back.OpenMail, back.Anybody = true, true
	n.lead("elsewhere.test", mailtest.Listen(t, back))
	for end := time.Now().Add(20 * time.Second); here.tally(t) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it still waits")
		}
	}
	if got := back.Received(); len(got) != 1 || !strings.Contains(string(got[0].Content), "Subject: patience") {
		t.Errorf("the other server has %+v", got)
	}
}

// Who asks to be told of a delivery is told, of those recipients alone.
func TestReceiptOfDelivery(t *testing.T) {
	here := start(t, testConfig(t.TempDir()))
	c := smtp.New(here.dial(t, Submission), nil)
	defer c.Close()
	must(t, c.StartTLS(t.Context(), here.pinned()))
	_, err := c.Auth(t.Context(), sasl.Credentials{User: alice, Password: password}, "")
	must(t, err)
	_, err = c.Send(t.Context(), smtp.Envelope{From: alice, To: []string{bob, alice}, DSN: &smtp.DSN{EnvelopeID: "QQ1", Recipients: []smtp.RecipientDSN{
		{Notify: []string{"SUCCESS"}, Original: "rfc822;robert@list.test"}, {Notify: []string{"FAILURE"}}}}}, strings.NewReader("From: alice@postern.test\r\nSubject: x\r\n\r\nHello.\r\n"))
	must(t, err)
	report, ok := mail.Reader{}.Report([]byte(here.await(t, alice, "Final-Recipient: rfc822; "+bob)))
	if !ok || len(report.Recipients) != 1 || report.Recipients[0].Action != "delivered" || report.Recipients[0].Original != "robert@list.test" || report.EnvelopeID != "QQ1" {
		t.Errorf("%+v", report)
	}
}

// tally counts what waits.
func (s *Server) tally(t testing.TB) int {
	t.Helper()
	rows, err := s.store.Queue(t.Context(), maildrop.Filter{})
	must(t, err)
	return len(rows)
}

// Postfix takes our mail, and gives its reasons where it does not.
func TestDeliveryToPostfix(t *testing.T) {
	bed := testbed.Start(t)
	if bed.SMTP == 0 {
		t.Skip("no Postfix on this machine: `task test` as root installs it")
	}
	n := &neighbours{}
	n.lead(bed.Domain, bed.Address(bed.SMTP))
	here := start(t, n.sending(t.TempDir()))
	text := "From: alice@postern.test\r\nTo: bob@" + bed.Domain + "\r\nSubject: to a real one\r\n\r\nHello.\r\n"
	here.submit(t, alice, text, "bob@"+bed.Domain)
	bed.Await(t, "bob", "to a real one")
	here.submit(t, alice, text, "nobody@"+bed.Domain)
	report, ok := mail.Reader{}.Report([]byte(here.await(t, alice, "Final-Recipient: rfc822; nobody@"+bed.Domain)))
	if !ok || report.Recipients[0].Status != "5.1.1" {
		t.Errorf("%+v", report)
	}
}

// Postfix is a user's server, and brings us its mail: by TLS, as it does with any other.
func TestMailFromPostfix(t *testing.T) {
	bed := testbed.Start(t)
	if bed.SMTP == 0 {
		t.Skip("no Postfix on this machine: `task test` as root installs it")
	}
	c := testConfig(t.TempDir())
	c.SMTP = bed.Address(bed.Neighbour)
	here := start(t, c)
	send := func(to, subject string) {
		t.Helper()
		client := smtp.New(bed.Dial(t, bed.Submission), nil)
		defer client.Close()
		must(t, client.StartTLS(t.Context(), bed.ClientTLS()))
		_, err := client.Auth(t.Context(), sasl.Credentials{User: "alice", Password: "alice-pw"}, "")
		must(t, err)
		from := "alice@" + bed.Domain
		_, err = client.Send(t.Context(), smtp.Envelope{From: from, To: []string{to}}, strings.NewReader("From: "+from+"\r\nTo: "+to+"\r\nSubject: "+subject+"\r\n\r\n.\r\nHello.\r\n"))
		must(t, err)
		must(t, client.Quit(t.Context()))
	}
	send(bob, "brought by a real one")
	text := here.await(t, bob, "brought by a real one")
	if !strings.HasPrefix(text, "Return-Path: <alice@"+bed.Domain+">\r\n") || !strings.Contains(text, " with ESMTPS ") || !strings.HasSuffix(text, "\r\n\r\n.\r\nHello.\r\n") {
		t.Errorf("it came as %s", text)
	}
	send("nobody@postern.test", "to nobody")
	back := string(bed.Await(t, "alice", "550 5.1.1"))
	if report, ok := (mail.Reader{}).Report([]byte(back)); !ok || report.Recipients[0].Status != "5.1.1" {
		t.Errorf("Postfix was told %s", back)
	}
}
