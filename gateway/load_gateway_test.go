package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// loadGateway is `postern`, which besides collects its garbage for each line of its input, so that it can be seen what it holds.
func loadGateway() {
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			debug.FreeOSMemory()
			fmt.Println("collected")
		}
	}()
	main()
}

// underLoad is `postern serve` in a process of its own.
type underLoad struct {
	*testing.T
	process
	page, figures string // host:port
	log           string // a file
}

func startUnderLoad(t *testing.T, sessions int, mail *mailServers) *underLoad {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	g := &underLoad{T: t, figures: free.Addr().String(), log: filepath.Join(t.TempDir(), "log")}
	args := []any{"serve", "--mail=false", "--listen", "127.0.0.1:0", "--metrics", g.figures,
		"--limit-sessions", sessions, "--limit-new-streams-per-target", 0} // all other limits are the defaults
	for _, at := range mail.at {
		args = append(args, "--allow", at)
	}
	g.process = startProcess(t, g.log, "load-gateway", args...)
	for said := ""; !strings.Contains(said, "Ctrl+C"); {
		said = g.hear(t)
		if _, port, ok := strings.Cut(said, "http://localhost:"); ok {
			g.page = "127.0.0.1:" + strings.TrimSuffix(port, "/")
		}
	}
	g.hear(t) // an empty line
	return g
}

// stop ends it as an operator does.
func (g *underLoad) stop() {
	g.Helper()
	if err := g.Process.Signal(os.Interrupt); err != nil {
		g.Fatal(err)
	}
	if err := g.Wait(); err != nil {
		g.Errorf("at its proper end: %v", err)
	}
}

// logged is how long its log is, in octets.
func (g *underLoad) logged() int64 {
	g.Helper()
	i, err := os.Stat(g.log)
	if err != nil {
		g.Fatal(err)
	}
	return i.Size()
}

// process is a child of this test's: it is told by lines, answers by lines, and ends with its input.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startProcess starts one, with a file for what it says on the side; "" is for our own.
func startProcess(t *testing.T, log, name string, args ...any) process {
	t.Helper()
	p := process{Cmd: exec.Command(name, strings.Fields(fmt.Sprintln(args...))...)}
	p.Stderr = os.Stderr
	if log != "" {
		file, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		p.Stderr = file
	}
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// hear is the next line.
func (p *process) hear(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: it is gone: %v", p.Path, err)
	}
	return strings.TrimSpace(line)
}

// memory is what it holds, in octets: its resident set.
func (g *underLoad) memory() int { g.Helper(); return mailtest.Memory(g.T, g.Process.Pid) }

// held is the same without its garbage.
func (g *underLoad) held() int {
	g.Helper()
	fmt.Fprintln(g.in)
	g.hear(g.T)
	return g.memory()
}

// figures are those that an operator sees.
type figures map[string]float64

// metrics asks for them.
func (g *underLoad) metrics() figures {
	g.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	r, err := client.Get("http://" + g.figures + "/metrics")
	if err != nil {
		g.Fatal(err)
	}
	defer r.Body.Close()
	m := make(figures)
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = v
		}
	}
	return m
}

func (m figures) sessions() int   { return int(m["postern_tunnel_sessions"]) }
func (m figures) streams() int    { return int(m["postern_tunnel_streams"]) }
func (m figures) goroutines() int { return int(m["go_goroutines"]) }
func (m figures) files() int      { return int(m["process_open_fds"]) }

// processor is the time it has used, in seconds of one.
func (m figures) processor() float64 { return m["process_cpu_seconds_total"] }
