package ui

import (
	"encoding/json"
	"testing"

	"github.com/vugu/vugu"
)

func TestPropertyIsJSON(t *testing.T) {
	for _, v := range []any{"", "plain", `"quoted\" and \`, "line\nbreak\ttab\x00", "日本語 é 😀", "</script>&", true, false, 0, -7} {
		n := &vugu.VGNode{}
		property(n, "value", v)
		var got any
		if err := json.Unmarshal(n.Prop[0].JSONVal, &got); err != nil {
			t.Errorf("%v: %s: %v", v, n.Prop[0].JSONVal, err)
			continue
		}
		if i, ok := v.(int); ok {
			v = float64(i)
		}
		if got != v {
			t.Errorf("%v came as %v", v, got)
		}
	}
}

func TestSharedAttributesStayAsTheyAre(t *testing.T) {
	list, _ := parse(`<p class="a"></p>`)
	one, two := list[0].node(), list[0].node()
	one.AddAttrInterface("title", "one")
	two.AddAttrInterface("title", "two")
	if one.Attr[1].Val != "one" || two.Attr[1].Val != "two" || len(list[0].attributes) != 1 {
		t.Error(one.Attr, two.Attr, list)
	}
}
