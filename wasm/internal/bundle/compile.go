package bundle

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Program is a package to compile for the browser.
type Program struct {
	Package string // "./wasm/app"
	// Lean are the patterns of packages that are compiled without inlining. A call is slower than what it calls put in
	// its place, but compresses far better: without any inlining the page is 9 % smaller on its way.
	Lean []string
}

// page and engine are the programs of a release. The page waits for people and for the browser, so all of it is lean.
// The engine is so where it waits for the network, or works once for a message; ciphers, hashes, the store, the search
// and Go's runtime are not touched.
var (
	page   = Program{Package: "./wasm/app", Lean: []string{"all"}}
	engine = Program{Package: "./wasm/engine", Lean: []string{
		"net/...", "mime/...", "vendor/...", "golang.org/x/net/...", "github.com/coder/...", "github.com/emersion/...",
		"html/...", "golang.org/x/text/...", "github.com/microcosm-cc/...", "github.com/aymerick/...", "github.com/gorilla/...",
		"regexp/...", "text/...", "encoding/json", "encoding/asn1", "encoding/pem", "encoding/xml", "crypto/x509/...", "math/big",
		"compress/...", "fmt", "reflect", "log/...", "time", "context", "os", "flag",
	}}
)

// Compile builds programs of the module at root into dir, where Go finds them again when nothing has changed. It answers
// them as NAME.wasm, and wasm_exec.js, the support code of the Go that built them.
func Compile(ctx context.Context, root, dir string, list ...Program) (map[string][]byte, error) {
	dir, err := filepath.Abs(dir) // Go runs in root, not here
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	programs := make(map[string][]byte)
	for _, p := range list {
		name := path.Base(p.Package)
		file := filepath.Join(dir, name)
		// -s -w leave out tables that a browser has no use for, -trimpath makes the same bytes on every machine.
		args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file}
		for _, pattern := range p.Lean {
			args = append(args, "-gcflags", pattern+"=-l")
		}
		if _, err := run(ctx, root, append(args, p.Package)...); err != nil {
			return nil, err
		}
		if programs[name+".wasm"], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	goroot, err := run(ctx, root, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	support, err := os.ReadFile(filepath.Join(goroot, "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return nil, fmt.Errorf("the support code for WebAssembly that comes with Go: %w", err)
	}
	programs["wasm_exec.js"] = support
	return programs, nil
}

func run(ctx context.Context, root string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = root
	c.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
