// Package bundle makes the files a browser gets out of the sources in public and the programs in wasm: it compiles, names
// each file by its content, compresses, and writes the service worker's list. See public/embed.go for what becomes of
// the result.
//
// What is made:
//   - index.html, frame.html, sw.js, manifest.webmanifest and icons/*, under their own names;
//   - every other file as assets/NAME.HASH.EXT, the hash being ten hexadecimal digits of the SHA-256 of its content, so
//     that it can be kept for ever;
//   - beside each that is worth it, .br (RFC 7932) and .gz (RFC 1952).
package bundle

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Options say what to make and where. Zero values are those of a release.
type Options struct {
	// Root is the module's folder. Required.
	Root string
	// Out is where the page is written; public/dist in Root if empty.
	Out string
	// Quality is brotli's, 1 to 11. Zero is 11, the smallest; 5 is twenty times faster and a fifth larger.
	Quality int
	// Dev leaves compression out, keeps the lines in stack traces, and lets open pages reload by themselves.
	Dev bool
}

// File is one file of the page.
type File struct {
	Source    string // as the sources name it: "app.wasm"
	Name      string // as the page names it: "assets/app.0123456789.wasm"
	Content   []byte
	Integrity string // as in Subresource Integrity: "sha256-…"
	Brotli    []byte // nil where it would not be smaller
	Gzip      []byte
}

// Result is a page, every file in the order in which it was made.
type Result struct {
	Files   []File
	Version string // changes when any file does
}

// File answers the file that the sources call source.
func (r *Result) File(source string) (File, bool) {
	for _, f := range r.Files {
		if f.Source == source {
			return f, true
		}
	}
	return File{}, false
}

// Build compiles the programs, packs the page and writes it.
func Build(ctx context.Context, o Options) (*Result, error) {
	if o.Out == "" {
		o.Out = filepath.Join(o.Root, "public", "dist")
	}
	kept := filepath.Join(o.Root, ".task", "pack")
	programs, err := Compile(ctx, o.Root, kept, o.Dev, page, engine)
	if err != nil {
		return nil, err
	}
	r, err := Pack(os.DirFS(filepath.Join(o.Root, "public")), programs, o.Dev)
	if err != nil {
		return nil, err
	}
	if !o.Dev {
		if err := compress(ctx, r, o.quality(), &shelf{dir: kept}); err != nil {
			return nil, err
		}
	}
	return r, write(o.Out, r)
}

func (o Options) quality() int {
	if o.Quality == 0 {
		return 11
	}
	return o.Quality
}

// Pack names the files and fills in the templates, without compressing or writing. Programs are the files that are made
// and not written: app.wasm, engine.wasm, wasm_exec.js.
func Pack(sources fs.FS, programs map[string][]byte, dev bool) (*Result, error) {
	p := &packing{sources: sources, programs: programs, dev: dev, done: make(map[string]*File), busy: make(map[string]bool)}
	names, err := p.list()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := p.file(name); err != nil {
			return nil, err
		}
	}
	// Last, because it lists the others.
	if _, err := p.file(serviceWorker); err != nil {
		return nil, fmt.Errorf("the service worker: %w", err)
	}
	return &Result{Files: p.files(), Version: p.version()}, nil
}
