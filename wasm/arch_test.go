package wasm

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/postern-mail/postern/"

// arrows say what a folder's packages may import of this module: a folder of the list stands for all beneath it. The
// longest matching folder counts. Tests may import what they like: they compose.
var arrows = map[string][]string{
	// The page: ui draws what view says, view asks api.
	"client/ui":   {"client/view", "client/api"},
	"client/view": {"client/api"},
	// A browser in memory, for tests.
	"client/view/viewtest": {"client/view", "client/api"},
	"client/render":        {},
	"client/api":           {"client/internal"},
	// The engine answers api, over a store that knows neither.
	"client/engine":         {"client/api", "client/engine/keyring", "client/store", "client/sanitize", "client/internal", "shared"},
	"client/engine/keyring": {"client/api"},
	// A play for the engine, which does not know of it.
	"client/engine/rehearsal": {"client/engine", "client/api", "client/store", "shared"},
	"client/store":            {"client/internal", "shared/mail"},
	"client/sanitize":         {},
	// The browser, for either of them; never the engine, or the page would carry it along.
	"client/platform": {"client/api", "client/view", "client/internal"},
	"client/internal": {"client/internal"},

	// What both sides are built from knows neither side.
	"shared":           {"shared"},
	"shared/printable": {},
	"shared/wire":      {"shared/printable"},
	"shared/mail":      {"shared/idn"},
	"shared/idn":       {},
	"shared/special":   {},
	"shared/endsite":   {},
	"shared/trust":     {"shared/printable"},
	"shared/tunnel":    {"shared/wire", "shared/tunnel"},
	"shared/mailtest":  {"shared"},

	// The gateway's parts know what is shared, and not each other.
	"gateway/bridge": {"gateway/bridge", "shared"},
	// The bridge's platform where it is not this machine's; no other part of the gateway runs there.
	"gateway/edge":       {"gateway/edge", "gateway/bridge", "shared"},
	"gateway/mailserver": {"gateway/mailserver", "gateway/turnstile", "shared"},
	"gateway/ftpserver":  {"gateway/ftpserver", "gateway/turnstile", "shared"},
	// Folders with files in them; no protocol.
	"gateway/ftpserver/files": {},
	"gateway/turnstile":       {"shared/endsite"},
	"gateway/web":             {"shared/wire", "shared/endsite"},
	"gateway/config":          {},

	// Programs compose.
	"gateway":       {"gateway", "shared", "public"},
	"wasm/app":      {"client/api", "client/view", "client/ui", "client/render", "client/platform", "client/internal"},
	"wasm/engine":   {"client/api", "client/engine", "client/store", "client/sanitize", "client/platform", "client/internal", "shared"},
	"wasm/pack":     {"wasm/internal"},
	"wasm/internal": {},
	// The bridge on Workers, what makes it, and what runs it here.
	"wasm/edge":            {"gateway/bridge", "gateway/edge"},
	"wasm/internal/worker": {"wasm/internal", "gateway/web"},
	"wasm/edge/local":      {"wasm/internal"},
	"wasm/e2e":             {},
	"wasm/testdata":        {},
	"wasm":                 {},
	"public":               {},
}

// within says whether a package lies in a folder.
func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// forTests says whether a package is a stand-in that no program may link. By habit its name ends in test.
func forTests(pkg string) bool {
	return within(pkg, "shared/mailtest") || strings.HasSuffix(path.Base(pkg), "test")
}

// source is a file of the module.
type source struct {
	name, pkg string // from the module's folder, with slashes
	program   bool   // of package main
}

// eachImport calls fn for every import of every file that is not a test, whatever system it is for.
func eachImport(t *testing.T, fn func(file source, imported string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() && rel != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "bin" || rel == "public/dist") {
			return filepath.SkipDir
		}
		if e.IsDir() || path.Ext(rel) != ".go" || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			fn(source{rel, path.Dir(rel), f.Name.Name == "main"}, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("only %d files were found", files)
	}
}

func TestImportArrows(t *testing.T) {
	eachImport(t, func(file source, imported string) {
		if why := offence(file, imported); why != "" {
			t.Errorf("%s: %s", file.name, why)
		}
	})
}

// offence says which arrow an import goes against; "" for none.
func offence(file source, imported string) string {
	target, ours := strings.CutPrefix(imported, module)
	if !ours {
		return ""
	}
	folder := ""
	for f := range arrows {
		if within(file.pkg, f) && len(f) > len(folder) {
			folder = f
		}
	}
	if folder == "" {
		return "no arrow says what " + file.pkg + " may import"
	}
	if forTests(target) && !forTests(file.pkg) && !file.program {
		return file.pkg + " imports " + target + ", which is for tests"
	}
	// A program that a package's tests run in a browser: beside what the package may, it imports the package.
	if host, _, ok := strings.Cut(file.pkg, "/internal/"); ok && file.program && (within(target, host) || within(target, "client/api") || within(target, "client/internal")) {
		return ""
	}
	for _, allowed := range arrows[folder] {
		if within(target, allowed) {
			return ""
		}
	}
	return fmt.Sprintf("%s imports %s; packages in %s may import %q of this module", file.pkg, target, folder, arrows[folder])
}

// What the design forbids is an offence, and what it draws is none: an arrow that is added for convenience fails here.
func TestOffence(t *testing.T) {
	for _, c := range []struct {
		from, to string
		fine     bool
	}{
		{"client/ui", "client/view", true},
		{"client/view", "client/api", true},
		{"client/engine", "client/api", true},
		{"client/engine", "client/store", true},
		{"client/engine", "client/sanitize", true},
		{"client/engine", "shared/pop3", true},
		{"gateway/bridge", "shared/tunnel/wsconn", true},
		{"gateway/mailserver", "gateway/mailserver/pop3d", true},

		{"client/api", "client/engine", false},
		{"client/api", "client/view", false},
		{"client/view", "client/ui", false},
		{"client/view", "client/engine", false},
		{"client/view", "shared/mail", false},
		{"client/ui", "client/engine", false},
		{"client/ui", "client/store", false},
		{"client/engine", "client/view", false},
		{"client/engine", "client/platform", false},
		{"client/engine/keyring", "client/engine", false},
		{"client/engine", "client/engine/rehearsal", false},
		{"client/engine/rehearsal", "client/engine", true},
		{"client/engine", "gateway/mailserver", false},
		{"client/store", "client/api", false},
		{"client/store", "client/engine", false},
		{"client/sanitize", "client/store", false},
		{"client/platform", "client/engine", false},
		{"gateway/bridge", "gateway/mailserver", false},
		{"gateway/mailserver", "gateway/bridge", false},
		{"gateway/mailserver/pop3d", "gateway/bridge", false},
		{"gateway/mailserver", "gateway/ftpserver", false},
		{"gateway/ftpserver", "gateway/mailserver/account", false},
		{"gateway/ftpserver", "gateway/bridge", false},
		{"gateway/web", "gateway/bridge", false},
		{"gateway/bridge", "client/api", false},
		{"shared/pop3", "client/api", false},
		{"shared/tunnel", "gateway/bridge", false},
		{"shared/wire", "shared/tunnel", false},
		{"shared/pop3", "shared/mailtest", false},
		{"client/view", "client/view/viewtest", false},
		{"client/new", "client/api", false},
		{"wasm/app", "client/engine", false},
		{"gateway/edge", "gateway/bridge", true},
		{"gateway/bridge", "gateway/edge", false},
		{"gateway/edge", "gateway/web", false},
		{"wasm/edge", "gateway/mailserver", false},
	} {
		why := offence(source{name: c.from + "/x.go", pkg: c.from}, module+c.to)
		if (why == "") != c.fine {
			t.Errorf("%s imports %s: %q", c.from, c.to, why)
		}
	}
	if why := offence(source{name: "client/view/x.go", pkg: "client/view"}, "strings"); why != "" {
		t.Error(why)
	}
}

// A line of the table for a folder that is gone says nothing and misleads.
func TestArrowsOfFoldersThatExist(t *testing.T) {
	for folder, list := range arrows {
		for _, name := range append([]string{folder}, list...) {
			if info, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil || !info.IsDir() {
				t.Errorf("an arrow of %s names %s, which is no folder", folder, name)
			}
		}
	}
}

// The browser is touched at the leaves alone: in files for js and in the programs.
func TestSyscallJSAtTheLeaves(t *testing.T) {
	eachImport(t, func(file source, imported string) {
		if imported != "syscall/js" {
			return
		}
		if within(file.pkg, "shared") || within(file.pkg, "client/view") {
			t.Errorf("%s imports syscall/js: what it does must work everywhere", file.name)
		}
		if !strings.HasSuffix(file.name, "_js.go") && !file.program {
			t.Errorf("%s imports syscall/js; its name should end in _js.go", file.name)
		}
	})
}
