package wirejson

import (
	"reflect"
	"strings"
	"sync"
	"time"
)

// field is a field of a struct as it appears in JSON.
type field struct {
	name      string
	index     []int
	omitEmpty bool
	omitZero  bool
}

var (
	plans    sync.Map // reflect.Type → []field
	timeType = reflect.TypeFor[time.Time]()
)

// fieldsOf lists the fields of a struct type. Those of an embedded struct stand among those of the outer one, unless
// the outer one has that name itself.
func fieldsOf(t reflect.Type) []field {
	if p, ok := plans.Load(t); ok {
		return p.([]field)
	}
	var own, inner []field
	names := map[string]bool{}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		if tag == "-" || !sf.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				inner = append(inner, f)
			}
			continue
		}
		if name == "" {
			name = sf.Name
		}
		f := field{name: name, index: []int{i}}
		for _, o := range strings.Split(options, ",") {
			switch o {
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
			}
		}
		names[name] = true
		own = append(own, f)
	}
	for _, f := range inner {
		if !names[f.name] {
			own = append(own, f)
		}
	}
	plans.Store(t, own)
	return own
}

// absent says that a field is left out.
func (f *field) absent(v reflect.Value) bool {
	if f.omitZero {
		if t, ok := v.Interface().(time.Time); ok {
			return t.IsZero()
		}
		return v.IsZero()
	}
	if !f.omitEmpty {
		return false
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
