package web

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
)

// A page below a path: everything is there and nothing beside it, and the service worker's hashes are those of what is served.
func TestBasePath(t *testing.T) {
	index := `<meta name="postern-app" content="/assets/app.0123456789.wasm"><link href="/assets/app.0123456789.css"><script src="//elsewhere.example/x">` + strings.Repeat(" ", 200)
	files := page()
	files["index.html"] = &fstest.MapFile{Data: []byte(index)}
	manifest := `{ "id": "/", "start_url": "inbox" }`
	files["sw.js"] = &fstest.MapFile{Data: []byte(`{"/":"` + integrity([]byte(index)) + `","/manifest.webmanifest":"` + integrity([]byte(manifest)) + `"}` + strings.Repeat(" ", 200))}
	files["sw.js.br"] = &fstest.MapFile{Data: []byte("SW br")}
	files["manifest.webmanifest"] = &fstest.MapFile{Data: []byte(manifest)}
	h := handler(t, Config{Assets: files, BasePath: "/mail/", TunnelPath: "/tunnel", Tunnel: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "TUNNEL "+r.URL.Path)
	})})
	get := func(path string, header ...string) (int, string, http.Header) {
		r := do(h, "GET", path, header...)
		return r.StatusCode, body(t, r), r.Header
	}
	_, shown, _ := get("/mail/inbox/42")
	if !strings.Contains(shown, `content="/mail/assets/app.0123456789.wasm"`) || !strings.Contains(shown, `href="/mail/assets/`) || !strings.Contains(shown, `src="//elsewhere.example/x"`) {
		t.Errorf("the index is %s", shown)
	}
	_, _, header := get("/mail/", "Accept-Encoding", "br, gzip")
	if header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the index comes as %q", header.Get("Content-Encoding"))
	}
	r := do(h, "GET", "/mail/")
	whole, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, sw, h := get("/mail/sw.js", "Accept-Encoding", "br"); !strings.Contains(sw, integrity(whole)) || h.Get("Service-Worker-Allowed") != "/mail/" {
		t.Errorf("the service worker has another hash of the index: %s, %v", sw, h)
	}
	_, m, _ := get("/mail/manifest.webmanifest")
	if !strings.Contains(m, `"id": "/mail/"`) {
		t.Errorf("the manifest is %s", m)
	}
	if _, sw, _ := get("/mail/sw.js"); !strings.Contains(sw, integrity([]byte(m))) {
		t.Errorf("the service worker has another hash of the manifest: %s", sw)
	}
	if _, b, _ := get("/mail/assets/app.0123456789.wasm", "Accept-Encoding", "br"); b != "APP br" {
		t.Errorf("the app comes as %q", b)
	}
	if _, b, _ := get("/mail/tunnel"); b != "TUNNEL /tunnel" {
		t.Errorf("the tunnel: %q", b)
	}
	if code, _, h := get("/mail"); code != http.StatusPermanentRedirect || h.Get("Location") != "/mail/" {
		t.Errorf("/mail: %d %v", code, h)
	}
	for _, path := range []string{"/", "/inbox", "/tunnel", "/assets/app.0123456789.wasm", "/mailbox/", "/mail/../sw.js", "/mail//sw.js", "/other/mail/"} {
		if code, b, _ := get(path); code != http.StatusNotFound {
			t.Errorf("%s: %d %.20q", path, code, b)
		}
	}
}

// A page that has not been built is none below a path either.
func TestBasePathUnbuilt(t *testing.T) {
	h := handler(t, Config{Assets: fstest.MapFS{".keep": &fstest.MapFile{}}, BasePath: "/mail/"})
	if r := do(h, "GET", "/mail/"); r.StatusCode != 503 {
		t.Errorf("%d", r.StatusCode)
	}
}

// Browsers are told to come by https only where they have.
func TestStrictTransport(t *testing.T) {
	for _, https := range []bool{false, true} {
		h := handler(t, Config{HTTPS: https})
		if got := do(h, "GET", "/").Header.Get("Strict-Transport-Security"); (got != "") != https {
			t.Errorf("https %v: %q", https, got)
		}
	}
}
