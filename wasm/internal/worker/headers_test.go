package worker

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func page() fstest.MapFS {
	files := make(fstest.MapFS)
	for _, name := range []string{"index.html", "frame.html", "sw.js", "manifest.webmanifest", "icons.svg", "icons/icon.png", "icons/icon.svg",
		"assets/app.0123456789.wasm", "assets/app.0123456789.css", "assets/boot.9e90cce981.js"} {
		files[name] = &fstest.MapFile{Data: []byte(name)}
	}
	files["assets/app.0123456789.wasm.br"] = &fstest.MapFile{Data: []byte("br")}
	files["index.html.gz"] = &fstest.MapFile{Data: []byte("gz")}
	files[".keep"] = &fstest.MapFile{}
	return files
}

// Each file gets from the platform what the native gateway sends with it.
func TestHeaders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "page")
	if err := Page(page(), dir); err != nil {
		t.Fatal(err)
	}
	site, err := web.Handler(web.Config{Assets: page(), HTTPS: true})
	if err != nil {
		t.Fatal(err)
	}
	platform, err := workerd.Assets(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range page() {
		if !served(name) {
			continue
		}
		want, got := sent(site, "/"+name), sent(platform, "/"+name)
		delete(got, "Accept-Ranges")
		if !maps.Equal(want, got) || !strings.Contains(got["Content-Security-Policy"], "default-src") {
			t.Errorf("%s: %v\nwant %v", name, got, want)
		}
	}
	if sent(platform, "/frame.html")["X-Frame-Options"] != "SAMEORIGIN" || !strings.Contains(sent(platform, "/assets/app.0123456789.css")["Cache-Control"], "immutable") {
		t.Error("the rules do not tell files apart")
	}
	if sent(platform, "/")["Strict-Transport-Security"] != "" || sent(platform, "/index.html")["Strict-Transport-Security"] == "" {
		t.Error("a page without https")
	}
}

func TestPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "page")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old.js"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Page(page(), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"index.html": true, "assets/app.0123456789.wasm": true, "_headers": true, "assets/app.0123456789.wasm.br": false, "index.html.gz": false, ".keep": false, "old.js": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Page(fstest.MapFS{".keep": {}}, dir); err == nil || !strings.Contains(err.Error(), "wasm/pack") {
		t.Errorf("no page: %v", err)
	}
}
