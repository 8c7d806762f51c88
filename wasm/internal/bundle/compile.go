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

// Compile builds packages of the module at root for the browser into dir, where Go finds them again when nothing has
// changed. It answers them as NAME.wasm, and wasm_exec.js, the support code of the Go that built them.
func Compile(ctx context.Context, root, dir string, packages ...string) (map[string][]byte, error) {
	dir, err := filepath.Abs(dir) // Go runs in root, not here
	if err != nil {
		return nil, err
	}
	// -s -w leave out tables that a browser has no use for, -trimpath makes the same bytes on every machine.
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir + string(filepath.Separator)}
	args = append(args, packages...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := run(ctx, root, args...); err != nil {
		return nil, err
	}
	programs := make(map[string][]byte)
	for _, pkg := range packages {
		name := path.Base(pkg)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		programs[name+".wasm"] = b
	}
	goroot, err := run(ctx, root, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	support, err := os.ReadFile(filepath.Join(goroot, "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return nil, fmt.Errorf("Go's support code for WebAssembly: %w", err)
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
