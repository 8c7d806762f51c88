package bundle

import (
	"bytes"
	"context"
	"encoding/json"
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
	// Quick are the patterns of the packages whose speed is worth their size. Only they are compiled with inlining: a
	// call is slower than what it calls put in its place, but it compresses far better.
	Quick []string
	// Instead are files of the standard library, as html/escape.go, and those of this module that stand in for them; "" for
	// none.
	Instead map[string]string
}

// page and engine are the programs of a release. The page waits for people and for the browser: without any inlining it
// is a tenth smaller on its way. In the engine that goes for everything but ciphers and hashes, text and bytes, what reads
// HTML, the protocols, the tunnel, the store, and Go's own runtime, which saves a twelfth.
// (The standard library's copies of golang.org/x packages have paths of their own.)
var (
	page = Program{Package: "./wasm/app", Instead: map[string]string{
		"html/escape.go": "wasm/internal/html/escape.go",
		"html/entity.go": "",
	}}
	engine = Program{Package: "./wasm/engine", Quick: []string{
		"runtime/...", "internal/runtime/...", "internal/bytealg", "sync/...",
		"crypto/internal/...", "crypto/aes", "crypto/cipher", "crypto/subtle", "crypto/sha256", "crypto/sha512", "crypto/hmac", "crypto/tls",
		"golang.org/x/crypto/...", "vendor/golang.org/x/crypto/...",
		"hash/...", "math/bits", "internal/byteorder", "encoding/binary", "encoding/base64",
		"bytes", "strings", "strconv", "unicode/...", "bufio", "io", "golang.org/x/net/html/...",
		"github.com/dchest/siphash",
		"github.com/postern-mail/postern/client/store", "github.com/postern-mail/postern/client/sanitize", "github.com/postern-mail/postern/shared/...",
	}}
)

func (p Program) name() string { return path.Base(p.Package) }

// flags are the compiler's, see Quick.
func (p Program) flags() []string {
	flags := []string{"-gcflags", "all=-l"}
	for _, pattern := range p.Quick {
		flags = append(flags, "-gcflags", pattern+"=") // the last pattern that matches counts
	}
	return flags
}

// build compiles p, of the module at root, to file, the same octets on every machine.
func (p Program) build(ctx context.Context, root, file string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", file}, p.flags()...)
	args = append(args, flags...)
	if len(p.Instead) > 0 {
		overlay, err := p.overlay(ctx, root)
		if err != nil {
			return err
		}
		name := file + ".overlay.json"
		if err := os.WriteFile(name, overlay, 0o644); err != nil {
			return err
		}
		args = append(args, "-overlay", name)
	}
	_, err := run(ctx, root, append(args, p.Package)...)
	return err
}

// overlay is what go build reads of the files that stand in for others.
func (p Program) overlay(ctx context.Context, root string) ([]byte, error) {
	goroot, err := run(ctx, root, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	replace := map[string]string{}
	for file, instead := range p.Instead {
		if instead != "" {
			instead = filepath.Join(root, filepath.FromSlash(instead))
		}
		replace[filepath.Join(goroot, "src", filepath.FromSlash(file))] = instead
	}
	return json.Marshal(map[string]any{"Replace": replace})
}

// Compile builds programs of the module at root into dir, where Go finds them again when nothing has changed. It answers
// them as NAME.wasm, and wasm_exec.js, the support code of the Go that built them.
//
// Without keepLines, stack traces say in which functions something happened, and not in which lines.
func Compile(ctx context.Context, root, dir string, keepLines bool, list ...Program) (map[string][]byte, error) {
	dir, err := filepath.Abs(dir) // Go runs in root, not here
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	programs := make(map[string][]byte)
	for _, p := range list {
		name := p.name()
		file := filepath.Join(dir, name)
		// Without tables that a browser has no use for.
		if err := p.build(ctx, root, file, "-ldflags", "-s -w"); err != nil {
			return nil, err
		}
		program, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if programs[name+".wasm"], err = mergeSegments(program, stripped(keepLines)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
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

// stripped takes the lines out of a program's memory, unless they are to be kept.
func stripped(keepLines bool) func(memory [][]byte) error {
	if keepLines {
		return nil
	}
	return func(memory [][]byte) error {
		for _, m := range memory {
			if bytes.Contains(m, lineTable) {
				return withoutLines(m)
			}
		}
		return errBrokenTable
	}
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
