//go:build !js

package main

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file")

// testdata/generated.txt is what vugugen makes of testdata/demo.vugu.
func TestCompact(t *testing.T) {
	in, err := os.ReadFile("testdata/generated.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := compact(in)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/compact.txt"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got:\n%s", got)
	}
	if again, err := compact(got); err != nil || !bytes.Equal(again, got) {
		t.Errorf("what is compact changes once more (%v)", err)
	}
}

// Elements with the same attributes share a table, and what is not constant stays in its place.
func TestTables(t *testing.T) {
	const p = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"p\", Attr: []vugu.VGAttribute{{Namespace: \"\", Key: \"class\", Val: \"a {}\"}, vugu.VGAttribute{Namespace: \"\", Key: \"hidden\", Val: \"\"}}}\nvgparent.AppendChild(vgn)\n"
	const odd = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"p\", Attr: []vugu.VGAttribute{{Key: \"class\", Val: c.Class}}}\nvgparent.AppendChild(vgn)\n"
	got, err := compact([]byte("package ui\nfunc build() {\n" + p + p + odd + "}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]int{
		"\telement(vgparent, \"\", \"p\", attributes0)":                                                   2,
		"attributes0 = []vugu.VGAttribute{{Key: \"class\", Val: \"a {}\"}, {Key: \"hidden\", Val: \"\"}}": 1,
		"\telement(vgparent, \"\", \"p\", []vugu.VGAttribute{{Key: \"class\", Val: c.Class}})":            1,
	} {
		if n := bytes.Count(got, []byte(s)); n != want {
			t.Errorf("%d times %s; want %d:\n%s", n, s, want, got)
		}
	}
}

func TestWhatIsNotGoIsRefused(t *testing.T) {
	if _, err := compact([]byte("<html>")); err == nil {
		t.Fatal("no error")
	}
}

func TestBlank(t *testing.T) {
	for s, want := range map[string]bool{"\n  ": true, "\n\n": true, " ": false, "": false, "\n x": false} {
		if blank(s) != want {
			t.Errorf("blank(%q) = %v", s, !want)
		}
	}
}
