// Command pack builds the page: the WebAssembly programs and the files of public, named by their content, compressed,
// with the service worker's list, into public/dist.
//
//	go run ./wasm/pack                     a release, as small as can be
//	go run ./wasm/pack -quality 5          the same, sooner
//	go run ./wasm/pack -shares             a release, and what each part of the two programs weighs
//	go run ./wasm/pack -watch [-- flags]   for development: builds and runs the gateway with these flags, and again on every change
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/postern-mail/postern/wasm/internal/bundle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o := bundle.Options{}
	flag.StringVar(&o.Out, "out", "", "`folder` to write to (default public/dist)")
	flag.IntVar(&o.Quality, "quality", 11, "brotli's quality, 1 to 11")
	flag.BoolVar(&o.Dev, "dev", false, "leave out compression, and let open pages reload by themselves")
	shares := flag.Bool("shares", false, "say what each part of the programs weighs")
	watching := flag.Bool("watch", false, "build and run the gateway, and again on every change")
	flag.Parse()
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	o.Root = filepath.Dir(strings.TrimSpace(string(mod)))
	if *watching {
		o.Dev = true
		return watch(ctx, o, flag.Args())
	}
	r, err := bundle.Build(ctx, o)
	if err != nil {
		return err
	}
	if err := r.Table(os.Stdout); err != nil || !*shares {
		return err
	}
	return bundle.WriteAllShares(ctx, os.Stdout, o.Root, r)
}
