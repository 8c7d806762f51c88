package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// What gateway/deploy has is true: these tests run it.

func deploy(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: what is in gateway/deploy for it is not tried out", program)
	}
	return path
}

// exposure is the most that systemd may find, of 10: 1.6 is what remains of a service that talks to the network, binds low
// ports and asks others of the machine for nothing.
const exposure = 1.7

func TestUnitIsTight(t *testing.T) {
	analyze := installed(t, "systemd-analyze")
	out, err := exec.Command(analyze, "security", "--offline=true", filepath.Join("deploy", "postern.service")).CombinedOutput()
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Skipf("this systemd-analyze does not judge a file: %v %.200s", err, out)
	}
	if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > exposure {
		t.Errorf("systemd finds an exposure of %s, and %.1f is allowed:\n%s", m[1], exposure, out)
	}
	// And it reads every line of it.
	unit := filepath.Join(t.TempDir(), "postern.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(deploy(t, "postern.service"), "/usr/local/bin/postern", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command(analyze, "verify", unit).CombinedOutput(); strings.Contains(string(out), "Unknown") || strings.Contains(string(out), "Failed to parse") {
		t.Errorf("systemd does not understand it:\n%s", out)
	}
}

// What the unit calls is there to be called.
func TestUnitCallsWhatThereIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, []byte("listen = \":443\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^ExecStartPre=/usr/local/bin/postern (.*)$`).FindAllStringSubmatch(deploy(t, "postern.service"), -1) {
		p := start(t, "", strings.Fields(strings.ReplaceAll(line[1], "/etc/postern/postern.toml", file))...)
		<-p.ended
		if p.code != 0 {
			t.Errorf("%s: %s", line[1], p.stderr)
		}
	}
}

// front is a proxy before a gateway that was told of it.
type front struct {
	*program
	address string // of the proxy
	roots   *x509.CertPool
}

// behind starts a gateway as the proxies' examples say, and the proxy as run says; run gets the addresses that the two have.
func behind(t *testing.T, run func(dir, own, gateway string) *exec.Cmd) front {
	t.Helper()
	dir := t.TempDir()
	putPair(t, 1, filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"))
	text, err := os.ReadFile(filepath.Join(dir, "c.pem"))
	if err != nil {
		t.Fatal(err)
	}
	f := front{address: freeAddress(t), roots: x509.NewCertPool()}
	f.roots.AppendCertsFromPEM(text)
	_, port, _ := net.SplitHostPort(f.address)
	f.program = serveOn(t, "--demo", "--data", filepath.Join(dir, "data"), "--origin", "https://mail.example:"+port, "--trusted-proxy", "127.0.0.1", "--log", "debug")
	gateway := "127.0.0.1:" + f.find(`Page +http://localhost:(\d+)`)

	cmd := run(dir, f.address, gateway)
	log := &transcript{more: make(chan struct{}, 1)}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stop.Stop()
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the proxy says:\n%s", log)
		}
	})
	f.await("the proxy", func() bool {
		c, err := net.Dial("tcp", f.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return f
}

// toAddress dials one address, whatever the name.
func toAddress(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// works sees that page and tunnel come through, and that a client cannot say who it is.
func (f front) works(t *testing.T) {
	t.Helper()
	_, port, _ := net.SplitHostPort(f.address)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: f.roots, ServerName: "mail.example"},
		DialContext:       toAddress(f.address),
		DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport}
	r, err := client.Get("https://mail.example:" + port + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if r.StatusCode != 200 || string(b) != "ok\n" {
		t.Errorf("the page by the proxy: %d %q", r.StatusCode, b)
	}
	if r.Header.Get("Strict-Transport-Security") == "" {
		t.Error("browsers are not told to come by https alone")
	}
	header := http.Header{"Origin": {"https://mail.example:" + port}, "X-Forwarded-For": {"203.0.113.9"}, "Forwarded": {"for=203.0.113.9"}}
	ws, _, err := websocket.Dial(t.Context(), "wss://mail.example:"+port+wire.Path, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header, Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		t.Fatalf("%v\n%s", err, f.stderr)
	}
	s, err := tunnel.Client(t.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Client: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stream, err := s.Open(t.Context(), wire.Open{Service: wire.POP3})
	if err != nil {
		t.Fatal(err)
	}
	c := pop3.New(stream, nil)
	defer c.Close()
	if _, err := c.List(t.Context()); err == nil {
		t.Error("nobody has signed in")
	}
	if log := f.stderr.String(); strings.Contains(log, "203.0.113.9") || !strings.Contains(log, "session opened") {
		t.Errorf("a client says who it is:\n%s", log)
	}
	header.Set("Origin", "https://evil.example")
	if ws, _, err := websocket.Dial(t.Context(), "wss://mail.example:"+port+wire.Path, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header, Subprotocols: []string{wire.Subprotocol}}); err == nil {
		ws.CloseNow()
		t.Error("a page of another origin opens a tunnel through the proxy")
	}
}

func TestBehindNginx(t *testing.T) {
	nginx := installed(t, "nginx")
	behind(t, func(dir, own, gateway string) *exec.Cmd {
		server := strings.NewReplacer(
			"listen 443 ssl", "listen "+own+" ssl", "listen 80;", "listen "+freeAddress(t)+";", "mail.example.org", "mail.example",
			"/etc/ssl/mail.example.org.pem", filepath.Join(dir, "c.pem"), "/etc/ssl/mail.example.org.key", filepath.Join(dir, "k.pem"),
			"127.0.0.1:8080", gateway, "Host $host", "Host $http_host", // the test's port is none that a name stands for
		).Replace(deploy(t, "nginx.conf"))
		conf := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf("pid %[1]s/pid;\nerror_log stderr;\ndaemon off;\nmaster_process off;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s}\n", dir, server)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(nginx, "-e", "stderr", "-p", dir, "-c", conf)
	}).works(t)
}

func TestBehindCaddy(t *testing.T) {
	caddy := installed(t, "caddy")
	behind(t, func(dir, own, gateway string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(own)
		site := strings.NewReplacer("mail.example.org {", "https://mail.example:"+port+" {\n\tbind 127.0.0.1\n\ttls c.pem k.pem", "127.0.0.1:8080", gateway).Replace(deploy(t, "Caddyfile"))
		text := "{\n\tadmin off\n\tauto_https off\n}\n" + site
		if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(caddy, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	}).works(t)
}
