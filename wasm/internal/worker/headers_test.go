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

// applied are the headers that the platform sends with a path: those of all rules that match, in their order.
func applied(t *testing.T, rules, at string) map[string]string {
	t.Helper()
	got := make(map[string]string)
	matches := false
	for line := range strings.Lines(rules) {
		line = strings.TrimRight(line, "\n")
		rest, indented := strings.CutPrefix(line, "  ")
		if !indented {
			prefix, wild := strings.CutSuffix(line, "*")
			matches = line == at || wild && strings.HasPrefix(at, prefix)
			continue
		}
		if !matches {
			continue
		}
		if name, ok := strings.CutPrefix(rest, "! "); ok {
			delete(got, name)
			continue
		}
		name, value, ok := strings.Cut(rest, ": ")
		if !ok || len(line) > 2000 {
			t.Fatalf("no header: %q", line)
		}
		if got[name] != "" {
			value = got[name] + ", " + value // as the platform does
		}
		got[name] = value
	}
	return got
}

// Each file gets from the platform what the native gateway sends with it.
func TestHeaders(t *testing.T) {
	rules, err := headers(page())
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.Handler(web.Config{Assets: page(), HTTPS: true})
	if err != nil {
		t.Fatal(err)
	}
	for name := range page() {
		if !served(name) {
			continue
		}
		want, got := sent(site, "/"+name), applied(t, rules, "/"+name)
		if !maps.Equal(want, got) || !strings.Contains(got["Content-Security-Policy"], "default-src") {
			t.Errorf("%s: %v\nwant %v\nthe rules:\n%s", name, got, want, rules)
		}
	}
	if n := strings.Count(rules, "\n/"); n > 99 {
		t.Errorf("%d rules; the platform reads 100", n)
	}
	if applied(t, rules, "/frame.html")["X-Frame-Options"] != "SAMEORIGIN" || !strings.Contains(applied(t, rules, "/assets/app.0123456789.css")["Cache-Control"], "immutable") {
		t.Errorf("the rules do not tell files apart:\n%s", rules)
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
