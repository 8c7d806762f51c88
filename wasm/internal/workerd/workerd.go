// Package workerd runs the Worker on this machine, in workerd, the runtime that Cloudflare's Workers have: for tests, and to
// try it. The script install, beside this file, gets it.
package workerd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// version is that of the script install.
const version = "1.20261117.1"

// ErrMissing says that workerd is not installed.
var ErrMissing = errors.New("workerd is not installed; wasm/internal/workerd/install installs it")

// Find answers where workerd is.
func Find() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(cache, "postern", "workerd-"+version, "workerd")
	if _, err := os.Stat(file); err != nil {
		return "", ErrMissing
	}
	return file, nil
}

// Options say what is run and how.
type Options struct {
	Settings  Settings          // of the Worker, as wasm/edge/wrangler.jsonc has them
	Folder    string            // the program, as package worker writes it
	Listen    string            // an address; a free port of loopback if empty
	Page      string            // the address of an HTTP server that has the page's files
	Variables map[string]string // of the Worker, instead of those of Settings
	// Anywhere lets the Worker connect to addresses that are not public, as tests and a gateway on one machine want it. Without
	// it workerd refuses them, as Cloudflare does.
	Anywhere bool
	Log      io.Writer // what the Worker and workerd write; nil discards it
}

// Process is a workerd that runs.
type Process struct {
	Address string // where it listens
	Pid     int

	cmd  *exec.Cmd
	dir  string
	done chan struct{}
}

// Start starts workerd, and returns when it listens. When ctx ends, so does it; Stop must be called all the same.
func Start(ctx context.Context, o Options) (_ *Process, err error) {
	binary, err := Find()
	if err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{})}
	if p.dir, err = os.MkdirTemp("", "postern-workerd-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(p.dir)
		}
	}()
	if err := configure(p.dir, o); err != nil {
		return nil, err
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	tell, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer tell.Close()
	p.cmd = exec.CommandContext(ctx, binary, "serve", filepath.Join(p.dir, "config.capnp"), "--socket-addr=http="+o.Listen, "--control-fd=3", "--verbose")
	p.cmd.ExtraFiles = []*os.File{told}
	p.cmd.Stdout, p.cmd.Stderr = o.Log, o.Log
	p.cmd.WaitDelay = time.Second
	endWithParent(p.cmd)
	err = p.cmd.Start()
	told.Close()
	if err != nil {
		return nil, err
	}
	p.Pid = p.cmd.Process.Pid
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	port, err := listening(tell)
	if err != nil {
		p.Stop()
		return nil, err
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		p.Stop()
		return nil, err
	}
	p.Address = net.JoinHostPort(host, strconv.Itoa(port))
	return p, nil
}

// listening waits for workerd to say on which port it listens.
func listening(tell io.Reader) (port int, err error) {
	lines := bufio.NewScanner(tell)
	for lines.Scan() {
		var said struct {
			Event, Socket string
			Port          int
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			return 0, fmt.Errorf("workerd says %q: %w", lines.Text(), err)
		}
		if said.Event == "listen" && said.Socket == "http" {
			return said.Port, nil
		}
	}
	return 0, errors.New("workerd ended before it listened; what it wrote says why")
}

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends it at once, and waits until it has.
func (p *Process) Stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
	os.RemoveAll(p.dir)
}
