package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// What a client may cost the gateway in memory, as bridge.Limits and tunnel.Options say it.
const (
	idleBound    = 64 << 10
	stoppedBound = 512 << 10
	pushingBound = 2 << 20
	// loadSlack is what the process may hold besides, for all of a kind together.
	loadSlack = 16 << 20
)

// scale is how much load there is.
type scale struct {
	idle              int // sessions
	sessions, streams int // busy sessions, and streams of each
	every             time.Duration
	abusers           int // of each kind
	phase             time.Duration
	patient           bool // waits until silent clients are found out, which takes a minute
}

var (
	small = scale{idle: 200, sessions: 5, streams: 2, every: 20 * time.Millisecond, abusers: 16, phase: 500 * time.Millisecond}
	full  = scale{idle: 10_000, sessions: 50, streams: 4, every: 50 * time.Millisecond, abusers: 100, phase: 8 * time.Second, patient: true}
)

// abuse is what goes on beside the busy streams for a while.
type abuse struct {
	name, kind string
	n          func(scale) int
	dying      bool   // beside it are clients that fall silent, and such that are killed, as many of each
	bound      int    // octets that each may cost; 0: it is not measured
	counted    string // what the clients count
}

var abuses = []abuse{
	{name: "peers that vanish: reset, killed, silent", kind: "vanish", dying: true, counted: "resets"},
	{name: "slow readers, 4 KiB a second", kind: "slow", bound: stoppedBound},
	{name: "readers that stop", kind: "stop", bound: stoppedBound},
	{name: "senders to a server that stops", kind: "push", bound: pushingBound, counted: "octets taken"},
	{name: "a flood of opens", kind: "open", n: func(s scale) int { return max(s.abusers/10, 2) }, counted: "opens"},
	{name: "a flood of new sessions", kind: "enter", n: func(s scale) int { return max(s.abusers/5, 2) }, counted: "sessions"},
}

// TestLoad is the gateway with many clients on it, most of them idle, some busy, and in turn some of each kind that does harm.
// What the idle and the harmful ones cost has its bound, the busy ones lose nothing and go on, and in the end all is as it was.
// POSTERN_LOAD=full makes it 10,000 idle sessions and 200 busy streams (`task load`).
func TestLoad(t *testing.T) {
	s := small
	if os.Getenv("POSTERN_LOAD") == "full" {
		s = full
	}
	needFiles(t, s.idle+2000)
	mail := startMailServers(t)
	l := &load{T: t, scale: s, mail: mail, gateway: startUnderLoad(t, s.idle+2000, mail)}
	l.run()
}

// needFiles says clearly when the system gives a process too few file descriptors. Go takes as many as it may have by itself.
func needFiles(t *testing.T, n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Skip("it needs Linux: many loopback addresses, and /proc")
	}
	_, line, _ := strings.Cut(string(b), "Max open files")
	fields := strings.Fields(line)
	if most, err := strconv.Atoi(fields[1]); err == nil && most < n {
		t.Fatalf("a process may open %d files, and this needs %d: raise it by `ulimit -Hn`, or LimitNOFILE", most, n)
	}
}

type load struct {
	*testing.T
	scale
	gateway *underLoad
	mail    *mailServers
	busy    *busy

	quiet  speed
	silent int // clients that are still to be found out
	peak   int // octets
	atRest int // goroutines
	phases [][]string
	facts  [][]string
}

func (l *load) run() {
	atFirst, bare := l.gateway.metrics(), l.gateway.held()
	began := time.Now()
	idle := l.start("idle", idleBlock, l.idle)
	opening := time.Since(began)
	l.fact("an idle session, as the process stands", kilobytes((l.gateway.memory()-bare)/l.idle))
	l.bounded("an idle session", l.gateway.held()-bare, l.idle, idleBound)

	l.busy = startBusy(l.T, l.gateway.page, l.mail.at[exchanging], l.sessions, l.streams, l.every)
	l.during(abuse{name: "nothing"})
	for _, a := range abuses {
		l.during(a)
	}
	l.silent = 0
	l.calm()
	l.during(abuse{name: "nothing, again"})

	waking := time.Now()
	fmt.Fprintln(idle.in, "wake")
	if answer := idle.hear(l.T); answer != "awake" {
		l.Error("the idle sessions: ", answer)
	}
	woke := time.Since(waking)
	total, err := l.busy.finish()
	if err != nil {
		l.Error("the busy streams: ", err)
	}
	if done, spoiled := l.mail.done.Load(), l.mail.spoiled.Load(); done != total+int64(l.idle) || spoiled > 0 {
		l.Errorf("%d exchanges at the clients, %d at the server, and %d that were not what was sent", total+int64(l.idle), done, spoiled)
	}
	l.end(&idle)
	m := l.await("it is not as it was at first", func(m figures) bool {
		return m.sessions() == 0 && m.streams() == 0 && m.goroutines() <= atFirst.goroutines() && m.files() <= atFirst.files()
	})

	l.fact("sessions opened", fmt.Sprintf("%d in %.1f s", l.idle, opening.Seconds()))
	l.fact("each of them woken: a stream, an exchange", fmt.Sprintf("%d in %.1f s", l.idle, woke.Seconds()))
	l.fact("exchanges of busy streams, checked", fmt.Sprint(total))
	l.fact("memory at first, at most, at last", fmt.Sprintf("%d, %d, %d MB", bare/1e6, l.peak/1e6, l.gateway.held()/1e6))
	l.fact("goroutines at first, with all idle, at last", fmt.Sprintf("%d, %d, %d", atFirst.goroutines(), l.atRest, m.goroutines()))
	l.print()
	l.gateway.stop()
}

// start begins with clients of a kind.
func (l *load) start(kind string, block, n int) process {
	l.Helper()
	p := startProcess(l.T, "", "load-clients", kind, l.gateway.page, block, n, strings.Join(l.mail.at, " "))
	if answer := p.hear(l.T); answer != "up" {
		l.Fatalf("%d of the kind %q: %s", n, kind, answer)
	}
	return p
}

// end ends them, and answers what they did.
func (l *load) end(p *process) (did int) {
	l.Helper()
	_ = p.in.Close()
	did, err := strconv.Atoi(p.hear(l.T))
	if err = errors.Join(err, p.Wait()); err != nil {
		l.Error(err)
	}
	return did
}

// during measures the busy streams while something else goes on.
func (l *load) during(a abuse) {
	n, before := l.abusers, 0
	if a.n != nil {
		n = a.n(l.scale)
	}
	if a.bound > 0 {
		before = l.gateway.held()
	}
	var abusers, victims, silent process
	if a.kind != "" {
		abusers = l.start(a.kind, abuseBlock, n)
	}
	if a.dying {
		silent = l.start("silent", silentBlock, n)
		victims = l.start("fetch", victimBlock, n)
	}
	time.Sleep(l.phase / 4) // until it has its effect
	first, logged, began := l.gateway.metrics(), l.gateway.logged(), time.Now()
	l.busy.reset()
	for time.Since(began) < l.phase {
		time.Sleep(min(l.phase/8, 100*time.Millisecond))
		l.peak = max(l.peak, l.gateway.memory())
		if a.dying && time.Since(began) > l.phase/2 && victims.Cmd != nil {
			_ = victims.Process.Kill()
			victims.Cmd = nil
		}
	}
	got, took := l.busy.speed(), time.Since(began).Seconds()
	last := l.gateway.metrics()
	logged = l.gateway.logged() - logged
	if a.name == "nothing" {
		l.quiet, l.atRest = got, last.goroutines()
	}
	if got.least == 0 {
		l.Errorf("%s: a busy stream did nothing in %v", a.name, l.phase)
	}
	holds, did := "", ""
	if a.bound > 0 {
		holds = kilobytes(l.bounded(a.name, l.gateway.held()-before, n, a.bound))
	}
	if a.kind != "" {
		count := l.end(&abusers)
		if a.counted != "" {
			did = fmt.Sprintf("%.0f %s/s", float64(count)/(time.Since(began)+l.phase/4).Seconds(), a.counted)
		}
		if a.dying && l.patient {
			l.silent = n // they stay until the test ends
		} else if a.dying {
			l.end(&silent)
		}
		l.calm()
	}
	l.tell([]string{
		a.name, fmt.Sprint(n), fmt.Sprintf("%.1f", got.rate), fmt.Sprintf("%.2f", got.rate/l.quiet.rate),
		milliseconds(got.median), milliseconds(got.p99), fmt.Sprintf("%d-%d", got.least, got.most),
		fmt.Sprintf("%.0f %%", 100*(last.processor()-first.processor())/took), fmt.Sprintf("%.1f KB/s", float64(logged)/1e3/took), holds, did,
	})
}

// tell adds a line to the table, and says it to who waits.
func (l *load) tell(row []string) {
	l.phases = append(l.phases, row)
	l.Logf("%q", row)
}

// calm waits until those who misbehaved have left nothing behind.
func (l *load) calm() {
	l.Helper()
	l.await("what misbehaved stays", func(m figures) bool {
		return m.sessions() <= l.idle+l.sessions+l.silent && m.streams() <= l.sessions*l.streams+l.silent
	})
}

// await waits until the gateway's figures are as they are to be.
func (l *load) await(what string, ok func(figures) bool) figures {
	l.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		m := l.gateway.metrics()
		if ok(m) {
			return m
		}
		if time.Now().After(end) {
			l.Fatalf("%s: %d sessions, %d streams, %d goroutines, %d files", what, m.sessions(), m.streams(), m.goroutines(), m.files())
		}
	}
}

// bounded fails the test if n of a kind hold more than they may. It answers what each holds.
func (l *load) bounded(what string, held, n, bound int) int {
	l.Helper()
	if most := n*bound + loadSlack; held > most && !underRace {
		l.Errorf("%s: %d hold %d KB each, at most %d", what, n, held/n>>10, most/n>>10)
	}
	l.fact(what, fmt.Sprintf("%s; at most %s", kilobytes(held/n), kilobytes(bound)))
	return held / n
}

func (l *load) fact(what, value string) { l.facts = append(l.facts, []string{what, value}) }

func (l *load) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%d busy streams beside %d idle sessions and\tof them\tMB/s\tratio\tmedian\tp99\texchanges of a stream\tprocessor\tlog\teach holds\tdid\n", l.sessions*l.streams, l.idle)
	for _, row := range l.phases {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	fmt.Fprintln(w)
	for _, row := range l.facts {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
}

func kilobytes(n int) string              { return fmt.Sprintf("%d KB", n>>10) }
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
