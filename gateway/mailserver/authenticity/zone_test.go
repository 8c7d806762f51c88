package authenticity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is the DNS of a test: TXT, A and MX records by name, without the period.
// A record that begins with "!" is an error: "!temp", "!slow", "!odd".
type zone struct {
	txt  map[string][]string
	addr map[string][]string
	mx   map[string][]string
	mu   sync.Mutex
	ask  []string
}

var _ Resolver = (*zone)(nil)

func (z *zone) lookup(ctx context.Context, m map[string][]string, name string) ([]string, error) {
	z.mu.Lock()
	z.ask = append(z.ask, name)
	z.mu.Unlock()
	short, absolute := strings.CutSuffix(name, ".")
	if !absolute {
		return nil, &net.DNSError{Err: "the name is not absolute", Name: name}
	}
	found, ok := m[short]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	switch found[0] {
	case "!temp":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	case "!odd":
		return nil, context.Canceled // no word of the DNS
	case "!slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return found, nil
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return z.lookup(ctx, z.txt, name)
}

func (z *zone) LookupMX(ctx context.Context, name string) (list []*net.MX, err error) {
	hosts, err := z.lookup(ctx, z.mx, name)
	for _, h := range hosts {
		list = append(list, &net.MX{Host: h + "."})
	}
	return list, err
}

func (z *zone) LookupIPAddr(ctx context.Context, name string) (list []net.IPAddr, err error) {
	addrs, err := z.lookup(ctx, z.addr, name)
	for _, a := range addrs {
		list = append(list, net.IPAddr{IP: net.ParseIP(a)})
	}
	return list, err
}

func (z *zone) LookupAddr(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (z *zone) asked() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.ask)
}

var (
	rsaKey, edKey = sync.OnceValue(func() Key {
		k, _ := rsa.GenerateKey(rand.Reader, 1024) // quick; what is made is of 2,048
		return Key{"one", k}
	}), sync.OnceValue(func() Key {
		_, k, _ := ed25519.GenerateKey(rand.Reader)
		return Key{"two", k}
	})
	sending = netip.MustParseAddr("192.0.2.1")
)

// publish puts a domain's keys into the zone.
func (z *zone) publish(t testing.TB, domain string, keys ...Key) {
	for _, k := range keys {
		text, err := k.record()
		if err != nil {
			t.Fatal(err)
		}
		z.txt[k.Selector+"._domainkey."+domain] = []string{text}
	}
}

// split cuts a message into the fields of its header, with the empty line, and
// the rest.
func split(message string) (header [][]byte, body string) {
	for message != "" {
		i := strings.Index(message, "\n") + 1
		if i == 0 {
			i = len(message)
		}
		line := message[:i]
		message = message[i:]
		if len(header) > 0 && (line[0] == ' ' || line[0] == '\t') {
			header[len(header)-1] = append(header[len(header)-1], line...)
			continue
		}
		header = append(header, []byte(line))
		if line == "\r\n" {
			break
		}
	}
	return header, message
}

// sign signs a message for its author's domain.
func sign(t testing.TB, message, domain string, keys ...Key) string {
	t.Helper()
	header, body := split(message)
	g, err := NewSigner(keys, []string{domain}).Begin(header)
	if err != nil || g == nil {
		t.Fatalf("not signed: %v", err)
	}
	for _, f := range header {
		g.Write(f)
	}
	g.Write([]byte(body))
	fields, err := g.End()
	if err != nil {
		t.Fatal(err)
	}
	return fields + message
}

// check evaluates a message that comes from an address.
func check(t testing.TB, o Options, from, message string) Verdict {
	t.Helper()
	o.Hostname = "mail.postern.test"
	v := New(o)
	header, body := split(message)
	c := v.Begin(t.Context(), v.Sender(sending, "client.example", from), header)
	defer c.Abandon()
	for len(body) > 0 { // in pieces
		n := min(len(body), 1000)
		c.Write([]byte(body[:n]))
		body = body[n:]
	}
	return c.End()
}
