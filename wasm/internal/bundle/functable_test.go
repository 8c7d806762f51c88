package bundle

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program whose stack grows and is searched for pointers, and that asks where it is.
const traced = `package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

type tree struct{ left, right *tree }

//go:noinline
func grow(depth int) *tree {
	var room [512]byte
	room[depth%512] = 1
	if depth == 0 {
		runtime.GC()
		return &tree{}
	}
	t := &tree{left: grow(depth - 1)}
	t.right = &tree{}
	return t
}

func fails() (trace string) {
	defer func() { recover(); trace = string(debug.Stack()) }()
	var t *tree
	t.left = nil
	return
}

func main() {
	n := 0
	for t := grow(10_000); t != nil; t = t.left {
		n++
	}
	trace := fails()
	fmt.Println(n, strings.Contains(trace, "main.fails"), strings.Contains(trace, "main.go:"))
}
`

func TestProgramsWithoutLines(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.test/traced\n\ngo 1.26\n", "cmd/traced/main.go": traced} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	size := map[bool]int{}
	for _, keep := range []bool{true, false} {
		made, err := Compile(t.Context(), root, filepath.Join(root, "kept"), keep, Program{Package: "./cmd/traced"})
		if err != nil {
			t.Fatal(err)
		}
		program := made["traced.wasm"]
		size[keep] = len(program) - bytes.Count(program, []byte{0})
		node, err := exec.LookPath("node")
		if err != nil {
			continue // the page's own tests run such programs in a browser
		}
		file := filepath.Join(root, "traced.wasm")
		if err := os.WriteFile(file, program, 0o644); err != nil {
			t.Fatal(err)
		}
		goroot, err := run(t.Context(), root, "env", "GOROOT")
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(node, "--stack-size=8192", filepath.Join(goroot, "lib", "wasm", "wasm_exec_node.js"), file).CombinedOutput()
		want := "10001 true false\n"
		if keep {
			want = "10001 true true\n"
		}
		if err != nil || string(out) != want {
			t.Errorf("with lines %v: %v\n%s", keep, err, out)
		}
	}
	if size[false] > size[true]*98/100 {
		t.Errorf("%d octets that are not zero without lines, %d with them", size[false], size[true])
	}
}

func TestBrokenTablesOfFunctions(t *testing.T) {
	table := func(longs ...uint64) []byte {
		b := []byte("before")
		b = append(b, lineTable...)
		for _, l := range longs {
			b = binary.LittleEndian.AppendUint64(b, l)
		}
		return append(b, make([]byte, 200)...)
	}
	for name, memory := range map[string][]byte{
		"none":                       []byte(strings.Repeat("x", 100)),
		"two":                        append(table(0, 0, 0, 0, 0, 0, 72, 80), lineTable...),
		"nothing behind it":          lineTable,
		"endless functions":          table(1<<60, 0, 0, 0, 0, 0, 72, 80),
		"tables out of their order":  table(1, 0, 0, 0, 0, 0, 80, 72),
		"functions outside":          table(1, 0, 0, 0, 0, 0, 72, 1<<40),
		"a function outside":         append(table(1, 0, 0, 0, 0, 0, 72, 80)[:6+80], bytes.Repeat([]byte{0xff}, 60)...),
		"a table of steps that lies": append(table(1, 0, 0, 0, 0, 0, 72, 80)[:6+80], bytes.Repeat([]byte{9, 0, 0, 0}, 60)...),
	} {
		if err := withoutLines(memory); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// The table that finds functions may begin at most a few before the one that is looked for, and never behind it.
func TestCoarse(t *testing.T) {
	const functions = 2*coarseness + 3
	bucket := func(i int) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(i)), make([]byte, bucketSize-4)...)
	}
	table := []byte("before")
	for i := range functions {
		n := bucketsOfOne
		if i == functions-1 {
			n = 2 // the last has as many places as it has code
		}
		table = append(table, bytes.Repeat(bucket(i), n)...)
	}
	table = append(table, "behind"...)
	was := bytes.Clone(table)
	if err := coarse(table, functions); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(table, []byte("before")) || !bytes.HasSuffix(table, []byte("behind")) || len(table) != len(was) {
		t.Fatalf("what is around the table has changed: %q", table)
	}
	seen := map[uint32]bool{}
	for i := range functions {
		at := len("before") + i*bucketsOfOne*bucketSize
		got := binary.LittleEndian.Uint32(table[at:])
		if got > uint32(i) || got+coarseness < uint32(i)+1 {
			t.Errorf("function %d is looked for from %d", i, got)
		}
		seen[got] = true
	}
	if len(seen) > functions/coarseness+2 {
		t.Errorf("%d beginnings for %d functions", len(seen), functions)
	}
	for name, broken := range map[string][]byte{
		"none":                 []byte(strings.Repeat("x", 100)),
		"cut":                  was[:len(was)/2],
		"a place that differs": append(append(bytes.Clone(was[:5000]), 7), was[5001:]...),
	} {
		if coarse(broken, functions) == nil {
			t.Errorf("%s passes", name)
		}
	}
}
