package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// TestAttacks is what somebody may try who finds the gateway on the internet, and what it gets. The README has the same table.
func TestAttacks(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, attack := range []struct {
		name, gets string
		run        func(*testing.T)
	}{
		{"SSRF by literal", "denied, nothing is dialled; what only resolvers take for an address is malformed", attackByLiteral},
		{"SSRF by name", "denied after the look-up, nothing is dialled; of several addresses the public ones alone are", attackByName},
		{"SSRF by DNS that changes its answer", "one look-up, and the address that was checked is the one that is dialled", attackByRebinding},
		{"SSRF by IPv6 forms", "denied: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP, local, multicast, documentation", attackByIPv6},
		{"SSRF by redirect of Discover", "each hop is looked up and checked anew: HTTPS, port 443, a name with a public address, or it ends", attackByRedirect},
		{"open proxy", "denied but for mail services at their ports; what does not greet as one is closed, before the client's first octet", attackAsProxy},
		{"header smuggling", "400 and the end of the connection; X-Forwarded-For and users' names count from listed proxies alone", attackByHeaders},
		{"Origin forgery", "403 before the upgrade, with a proxy's login too; it is counted", attackByOrigin},
		{"token guessing", "an answer after a delay, and after ten wrong ones a lockout, for the right one too; who is in stays in", attackByGuessing},
		{"oversized frames", "the session's end, or 431: no more than a frame's limit is ever held", attackByOversize},
		{"stream floods", "refusals, then the session's end at a hundred new streams a second", attackByStreams},
		{"slowloris", "the end within the time for headers, hello and open, however slowly they come", attackBySlowness},
		{"a reader that stops", "what its windows hold and no more, and the session's end once nothing can be written", attackByNotReading},
		{"a million tiny frames", "they are carried, at the sender's cost; others keep their turn", attackByTinyFrames},
		{"compression bombs", "no compression is agreed on, a compressed frame ends the session; a settings file ends at 256 KiB unpacked", attackByCompression},
		{"a data connection of FTP as a way in", "denied or malformed, nothing is dialled: it needs a control connection of the same session, and says no host", attackByData},
		{"a control connection that is none", "no data connection beside it: not of SMTP, which greets alike, nor before TLS where that comes first", attackByFalseControl},
		{"a server of FTP that lies", "the address it names is not read; what a client believes leads to the liar's own machine, looked up once", attackByLiar},
		{"a scan by data connections", "four at a time, and after some failures none for a minute, whatever the session", attackByScan},
		{"others' files", "the gateway's own server is asked for the data of that very control connection, and no port is dialled", attackOnFiles},
		{"path traversal on static files", "404, or the page: files are looked up in a list, never on a disk", attackByPath},
	} {
		if line := fmt.Sprintf("\n| %s | %s |\n", attack.name, attack.gets); !strings.Contains(string(readme), line) {
			t.Errorf("the README lacks %q", line)
		}
		t.Run(attack.name, attack.run)
	}
}

// mailServices are those of the policy mail.
var mailServices = map[wire.ServiceName]int{
	wire.POP3: 110, wire.POP3S: 995, wire.Submission: 587, wire.Submissions: 465, wire.IMAP: 143, wire.IMAPS: 993, wire.FTP: 21, wire.FTPS: 990,
}

func attackByLiteral(t *testing.T) {
	s := besiege(t, nil)
	session := s.enter()
	for _, host := range []string{
		"127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "192.0.2.1",
		"198.18.0.1", "224.0.0.1", "255.255.255.255",
	} {
		for service, port := range mailServices {
			if got := s.refused(session, service, host, port); got != wire.Denied {
				t.Errorf("%s at %s: %q", service, host, got)
			}
		}
	}
	mux := s.raw() // a client of ours would not even ask
	for _, host := range []string{"2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "[::1]", "::1%lo", "127.0.0.1\x00.example.com", "127。0。0。1", "a@127.0.0.1", ""} {
		stream := s.stream(mux)
		_, _ = stream.Write(frame(fmt.Sprintf(`{"open":{"service":"pop3s","host":%q,"port":995}}`, host)))
		if err := wire.ReadOpened(stream); reasonOf(err) != wire.Malformed {
			t.Errorf("%q: %v", host, err)
		}
		_ = stream.Close()
	}
	s.only()
}

func attackByName(t *testing.T) {
	s := besiege(t, nil)
	session := s.enter()
	for name, addresses := range map[string]string{
		"localhost": "127.0.0.1 ::1", "inside.example": "10.0.0.1", "metadata.example": "169.254.169.254", "router.example": "192.168.1.1 fe80::1",
		"mapped.example": "::ffff:127.0.0.1", "zero.example": "0.0.0.0 ::",
	} {
		s.names.answers[name] = []string{addresses}
		if got := s.refused(session, wire.POP3S, name, 995); got != wire.Denied {
			t.Errorf("%s: %q", name, got)
		}
	}
	s.only()
	s.names.answers["mixed.example"] = []string{"127.0.0.1 93.184.216.34 10.0.0.1"}
	if got := s.refused(session, wire.POP3S, "mixed.example", 995); got != wire.Unreachable {
		t.Errorf("mixed: %q", got)
	}
	s.only("93.184.216.34:995")
}

func attackByRebinding(t *testing.T) {
	s := besiege(t, nil)
	session := s.enter()
	for i := range 3 { // whenever the answer changes
		name := fmt.Sprintf("turning%d.example", i)
		for range i {
			s.names.answers[name] = append(s.names.answers[name], "93.184.216.34")
		}
		s.names.answers[name] = append(s.names.answers[name], "127.0.0.1")
		for n := range 4 {
			want := wire.Denied
			if n < i {
				want = wire.Unreachable // it was dialled, where nobody is in this test
			}
			if got := s.refused(session, wire.POP3S, name, 995); got != want {
				t.Errorf("%s, time %d: %q, want %q", name, n, got, want)
			}
		}
	}
	if n := len(s.names.asked); n != 12 {
		t.Errorf("%d look-ups for 12 streams", n)
	}
	s.only("93.184.216.34:995")
}

func attackByIPv6(t *testing.T) {
	s := besiege(t, nil)
	session := s.enter()
	for i, host := range []string{
		"::", "::1", "::7f00:1", "::10.0.0.1", "::ffff:127.0.0.1", "::ffff:a00:1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::5db8:d822",
		"64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1",
		"2606:2800:220:1:0:5efe:7f00:1", "2606:2800:220:1:200:5efe:a00:1", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1",
	} {
		if got := s.refused(session, wire.IMAPS, host, 993); got != wire.Denied {
			t.Errorf("%s: %q", host, got)
		}
		name := fmt.Sprintf("six%d.example", i)
		s.names.answers[name] = []string{host}
		if got := s.refused(session, wire.IMAPS, name, 993); got != wire.Denied {
			t.Errorf("a name for %s: %q", host, got)
		}
	}
	s.only()
	s.names.answers["mapped.example"] = []string{"::ffff:93.184.216.34"}
	s.refused(session, wire.IMAPS, "mapped.example", 993)
	s.only("93.184.216.34:993") // as what it is
}

func attackByRedirect(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	var location string
	s := besiege(t, func(c *bridge.Config, _ *http.Server) { c.WebRoots = authority.Pool() })
	server := s.tlsServer(authority.Server("example.com", "autoconfig.example.com"), func(c *tls.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", location)
		}
	})
	s.names.answers["example.com"], s.names.answers["autoconfig.example.com"] = []string{"93.184.216.34"}, []string{"93.184.216.34"}
	s.names.answers["inside.example"] = []string{"10.0.0.1"}
	s.names.answers["elsewhere.example"] = []string{"93.184.216.99"}
	s.network.to["93.184.216.34:443"] = server
	session := s.enter()
	for to, beyond := range map[string]string{
		"https://127.0.0.1/": "", "https://[::1]/": "", "https://169.254.169.254/latest/meta-data/": "", "https://93.184.216.99/": "",
		"https://inside.example/": "", "http://elsewhere.example/": "", "https://elsewhere.example:8443/": "", "https://elsewhere.example:22/": "",
		"ftp://elsewhere.example/": "", "file:///etc/passwd": "", "https://localhost/": "", "https://2130706433/": "",
		"https://example.com/again": "", "https://elsewhere.example/": "93.184.216.99:443",
	} {
		location, s.network.dialled = to, nil
		stream, err := session.Open(t.Context(), wire.Open{Service: wire.Discovery})
		if err != nil {
			t.Fatal(err)
		}
		_ = wire.WriteDiscover(stream, wire.Discover{Domain: "example.com"})
		if found, err := wire.ReadDiscovered(stream); err != nil || len(found.Services) > 0 {
			t.Errorf("%s: %+v, %v", to, found, err)
		}
		_ = stream.Close()
		want := []string{"93.184.216.34:443"}
		if beyond != "" {
			want = append(want, beyond)
		}
		s.only(want...)
	}
}

func attackAsProxy(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) { c.Limits.GreetingTimeout = 200 * time.Millisecond })
	session := s.enter()
	s.names.answers["site.example"] = []string{"93.184.216.34"}
	for _, port := range []int{1, 22, 25, 53, 80, 443, 3128, 3306, 6379, 8080, 11211, 65535} {
		for _, service := range []wire.ServiceName{wire.POP3, wire.SMTP, wire.IMAPS, "http", "https", "ssh", wire.Control} {
			if got := s.refused(session, service, "site.example", port); got != wire.Denied {
				t.Errorf("%s at port %d: %q", service, port, got)
			}
		}
	}
	s.only()
	// And behind the mail ports, where anything may listen.
	got := make(chan string, 16)
	s.network.to["93.184.216.34:143"] = s.serve(func(c *net.TCPConn) { // waits for a request, as HTTP and Redis do
		p, _ := io.ReadAll(c)
		got <- string(p)
	})
	s.network.to["93.184.216.34:110"] = s.serve(func(c *net.TCPConn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") })
	s.network.to["93.184.216.34:993"] = s.serve(func(c *net.TCPConn) {
		p, _ := io.ReadAll(c)
		got <- string(p)
	})
	if no := s.refused(session, wire.IMAP, "site.example", 143); no != wire.Timeout {
		t.Errorf("a silent server: %q", no)
	}
	if no := s.refused(session, wire.POP3, "site.example", 110); no != wire.NotMail {
		t.Errorf("SSH: %q", no)
	}
	stream, err := session.Open(t.Context(), wire.Open{Service: wire.IMAPS, Host: "site.example", Port: 993})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(stream, "GET http://internal/ HTTP/1.1\r\nHost: internal\r\n\r\n")
	if _, err := io.ReadAll(stream); reasonOf(err) != wire.NotMail {
		t.Errorf("HTTP where TLS is due: %v", err)
	}
	_ = stream.Close()
	for range 2 {
		if p := <-got; p != "" {
			t.Errorf("%q got through", p)
		}
	}
}

func attackByHeaders(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) {
		c.Access.UserHeader = "Remote-User"
		c.Access.UserProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		c.Limits.SessionsPerClient = 2
		c.Limits.WrongTokens = 3
	})
	const second = "GET /assets/app.js HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, request := range map[string]string{
		"two hosts":               "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"no host":                 "GET / HTTP/1.1\r\n\r\n",
		"a host with a path":      "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"a space before a colon":  "GET / HTTP/1.1\r\nHost: a\r\nRemote-User : admin\r\n\r\n",
		"a line that goes on":     "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"a NUL":                   "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
		"two lengths":             "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + second,
		"another coding":          "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + second,
		"a coding and a coding":   "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + second,
		"a length that is none":   "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n" + second,
		"a chunk that is no size": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + second,
	} {
		answer := s.said(request)
		if n := strings.Count(answer, "HTTP/1.1 "); n != 1 || strings.Contains(answer, "a script") {
			t.Errorf("%s: %d answers: %q", name, n, answer)
		}
		if status, _, _ := strings.Cut(answer, "\r\n"); strings.Contains(status, "200") {
			t.Errorf("%s: %q", name, status)
		}
	}
	// Two ways to say where a request ends: the chunks are believed, and the connection ends (RFC 9112 section 6.1).
	both := s.said("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second)
	if strings.Contains(both, "a script") {
		t.Errorf("a smuggled request is answered: %q", both)
	}
	// What a client says of itself is nobody's word.
	for _, h := range []http.Header{
		{"Remote-User": {"admin"}}, {"Remote-User": {"admin"}, "X-Forwarded-For": {"10.0.0.1"}}, {"Remote_user": {"admin"}}, {"Remote-User": {"admin"}, "X-Real-Ip": {"10.0.0.1"}},
	} {
		if _, err := s.hello("", h); reasonOf(err) != wire.BadToken {
			t.Errorf("%v: %v", h, err)
		}
	}
	for i := range 3 { // nor does it get around a lockout by other addresses
		_, _ = s.hello(fmt.Sprint("guess ", i), http.Header{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", i)}})
	}
	if _, err := s.hello(accessToken, http.Header{"X-Forwarded-For": {"192.0.2.77"}}); reasonOf(err) != wire.LockedOut {
		t.Errorf("%v", err)
	}
}

func attackByOrigin(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) {
		c.Origins = []string{"https://mail.example"}
		c.Access = bridge.Access{UserHeader: "Remote-User", UserProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	})
	login := func(origins ...string) http.Header { // as the browser of somebody who is logged in sends it
		return http.Header{"Origin": origins, "Remote-User": {"alice"}}
	}
	bad := []http.Header{
		login("https://evil.example"), login("null"), login(""), login("http://mail.example"), login("https://mail.example.evil.example"),
		login("https://mail.example:444"), login("https://mail.example@evil.example"), login("https://mail.example/"), login("https://evil.example#https://mail.example"),
		login("https://mail.example", "https://evil.example"), login("file://"), login("http://mail.example\\.evil.example"),
	}
	for _, h := range bad {
		if _, err := s.hello("", h); err == nil || err.Error() != "status 403" {
			t.Errorf("%q: %v", h["Origin"], err)
		}
	}
	if n := s.bridge.Stats().CrossSite; n != int64(len(bad)) {
		t.Errorf("%d are counted, want %d", n, len(bad))
	}
	for _, origin := range []string{"https://mail.example", "http://" + s.address} {
		if _, err := s.hello("", login(origin)); err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func attackByGuessing(t *testing.T) {
	s := besiege(t, func(c *bridge.Config, _ *http.Server) { c.Limits.TokenDelay = 20 * time.Millisecond })
	s.others()
	began := time.Now()
	locked := 0
	for i := range 30 {
		_, err := s.hello(fmt.Sprintf("guess number %d of many", i), nil)
		switch reasonOf(err) {
		case wire.BadToken:
		case wire.LockedOut:
			locked++
		default:
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if locked != 20 {
		t.Errorf("%d of 30 guesses were not even looked at, want 20", locked)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("ten guesses took %v", took)
	}
	if _, err := s.hello(accessToken, nil); reasonOf(err) != wire.LockedOut {
		t.Errorf("the right one: %v", err)
	}
	if st := s.bridge.Stats(); st.LockedOut != 1 || st.Refused[wire.BadToken] != 10 || st.Refused[wire.LockedOut] != 21 {
		t.Errorf("%+v", st)
	}
	s.unharmed()
}

// bomb is so many zeros, packed.
func bomb(size int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	block := make([]byte, 1<<20)
	for ; size > 0; size -= len(block) {
		_, _ = z.Write(block)
	}
	_ = z.Close()
	return b.Bytes()
}

func attackByCompression(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	s := besiege(t, func(c *bridge.Config, _ *http.Server) { c.WebRoots = authority.Pool() })
	s.others()

	handshake := "GET " + wire.Path + " HTTP/1.1\r\nHost: " + s.address + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + wire.Subprotocol + "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, handshake)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _ = conn.Write([]byte{0xc2, 0x80 | 4, 1, 2, 3, 4, 0, 0, 0, 0}) // RSV1: compressed; RFC 7692 section 6
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Errorf("a compressed frame does not end it: %v", err)
	}
	s.unharmed()

	packed := bomb(256 << 20)
	laughs := `<?xml version="1.0"?><!DOCTYPE c [<!ENTITY a "aaaaaaaaaa">` // and each of ten times the one before
	for c := 'b'; c <= 'j'; c++ {
		laughs += fmt.Sprintf(`<!ENTITY %c "%s">`, c, strings.Repeat(fmt.Sprintf("&%c;", c-1), 10))
	}
	laughs += "]><clientConfig><emailProvider><displayName>&j;</displayName></emailProvider></clientConfig>"
	deep := strings.Repeat("<a>", 80<<10)
	answers := []string{
		fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(packed), packed),
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(laughs), laughs),
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(deep), deep),
		"Content-Length: 9000000000\r\n\r\n" + strings.Repeat("x", 1<<20),
		"X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	}
	n := 0
	server := s.tlsServer(authority.Server("example.com", "autoconfig.example.com"), func(c *tls.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n"+answers[n])
		}
	})
	s.names.answers["example.com"], s.names.answers["autoconfig.example.com"] = []string{"93.184.216.34"}, []string{"93.184.216.34"}
	s.network.to["93.184.216.34:443"] = server
	session := s.enter()
	check := s.holds(8)
	for n = range answers {
		stream, err := session.Open(t.Context(), wire.Open{Service: wire.Discovery})
		if err != nil {
			t.Fatal(err)
		}
		_ = wire.WriteDiscover(stream, wire.Discover{Domain: "example.com"})
		if found, err := wire.ReadDiscovered(stream); err != nil || len(found.Services) > 0 || len(found.Provider) > 128 {
			t.Errorf("answer %d: %+v, %v", n, found, err)
		}
		_ = stream.Close()
		s.unharmed()
	}
	check()
}

func attackByPath(t *testing.T) {
	s := besiege(t, nil)
	dir := t.TempDir()
	site, secret := filepath.Join(dir, "site"), "the secret beside it"
	for name, content := range map[string]string{"site/index.html": "the page", "secret.txt": secret, "site/.env": secret} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dev, err := web.Handler(web.Config{Assets: os.DirFS(site), Reload: true}) // from a folder, as for those who work on the page
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := web.NewServer(dev, nil)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-served }()
	folder := *s
	folder.address = l.Addr().String()

	for _, p := range []string{
		"/../secret.txt", "/../../../../etc/passwd", "/assets/../../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt",
		"/..%5csecret.txt", "/..\\secret.txt", "/....//secret.txt", "//etc/passwd", "/./../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
		"/%c0%ae%c0%ae/secret.txt", "/..%00/secret.txt", "/secret.txt%00.js", "/.env", "/.git/config", "/..;/secret.txt", "/%252e%252e/secret.txt",
		"http://evil.example/../secret.txt", "/index.html/../../secret.txt", "*",
	} {
		for _, at := range []*siege{s, &folder} {
			answer := at.said("GET " + p + " HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
			if strings.Contains(answer, secret) || strings.Contains(answer, "root:") {
				t.Errorf("%s: %q", p, answer)
			}
			status, _, _ := strings.Cut(answer, "\r\n")
			if !strings.HasSuffix(answer, "the page") && !strings.Contains(status, " 404 ") && !strings.Contains(status, " 400 ") && !strings.Contains(status, " 301 ") && !strings.Contains(status, " 307 ") {
				t.Errorf("%s: %q", p, answer)
			}
		}
	}
}
