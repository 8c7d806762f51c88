//go:build !js

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/gateway/bridge/bridgetest"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

// session is one of a client's of its own.
func (r *running) session(t testing.TB) *tunnel.Session {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), r.url()+wire.Path, &websocket.DialOptions{
		Subprotocols: []string{wire.Subprotocol}, HTTPHeader: http.Header{"CF-Connecting-IP": {fmt.Sprintf("192.0.2.%d", r.clients.Add(1))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tunnel.Client(t.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Client: "test", Token: bridgetest.Token}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What the rules let be asked for by name, the platform looks up: and does not connect to what is private.
func TestPrivateAddresses(t *testing.T) {
	var connected atomic.Int32
	address := listen(t, func(c net.Conn) { connected.Add(1); _, _ = io.WriteString(c, "+OK\r\n") })
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for anywhere, want := range map[bool]wire.Reason{true: "", false: wire.Unreachable} {
		r := start(t, workerd.Options{Anywhere: anywhere, Variables: map[string]string{
			"POSTERN_ALLOW": "localhost:" + text, "POSTERN_TOKEN": bridgetest.Token,
		}})
		_, err := r.session(t).Open(t.Context(), wire.Open{Service: wire.POP3, Host: "localhost", Port: port})
		var no *wire.RefusedError
		if (err == nil) != (want == "") || err != nil && (!errors.As(err, &no) || no.Reason != want) {
			t.Errorf("with connections anywhere %v: %v, want %q", anywhere, err, want)
		}
	}
	if n := connected.Load(); n != 1 {
		t.Errorf("the server saw %d connections, want the one that was let", n)
	}
}

// A Worker that is not set up right lets nobody in, and says why in its log.
func TestNotSetUp(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		log       string
	}{
		"no token":    {map[string]string{"POSTERN_ALLOW": "pop.example.com:995"}, "POSTERN_TOKEN"},
		"short token": {map[string]string{"POSTERN_TOKEN": "sesame"}, "POSTERN_TOKEN"},
		"no rule":     {map[string]string{"POSTERN_TOKEN": bridgetest.Token, "POSTERN_ALLOW": "everything"}, "POSTERN_ALLOW"},
		"never":       {map[string]string{"POSTERN_TOKEN": bridgetest.Token, "POSTERN_NEVER": "192.0.2.0/24"}, "POSTERN_NEVER"},
		"misspelt":    {map[string]string{"POSTERN_TOKEN": bridgetest.Token, "POSTERN_POLICE": "mail"}, "POSTERN_POLICE"},
		"no policy":   {map[string]string{"POSTERN_TOKEN": bridgetest.Token, "POSTERN_POLICY": "all"}, "policy"},
		"no origin":   {map[string]string{"POSTERN_TOKEN": bridgetest.Token, "POSTERN_ORIGIN": "mail.example.com"}, "origin"},
	} {
		r := start(t, workerd.Options{Variables: test.variables})
		_, answer, err := websocket.Dial(t.Context(), r.url()+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err == nil || answer == nil || answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
		if log := r.log.String(); !strings.Contains(log, test.log) || strings.Contains(log, "sesame") {
			t.Errorf("%s: the log is\n%s", name, log)
		}
	}
}

// The page comes from the platform, and what is no file of it as from the native gateway; Go is started for none of it.
func TestPage(t *testing.T) {
	site, err := web.Handler(web.Config{Assets: fstest.MapFS{
		"index.html": {Data: []byte("the page")}, "assets/app.0123456789.js": {Data: []byte("the script")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	files := httptest.NewServer(site)
	defer files.Close()
	r := start(t, workerd.Options{Page: files.Listener.Addr().String(), Variables: map[string]string{}})
	for _, test := range []struct {
		at, accept, want string
		status           int
	}{
		{"/", "text/html,*/*", "the page", 200},
		{"/index.html", "text/html", "the page", 200},
		{"/inbox/42", "text/html", "the page", 200},
		{"/inbox/42", "image/png", "", 404},
		{"/assets/app.0123456789.js", "*/*", "the script", 200},
		{"/assets/app.ffffffffff.js", "*/*", "", 404},
		{"/assets/x", "text/html", "", 404},
		{"/none.js", "text/html", "", 404},
		{"/healthz", "", "ok\n", 200},
		{"/tunnel", "text/html", "this is the tunnel: a WebSocket\n", 400},
	} {
		for _, gateway := range []string{r.url(), files.URL} {
			if gateway == files.URL && test.at == wire.Path {
				continue // no tunnel is behind it
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway+test.at, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept", test.accept)
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != test.status || err != nil || test.want != "" && string(body) != test.want {
				t.Errorf("%s%s for %s: %d %q, want %d %q", gateway, test.at, test.accept, answer.StatusCode, body, test.status, test.want)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if log := r.log.String(); log != "" {
		t.Errorf("the log is\n%s", log)
	}
}

// request asks for something as a client at an address of Cloudflare's does.
func (r *running) request(t testing.TB, method, at string, header map[string]string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url()+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		if name == "Host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer
}

// What the Worker answers by itself has the headers of the native gateway's answers; and it speaks https, but on this machine.
func TestOwnAnswers(t *testing.T) {
	site, err := web.Handler(web.Config{Assets: fstest.MapFS{"index.html": {}}, HTTPS: true})
	if err != nil {
		t.Fatal(err)
	}
	files := httptest.NewServer(site)
	defer files.Close()
	defer http.DefaultClient.CloseIdleConnections()
	r := start(t, workerd.Options{Page: files.Listener.Addr().String(), Variables: map[string]string{}})
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	upgrade := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13"}
	for _, test := range []struct {
		method, at string
		header     map[string]string
		status     int
	}{
		{"GET", "/healthz", nil, 200},
		{"POST", "/healthz", nil, 405},
		{"POST", "/", nil, 405},
		{"GET", "/none.js", nil, 404},
		{"GET", "/inbox//42", nil, 404},
		{"GET", "/tunnel", nil, 400},
		{"POST", "/tunnel", upgrade, 400},
		{"GET", "/inbox/42", map[string]string{"Host": "mail.example.com"}, 308},
		{"GET", "/tunnel", map[string]string{"Host": "mail.example.com", "Upgrade": "websocket"}, 308},
	} {
		answer := r.request(t, test.method, test.at, test.header)
		if answer.StatusCode != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.at, answer.StatusCode, test.status)
		}
		for name, want := range w.Header() {
			if got := answer.Header[name]; name != "Content-Length" && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s %s: %s is %q, want %q", test.method, test.at, name, got, want)
			}
		}
		if to := answer.Header.Get("Location"); test.status == 308 && to != "https://mail.example.com"+test.at {
			t.Errorf("%s leads to %q", test.at, to)
		}
	}
}

// Sessions are counted by client and by site, whatever address of its own a client comes from.
func TestSessionsAreCounted(t *testing.T) {
	r := start(t, workerd.Options{Variables: map[string]string{"POSTERN_TOKEN": bridgetest.Token}})
	defer http.DefaultClient.CloseIdleConnections()
	from := func(client string) int {
		// Of another origin, so that no session stays.
		return r.request(t, "GET", wire.Path, map[string]string{
			"CF-Connecting-IP": client, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
			"Sec-WebSocket-Version": "13", "Origin": "https://evil.example",
		}).StatusCode
	}
	limit := map[string]int{}
	for _, l := range settings(t).RateLimits {
		limit[l.Name] = l.Simple.Limit
	}
	for _, test := range []struct {
		what   string
		client func(int) string
		most   int
	}{
		{"one address", func(int) string { return "192.0.2.1" }, limit["CLIENTS"]},
		{"a /64", func(i int) string { return fmt.Sprintf("2001:db8:1:2:%x::1", i) }, limit["CLIENTS"]},
		{"a /48", func(i int) string { return fmt.Sprintf("2001:db8:2:%x::1", i) }, limit["SITES"]},
		{"a short /48", func(i int) string { return fmt.Sprintf("2001:db8::%x:0:0:0:1", i+1) }, limit["SITES"]},
	} {
		// A minute may end amid them.
		let := 0
		for i := range 2*test.most + 1 {
			if status := from(test.client(i)); status == http.StatusForbidden {
				let++
			} else if status != http.StatusTooManyRequests {
				t.Fatalf("%s: %d", test.what, status)
			}
		}
		if let != test.most && let != 2*test.most {
			t.Errorf("%s: %d sessions were let, %d may be", test.what, let, test.most)
		}
	}
	if status := from("198.51.100.1"); status != http.StatusForbidden {
		t.Errorf("somebody else: %d", status)
	}
}

// A client that goes on after it has been told goodbye is not listened to, and costs no memory.
func TestDeafEars(t *testing.T) {
	r := start(t, workerd.Options{Variables: map[string]string{"POSTERN_TOKEN": bridgetest.Token}})
	for name, first := range map[string][]byte{
		"after a text":        {0x81, 0x80, 0, 0, 0, 0},
		"after no word of it": append([]byte{0x82, 0x8c, 0, 0, 0, 0}, make([]byte, 12)...), // empty frames of yamux
	} {
		c, err := net.Dial("tcp", r.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n\r\n", wire.Path, wire.Subprotocol)
		answer := bufio.NewReader(c)
		if line, err := answer.ReadString('\n'); !strings.Contains(line, " 101 ") {
			t.Fatalf("%s: %q, %v", name, line, err)
		}
		go func() { _, _ = io.Copy(io.Discard, answer) }()
		before := resident(t, r.Pid)
		_, _ = c.Write(first)
		_ = c.SetWriteDeadline(time.Now().Add(4 * time.Second))
		block := append([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0, 0, 0, 0}, make([]byte, 0xfff0)...)
		most, sent := int64(0), 0
		for sent < 200<<20 {
			n, err := c.Write(block)
			sent += n
			if err != nil {
				break
			}
			if sent%(4<<20) < len(block) {
				most = max(most, resident(t, r.Pid)-before)
			}
		}
		t.Logf("%s: it could send %d MiB more, and the Worker grew by %d MiB", name, sent>>20, most>>20)
		if most > 48<<20 {
			t.Errorf("%s: the Worker grew by %d bytes", name, most)
		}
	}
}

// What goes through a session leaves nothing behind: Go lets go of what it has of JavaScript's only when its own memory wants
// collecting, which it seldom does.
func TestBulkLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("512 MB")
	}
	const size = 256 << 20
	address := listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "+OK\r\n")
		block := make([]byte, 64<<10)
		for range size / len(block) {
			if _, err := io.ReadFull(c, block); err != nil {
				return
			}
		}
		for range size / len(block) {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	to, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, workerd.Options{Anywhere: true, Variables: map[string]string{"POSTERN_ALLOW": address, "POSTERN_TOKEN": bridgetest.Token}})
	c, err := r.session(t).Open(t.Context(), wire.Open{Service: wire.POP3, Host: to.IP.String(), Port: to.Port})
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 5))
	}
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	for _, way := range []struct {
		name string
		move func([]byte) (int, error)
	}{{"up", c.Write}, {"down", func(p []byte) (int, error) { return io.ReadFull(c, p) }}} {
		before, most, began := resident(t, r.Pid), int64(0), time.Now()
		for i := range size / len(block) {
			if _, err := way.move(block); err != nil {
				t.Fatal(way.name, err)
			}
			if i%64 == 0 {
				most = max(most, resident(t, r.Pid)-before)
			}
		}
		t.Logf("%s: %.0f MB/s, and the Worker grew by %d MiB", way.name, size/1e6/time.Since(began).Seconds(), most>>20)
		if most > mostForBulk {
			t.Errorf("%s: the Worker grew by %d bytes", way.name, most)
		}
	}
}

// mostForBulk is what workerd may grow by, far from what went through: most of it is what JavaScript could collect, and here, where
// nobody limits it to 128 MB, has no need to.
const mostForBulk = 64 << 20

// mostForSession is what a session may cost in memory, as one process with many of them shows it.
const mostForSession = 12 << 20

// What a session costs, and that it is given back: an instance for each.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("ten sessions")
	}
	address := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "+OK\r\n"); _, _ = io.Copy(c, c) })
	r := start(t, workerd.Options{Anywhere: true, Variables: map[string]string{"POSTERN_ALLOW": address, "POSTERN_TOKEN": bridgetest.Token}})
	to, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	use := func() *tunnel.Session {
		s := r.session(t)
		c, err := s.Open(t.Context(), wire.Open{Service: wire.POP3, Host: to.IP.String(), Port: to.Port})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	const sessions = 10
	round := func() (grown int64) {
		before := resident(t, r.Pid)
		var all []*tunnel.Session
		for range sessions {
			all = append(all, use())
		}
		grown = resident(t, r.Pid) - before
		for _, s := range all {
			_ = s.Close()
		}
		return grown
	}
	use()
	began := time.Now()
	each := round() / sessions
	t.Logf("a session with a stream takes %d KiB, and %v to open and close", each>>10, time.Since(began)/sessions)
	if each > mostForSession {
		t.Errorf("a session takes %d bytes, at most %d it should", each, mostForSession)
	}
	// What those had is there for others: objects that are over go, with their programs.
	deadline := time.Now().Add(20 * time.Second)
	for {
		time.Sleep(2 * time.Second) // until their farewells have been said
		if again := round() / sessions; again < each/2 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("after others have ended, a session takes %d KiB more", again>>10)
		}
	}
}

// resident is how much memory a process has.
func resident(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("only Linux says it: ", err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kib int64
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// A Worker that goes, as at a deploy, and another that comes: the client is with it, unasked.
func TestDeploy(t *testing.T) {
	o := workerd.Options{Listen: free(t), Variables: map[string]string{"POSTERN_TOKEN": bridgetest.Token}}
	first := start(t, o)
	d := &tunnel.Dialer{
		Hello: wire.Hello{Version: wire.Version, Client: "test", Token: bridgetest.Token}, Backoff: tunnel.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond},
		Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
			ws, _, err := websocket.Dial(ctx, "http://"+o.Listen+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
			if err != nil {
				return nil, err
			}
			return wsconn.New(ws), nil
		},
	}
	online := make(chan string, 10)
	stop := d.Subscribe(func(s tunnel.State) {
		if s.Phase == tunnel.Online {
			online <- s.Welcome.Session
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); _ = d.Run(ctx) }()
	defer func() { stop(); cancel(); <-ran; http.DefaultClient.CloseIdleConnections() }()
	id := <-online
	first.Stop()
	start(t, o)
	if again := <-online; again == id {
		t.Errorf("session %s again", again)
	}
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
