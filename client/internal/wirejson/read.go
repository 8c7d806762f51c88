package wirejson

import (
	"reflect"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds nesting, on the way into values that nobody asked for too.
const maxDepth = 100

// SyntaxError says where the input is not JSON, or not of the type asked for.
type SyntaxError struct {
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string {
	return "wirejson: " + e.Reason + " at octet " + strconv.Itoa(e.Offset)
}

// Unmarshal reads JSON into what v points to. As with encoding/json, fields that are not in the input keep their
// values, and fields of the input that the type lacks are passed over.
func Unmarshal(data []byte, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return &UnsupportedError{"what is not a pointer"}
	}
	r := &reader{in: data}
	if err := r.value(p.Elem(), 0); err != nil {
		return err
	}
	r.space()
	if r.at < len(r.in) {
		return r.fail("something after the value")
	}
	return nil
}

type reader struct {
	in []byte
	at int
}

func (r *reader) fail(reason string) error { return &SyntaxError{r.at, reason} }

func (r *reader) space() {
	for r.at < len(r.in) {
		switch r.in[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next is the first octet of the next token, 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.at == len(r.in) {
		return 0
	}
	return r.in[r.at]
}

// take takes the octet if it is next.
func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) word(w string) bool {
	if len(r.in)-r.at < len(w) || string(r.in[r.at:r.at+len(w)]) != w {
		return false
	}
	r.at += len(w)
	return true
}

// value reads the next value into v; an invalid v passes it over.
func (r *reader) value(v reflect.Value, depth int) error {
	if depth > maxDepth {
		return r.fail("nested too deep")
	}
	c := r.next()
	if c == 'n' {
		if !r.word("null") {
			return r.fail("not a value")
		}
		if v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice) {
			v.SetZero()
		}
		return nil
	}
	if v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return r.value(v.Elem(), depth+1)
	}
	switch c {
	case '{':
		return r.object(v, depth)
	case '[':
		return r.array(v, depth)
	case '"':
		return r.text(v)
	case 't', 'f':
		on := c == 't'
		if !r.word("true") && !r.word("false") {
			return r.fail("not a value")
		}
		if !v.IsValid() {
			return nil
		}
		if v.Kind() != reflect.Bool {
			return r.fail("a bool for " + v.Type().String())
		}
		v.SetBool(on)
		return nil
	}
	return r.number(v)
}

func (r *reader) object(v reflect.Value, depth int) error {
	var fields []field
	if v.IsValid() {
		if v.Kind() != reflect.Struct || v.Type() == timeType {
			return r.fail("an object for " + v.Type().String())
		}
		fields = fieldsOf(v.Type())
	}
	r.at++
	if r.take('}') {
		return nil
	}
	for {
		if r.next() != '"' {
			return r.fail("no name")
		}
		name, err := r.str()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.fail("no colon")
		}
		var into reflect.Value
		for i := range fields {
			if fields[i].name == name {
				into = v.FieldByIndex(fields[i].index)
				break
			}
		}
		if err := r.value(into, depth+1); err != nil {
			return err
		}
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return r.fail("no comma")
		}
	}
}

func (r *reader) array(v reflect.Value, depth int) error {
	if v.IsValid() && (v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8) {
		return r.fail("an array for " + v.Type().String())
	}
	r.at++
	if v.IsValid() {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	if r.take(']') {
		return nil
	}
	for {
		var into reflect.Value
		if v.IsValid() {
			into = reflect.New(v.Type().Elem()).Elem()
		}
		if err := r.value(into, depth+1); err != nil {
			return err
		}
		if v.IsValid() {
			v.Set(reflect.Append(v, into))
		}
		if r.take(']') {
			return nil
		}
		if !r.take(',') {
			return r.fail("no comma")
		}
	}
}

func (r *reader) text(v reflect.Value) error {
	start := r.at
	s, err := r.str()
	if err != nil || !v.IsValid() {
		return err
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(s)
		return nil
	case v.Type() == timeType:
		t, ok := parseTime(s)
		if !ok {
			r.at = start
			return r.fail("no time of RFC 3339")
		}
		v.Set(reflect.ValueOf(t))
		return nil
	}
	r.at = start
	return r.fail("a string for " + v.Type().String())
}

// str reads a string; the opening quote is next.
func (r *reader) str() (string, error) {
	r.at++
	start := r.at
	for r.at < len(r.in) { // most strings hold no escape
		switch c := r.in[r.at]; {
		case c == '"':
			s := string(r.in[start:r.at])
			r.at++
			if utf8.ValidString(s) {
				return s, nil
			}
			return string([]rune(s)), nil
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			return "", r.fail("a control character in a string")
		}
		r.at++
	}
	return "", r.fail("a string without its end")
}

func (r *reader) escaped(start int) (string, error) {
	b := append([]byte(nil), r.in[start:r.at]...)
	for r.at < len(r.in) {
		c := r.in[r.at]
		switch {
		case c == '"':
			r.at++
			if utf8.Valid(b) {
				return string(b), nil
			}
			return string([]rune(string(b))), nil
		case c < 0x20:
			return "", r.fail("a control character in a string")
		case c != '\\':
			b = append(b, c)
			r.at++
			continue
		}
		r.at++
		if r.at == len(r.in) {
			break
		}
		e := r.in[r.at]
		r.at++
		switch e {
		case '"', '\\', '/':
			b = append(b, e)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			u, ok := r.hex()
			if !ok {
				return "", r.fail("no escape")
			}
			if utf16.IsSurrogate(u) {
				u = r.low(u)
			}
			b = utf8.AppendRune(b, u)
		default:
			return "", r.fail("no escape")
		}
	}
	return "", r.fail("a string without its end")
}

// low reads the second half of a surrogate pair; half a pair is U+FFFD.
func (r *reader) low(high rune) rune {
	at := r.at
	if r.word(`\u`) {
		if l, ok := r.hex(); ok {
			if u := utf16.DecodeRune(high, l); u != utf8.RuneError {
				return u
			}
		}
	}
	r.at = at
	return utf8.RuneError
}

func (r *reader) hex() (rune, bool) {
	if len(r.in)-r.at < 4 {
		return 0, false
	}
	var u rune
	for _, c := range r.in[r.at : r.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	r.at += 4
	return u, true
}

// number reads a number of RFC 8259 section 6.
func (r *reader) number(v reflect.Value) error {
	start := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.in) && r.in[r.at] >= '0' && r.in[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	r.word("-")
	if !r.word("0") && !digits() {
		r.at = start
		return r.fail("not a value")
	}
	if r.word(".") && !digits() {
		return r.fail("no number")
	}
	if r.word("e") || r.word("E") {
		_ = r.word("+") || r.word("-")
		if !digits() {
			return r.fail("no number")
		}
	}
	if !v.IsValid() {
		return nil
	}
	s := string(r.in[start:r.at])
	bad := func() error {
		r.at = start
		return r.fail("the number " + s + " for " + v.Type().String())
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return bad()
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(s, 10, v.Type().Bits())
		if err != nil {
			return bad()
		}
		v.SetUint(n)
	case reflect.Float64, reflect.Float32:
		n, err := strconv.ParseFloat(s, v.Type().Bits())
		if err != nil {
			return bad()
		}
		v.SetFloat(n)
	default:
		return bad()
	}
	return nil
}
