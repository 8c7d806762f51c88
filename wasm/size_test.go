package wasm

import (
	"testing"

	"github.com/postern-mail/postern/wasm/internal/bundle"
)

// budgets are what each program may weigh on its way, compressed by brotli at its highest, in bytes of which a megabyte
// has a million. What a program gains in weight, every visitor pays once for each version.
var budgets = map[string]int{
	"app.wasm":    950_000,
	"engine.wasm": 2_600_000,
}

func TestSizes(t *testing.T) {
	if testing.Short() {
		t.Skip("compressing takes a minute")
	}
	r, err := bundle.Build(t.Context(), bundle.Options{Root: root, Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Table(t.Output()); err != nil {
		t.Fatal(err)
	}
	for name, budget := range budgets {
		f, ok := r.File(name)
		if !ok {
			t.Errorf("%s was not built", name)
			continue
		}
		t.Logf("%s: %d bytes of %d (%d %%), %d raw", name, len(f.Brotli), budget, 100*len(f.Brotli)/budget, len(f.Content))
		if len(f.Brotli) > budget {
			t.Errorf("%s is %d bytes; its budget is %d", name, len(f.Brotli), budget)
		}
	}
}
