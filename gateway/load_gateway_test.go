package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/metrics"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// What the gateway under load has for mail servers.
const (
	exchanges = wire.POP3        // answers as it is asked to: see exchange
	endless   = wire.SMTP        // talks for as long as somebody listens
	deaf      = wire.Submission  // reads nothing
	_         = wire.Submissions // of no use here
)

// loadGateway is the gateway in a process of its own, made of the parts of `postern serve` that a client meets: page, tunnel, figures. Its
// arguments are how many sessions it bears, after how long a silent one is dead, and the addresses of the three mail servers. Every
// other limit is the default. For a line of its input it collects its garbage; it ends with its input.
func loadGateway() {
	sessions, _ := strconv.Atoi(os.Args[1])
	deadAfter, _ := time.ParseDuration(os.Args[2])
	logger := slog.New(slog.NewTextHandler(io.Discard, nil)) // it costs what a log costs
	b, err := bridge.New(bridge.Config{
		Server: "postern test", Logger: logger,
		Embedded: []bridge.Embedded{{
			Info:     wire.Embedded{Hostname: "postern.test", Domains: []string{"postern.test"}},
			Services: map[wire.ServiceName]string{exchanges: os.Args[3], endless: os.Args[4], deaf: os.Args[5]},
		}},
		Limits: bridge.Limits{Sessions: sessions, DeadAfter: deadAfter},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	figures, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	handler, err := web.Handler(web.Config{
		Assets: fstest.MapFS{"index.html": {Data: []byte("the page")}}, Tunnel: guard(b, page.Addr(), nil), TunnelPath: wire.Path, Logger: logger,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_ = web.NewServer(handler, logger).Serve(web.Limit(page, web.Limits{Connections: 2 * sessions}))
	}()
	go func() {
		_ = http.Serve(figures, metrics.Handler(metrics.Config{Version: "test", Tunnel: b.Stats, Logger: logger}))
	}()
	fmt.Println(page.Addr(), figures.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		debug.FreeOSMemory()
		fmt.Println("collected")
	}
}

// underLoad is such a process.
type underLoad struct {
	*testing.T
	process
	page, figures string // host:port
}

// process is a child of this test's: it is told by lines, answers by lines, and ends with its input.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startProcess(t *testing.T, name string, args ...any) process {
	t.Helper()
	p := process{Cmd: exec.Command(name, strings.Fields(fmt.Sprintln(args...))...)}
	p.Stderr = os.Stderr
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

func startUnderLoad(t *testing.T, sessions int, deadAfter time.Duration, targets ...string) *underLoad {
	t.Helper()
	g := &underLoad{T: t, process: startProcess(t, "load-gateway", sessions, deadAfter, strings.Join(targets, " "))}
	if _, err := fmt.Sscan(g.hear(t), &g.page, &g.figures); err != nil {
		t.Fatal(err)
	}
	return g
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

// metrics are its figures, as an operator sees them.
type figures map[string]float64

func (g *underLoad) metrics() figures {
	g.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	r, err := client.Get("http://" + g.figures + "/metrics")
	if err != nil {
		g.Fatal(err)
	}
	defer r.Body.Close()
	m := figures{}
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
func (m figures) refused(reason wire.Reason) int {
	return int(m[fmt.Sprintf("postern_tunnel_refused_total{reason=%q}", reason)])
}

// processor is the time it has used, in seconds of one.
func (m figures) processor() float64 { return m["process_cpu_seconds_total"] }
