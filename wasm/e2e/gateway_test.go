package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary is the gateway as a user gets it: one file with the page inside. It is built once for all tests, unless
// POSTERN_BINARY names one that has been built already.
var binary = sync.OnceValues(func() (string, error) {
	if built := os.Getenv("POSTERN_BINARY"); built != "" {
		return built, nil
	}
	dir, err := os.MkdirTemp("", "postern-e2e-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "postern")
	for _, args := range [][]string{
		{"run", "./wasm/pack", "-quality", "5"},
		{"build", "-o", out, "./gateway"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = filepath.Join("..", "..")
		if b, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, b)
		}
	}
	return out, nil
})

// gateway is one running `postern serve --demo` on loopback. It keeps its ports and its data folder over Kill and Start.
type gateway struct {
	t     testing.TB
	dir   string
	flags []string       // beside those of the ports
	ports map[string]int // flag → port
	cmd   *exec.Cmd
	done  chan struct{}
	log   *logBuffer
}

// startGateway starts a demo world in a fresh data folder, with these flags besides, and waits until its page answers.
func startGateway(t testing.TB, flags ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), flags: flags, ports: map[string]int{}, log: &logBuffer{}}
	for _, name := range []string{"listen", "smtp", "submission", "submissions", "pop3", "pop3s", "ftp"} {
		g.ports[name] = freePort(t)
	}
	g.Start()
	t.Cleanup(func() {
		g.Stop()
		if t.Failed() {
			t.Logf("gateway's output:\n%s", g.log)
		}
	})
	return g
}

func (g *gateway) URL() string             { return fmt.Sprintf("http://localhost:%d", g.ports["listen"]) }
func (g *gateway) Addr(flag string) string { return fmt.Sprintf("127.0.0.1:%d", g.ports[flag]) }

// Start runs the process and waits for /healthz, and for the words that a newcomer waits for.
func (g *gateway) Start() {
	g.t.Helper()
	bin, err := binary()
	if err != nil {
		g.t.Fatal(err)
	}
	args := append([]string{"serve", "--demo", "--data", g.dir}, g.flags...)
	for name, port := range g.ports {
		args = append(args, fmt.Sprintf("--%s=127.0.0.1:%d", name, port))
	}
	g.cmd = exec.Command(bin, args...)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { cmd.Wait(); close(done) }(g.cmd, g.done)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		req, _ := http.NewRequestWithContext(ctx, "GET", g.URL()+"/healthz", nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && strings.Contains(g.log.String(), "Postern is running") {
				return
			}
		}
		select {
		case <-g.done:
			g.t.Fatalf("the gateway ended before it answered:\n%s", g.log)
		case <-ctx.Done():
			g.t.Fatalf("the gateway does not answer:\n%s", g.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the process as a power cut would.
func (g *gateway) Kill() {
	g.cmd.Process.Kill()
	<-g.done
}

// Stop asks the process to end, and makes it after ten seconds.
func (g *gateway) Stop() {
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(10 * time.Second):
		g.t.Error("the gateway did not end within 10 s of SIGTERM")
		g.Kill()
	}
}

// ports are counted, from below those that the system gives to connections and to whoever asks for any: nobody else takes one
// between here and the gateway's start, nor while it is down.
var ports atomic.Int32

// freePort answers a port that is free, and with it the one a thousand further, where the demo's other mail server listens.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20_000 + 2000*(os.Getpid()%6) + int(ports.Add(1))%1000
		if listens(port) && listens(port+1000) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func listens(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// logBuffer keeps what a process printed.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Lines answers what was printed, line by line.
func (l *logBuffer) Lines() []string {
	var out []string
	for s := bufio.NewScanner(strings.NewReader(l.String())); s.Scan(); {
		out = append(out, s.Text())
	}
	return out
}
