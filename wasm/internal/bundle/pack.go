package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"
)

const (
	indexPage     = "index.html"
	serviceWorker = "sw.js"
)

// named are the files that keep their names: browsers know them by those.
func named(source string) bool {
	switch source {
	case indexPage, "frame.html", serviceWorker, "manifest.webmanifest":
		return true
	}
	return strings.HasPrefix(source, "icons/")
}

// templated are the files of ours that may name others, {{asset "boot.js"}} being that file's name, and that may consist of
// others, {{include "css/list.css"}} being that file's text.
func templated(source string) bool {
	switch path.Ext(source) {
	case ".html", ".js", ".css", ".webmanifest":
		return true
	}
	return false
}

// packing is a page being made. Files are made on demand, so that a file is named before those that name it.
type packing struct {
	sources  fs.FS
	programs map[string][]byte
	dev      bool

	done  map[string]*File
	busy  map[string]bool // being made: meeting one again is a circle
	order []string
}

// list is every source but the service worker, in a stable order. Folders other than icons are not the page's, but for what
// its files include.
func (p *packing) list() ([]string, error) {
	names := make([]string, 0, 16)
	for name := range p.programs {
		names = append(names, name)
	}
	for _, dir := range []string{".", "icons"} {
		entries, err := fs.ReadDir(p.sources, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if e.IsDir() || strings.HasPrefix(e.Name(), ".") || path.Ext(name) == ".go" || name == serviceWorker {
				continue
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (p *packing) file(source string) (*File, error) {
	if f := p.done[source]; f != nil {
		return f, nil
	}
	if p.busy[source] {
		return nil, fmt.Errorf("%s names a file that names it", source)
	}
	p.busy[source] = true
	content, made := p.programs[source]
	if !made {
		var err error
		if content, err = fs.ReadFile(p.sources, source); err != nil {
			return nil, err
		}
		if templated(source) {
			if content, err = p.fill(source, content); err != nil {
				return nil, err
			}
		}
	}
	sum := sha256.Sum256(content)
	f := &File{
		Source: source, Name: source, Content: content,
		Integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
	}
	if !named(source) {
		ext := path.Ext(source)
		f.Name = "assets/" + strings.TrimSuffix(source, ext) + "." + hex.EncodeToString(sum[:5]) + ext
	}
	p.done[source] = f
	p.order = append(p.order, source)
	return f, nil
}

// fill executes a file's template actions.
func (p *packing) fill(source string, text []byte) ([]byte, error) {
	functions := template.FuncMap{
		"asset": func(name string) (string, error) {
			f, err := p.file(name)
			if err != nil {
				return "", err
			}
			return f.Name, nil
		},
		"size": func(name string) (int, error) {
			f, err := p.file(name)
			if err != nil {
				return 0, err
			}
			return len(f.Content), nil
		},
		"include": func(name string) (string, error) {
			text, err := fs.ReadFile(p.sources, name)
			return string(text), err
		},
		"dev": func() bool { return p.dev },
	}
	if source == serviceWorker {
		functions["version"] = p.version
		functions["files"] = p.precache
	}
	t, err := template.New(source).Funcs(functions).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, nil); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// version is a hash over every file's name and content, the service worker's own text included.
func (p *packing) version() string {
	h := sha256.New()
	text, _ := fs.ReadFile(p.sources, serviceWorker)
	h.Write(text)
	for _, name := range slices.Sorted(maps.Keys(p.done)) {
		if f := p.done[name]; name != serviceWorker {
			fmt.Fprintf(h, "%s %s\n", f.Name, f.Integrity)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:5])
}

// precache is what the service worker keeps: path → integrity, as JSON.
func (p *packing) precache() (string, error) {
	list := make(map[string]string, len(p.done))
	for _, f := range p.done {
		if f.Source == indexPage {
			list["/"] = f.Integrity
			continue
		}
		list["/"+f.Name] = f.Integrity
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func (p *packing) files() []File {
	files := make([]File, 0, len(p.order))
	for _, name := range p.order {
		files = append(files, *p.done[name])
	}
	return files
}
