//go:build !js

// The Worker, in workerd.
package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/bridge/bridgetest"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/edge"
	"github.com/postern-mail/postern/wasm/internal/worker"
	"github.com/postern-mail/postern/wasm/internal/workerd"
)

const root = "../.."

// folder is where the Worker is built, once.
var folder string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "postern-edge-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}

var build = sync.OnceValues(func() (int, error) { return worker.Program(context.Background(), root, folder) })

// safeBuffer is what workerd writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// running is a Worker in workerd, until the end of the test.
type running struct {
	*workerd.Process
	log     safeBuffer
	clients atomic.Int32 // that have had a session
}

func (r *running) url() string { return "http://" + r.Address }

func start(t testing.TB, o workerd.Options) *running {
	t.Helper()
	if _, err := workerd.Find(); err != nil {
		t.Skip(err)
	}
	if _, err := build(); err != nil {
		t.Fatal(err)
	}
	var err error
	r := new(running)
	o.Settings, o.Folder, o.Log = settings(t), folder, &r.log
	if r.Process, err = workerd.Start(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, r.log.String())
	}
	t.Cleanup(func() {
		r.Stop()
		log := r.log.String()
		if t.Failed() {
			t.Logf("the Worker's log:\n%s", log)
		}
		for line := range strings.Lines(log) {
			if strings.Contains(line, "the session is over") {
				continue // what comes to an object that has ended by itself
			}
			for _, bad := range []string{"panic:", "fatal error:", "Uncaught", "uncaught exception"} {
				if strings.Contains(line, bad) {
					t.Errorf("the Worker's log has %q:\n%s", bad, log)
				}
			}
		}
	})
	return r
}

// TestTable is the same table here as natively (gateway/bridge).
func TestTable(t *testing.T) {
	bridgetest.Run(t, bridgetest.Place{Streams: edge.Streams, Start: func(t testing.TB, s bridgetest.Setup) string {
		return start(t, workerd.Options{Anywhere: true, Variables: map[string]string{
			"POSTERN_ALLOW": strings.Join(s.Allow, ", "), "POSTERN_TOKEN": bridgetest.Token, "POSTERN_ORIGIN": strings.Join(s.Origins, " "),
		}}).url()
	}})
}

// mostSize is what Cloudflare takes for nothing: 3 MB, compressed.
const mostSize = 3_000_000

func TestSize(t *testing.T) {
	size, err := build()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the Worker is %d bytes of %d (%d %%)", size, mostSize, 100*size/mostSize)
	if size > mostSize {
		t.Errorf("the Worker is %d bytes, compressed; at most %d it may be", size, mostSize)
	}
	for _, name := range []string{"worker.mjs", "wasm_exec.js", "edge.wasm"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
}

// What the Worker is told by is what the native gateway is told by, under the same names.
func TestSettingsAreTheGateways(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	var usage strings.Builder
	if err := config.Usage(&usage); err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`"(POSTERN_[A-Z_]*[A-Z])"`).FindAllStringSubmatch(string(source), -1)
	if len(names) < 6 {
		t.Fatalf("the Worker knows %q", names)
	}
	known := make(map[string]bool)
	for _, name := range names {
		known[name[1]] = true
		if !regexp.MustCompile(`\b` + name[1] + `\b`).MatchString(usage.String()) {
			t.Errorf("%s is no setting of the native gateway", name[1])
		}
	}
	for name := range settings(t).Vars {
		if !known[name] {
			t.Errorf("wrangler.jsonc sets %s, which the Worker does not know", name)
		}
	}
}
