package render

import (
	"syscall/js"

	"github.com/vugu/vugu"
	vjs "github.com/vugu/vugu/js"
)

// event is a DOM event that is read where it is asked, not copied.
type event struct {
	value   js.Value
	current js.Value // currentTarget, which the browser forgets after the dispatch
	env     vugu.EventEnv
}

var _ vugu.DOMEvent = (*event)(nil)

func (e *event) Prop(keys ...string) any {
	v := e.value
	for i, k := range keys {
		if t := v.Type(); t != js.TypeObject && t != js.TypeFunction {
			return nil
		}
		if i == 0 && k == "currentTarget" {
			v = e.current
			continue
		}
		v = v.Get(k)
	}
	switch v.Type() {
	case js.TypeString:
		return v.String()
	case js.TypeNumber:
		return v.Float()
	case js.TypeBoolean:
		return v.Bool()
	}
	return nil
}

func (e *event) PropString(keys ...string) string   { s, _ := e.Prop(keys...).(string); return s }
func (e *event) PropFloat64(keys ...string) float64 { f, _ := e.Prop(keys...).(float64); return f }
func (e *event) PropBool(keys ...string) bool       { b, _ := e.Prop(keys...).(bool); return b }

// EventSummary holds the type alone: a copy of event and target costs milliseconds in a large page. Use Prop.
func (e *event) EventSummary() map[string]any {
	return map[string]any{"type": e.value.Get("type").String()}
}

func (e *event) JSEvent() vjs.Value              { return vjs.Value(e.value) }
func (e *event) JSEventTarget() vjs.Value        { return vjs.Value(e.value.Get("target")) }
func (e *event) JSEventCurrentTarget() vjs.Value { return vjs.Value(e.current) }
func (e *event) EventEnv() vugu.EventEnv         { return e.env }
func (e *event) PreventDefault()                 { e.value.Call("preventDefault") }
func (e *event) StopPropagation()                { e.value.Call("stopPropagation") }
