package mailserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

var _ authenticity.Resolver = (*net.Resolver)(nil)

// published is a DNS that has what a server wants published, and nothing else.
type published map[string][]string

func (p published) LookupTXT(_ context.Context, name string) ([]string, error) {
	if texts, ok := p[strings.TrimSuffix(name, ".")]; ok {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
func (p published) LookupMX(context.Context, string) ([]*net.MX, error) {
	return []*net.MX{{Host: "mail.postern.test."}}, nil
}
func (p published) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: net.IPv4(192, 0, 2, 25)}}, nil
}
func (p published) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
}

// hand gives a message to the MX, and answers its last word.
func (s *Server) hand(t testing.TB, introduced netip.Addr, from, text string) string {
	t.Helper()
	conn := s.dial(t, SMTP)
	defer conn.Close()
	if introduced.IsValid() {
		defer s.Introduce(conn.LocalAddr(), introduced)()
	}
	in := bufio.NewReader(conn)
	answer := ""
	for _, send := range []string{"", "HELO mail.postern.test\r\n", "MAIL FROM:<" + from + ">\r\n", "RCPT TO:<" + bob + ">\r\n", "DATA\r\n", text + ".\r\n"} {
		io.WriteString(conn, send)
		line, err := in.ReadString('\n')
		must(t, err)
		answer = line
	}
	return answer
}

// What a server signs and publishes is believed elsewhere; what others forge in
// its name is not.
func TestMailInOurName(t *testing.T) {
	dir := t.TempDir()
	domains := []string{"postern.test"}
	before, err := DNSRecords(filepath.Join(dir, "data"), "mail.postern.test", domains) // even before the first start
	must(t, err)
	zone := published{}
	for _, r := range before {
		if r.Type == "TXT" {
			zone[strings.TrimSuffix(r.Name, ".")] = append(zone[strings.TrimSuffix(r.Name, ".")], r.Data)
		}
	}
	cfg := testConfig(filepath.Join(dir, "data"))
	cfg.Receiving = Receiving{Resolver: zone, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	s := start(t, cfg)
	running, err := DNSRecords(cfg.Dir, cfg.Hostname, domains)
	must(t, err)
	if fmt.Sprint(before) != fmt.Sprint(running) {
		t.Errorf("records %v became %v", before, running)
	}
	keys, _ := filepath.Glob(filepath.Join(cfg.Dir, "dkim", "*"))
	if len(keys) != 1 {
		t.Fatalf("keys %q", keys)
	}
	if info, err := os.Stat(keys[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file %v %v", info.Mode(), err)
	}

	s.submit(t, alice, "From: "+alice+"\r\nTo: "+bob+"\r\nSubject: hello\r\n\r\nsigned\r\n", bob)
	var signed string
	for _, text := range s.fetch(t, bob) {
		signed = text
	}
	if !strings.Contains(signed, "\r\nDKIM-Signature: ") {
		t.Fatalf("not signed: %q", signed)
	}

	// The same comes back by a mailing list: its signature stands for it.
	far, own := netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("192.0.2.25")
	check := func(client netip.Addr, from, text string, want ...string) {
		t.Helper()
		known := s.fetch(t, bob)
		if answer := s.hand(t, client, from, text); !strings.HasPrefix(answer, "250") {
			t.Fatalf("answer %q", answer)
		}
		for uid, text := range s.fetch(t, bob) {
			if _, ok := known[uid]; ok {
				continue
			}
			trace, _, _ := strings.Cut(text, "\r\nReceived: ")
			for _, w := range want {
				if words, absent := strings.CutPrefix(w, "!"); absent == strings.Contains(trace, words) {
					t.Errorf("trace %q, want %q", trace, w)
				}
			}
		}
	}
	check(far, "list@lists.test", signed, "dkim=pass header.d=postern.test", "dmarc=pass header.from=postern.test", "spf=none", "!X-Postern-Junk")
	check(own, alice, "From: "+alice+"\r\n\r\nx\r\n", "spf=pass smtp.mailfrom=postern.test", "dkim=none", "dmarc=pass", "!Junk")
	check(far, "a@lists.test", "X-Postern-Junk: no\r\nFrom: "+alice+"\r\n\r\nforged\r\n", "dmarc=fail header.from=postern.test", "X-Postern-Junk: yes; reason=\"DMARC: postern.test asks to quarantine")
	check(netip.Addr{}, alice, "From: "+alice+"\r\n\r\nfrom this machine\r\n", "!Authentication-Results", "!Junk")
}
