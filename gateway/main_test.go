package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/pop3"
)

// transcript is what a program printed, for others to wait for.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (p *transcript) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.text.Write(b)
}

func (p *transcript) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// program is the gateway running within the test.
type program struct {
	t              *testing.T
	stop           context.CancelFunc
	stdout, stderr *transcript
	hangups        chan os.Signal
	ended          chan struct{}
	code           int
}

var everyPort = []string{"--listen=127.0.0.1:0", "--smtp=127.0.0.1:0", "--submission=127.0.0.1:0", "--submissions=127.0.0.1:0", "--pop3=127.0.0.1:0", "--pop3s=127.0.0.1:0", "--deliver=off"}

func start(t *testing.T, stdin string, args ...string) *program {
	t.Helper()
	return startIn(t, nil, stdin, args...)
}

// startIn starts it with variables of the environment.
func startIn(t *testing.T, variables map[string]string, stdin string, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{t: t, stop: stop, stdout: &transcript{more: make(chan struct{}, 1)}, stderr: &transcript{more: make(chan struct{}, 1)}, hangups: make(chan os.Signal), ended: make(chan struct{})}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	go func() {
		defer close(p.ended)
		p.code = run(ctx, args, environment{lookup, strings.NewReader(stdin), p.stdout, p.stderr, p.hangups})
	}()
	t.Cleanup(func() { p.end() })
	return p
}

// serveOn starts a gateway on free ports and waits until it says that it runs.
func serveOn(t *testing.T, args ...string) *program {
	t.Helper()
	return serveIn(t, nil, args...)
}

func serveIn(t *testing.T, variables map[string]string, args ...string) *program {
	t.Helper()
	p := startIn(t, variables, "", append(append([]string{"serve"}, everyPort...), args...)...)
	patience := time.After(30 * time.Second)
	for !strings.Contains(p.stdout.String(), "Ctrl+C") {
		select {
		case <-p.stdout.more:
		case <-p.ended:
			t.Fatalf("the gateway ended with %d: %s", p.code, p.stderr)
		case <-patience:
			t.Fatalf("the gateway does not come up: %s", p.stderr)
		}
	}
	return p
}

func (p *program) end() int {
	p.t.Helper()
	p.stop()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Fatal("the gateway does not end")
	}
	return p.code
}

// find answers what a pattern's group matches in the banner.
func (p *program) find(pattern string) string {
	p.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.stdout.String())
	if m == nil {
		p.t.Fatalf("nothing matches %s in:\n%s", pattern, p.stdout)
	}
	return m[1]
}

// maildropOf fetches everything an account has.
func maildropOf(t *testing.T, address, user, password string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := pop3.New(conn, nil)
	defer c.Close()
	if err := c.Login(t.Context(), user, password); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var mail []string
	err = c.RetrAll(t.Context(), list, func(_ int, body io.Reader) error {
		b, err := io.ReadAll(body)
		mail = append(mail, string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return mail
}

// A demo world comes up, says where it is, greets its users once, and finds its mail again.
func TestDemo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveOn(t, "--demo", "--data", data)
	for _, want := range []string{"alice@postern.test", "bob@postern.test", "alice-postern", "bob-postern", "carol@elsewhere.test with the password carol-postern", "postern world --data " + data, filepath.Join(data, "elsewhere.test"), "STARTTLS", "STLS", "TLS", data} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("the banner does not say %s:\n%s", want, p.stdout)
		}
	}
	url := p.find(`Page +(http://localhost:\d+)`)
	r, err := http.Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || r.StatusCode != 200 || string(b) != "ok\n" {
		t.Errorf("/healthz: %d %q %v", r.StatusCode, b, err)
	}
	pop := p.find(`POP3 +(127\.0\.0\.1:\d+)`)
	for user, other := range map[string]string{"alice": "Bob", "bob": "Alice"} {
		mail := maildropOf(t, pop, user+"@postern.test", user+"-postern")
		if len(mail) != 1 || !strings.Contains(mail[0], "Subject: Welcome to Postern") || !strings.Contains(mail[0], other) || !strings.Contains(mail[0], "Received:") {
			t.Errorf("%s has %d messages: %q", user, len(mail), mail)
		}
	}
	other := p.find(`(?s)And elsewhere\.test.*POP3 +(127\.0\.0\.1:\d+)`)
	if mail := maildropOf(t, other, "carol@elsewhere.test", "carol-postern"); len(mail) != 1 || !strings.Contains(mail[0], "Hello Carol") || !strings.Contains(mail[0], "Alice (alice@postern.test)") {
		t.Errorf("Carol has %q", mail)
	}
	if code := p.end(); code != 0 {
		t.Errorf("the gateway ended with %d: %s", code, p.stderr)
	}

	p = serveOn(t, "--demo", "--data", data)
	if mail := maildropOf(t, p.find(`POP3 +(127\.0\.0\.1:\d+)`), "alice@postern.test", "alice-postern"); len(mail) != 1 {
		t.Errorf("after a second start Alice has %d messages; want the one", len(mail))
	}
}

// The second server of a demo world takes its ports by the first one's, and others where those are in use.
func TestPortsOfTheSecondServer(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:2525": "127.0.0.1:3525", ":2110": ":3110", "127.0.0.1:0": "127.0.0.1:0", "[::1]:65000": "[::1]:0", "": "",
	} {
		if got := above(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	n, _ := strconv.Atoi(port)
	first := net.JoinHostPort("127.0.0.1", strconv.Itoa(n-1000))
	if l, err := net.Listen("tcp", first); err != nil {
		t.Skip("the port that this needs is taken")
	} else {
		l.Close()
	}
	p := serveOn(t, "--demo", "--data", filepath.Join(t.TempDir(), "data"), "--pop3", first)
	if got := p.find(`(?s)And elsewhere\.test.*POP3 +(127\.0\.0\.1:\d+)`); got == taken.Addr().String() || got == "127.0.0.1:0" {
		t.Errorf("it listens at %s", got)
	}
}

// A port in use is named, with its service and the flag that changes it.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for flag, service := range map[string]string{
		"listen": "the page", "smtp": "SMTP", "submission": "submission", "submissions": "submission over TLS", "pop3": "POP3", "pop3s": "POP3 over TLS",
	} {
		data := filepath.Join(t.TempDir(), "data")
		args := append(append([]string{"serve"}, everyPort...), "--data", data, "--"+flag, taken.Addr().String())
		p := start(t, "", args...)
		<-p.ended
		if p.code != 1 {
			t.Errorf("--%s in use: the gateway ended with %d", flag, p.code)
		}
		for _, want := range []string{"port " + port, "for " + service + ",", "in use", "--" + flag + " ", "POSTERN_" + strings.ToUpper(flag)} {
			if !strings.Contains(p.stderr.String(), want) {
				t.Errorf("--%s in use: %q does not say %q", flag, p.stderr, want)
			}
		}
		if p.stdout.String() != "" {
			t.Errorf("--%s in use: it printed %q", flag, p.stdout)
		}
		if _, err := os.Stat(filepath.Join(data, "mail")); err == nil {
			t.Errorf("--%s in use: mail was opened all the same", flag)
		}
	}
}

// Two gateways do not share a folder.
func TestDataInUse(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	serveOn(t, "--data", data)
	p := start(t, "", append(append([]string{"serve"}, everyPort...), "--data", data)...)
	<-p.ended
	if p.code != 1 || !strings.Contains(p.stderr.String(), "--data") {
		t.Errorf("a second gateway ended with %d: %s", p.code, p.stderr)
	}
}

// An account that was made on the command line can sign in.
func TestAccount(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := start(t, "correct horse\n", "user", "add", "--data", data, "--domain", "mail.example", "carol@mail.example")
	<-p.ended
	if p.code != 0 || !strings.Contains(p.stdout.String(), "carol@mail.example can sign in") {
		t.Fatalf("user add ended with %d: %s%s", p.code, p.stdout, p.stderr)
	}
	g := serveOn(t, "--data", data, "--domain", "mail.example")
	if mail := maildropOf(t, g.find(`POP3 +(127\.0\.0\.1:\d+)`), "carol@mail.example", "correct horse"); len(mail) != 0 {
		t.Errorf("Carol has mail: %q", mail)
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"version"}, 0, "postern "},
		{[]string{"help"}, 0, "--submissions"},
		{[]string{"--nonsense"}, 2, "postern help"},
		{[]string{"start"}, 2, "postern help"},
		{[]string{"user", "add"}, 2, "postern user add ADDRESS"},
	} {
		p := start(t, "", c.args...)
		<-p.ended
		if out := p.stdout.String() + p.stderr.String(); p.code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%q: %d %q", c.args, p.code, out)
		}
	}
}
