package bundle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sources() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"index.html":           file(`<link href="/{{asset "app.css"}}"><script src="/{{asset "boot.js"}}" data-size="{{size "app.wasm"}}"></script>{{if dev}}DEV{{end}}`),
		"frame.html":           file(`<p>`),
		"boot.js":              file(`boot()`),
		"worker.js":            file(`importScripts('/{{asset "wasm_exec.js"}}')`),
		"app.css":              file(strings.Repeat("a { color: red }\n", 100) + `{{include "css/more.css"}}`),
		"css/more.css":         file("b { color: {{ }"), // a text, and no template
		"manifest.webmanifest": file(`{}`),
		"sw.js":                file(`const VERSION = "{{version}}", FILES = JSON.parse('{{files}}');`),
		"icons/icon.png":       file(strings.Repeat("PNG", 200)),
		"embed.go":             file("package public"),
		"dist/old":             file("not a source"),
		".hidden":              file("nor this"),
	}
}

func programs() map[string][]byte {
	return map[string][]byte{"app.wasm": bytes.Repeat([]byte("page"), 500), "engine.wasm": bytes.Repeat([]byte("engine"), 500), "wasm_exec.js": []byte("{{not ours}}")}
}

func pack(t *testing.T, s fs.FS, dev bool) *Result {
	t.Helper()
	r, err := Pack(s, programs(), dev)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func content(t *testing.T, r *Result, source string) string {
	t.Helper()
	f, ok := r.File(source)
	if !ok {
		t.Fatalf("%s was not packed", source)
	}
	return string(f.Content)
}

func TestNames(t *testing.T) {
	r := pack(t, sources(), false)
	got := make(map[string]string)
	for _, f := range r.Files {
		got[f.Source] = f.Name
	}
	for _, unchanged := range []string{"index.html", "frame.html", "sw.js", "manifest.webmanifest", "icons/icon.png"} {
		if got[unchanged] != unchanged {
			t.Errorf("%s became %s", unchanged, got[unchanged])
		}
	}
	sum := sha256.Sum256([]byte("boot()"))
	if want := "assets/boot." + hex.EncodeToString(sum[:])[:10] + ".js"; got["boot.js"] != want {
		t.Errorf("boot.js became %s; want %s", got["boot.js"], want)
	}
	if css := content(t, r, "app.css"); !strings.HasSuffix(css, "a { color: red }\nb { color: {{ }") {
		t.Errorf("app.css ends in %q", css[len(css)-40:])
	}
	for _, no := range []string{"css/more.css", "embed.go", "dist/old", ".hidden"} {
		if got[no] != "" {
			t.Errorf("%s was packed", no)
		}
	}
	index := content(t, r, "index.html")
	if want := `<link href="/` + got["app.css"] + `"><script src="/` + got["boot.js"] + `" data-size="2000"></script>`; index != want {
		t.Errorf("index.html is\n%s\nwant\n%s", index, want)
	}
	if want := `importScripts('/` + got["wasm_exec.js"] + `')`; content(t, r, "worker.js") != want {
		t.Errorf("worker.js is %s; want %s", content(t, r, "worker.js"), want)
	}
	if content(t, r, "wasm_exec.js") != "{{not ours}}" {
		t.Error("Go's support code was taken for a template")
	}
	if !strings.Contains(content(t, pack(t, sources(), true), "index.html"), "DEV") {
		t.Error("development does not show in index.html")
	}
}

// The service worker lists every other file with the hash a browser will check.
func TestServiceWorker(t *testing.T) {
	r := pack(t, sources(), false)
	_, text, _ := strings.Cut(content(t, r, "sw.js"), "JSON.parse('")
	text, _, _ = strings.Cut(text, "')")
	var got map[string]string
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	want := make(map[string]string)
	for _, f := range r.Files {
		sum := sha256.Sum256(f.Content)
		path := "/" + f.Name
		if f.Source == "index.html" {
			path = "/"
		}
		if f.Source != "sw.js" {
			want[path] = "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the list (-want +got):\n%s", d)
	}
}

// The version is the same for the same page, and another for any change, the service worker's own text included.
func TestVersion(t *testing.T) {
	first := pack(t, sources(), false)
	if again := pack(t, sources(), false); again.Version != first.Version {
		t.Errorf("the same page is version %s, then %s", first.Version, again.Version)
	}
	if !strings.Contains(content(t, first, "sw.js"), `"`+first.Version+`"`) {
		t.Errorf("the service worker is not of version %s: %s", first.Version, content(t, first, "sw.js"))
	}
	for _, name := range []string{"boot.js", "sw.js", "frame.html", "icons/icon.png"} {
		changed := sources()
		changed[name] = &fstest.MapFile{Data: append(changed[name].Data, ' ')}
		if pack(t, changed, false).Version == first.Version {
			t.Errorf("a change of %s leaves the version as it was", name)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"missing":     {"index.html", `{{asset "none.js"}}`, "none.js"},
		"no part":     {"app.css", `{{include "css/none.css"}}`, "none.css"},
		"circle":      {"boot.js", `{{asset "worker.js"}}{{asset "boot.js"}}`, "boot.js"},
		"bad":         {"index.html", `{{asset`, "index.html"},
		"early list":  {"index.html", `{{files}}`, "files"},
		"no callback": {"boot.js", `{{nonesuch}}`, "nonesuch"},
	} {
		s := sources()
		s[c.file] = &fstest.MapFile{Data: []byte(c.text)}
		if _, err := Pack(s, programs(), false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error that names %s", name, err, c.want)
		}
	}
}

func TestCompress(t *testing.T) {
	dir := t.TempDir()
	r := pack(t, sources(), false)
	if err := compress(t.Context(), r, 5, &shelf{dir}); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files {
		large := f.Source == "app.css" || strings.HasSuffix(f.Source, ".wasm") || f.Source == "sw.js"
		if (f.Brotli != nil) != large || (f.Gzip != nil) != large {
			t.Errorf("%s, %d bytes: brotli %d, gzip %d", f.Source, len(f.Content), len(f.Brotli), len(f.Gzip))
		}
		if !large {
			continue
		}
		if b, err := io.ReadAll(brotli.NewReader(bytes.NewReader(f.Brotli))); err != nil || !bytes.Equal(b, f.Content) {
			t.Errorf("%s: brotli does not lead back (%v)", f.Source, err)
		}
		z, err := gzip.NewReader(bytes.NewReader(f.Gzip))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, f.Content) {
			t.Errorf("%s: gzip does not lead back (%v)", f.Source, err)
		}
	}
	// What is on the shelf is not made again: a mark put there comes back.
	entries, err := filepath.Glob(filepath.Join(dir, "*-5.br"))
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d kept, %v", len(entries), err)
	}
	for _, e := range entries {
		if err := os.WriteFile(e, []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := pack(t, sources(), false)
	if err := compress(t.Context(), again, 5, &shelf{dir}); err != nil {
		t.Fatal(err)
	}
	if f, _ := again.File("app.wasm"); string(f.Brotli) != "kept" {
		t.Error("compressed again")
	}
	if err := compress(t.Context(), again, 12, &shelf{dir}); err == nil {
		t.Error("quality 12 was accepted")
	}
}

func TestWrite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dist")
	r := pack(t, sources(), false)
	if err := write(out, r); err != nil {
		t.Fatal(err)
	}
	for _, stray := range []string{"assets/app.ffffffffff.wasm", "assets/app.ffffffffff.wasm.br", "old.html"} {
		if err := os.WriteFile(filepath.Join(out, stray), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(out, ".keep"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, _ := r.File("boot.js")
	before, err := os.Stat(filepath.Join(out, f.Name))
	if err != nil {
		t.Fatal(err)
	}
	if err := write(out, r); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(out, f.Name))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a file that had not changed was written again (%v)", err)
	}
	var got []string
	err = fs.WalkDir(os.DirFS(out), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			got = append(got, name)
		}
		return err
	})
	if err != nil || len(got) != len(r.Files)+1 {
		t.Errorf("the folder holds %q, %v; want the page's %d files and .keep", got, err, len(r.Files))
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	r := &Result{Version: "v", Files: []File{{Source: "a.wasm", Content: make([]byte, 1234567), Gzip: make([]byte, 1000), Brotli: make([]byte, 999)}, {Source: "b", Content: make([]byte, 3)}}}
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,234,567", "1,000", " 999", "1,234,570", "1,003", "1,002"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &b)
		}
	}
}
