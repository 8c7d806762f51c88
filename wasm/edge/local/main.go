// Command local builds the Worker and the page's folder beside it into bin/edge, ready for wrangler, and runs them on this
// machine in workerd:
//
//	go run ./wasm/edge/local -build                         build, and no more
//	go run ./wasm/edge/local -allow 127.0.0.1:2995          run; the page is at http://127.0.0.1:8787
//
// The mail servers of `postern serve --demo`, in another terminal, are good ones to allow. The page has to be packed before.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/postern-mail/postern/wasm/internal/worker"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listen := flag.String("listen", "127.0.0.1:8787", "`address` to listen on")
	allow := flag.String("allow", "", "the mail servers that may be reached, as `host:port,…`; those of wrangler.jsonc if empty")
	token := flag.String("token", rand.Text(), "access `token`; a random one otherwise")
	only := flag.Bool("build", false, "build and do not run")
	flag.Parse()
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	out, packed := filepath.Join(root, "bin", "edge"), os.DirFS(filepath.Join(root, "public", "dist"))
	program := filepath.Join(out, worker.ProgramFolder)
	size, err := worker.Program(ctx, root, program)
	if err != nil {
		return err
	}
	if err := worker.Page(packed, filepath.Join(out, worker.PageFolder)); err != nil {
		return err
	}
	fmt.Printf("%s: the program is %.2f MB, compressed; Cloudflare takes 3\n", out, float64(size)/1e6)
	if *only {
		return nil
	}

	settings, err := workerd.ReadSettings(filepath.Join(root, "wasm", "edge", "wrangler.jsonc"))
	if err != nil {
		return err
	}
	variables := settings.Vars
	variables["POSTERN_TOKEN"] = *token
	if *allow != "" {
		variables["POSTERN_ALLOW"] = *allow
	}
	site, err := workerd.Assets(filepath.Join(out, worker.PageFolder))
	if err != nil {
		return err
	}
	files, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: site}
	defer server.Close()
	go func() { _ = server.Serve(files) }()
	p, err := workerd.Start(ctx, workerd.Options{
		Settings: settings, Folder: program, Listen: *listen, Page: files.Addr().String(),
		Variables: variables, Anywhere: true, Log: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer p.Stop()
	fmt.Printf("The page is at http://%s/ and its access token is %s\n", p.Address, *token)
	<-p.Done()
	return ctx.Err()
}
