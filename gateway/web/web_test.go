package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a packed page in small. The "compressed" variants are not, so that a test can tell which one it got.
func page() fstest.MapFS {
	long := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + strings.Repeat(" ", 100))} }
	short := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		".keep":                           short(""),
		"index.html":                      long("INDEX"),
		"index.html.br":                   short("INDEX br"),
		"index.html.gz":                   short("INDEX gzip"),
		"frame.html":                      long("FRAME"),
		"sw.js":                           long("SW"),
		"manifest.webmanifest":            long("MANIFEST"),
		"icons/icon.svg":                  long("ICON"),
		"icons/icon-192.png":              long("PNG"),
		"assets/app.0123456789.wasm":      long("APP"),
		"assets/app.0123456789.wasm.br":   short("APP br"),
		"assets/app.0123456789.wasm.gz":   short("APP gzip"),
		"assets/boot.0123456789.js":       short("BOOT"),
		"assets/boot.0123456789.js.br":    short("BOOT, longer than it was"),
		"assets/app.0123456789.css":       long("CSS"),
		"assets/text.0123456789.woff2":    long("FONT"),
		"assets/picture.0123456789.webp":  long("WEBP"),
		"assets/plain.js":                 long("PLAIN"),
		"assets/deep/plain.0123456789.js": long("DEEP"),
	}
}

func handler(t *testing.T, c Config) http.Handler {
	t.Helper()
	if c.Assets == nil {
		c.Assets = page()
	}
	h, err := Handler(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func do(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

const (
	immutable = "public, max-age=31536000, immutable"
	noCache   = "no-cache"
)

func TestFiles(t *testing.T) {
	h := handler(t, Config{})
	for _, c := range []struct{ path, body, mediaType, cache string }{
		{"/", "INDEX", "text/html; charset=utf-8", noCache},
		{"/index.html", "INDEX", "text/html; charset=utf-8", noCache},
		{"/frame.html", "FRAME", "text/html; charset=utf-8", noCache},
		{"/sw.js", "SW", "text/javascript; charset=utf-8", noCache},
		{"/manifest.webmanifest", "MANIFEST", "application/manifest+json", noCache},
		{"/icons/icon.svg", "ICON", "image/svg+xml", noCache},
		{"/icons/icon-192.png", "PNG", "image/png", noCache},
		{"/assets/app.0123456789.wasm", "APP", "application/wasm", immutable},
		{"/assets/boot.0123456789.js", "BOOT", "text/javascript; charset=utf-8", immutable},
		{"/assets/boot.0123456789.js?wasm=/assets/app.0123456789.wasm", "BOOT", "text/javascript; charset=utf-8", immutable},
		{"/assets/app.0123456789.css", "CSS", "text/css; charset=utf-8", immutable},
		{"/assets/text.0123456789.woff2", "FONT", "font/woff2", immutable},
		{"/assets/picture.0123456789.webp", "WEBP", "image/webp", immutable},
		{"/assets/plain.js", "PLAIN", "text/javascript; charset=utf-8", noCache},
		{"/assets/deep/plain.0123456789.js", "DEEP", "text/javascript; charset=utf-8", noCache},
		// Places in the page.
		{"/inbox", "INDEX", "text/html; charset=utf-8", noCache},
		{"/inbox/42", "INDEX", "text/html; charset=utf-8", noCache},
		{"/inbox/", "INDEX", "text/html; charset=utf-8", noCache},
		{"/compose?to=a@b.example", "INDEX", "text/html; charset=utf-8", noCache},
	} {
		r := do(h, "GET", c.path)
		if got := body(t, r); r.StatusCode != 200 || got != c.body {
			t.Errorf("GET %s: %d %q; want %q", c.path, r.StatusCode, got, c.body)
		}
		if got := r.Header.Get("Content-Type"); got != c.mediaType {
			t.Errorf("GET %s: type %q; want %q", c.path, got, c.mediaType)
		}
		if got := r.Header.Get("Cache-Control"); got != c.cache {
			t.Errorf("GET %s: Cache-Control %q; want %q", c.path, got, c.cache)
		}
		if r.Header.Get("ETag") == "" || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("GET %s: ETag %q, Vary %q", c.path, r.Header.Get("ETag"), r.Header.Get("Vary"))
		}
		if w := r.Header.Get("Service-Worker-Allowed"); (c.path == "/sw.js") != (w == "/") {
			t.Errorf("GET %s: Service-Worker-Allowed %q", c.path, w)
		}
	}
}

// What is not there is 404, in words, and never somebody else's file.
func TestNotFound(t *testing.T) {
	h := handler(t, Config{})
	for _, path := range []string{
		"/assets/app.ffffffffff.wasm", "/assets/none", "/assets/", "/icons/none", "/favicon.ico", "/.keep", "/index.html.br",
		"/assets/app.0123456789.wasm.br", "/assets/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd",
		"/../web_test.go", "/a/../b", "//", "//evil.example", "/a//b", "/a%00b", "/a%5Cb", "/./inbox", "/wp-login.php",
	} {
		r := do(h, "GET", path)
		if r.StatusCode != 404 || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s: %d %q; want 404", path, r.StatusCode, body(t, r))
		}
	}
	if r := do(h, "GET", "/inbox", "Accept", "image/png, text/html;q=0"); r.StatusCode != 404 {
		t.Errorf("a picture at /inbox: %d; want 404", r.StatusCode)
	}
	if r := do(h, "GET", "/inbox", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"); r.StatusCode != 200 {
		t.Errorf("a navigation to /inbox: %d; want 200", r.StatusCode)
	}
}

func TestEncodings(t *testing.T) {
	h := handler(t, Config{})
	for _, c := range []struct {
		accept []string
		coding string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"br"}, "br"},
		{[]string{"gzip, deflate, br, zstd"}, "br"},
		{[]string{"gzip", "br"}, "br"},
		{[]string{"gzip, deflate"}, "gzip"},
		{[]string{"x-gzip"}, "gzip"},
		{[]string{"GZIP"}, "gzip"},
		{[]string{"br;q=0.5, gzip;q=0.9"}, "gzip"},
		{[]string{"br;q=0.5, gzip;q=0.5"}, "br"},
		{[]string{"br;q=0, gzip;q=0"}, ""},
		{[]string{"br;q=0, *"}, "gzip"},
		{[]string{"*"}, "br"},
		{[]string{"*;q=0"}, ""}, // nothing is acceptable; the page is sent all the same
		{[]string{"identity;q=1, br;q=0.1"}, ""},
		{[]string{"identity;q=0.1, br;q=0.2"}, "br"},
		{[]string{"br;q=2, gzip"}, "gzip"}, // a weight that is none
		{[]string{"br;q=, gzip;q=nan"}, ""},
		{[]string{"br ; q=0.8 , gzip;Q=0.9"}, "gzip"},
		{[]string{strings.Repeat("zstd, ", 1000) + "br"}, ""},
	} {
		var header []string
		for _, a := range c.accept {
			header = append(header, "Accept-Encoding", a)
		}
		r := do(h, "GET", "/assets/app.0123456789.wasm", header...)
		want := strings.TrimSpace("APP " + c.coding)
		if got := body(t, r); got != want || r.Header.Get("Content-Encoding") != c.coding {
			t.Errorf("Accept-Encoding %q: %q as %q; want %q", c.accept, got, r.Header.Get("Content-Encoding"), want)
		}
		if r.Header.Get("Content-Type") != "application/wasm" || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: type %q, Vary %q", c.accept, r.Header.Get("Content-Type"), r.Header.Get("Vary"))
		}
	}
	if r := do(h, "GET", "/assets/boot.0123456789.js", "Accept-Encoding", "br"); body(t, r) != "BOOT" {
		t.Error("a variant that is longer than the file was sent")
	}
}

// Each variant has an entity-tag of its own, and is not sent again to who has it.
func TestConditional(t *testing.T) {
	h := handler(t, Config{})
	tags := make(map[string]bool)
	for _, coding := range []string{"br", "gzip", "identity"} {
		tag := do(h, "GET", "/", "Accept-Encoding", coding).Header.Get("ETag")
		if tags[tag] || !strings.HasPrefix(tag, `"`) {
			t.Errorf("%s: ETag %s", coding, tag)
		}
		tags[tag] = true
		for _, match := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			r := do(h, "GET", "/", "Accept-Encoding", coding, "If-None-Match", match)
			if b := body(t, r); r.StatusCode != 304 || b != "" || r.Header.Get("ETag") != tag || r.Header.Get("Cache-Control") != noCache {
				t.Errorf("If-None-Match %s: %d %q %v", match, r.StatusCode, b, r.Header)
			}
			if r.Header.Get("Content-Security-Policy") == "" {
				t.Error("304 without the policy")
			}
		}
		if r := do(h, "GET", "/", "Accept-Encoding", coding, "If-None-Match", `"other"`); r.StatusCode != 200 {
			t.Errorf("another tag: %d", r.StatusCode)
		}
	}
}

func TestMethods(t *testing.T) {
	h := handler(t, Config{})
	for _, path := range []string{"/", "/assets/app.0123456789.wasm", "/healthz", "/none.txt"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
			if r := do(h, method, path); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, r.StatusCode, r.Header.Get("Allow"))
			}
		}
	}
	get, head := do(h, "GET", "/", "Accept-Encoding", "br"), do(h, "HEAD", "/", "Accept-Encoding", "br")
	if b := body(t, head); b != "" || head.StatusCode != 200 {
		t.Errorf("HEAD: %d %q", head.StatusCode, b)
	}
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "ETag", "Cache-Control", "Vary"} {
		if get.Header.Get(name) != head.Header.Get(name) || get.Header.Get(name) == "" {
			t.Errorf("HEAD: %s %q; GET's is %q", name, head.Header.Get(name), get.Header.Get(name))
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	h := handler(t, Config{})
	for _, path := range []string{"/", "/inbox", "/sw.js", "/assets/app.0123456789.wasm", "/assets/none.js", "/healthz", "/frame.html"} {
		head := do(h, "GET", path).Header
		for name, want := range map[string]string{
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if head.Get(name) != want {
				t.Errorf("%s: %s %q", path, name, head.Get(name))
			}
		}
		if len(head.Values("Content-Security-Policy")) != 1 || head.Get("Permissions-Policy") == "" {
			t.Errorf("%s: %v", path, head)
		}
	}
	policy := do(h, "GET", "/").Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the page's policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe-inline") || strings.Contains(policy, "'unsafe-eval'") || strings.Contains(policy, "*") {
		t.Errorf("the page's policy is loose: %q", policy)
	}
	frame := do(h, "GET", "/frame.html").Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'unsafe-inline'", "frame-ancestors 'self'", "form-action 'none'"} {
		if !strings.Contains(frame, want) {
			t.Errorf("the frame's policy %q lacks %s", frame, want)
		}
	}
	if strings.Contains(frame, "script-src") || strings.Contains(frame, "allow-scripts") {
		t.Errorf("the frame's policy lets scripts in: %q", frame)
	}
}

// Alive is one thing, ready another: a gateway that drains is not to be restarted.
func TestHealth(t *testing.T) {
	var fault error
	for _, base := range []string{"/", "/mail/"} {
		h := handler(t, Config{BasePath: base, Ready: func() error { return fault }})
		for _, path := range []string{"/healthz", "/readyz", base + "healthz"} {
			fault = nil
			if r := do(h, "GET", path); r.StatusCode != 200 || body(t, r) != "ok" || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
			}
			fault = errors.New("going down")
			want := 200
			if strings.HasSuffix(path, "readyz") {
				want = 503
			}
			if r := do(h, "GET", path); r.StatusCode != want || want == 503 && body(t, r) != "going down" {
				t.Errorf("%s, going down: %d", path, r.StatusCode)
			}
		}
	}
}

func TestTunnel(t *testing.T) {
	h := handler(t, Config{TunnelPath: "/tunnel", Tunnel: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "TUNNEL "+r.Method)
	})})
	if r := do(h, "POST", "/tunnel"); body(t, r) != "TUNNEL POST" {
		t.Errorf("/tunnel: %d; want the tunnel to answer every method itself", r.StatusCode)
	}
	if r := do(h, "GET", "/tunnel/x"); body(t, r) == "TUNNEL GET" {
		t.Error("/tunnel/x reached the tunnel")
	}
}

// A gateway built without the page tells a visitor what to run.
func TestUnbuilt(t *testing.T) {
	h := handler(t, Config{Assets: fstest.MapFS{".keep": &fstest.MapFile{}}})
	r := do(h, "GET", "/")
	if b := body(t, r); r.StatusCode != 503 || !strings.Contains(b, "go run ./wasm/pack") {
		t.Errorf("%d %q", r.StatusCode, b)
	}
	if r := do(h, "GET", "/healthz"); r.StatusCode != 200 {
		t.Errorf("/healthz: %d", r.StatusCode)
	}
}

func TestUnknownTypeIsRefused(t *testing.T) {
	if _, err := Handler(Config{Assets: fstest.MapFS{"index.html": {}, "a.xyz": {}}}); err == nil || !strings.Contains(err.Error(), "a.xyz") {
		t.Errorf("%v; want an error that names a.xyz", err)
	}
}

// In development the page is read anew, and hears of it.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(handler(t, Config{Assets: os.DirFS(dir), Reload: true}))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	get := func() string {
		r, err := server.Client().Get(server.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		return body(t, r)
	}
	if !strings.Contains(get(), "not built") {
		t.Error("an empty folder does not say that the page is not built")
	}
	write("one")
	if got := get(); got != "one" {
		t.Errorf("%q; want the page as it is now", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, "GET", server.URL+ReloadPath, nil)
	r, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	lines.Scan() // the stream is open
	write("three, longer")
	for lines.Scan() {
		if lines.Text() == "data: changed" {
			return
		}
	}
	t.Errorf("the stream ended without an event: %v", lines.Err())
}

// A connection that sends its headers slowly is closed; one that has been taken over is not.
func TestServerLimits(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), nil)
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Fatalf("a limit is missing: %+v", s)
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "hello\n")
		io.Copy(conn, conn)
	})
	s.ReadHeaderTimeout, s.ReadTimeout = 500*time.Millisecond, 750*time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	dial := func(send string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, send)
		return c
	}
	taken := dial("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	defer taken.Close()
	lines := bufio.NewReader(taken)
	if line, err := lines.ReadString('\n'); line != "hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	slow := dial("GET / HTTP/1.1\r\nHost:")
	defer slow.Close()
	if _, err := io.ReadAll(slow); err != nil { // returns when the server closes, after both limits have passed
		t.Errorf("a slow request: %v; want it closed", err)
	}
	io.WriteString(taken, "still here\n")
	if line, err := lines.ReadString('\n'); line != "still here\n" {
		t.Errorf("a connection that was taken over: %q, %v", line, err)
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"br", "gzip;q=0.5, *;q=0", ";;;,=,q", "identity;q=0"} {
		f.Add(s)
	}
	variants := []variant{{coding: "br"}, {coding: "gzip"}, {coding: identity}}
	f.Fuzz(func(t *testing.T, accept string) {
		v, ok := negotiate([]string{accept}, variants)
		if ok && v.coding == "" || !ok && v.coding != "" {
			t.Errorf("%q: %+v, %v", accept, v, ok)
		}
		if ok && v.coding != identity && !strings.Contains(strings.ToLower(accept), v.coding) && !strings.Contains(accept, "*") {
			t.Errorf("%q: %s was not asked for", accept, v.coding)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/inbox/1", "/../x", "/assets/app.0123456789.wasm", "//x"} {
		f.Add(s)
	}
	h, err := Handler(Config{Assets: page()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 404 {
			t.Errorf("%q: %d", path, w.Code)
		}
		if strings.HasPrefix(path, "/assets/") && strings.Contains(w.Body.String(), "INDEX") {
			t.Errorf("%q: the index in place of a file", path)
		}
	})
}
