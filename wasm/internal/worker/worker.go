// Package worker makes what Cloudflare's wrangler deploys, by wasm/edge/wrangler.jsonc: in the folder worker the program of
// wasm/edge with its JavaScript, in page the files of the page, which the platform serves by itself, and compresses.
package worker

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/postern-mail/postern/wasm/internal/bundle"
)

// The parts of a build, as folders of it.
const (
	ProgramFolder = "worker"
	PageFolder    = "page"
)

// program is compiled for speed where bytes go through and for size elsewhere, as the engine is.
var program = bundle.Program{Package: "./wasm/edge", Quick: []string{
	"runtime/...", "internal/runtime/...", "internal/bytealg", "sync/...", "syscall/js", "bytes", "bufio", "io", "encoding/binary",
	"github.com/postern-mail/postern/gateway/bridge", "github.com/postern-mail/postern/gateway/edge", "github.com/postern-mail/postern/shared/...",
}}

// Program compiles the program and writes it, with what it needs, to a folder. It answers the octets of all that, compressed
// by gzip as the platform counts them.
func Program(ctx context.Context, root, folder string) (size int, err error) {
	made, err := bundle.Compile(ctx, root, filepath.Join(root, ".task", "worker"), false, program)
	if err != nil {
		return 0, err
	}
	if made["worker.mjs"], err = os.ReadFile(filepath.Join(root, "wasm", "edge", "worker.mjs")); err != nil {
		return 0, err
	}
	if made["headers.mjs"], err = everyAnswer(); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return 0, err
	}
	var all bytes.Buffer
	z, err := gzip.NewWriterLevel(&all, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return 0, err
		}
		if _, err := z.Write(content); err != nil {
			return 0, err
		}
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	return all.Len(), nil
}

// Page writes the packed page to a folder, which it empties before, with the headers that each file has natively. The
// compressed variants are left out: the platform compresses.
func Page(packed fs.FS, folder string) error {
	if _, err := fs.Stat(packed, "index.html"); err != nil {
		return fmt.Errorf("the page is not built (go run ./wasm/pack builds it): %w", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	err := fs.WalkDir(packed, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !served(name) {
			return err
		}
		content, err := fs.ReadFile(packed, name)
		if err != nil {
			return err
		}
		to := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o644)
	})
	if err != nil {
		return err
	}
	headers, err := headers(packed)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "_headers"), []byte(headers), 0o644)
}

// served is false of compressed variants and of what is hidden.
func served(name string) bool {
	return !strings.HasSuffix(name, ".br") && !strings.HasSuffix(name, ".gz") && !strings.HasPrefix(filepath.Base(name), ".")
}
