package worker

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"

	"github.com/postern-mail/postern/gateway/web"
)

// platforms are the headers that the platform sets by itself, as it sends a file.
var platforms = []string{"Content-Type", "Content-Length", "Content-Encoding", "Etag", "Vary", "Date"}

// headers is a _headers file, in which the platform finds what to send with which file: what the native gateway sends with
// it. All rules that match a path count; "! Name" takes back what one before has set.
func headers(packed fs.FS) (string, error) {
	site, err := web.Handler(web.Config{Assets: packed, HTTPS: true})
	if err != nil {
		return "", err
	}
	all := sent(site, "/")
	folders := make(map[string]map[string]string) // the rule of each folder, or of a file where they differ
	err = fs.WalkDir(packed, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !served(name) {
			return err
		}
		rule := difference(all, sent(site, "/"+name))
		at := "/" + name
		if folder, _ := path.Split(name); folder != "" {
			if known, ok := folders["/"+folder+"*"]; !ok || maps.Equal(known, rule) {
				at = "/" + folder + "*"
			} else {
				return fmt.Errorf("%s has other headers than the files beside it", name)
			}
		}
		if len(rule) > 0 || strings.HasSuffix(at, "*") {
			folders[at] = rule
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	write(&b, "/*", all, nil)
	for _, at := range slices.Sorted(maps.Keys(folders)) {
		write(&b, at, folders[at], all)
	}
	return b.String(), nil
}

// everyAnswer is a module of JavaScript with the headers that every answer of the native gateway has, for those that the Worker gives
// by itself.
func everyAnswer() ([]byte, error) {
	site, err := web.Handler(web.Config{Assets: embed.FS{}, HTTPS: true})
	if err != nil {
		return nil, err
	}
	all := sent(site, "/healthz")
	delete(all, "Cache-Control")
	all["Content-Type"] = "text/plain; charset=utf-8"
	object, err := json.MarshalIndent(all, "", "  ")
	return fmt.Appendf(nil, "export default %s;\n", object), err
}

// sent are the headers of a native answer.
func sent(site http.Handler, at string) map[string]string {
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, nil))
	found := make(map[string]string)
	for name, values := range w.Result().Header {
		if !slices.Contains(platforms, name) {
			found[name] = strings.Join(values, ", ")
		}
	}
	return found
}

// difference is what differs in other; what it lacks is empty.
func difference(all, other map[string]string) map[string]string {
	rule := make(map[string]string)
	for name, value := range other {
		if all[name] != value {
			rule[name] = value
		}
	}
	for name := range all {
		if _, ok := other[name]; !ok {
			rule[name] = ""
		}
	}
	return rule
}

func write(b *strings.Builder, at string, rule, all map[string]string) {
	if len(rule) == 0 {
		return
	}
	fmt.Fprintln(b, at)
	for _, name := range slices.Sorted(maps.Keys(rule)) {
		if _, before := all[name]; before {
			fmt.Fprintf(b, "  ! %s\n", name)
		}
		if rule[name] != "" {
			fmt.Fprintf(b, "  %s: %s\n", name, rule[name])
		}
	}
}
