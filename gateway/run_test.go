package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// await waits until ok.
func (p *program) await(what string, ok func() bool) {
	p.t.Helper()
	for patience := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(patience) {
			p.t.Fatalf("%s does not come: %s", what, p.stderr)
		}
	}
}

// putPair writes a certificate for localhost with a serial number of its own, and its key.
func putPair(t *testing.T, serial int64, certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost", "mail.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serial is the number of the certificate that is shown at an address.
func serial(t *testing.T, address string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}) // which one is what is asked
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// fingerprintOf is that of the certificate that is shown at an address.
func fingerprintOf(t *testing.T, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return trust.Fingerprint(conn.ConnectionState().PeerCertificates[0].Raw)
}

// Page and mail server show the operator's certificate; a hangup has it read again, and what is no pair leaves the old one.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	putPair(t, 1, certificate, key)
	p := serveOn(t, "--data", filepath.Join(dir, "data"), "--certificate", certificate, "--key", key, "--http", "127.0.0.1:0", "--log", "debug")
	page := p.find(`Page +https://(localhost:\d+)`)
	pop := p.find(`(127\.0\.0\.1:\d+) \(TLS\)\n +Mail`)
	for _, address := range []string{page, pop} {
		if n := serial(t, address); n != 1 {
			t.Errorf("%s shows certificate %d", address, n)
		}
	}
	putPair(t, 2, certificate, key)
	p.hangups <- nil
	p.await("the new certificate", func() bool { return strings.Contains(p.stderr.String(), "was read again") })
	for _, address := range []string{page, pop} {
		if n := serial(t, address); n != 2 {
			t.Errorf("after a hangup %s shows certificate %d", address, n)
		}
	}
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.hangups <- nil
	p.await("the error", func() bool { return strings.Contains(p.stderr.String(), "the certificate before goes on") })
	if n := serial(t, page); n != 2 {
		t.Errorf("after a hangup with nonsense certificate %d is shown", n)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	r, err := client.Get("https://" + page + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 200 || r.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the page by TLS: %d %v", r.StatusCode, r.Header)
	}
	ws, _, err := websocket.Dial(t.Context(), "wss://"+page+wire.Path, &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Origin": {"https://" + page}}, Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		t.Fatalf("the tunnel by TLS: %v", err)
	}
	s, err := tunnel.Client(t.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Client: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody knows who signed it: it is believed by its fingerprint, that of now.
	if w := s.Welcome(); w.Embedded == nil || w.Embedded.Fingerprint != fingerprintOf(t, page) {
		t.Errorf("the gateway names %+v", w.Embedded)
	}
	s.Close()
	if code := p.end(); code != 0 {
		t.Errorf("the gateway ended with %d: %s", code, p.stderr)
	}
}

// get asks a gateway for a path.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// dial opens a session of a tunnel.
func dial(t *testing.T, url string) (*tunnel.Session, error) {
	t.Helper()
	return dialAs(t, url, wire.Hello{Client: "test"}, nil)
}

func dialAs(t *testing.T, url string, hello wire.Hello, header http.Header) (*tunnel.Session, error) {
	t.Helper()
	return dialBy(t, http.DefaultClient, url, hello, header)
}

// dialBy is dialAs by an HTTP client of its own.
func dialBy(t *testing.T, client *http.Client, url string, hello wire.Hello, header http.Header) (*tunnel.Session, error) {
	t.Helper()
	hello.Version = wire.Version
	ws, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+wire.Path, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{wire.Subprotocol}, HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	return tunnel.Client(t.Context(), wsconn.New(ws), hello, nil)
}

// manager is the socket of a service manager.
func manager(t *testing.T) (path string, said func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String(), func() string {
		b := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b[:n]))
	}
}

// Told to stop, a gateway says that it is not ready, tells its sessions, lets what is open go on until its time is over,
// and is alive meanwhile. The manager hears of all of it. A client goes elsewhere.
func TestDrain(t *testing.T) {
	socket, said := manager(t)
	p := serveIn(t, map[string]string{"NOTIFY_SOCKET": socket}, "--data", filepath.Join(t.TempDir(), "data"), "--drain", "1m", "--metrics", "127.0.0.1:0", "--log-format", "json")
	other := serveOn(t, "--data", filepath.Join(t.TempDir(), "data"))
	url := p.find(`Page +(http://localhost:\d+)`)
	if got := said(); got != "READY=1" {
		t.Errorf("the manager hears %q", got)
	}
	p.hangups <- nil
	if got := said(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("the manager hears %q", got)
	}
	if got := said(); got != "READY=1" {
		t.Errorf("the manager hears %q", got)
	}
	if code, b := get(t, url+"/readyz"); code != 200 {
		t.Errorf("/readyz: %d %s", code, b)
	}
	s, err := dial(t, url)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(t.Context(), wire.Open{Service: wire.POP3})
	if err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 3)
	if _, err := io.ReadFull(c, greeting); err != nil || string(greeting) != "+OK" {
		t.Fatalf("%q, %v", greeting, err)
	}

	p.stop()
	if got := said(); got != "STOPPING=1" {
		t.Errorf("the manager hears %q", got)
	}
	<-s.Draining()
	if code, b := get(t, url+"/readyz"); code != 503 || !strings.Contains(b, "going down") {
		t.Errorf("/readyz while it drains: %d %s", code, b)
	}
	if code, b := get(t, url+"/healthz"); code != 200 {
		t.Errorf("/healthz while it drains: %d %s", code, b)
	}
	if again, err := dial(t, url); err == nil {
		again.Close()
		t.Error("a new session is let in")
	}
	elsewhere, err := dial(t, other.find(`Page +(http://localhost:\d+)`))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Close()
	select {
	case <-p.ended:
		t.Fatal("it did not wait for the stream")
	default:
	}
	c.Close()
	<-p.ended
	if p.code != 0 {
		t.Errorf("it ended with %d: %s", p.code, p.stderr)
	}
	for line := range strings.Lines(p.stderr.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// The time to end in is kept: a stream that stays open is cut.
func TestDrainDeadline(t *testing.T) {
	p := serveOn(t, "--data", filepath.Join(t.TempDir(), "data"), "--drain", "300ms")
	s, err := dial(t, p.find(`Page +(http://localhost:\d+)`))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Open(t.Context(), wire.Open{Service: wire.POP3}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.stop()
	<-p.ended
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if p.code != 0 || !strings.Contains(p.stderr.String(), "were cut at the end of their time") {
		t.Errorf("%d: %s", p.code, p.stderr)
	}
}

func TestMetrics(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	p := serveOn(t, "--demo", "--data", filepath.Join(t.TempDir(), "data"), "--metrics", address)
	s, err := dial(t, p.find(`Page +(http://localhost:\d+)`))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, text := get(t, "http://"+address+"/metrics")
	for _, want := range []string{"postern_tunnel_sessions 1\n", "postern_tunnel_clients 1\n", "postern_tunnel_locked_out 0\n", `postern_tunnel_turned_away_total{why="cross_site"} 0`, "postern_mail_accounts 3\n", "postern_mail_messages 3\n", `postern_mail_queue_recipients{state="waiting"} 0`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, name := range []string{"alice", "postern.test", "elsewhere", "127.0.0.1"} {
		if strings.Contains(text, name) {
			t.Errorf("%s is in the metrics", name)
		}
	}
	// Not where everybody looks.
	if code, _ := get(t, p.find(`Page +(http://localhost:\d+)`)+"/metrics"); code == 200 {
		if _, b := get(t, p.find(`Page +(http://localhost:\d+)`)+"/metrics"); strings.Contains(b, "postern_") {
			t.Error("the page's port tells metrics")
		}
	}
}

func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	putPair(t, 1, certificate, key)
	file := filepath.Join(dir, "postern.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair := fmt.Sprintf("certificate = %q\nkey = %q\n", certificate, key)
	readable := filepath.Join(dir, "readable.pem")
	if text, err := os.ReadFile(key); err != nil || os.WriteFile(readable, text, 0o600) != nil || os.Chmod(readable, 0o644) != nil {
		t.Fatal("a key that everybody can read cannot be made:", err)
	}
	for _, c := range []struct {
		name, text string
		code       int
		want       []string
	}{
		{"nothing", "", 0, []string{"127.0.0.1:8080, for this machine alone", "without TLS", "off"}},
		{"open to everybody", "allow = [\"pop.example.org:995\"]\n", 0, []string{"everybody", "the mail server here, pop.example.org:995", "this very machine alone"}},
		{"for some", "policy = \"mail\"\ntoken = [\"office:0123456789abcdef\", \"fedcba9876543210\"]\nuser-header = \"Remote-User\"\ntrusted-proxy = [\"127.0.0.1\"]\norigin = [\"https://mail.example\"]\n", 0,
			[]string{"those with a token (office, 2), and those whom a proxy at 127.0.0.1/32 names in Remote-User", "the mail ports of every public host"}},
		{"files", "ftp = \"0.0.0.0:21\"\nftp-quota = \"5GB\"\n", 0, []string{"up to 5.0 GB each", "port 21 of every network", "--ftp-passive"}},
		{"files behind a router", "ftp = \"0.0.0.0:21\"\nftp-passive = \"50000-50100\"\nftp-public = \"192.0.2.1\"\n", 0, []string{"ports 50000 to 50100, for others at 192.0.2.1"}},
		{"mail for everybody", "policy = \"mail\"\n", 1, []string{"needs access tokens"}},
		{"a token that can be guessed", "token = \"open sesame\"\n", 1, []string{"--token", "16"}},
		{"a list of nothing", "policy = \"list\"\n", 1, []string{"names no target"}},
		{"embedded and more", "policy = \"embedded\"\nallow = [\"pop.example.org:995\"]\n", 1, []string{"policy embedded"}},
		{"no rule", "allow = [\"a*.example:25\"]\n", 1, []string{"--allow a*.example:25"}},
		{"nothing at all", "mail = false\n", 0, []string{"nothing else can be reached"}},
		{"a good one", pair + "listen = \":443\"\nhttp = \":80\"\nhostname = \"mail.example\"\n", 0, []string{"port 443 of every network, TLS", "localhost, mail.example", "leads to https", "home to mail.example", file}},
		{"a key for everybody", strings.Replace(pair, key, readable, 1), 0, []string{"Everybody on this machine can read " + readable}},
		{"open without TLS", "listen = \":8080\"\n", 0, []string{"To think about", "no TLS"}},
		{"another name", pair + "hostname = \"pop.example\"\n", 0, []string{"not for pop.example"}},
		{"behind a proxy", "trusted-proxy = [\"127.0.0.1\"]\n", 0, []string{"--origin"}},
		{"everybody a proxy", "trusted-proxy = [\"0.0.0.0/0\"]\norigin = [\"https://mail.example\"]\n", 0, []string{"nearly everybody"}},
		{"by ACME", "acme = [\"mail.example\"]\nlisten = \":8443\"\n", 0, []string{"by ACME", "port 443, which must lead"}},
		{"by ACME without a way", "acme = [\"mail.example\"]\nplain-page = true\n", 1, []string{"--acme", "--http"}},
		{"no such file", "certificate = \"none\"\nkey = \"none\"\n", 1, []string{"no such file"}},
		{"a typing error", "\nlissten = 1\n", 2, []string{file + ":2", "listen is one"}},
		{"data is a file", fmt.Sprintf("data = %q\n", certificate), 1, []string{"not a folder"}},
	} {
		write(c.text)
		p := start(t, "", "config", "check", "--config", file)
		<-p.ended
		out := p.stdout.String() + p.stderr.String()
		if p.code != c.code {
			t.Errorf("%s: %d\n%s", c.name, p.code, out)
		}
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is not said in\n%s", c.name, w, out)
			}
		}
		for _, secret := range []string{"0123456789abcdef", "fedcba9876543210", "sesame"} {
			if strings.Contains(out, secret) {
				t.Errorf("%s: a token is shown in\n%s", c.name, out)
			}
		}
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(readme), "```toml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("the README has no file of settings")
	}
	write(strings.Replace(example, "/var/lib/postern", dir, 1))
	p := start(t, "", "config", "check", "--config", file)
	<-p.ended
	if out := p.stdout.String() + p.stderr.String(); p.code != 0 || strings.Contains(out, "To think about") || !strings.Contains(out, "home to example.org") {
		t.Errorf("the README's settings: %d, %s", p.code, out)
	}
	if _, err := os.Stat("postern-data"); err == nil {
		t.Error("a check makes a data folder")
	}
	p = start(t, "", "config", "example")
	<-p.ended
	write(p.stdout.String())
	if p = start(t, "", "config", "check", "--config", file); true {
		<-p.ended
		if p.code != 0 {
			t.Errorf("the example is refused: %s", p.stderr)
		}
	}
}
