package workerd

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// headersFile has rules of which header is sent with which path, and is not served itself.
const headersFile = "_headers"

// Assets serves a folder as Cloudflare serves the static assets of a Worker with html_handling and not_found_handling "none": files
// under their own names alone, with the headers of its file _headers.
func Assets(folder string) (http.Handler, error) {
	text, err := os.ReadFile(filepath.Join(folder, headersFile))
	if err != nil {
		return nil, err
	}
	rules, err := readRules(string(text))
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		name := path.Clean("/" + r.URL.Path)
		content, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil || name != r.URL.Path || name == "/"+headersFile {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		h := w.Header()
		kind := mime.TypeByExtension(path.Ext(name))
		if path.Ext(name) == ".webmanifest" {
			kind = "application/manifest+json"
		}
		h.Set("Content-Type", kind)
		h.Set("Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
		h.Set("Cache-Control", "public, max-age=0, must-revalidate")
		rules.apply(h, name)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}), nil
}

// rules are those of a _headers file, in its order; all that match a path count.
type rules []rule

type rule struct {
	path string // or the beginning of one, where wild
	wild bool
	set  [][2]string
	drop []string
}

// What the platform reads at most.
const (
	mostRules   = 100
	longestLine = 2000
)

func readRules(text string) (list rules, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		rest, indented := strings.CutPrefix(line, "  ")
		switch {
		case len(line) > longestLine:
			return nil, fmt.Errorf("%s: a line of %d characters", headersFile, len(line))
		case !indented:
			at, wild := strings.CutSuffix(line, "*")
			list = append(list, rule{path: at, wild: wild})
			continue
		case len(list) == 0:
			return nil, fmt.Errorf("%s: a header before any path", headersFile)
		}
		last := &list[len(list)-1]
		if name, ok := strings.CutPrefix(rest, "! "); ok {
			last.drop = append(last.drop, name)
			continue
		}
		name, value, ok := strings.Cut(rest, ": ")
		if !ok {
			return nil, fmt.Errorf("%s: %q is no header", headersFile, rest)
		}
		last.set = append(last.set, [2]string{name, value})
	}
	if len(list) > mostRules {
		return nil, fmt.Errorf("%s: %d rules", headersFile, len(list))
	}
	return list, nil
}

// apply takes out and puts in, rule by rule. What one rule has set, another adds to.
func (list rules) apply(h http.Header, name string) {
	added := make(map[string]bool)
	for _, r := range list {
		if r.path != name && !(r.wild && strings.HasPrefix(name, r.path)) {
			continue
		}
		for _, drop := range r.drop {
			h.Del(drop)
		}
		for _, set := range r.set {
			if added[set[0]] {
				h.Add(set[0], set[1])
				continue
			}
			h.Set(set[0], set[1])
			added[set[0]] = true
		}
	}
}
