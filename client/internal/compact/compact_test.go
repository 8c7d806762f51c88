//go:build !js

package main

import (
	"bytes"
	"flag"
	"fmt"
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

// What never changes is one piece of markup with what is beside it, the same markup has one number, and what markup cannot
// say stays as it was.
func TestMarkup(t *testing.T) {
	const p = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"p\", Attr: []vugu.VGAttribute{{Namespace: \"\", Key: \"class\", Val: \"a {}\"}, vugu.VGAttribute{Namespace: \"\", Key: \"hidden\", Val: \"\"}}}\nvgparent.AppendChild(vgn)\n"
	const named = "vgn.AddAttrInterface(\"title\", c.Title)\n"
	const odd = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"p\", Attr: []vugu.VGAttribute{{Key: \"class\", Val: c.Class}}}\nvgparent.AppendChild(vgn)\n"
	const quote = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(1), Data: \"a < b\"}\nvgparent.AppendChild(vgn)\n"
	got, err := compact([]byte("package ui\nfunc build() {\n" + p + p + odd + p + named + p + named + quote + p + "}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]int{
		"\tfixed(vgparent, 0)\n":         1,
		"\tfixed(vgparent, 2)\n":         1,
		"a &lt; b<p class":               1,
		"\tvgn = element(vgparent, 1)\n": 2,
		"const markup = `<p class=\"a {}\" hidden=\"\"></p><p class=\"a {}\" hidden=\"\"></p>\n<p class=\"a {}\" hidden=\"\"></p>\n": 1,
		"Attr: []vugu.VGAttribute{{Key: \"class\", Val: c.Class}}}\n\tvgparent.AppendChild(vgn)":                                     1,
	} {
		if n := bytes.Count(got, []byte(s)); n != want {
			t.Errorf("%d times %s; want %d:\n%s", n, s, want, got)
		}
	}
}

// What HTML a component's element holds becomes markup too, in the namespace that it has there.
func TestInnerHTML(t *testing.T) {
	const head = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: %q, Data: %q, Attr: []vugu.VGAttribute(nil)}\nvgparent.AppendChild(vgn)\nvgn.SetInnerHTML(vugu.HTML(%q))\n"
	for _, c := range []struct{ space, name, html, want string }{
		{"", "p", "", "<p></p>"},
		{"", "p", "one <b class=\"x\">two</b>", "<p>one <b class=\"x\">two</b></p>"},
		{"", "p", "R&amp;D", "<p>R&amp;D</p>"},
		{"svg", "svg", "<use href=\"#a\"></use>", "<svg:svg><svg:use href=\"#a\"></svg:use></svg:svg>"},
		{"", "p", "<svg><use href=\"#a\"/></svg>", "<p><svg:svg><svg:use href=\"#a\"></svg:use></svg:svg></p>"},
		{"", "p", "1 &lt; 2", "<p>1 &lt; 2</p>"},
		{"", "p", "<!-- nothing -->", "<p></p>"},
	} {
		got, err := compact(fmt.Appendf(nil, "package ui\nfunc build() {\n"+head+"}\n", c.space, c.name, c.html))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(got, []byte("const markup = `"+c.want+"`")) {
			t.Errorf("%s: got\n%s", c.html, got)
		}
	}
}

func TestHTMLThatIsNoMarkupIsRefused(t *testing.T) {
	const p = "vgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"svg\", Data: \"svg\", Attr: []vugu.VGAttribute(nil)}\nvgparent.AppendChild(vgn)\n"
	if _, err := compact([]byte("package ui\nfunc build() {\n" + p + "vgn.SetInnerHTML(vugu.HTML(`<use xlink:href=\"#a\"></use>`))\n}\n")); err == nil {
		t.Fatal("no error")
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
