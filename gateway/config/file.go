package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile bounds the file of settings: a hundred times what every setting takes, so that a wrong path (a log, a device)
// is an error and not a wait.
const maxFile = 64 << 10

// entry is one setting of the file, and the line that it stands in.
type entry struct {
	source string
	values []string // more than one of a list
}

// readFile reads a file of settings (TOML 1.0): `name = value`, without tables. It answers what it could read, and an
// *Error for each thing that is wrong.
func readFile(path string, names []string) (map[string]entry, []error) {
	text, err := readBounded(path, maxFile)
	if err != nil {
		return nil, []error{&Error{Setting: "config", Source: "--config " + path, Reason: err.Error()}}
	}
	at := func(line int) string { return fmt.Sprintf("%s:%d", path, line) }
	values := make(map[string]any)
	if err := toml.Unmarshal(text, &values); err != nil {
		var d *toml.DecodeError
		if !errors.As(err, &d) { // it does not say where a name comes a second time
			e := &Error{Setting: "config", Source: "--config " + path, Reason: strings.TrimPrefix(err.Error(), "toml: ")}
			seen := make(map[string]bool)
			for _, k := range keys(text) {
				if seen[k.name] {
					e = &Error{Setting: k.name, Source: at(k.line), Value: k.name, Reason: "is set twice; a list is written [\"one\", \"two\"]"}
				}
				seen[k.name] = true
			}
			return nil, []error{e}
		}
		row, _ := d.Position()
		return nil, []error{&Error{Setting: "config", Source: at(row), Reason: syntax(text, row, d)}}
	}
	var wrong []error
	entries := make(map[string]entry)
	for _, k := range keys(text) {
		source := at(k.line)
		no := func(reason string) {
			wrong = append(wrong, &Error{Setting: "config", Source: source, Value: k.name, Reason: reason})
		}
		switch {
		case k.table:
			no("begins a table, and settings stand in none: leave out the line")
			continue
		case !slices.Contains(names, k.name):
			reason := "is not a setting; `postern help` lists them"
			if near := nearest(k.name, names); near != "" {
				reason = "is not a setting; " + near + " is one"
			}
			no(reason)
			continue
		}
		list, err := plain(values[k.name])
		if err != nil {
			no(err.Error())
			continue
		}
		entries[k.name] = entry{source, list}
	}
	return entries, wrong
}

// readBounded reads a file of at most so many octets. Its errors do not name the file.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(f, most+1)); err == nil {
			if int64(len(text)) > most {
				return nil, fmt.Errorf("is too long to be what is meant: over %d octets", most)
			}
			return text, nil
		}
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return nil, err
}

// syntax is what is wrong with a line, for somebody who may not have heard of TOML.
func syntax(text []byte, row int, d *toml.DecodeError) string {
	lines := bytes.Split(text, []byte("\n"))
	if row < 1 || row > len(lines) {
		return d.Error()
	}
	line := strings.TrimSpace(string(lines[row-1]))
	name, value, ok := strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	switch {
	case !ok:
		return `must be name = "value", or begin with #`
	case value != "" && !strings.ContainsAny(value[:1], `"'[{`):
		return "the value must stand in quotes, if it is not a number, true or false: " + strings.TrimSpace(name) + ` = "…"`
	}
	return strings.TrimPrefix(d.Error(), "toml: ")
}

// key is where a name stands in the file.
type key struct {
	name  string
	line  int
	table bool
}

// keys lists the names of a text that has been read without an error.
func keys(text []byte) []key {
	var list []key
	var p unstable.Parser
	p.Reset(text)
	inTable := false
	for p.NextExpression() {
		node := p.Expression()
		isTable := node.Kind == unstable.Table || node.Kind == unstable.ArrayTable
		if !isTable && (node.Kind != unstable.KeyValue || inTable) {
			continue
		}
		inTable = inTable || isTable
		var parts []string
		line := 0
		for it := node.Key(); it.Next(); {
			if parts = append(parts, string(it.Node().Data)); line == 0 {
				line = p.Shape(it.Node().Raw).Start.Line
			}
		}
		list = append(list, key{strings.Join(parts, "."), line, isTable})
	}
	return list
}

// plain is a value as its flag would have it.
func plain(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case bool, int64:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		list := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, errors.New(`must be a list of strings, such as ["one", "two"]`)
			}
			list = append(list, s)
		}
		return list, nil
	}
	return nil, errors.New(`must be a string in quotes, a whole number, true, false, or a list ["one", "two"]`)
}
