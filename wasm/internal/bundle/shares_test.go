package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program of one package of its own and Go's runtime: each function is somebody's, and the sum is the code.
func TestShares(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":              "module example.test/v1.2/postern\n\ngo 1.26\n",
		"shared/odd.x/x.go":   "package oddx\n\nvar N int\n\n//go:noinline\nfunc (t T) Count() int { N++; return N }\n\ntype T struct{}\n",
		"cmd/program/main.go": "package main\n\nimport oddx \"example.test/v1.2/postern/shared/odd.x\"\n\nfunc main() { println(oddx.T{}.Count()) }\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shares, err := Shares(t.Context(), root, t.TempDir(), Program{Package: "./cmd/program"})
	if err != nil {
		t.Fatal(err)
	}
	code := map[string]int{}
	for i, s := range shares {
		code[s.Part] = s.Code
		if s.Code <= 0 || i > 0 && s.Code > shares[i-1].Code {
			t.Errorf("share %d: %+v", i, s)
		}
	}
	if code["Go: runtime"] < 100_000 || code["example.test/v1.2/postern"] == 0 {
		t.Errorf("shares: %+v", shares)
	}
	var b strings.Builder
	if err := WriteShares(&b, "program", shares, 1000); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "Go: runtime") || !strings.Contains(b.String(), "1,000") {
		t.Errorf("table:\n%s", &b)
	}
}

func TestFunctionSizesOfBrokenModules(t *testing.T) {
	const magic = "\x00asm\x01\x00\x00\x00"
	for name, module := range map[string]string{
		"empty":                       "",
		"not wasm":                    "MZ and so on",
		"no sections":                 magic,
		"a section that ends early":   magic + "\x0a\x05\x01",
		"a body longer than its code": magic + "\x0a\x03\x01\x7f\x00",
		"an endless number":           magic + "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a table imported":            magic + "\x02\x07\x01\x01a\x01b\x01\x00",
		"many functions in one byte":  magic + "\x0a\x05\xff\xff\xff\xff\x0f",
	} {
		if sizes, err := functionSizes([]byte(module)); err == nil {
			t.Errorf("%s: %v", name, sizes)
		}
	}
}
