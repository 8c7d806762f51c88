package render

import (
	"reflect"
	"slices"

	"github.com/vugu/vugu"
)

// reusable says that a node made from old can be turned into now: the things that patch does not change are equal.
func reusable(old, now *vugu.VGNode) bool {
	if old.Type != now.Type {
		return false
	}
	if old.Type != vugu.ElementNode {
		return true
	}
	if old.Data != now.Data || old.Namespace != now.Namespace || len(old.Prop) != len(now.Prop) {
		return false
	}
	for i := range old.Prop {
		if old.Prop[i].Key != now.Prop[i].Key {
			return false
		}
	}
	if old.Data == "input" && value(old.Attr, "type") != value(now.Attr, "type") {
		return false // a browser keeps the value across types, and a password must not become visible text
	}
	return sameCode(old.JSCreateHandler, now.JSCreateHandler)
}

// sameName says that two nodes have the same id and data-testid. Different names are different things, even in the same
// place: a form does not become another form.
func sameName(old, now *vugu.VGNode) bool {
	if sameAttributes(old.Attr, now.Attr) {
		return true
	}
	return value(old.Attr, "data-testid") == value(now.Attr, "data-testid") && value(old.Attr, "id") == value(now.Attr, "id")
}

// sameCode says that two vg-js-create handlers are the same piece of a template: code that built its own content into
// an element once must not find itself in an element that other code made.
func sameCode(a, b vugu.JSValueHandler) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.Type() != vb.Type() {
		return false
	}
	if va.Kind() == reflect.Func {
		return va.Pointer() == vb.Pointer() // of the code; each build makes a new closure over it
	}
	return true
}

// once returns attrs with each name once. A class that is given both statically and dynamically is emitted twice by
// vugu's generator; classes and styles add up, of others the last counts.
func once(attrs []vugu.VGAttribute) []vugu.VGAttribute {
	unique := true
	for i := range attrs {
		if attrs[i].Key == "xmlns" || find(attrs[:i], attrs[i]) >= 0 {
			unique = false
			break
		}
	}
	if unique {
		return attrs
	}
	out := make([]vugu.VGAttribute, 0, len(attrs))
	for _, a := range attrs {
		if a.Key == "xmlns" {
			continue // it is in the node's namespace
		}
		i := find(out, a)
		switch {
		case i < 0:
			out = append(out, a)
		case a.Key == "class" && a.Val != "" && out[i].Val != "":
			out[i].Val += " " + a.Val
		case a.Key == "style" && a.Val != "" && out[i].Val != "":
			out[i].Val += ";" + a.Val
		case a.Key == "class" || a.Key == "style":
			out[i].Val += a.Val
		default:
			out[i].Val = a.Val
		}
	}
	return out
}

func find(attrs []vugu.VGAttribute, a vugu.VGAttribute) int {
	for i := range attrs {
		if attrs[i].Key == a.Key && attrs[i].Namespace == a.Namespace {
			return i
		}
	}
	return -1
}

func value(attrs []vugu.VGAttribute, key string) string {
	for i := range attrs {
		if attrs[i].Key == key {
			return attrs[i].Val
		}
	}
	return ""
}

func sameAttributes(a, b []vugu.VGAttribute) bool { return slices.Equal(a, b) }

// isLive says that a person can change the property.
func isLive(property string) bool {
	switch property {
	case "value", "checked", "selected", "indeterminate", "open":
		return true
	}
	return false
}

func sameSpecs(a, b []vugu.DOMEventHandlerSpec) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].EventType != b[i].EventType || a[i].Capture != b[i].Capture || a[i].Passive != b[i].Passive {
			return false
		}
	}
	return true
}

// listeners lists the registrations that specs need: one for a type and phase, passive if all of them are.
func listeners(specs []vugu.DOMEventHandlerSpec) []listener {
	var ls []listener
next:
	for i := range specs {
		s := &specs[i]
		for j := range ls {
			if ls[j].Type == s.EventType && ls[j].Capture == s.Capture {
				ls[j].Passive = ls[j].Passive && s.Passive
				continue next
			}
		}
		ls = append(ls, listener{s.EventType, s.Capture, s.Passive})
	}
	return ls
}

func contains(ls []listener, l listener) bool { return slices.Contains(ls, l) }
