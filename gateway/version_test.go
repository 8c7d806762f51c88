package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPrintVersion(t *testing.T) {
	page := fstest.MapFS{"assets/app.0123456789.wasm": {Data: []byte("app")}, "assets/app.0123456789.wasm.br": {Data: []byte("br")}, "index.html": {Data: []byte("index")}}
	var b strings.Builder
	if err := printVersion(page, &b); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256 %x  assets/app.0123456789.wasm\n", sha256.Sum256([]byte("app"))); !strings.HasSuffix(b.String(), want) || strings.Count(b.String(), "sha256") != 1 {
		t.Errorf("%s", b.String())
	}
}

// Two copies of the sources, in different folders, make the same page and the same binary, to the last bit; the second takes nothing
// from the cache of the first. It builds everything twice, which takes minutes: `task reproduce` sets the variable.
func TestReproducible(t *testing.T) {
	if os.Getenv("POSTERN_REPRODUCE") == "" {
		t.Skip("builds everything twice; POSTERN_REPRODUCE=1 asks for it")
	}
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = ".."
	tracked, err := list.Output()
	if err != nil {
		t.Skipf("which files are the sources is not known without git: %v", err)
	}
	made := make([]string, 2)
	for i, name := range []string{"a", "another-folder/with a longer name"} {
		root := filepath.Join(t.TempDir(), name)
		env := append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if i > 0 {
			env = append(env, "GOCACHE="+t.TempDir())
		}
		for _, file := range strings.Split(strings.Trim(string(tracked), "\x00"), "\x00") {
			content, err := os.ReadFile(filepath.Join("..", file))
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"run", "./wasm/pack", "-quality", "1"}, {"build", "-trimpath", "-ldflags", "-s -w", "-o", "bin/postern", "./gateway"}} {
			cmd := exec.Command("go", args...)
			cmd.Dir, cmd.Env = root, env
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("go %v: %v\n%s", args, err, out)
			}
		}
		binary, err := os.ReadFile(filepath.Join(root, "bin", "postern"))
		if err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command(filepath.Join(root, "bin", "postern"), "version").Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(said), "  assets/app.") || !strings.Contains(string(said), "  assets/engine.") {
			t.Errorf("it does not name its WebAssembly:\n%s", said)
		}
		made[i] = fmt.Sprintf("sha256 %x  bin/postern\n%s", sha256.Sum256(binary), said)
	}
	if made[0] != made[1] {
		t.Errorf("two builds differ:\n%s\n%s", made[0], made[1])
	} else {
		t.Logf("both are\n%s", made[0])
	}
}
