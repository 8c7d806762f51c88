package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/postern-mail/postern/wasm/internal/bundle"
)

// Files are looked at instead of waited for: it works on every system and over every kind of mount, and a tree of this
// size takes a few milliseconds.
const (
	lookEvery = 300 * time.Millisecond
	stopTime  = 10 * time.Second // for the gateway to let go of its ports and its data
)

// watch builds the page into its folder and runs the gateway on it, again whenever the sources of either change. What
// does not compile is reported, and what ran before goes on.
func watch(ctx context.Context, o bundle.Options, flags []string) error {
	if o.Out == "" {
		o.Out = filepath.Join(o.Root, "public", "dist")
	}
	page := tree{o.Root, []string{"client", "shared", "wasm", "public"}}
	server := tree{o.Root, []string{"gateway", "shared"}}
	g := &gateway{root: o.Root, args: append([]string{"serve", "--dev", o.Out}, flags...)}
	defer g.stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for lastPage, lastServer := "", ""; ; {
		if now := page.stamp(); now != lastPage {
			lastPage = now
			begun := time.Now()
			if _, err := bundle.Build(ctx, o); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				fmt.Fprintln(os.Stderr, "pack:", err)
			} else {
				fmt.Printf("page built in %.1f s\n", time.Since(begun).Seconds())
			}
		}
		if now := server.stamp(); now != lastServer {
			lastServer = now
			if err := g.restart(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "pack:", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// tree is the folders that something is built from.
type tree struct {
	root    string
	folders []string
}

// stamp changes when a file's time or size does, or one comes or goes. Tests and what is built are not looked at.
func (t tree) stamp() string {
	var newest time.Time
	var files, octets int64
	for _, folder := range t.folders {
		// A file that vanishes while we look makes another stamp next time.
		_ = filepath.WalkDir(filepath.Join(t.root, folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if e.IsDir() {
				if e.Name() == "dist" || e.Name() == "testdata" {
					return filepath.SkipDir
				}
				return nil
			}
			if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(e.Name(), ".") {
				return nil
			}
			if info, err := e.Info(); err == nil {
				files, octets = files+1, octets+info.Size()
				if info.ModTime().After(newest) {
					newest = info.ModTime()
				}
			}
			return nil
		})
	}
	return fmt.Sprint(newest.UnixNano(), files, octets)
}

// gateway is the gateway as a process.
type gateway struct {
	root string
	args []string
	cmd  *exec.Cmd
	done chan struct{}
}

func (g *gateway) restart(ctx context.Context) error {
	binary := filepath.Join(g.root, "bin", "postern-dev")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./gateway")
	build.Dir, build.Stderr = g.root, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the gateway: %w", err)
	}
	g.stop()
	g.cmd = exec.Command(binary, g.args...)
	g.cmd.Dir, g.cmd.Stdout, g.cmd.Stderr = g.root, os.Stdout, os.Stderr
	if err := g.cmd.Start(); err != nil {
		g.cmd = nil
		return fmt.Errorf("starting the gateway: %w", err)
	}
	g.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // it has said itself why it ended
	}(g.cmd, g.done)
	return nil
}

func (g *gateway) stop() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-g.done:
	case <-time.After(stopTime):
		_ = g.cmd.Process.Kill()
		<-g.done
	}
	g.cmd = nil
}
