package bundle

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The programs, each a package in wasm.
var programNames = []string{"app", "engine"}

// compile builds the programs for the browser into dir, where Go finds them again when nothing has changed, and answers
// them with the support code of the Go that built them.
func compile(ctx context.Context, root, dir string) (map[string][]byte, error) {
	// -s -w leave out tables that a browser has no use for, -trimpath makes the same bytes on every machine.
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir + string(filepath.Separator)}
	for _, name := range programNames {
		args = append(args, "./wasm/"+name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := run(ctx, root, args...); err != nil {
		return nil, err
	}
	programs := make(map[string][]byte)
	for _, name := range programNames {
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
