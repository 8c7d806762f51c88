package main

import (
	"strings"
	"testing"
)

const head = "package ui\n\nfunc build() {\n"

func TestCompact(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"element": {
			"\tvgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"svg\", Data: \"use\", Attr: []vugu.VGAttribute(nil)}\n\tvgparent.AppendChild(vgn)\n",
			"\tvgn = element(vgparent, \"svg\", \"use\", nil)\n",
		},
		"text": {
			"\tvgn = &vugu.VGNode{Type: vugu.VGNodeType(1), Data: \"\\n say \\\"hi\\\" \"}\n\tvgparent.AppendChild(vgn)\n",
			"\tvgn = words(vgparent, \"\\n say \\\"hi\\\" \")\n",
		},
		"handler": {
			"\tvgn.DOMEventHandlerSpecList = append(vgn.DOMEventHandlerSpecList, vugu.DOMEventHandlerSpec{\n\t\tEventType: \"click\",\n\t\tFunc:      func(event vugu.DOMEvent) { c.do(a.ID) },\n\t\t// capture\n\t})\n",
			"\ton(vgn, \"click\", func(event vugu.DOMEvent) { c.do(a.ID) })\n",
		},
		"a root stays": {
			"\tvgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"div\", Attr: []vugu.VGAttribute(nil)}\n\tvgout.Out = append(vgout.Out, vgn) // root for output\n",
			"\tvgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"div\", Attr: []vugu.VGAttribute(nil)}\n\tvgout.Out = append(vgout.Out, vgn) // root for output\n",
		},
	} {
		got, err := compact(head + c.in + "}\n")
		if err != nil || string(got) != head+c.want+"}\n" {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, head+c.want+"}\n")
		}
	}
}

// Elements with the same attributes share a table.
func TestTables(t *testing.T) {
	one := "\tvgn = &vugu.VGNode{Type: vugu.VGNodeType(3), Namespace: \"\", Data: \"p\", Attr: []vugu.VGAttribute{{Namespace: \"\", Key: \"class\", Val: \"a {}\"}, vugu.VGAttribute{Namespace: \"\", Key: \"hidden\", Val: \"\"}}}\n\tvgparent.AppendChild(vgn)\n"
	got, err := compact(head + one + one + "}\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "element(vgparent, \"\", \"p\", attributes0)"); n != 2 {
		t.Errorf("%d elements use the table; want 2:\n%s", n, got)
	}
	if want := "attributes0 = []vugu.VGAttribute{{Key: \"class\", Val: \"a {}\"}, {Key: \"hidden\", Val: \"\"}}"; strings.Count(string(got), want) != 1 {
		t.Errorf("no table %s:\n%s", want, got)
	}
	again, err := compact(string(got))
	if err != nil || string(again) != string(got) {
		t.Errorf("done twice it changes again (%v)", err)
	}
}
