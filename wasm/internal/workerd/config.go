package workerd

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Settings are what wrangler reads, as far as workerd needs it.
type Settings struct {
	CompatibilityDate string            `json:"compatibility_date"`
	Flags             []string          `json:"compatibility_flags"`
	Vars              map[string]string `json:"vars"`
	Assets            struct {
		Binding string `json:"binding"`
	} `json:"assets"`
	DurableObjects struct {
		Bindings []struct {
			Name  string `json:"name"`
			Class string `json:"class_name"`
		} `json:"bindings"`
	} `json:"durable_objects"`
	RateLimits []struct {
		Name   string `json:"name"`
		Simple struct {
			Limit  int `json:"limit"`
			Period int `json:"period"` // seconds
		} `json:"simple"`
	} `json:"ratelimits"`
}

// limiter is what the limits are kept by here.
//
//go:embed limiter.mjs
var limiter []byte

// comments are those of JSON with comments: lines of their own here.
var comments = regexp.MustCompile(`(?m)^\s*//.*$`)

// ReadSettings reads a wrangler.jsonc.
func ReadSettings(file string) (s Settings, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(comments.ReplaceAll(text, nil), &s); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// configure writes workerd's configuration, in Cap'n Proto's text form, with the program's files beside it: it embeds files
// by names relative to its own.
func configure(dir string, o Options) error {
	var modules, bindings, objects []string
	names, err := os.ReadDir(o.Folder)
	if err != nil {
		return err
	}
	for _, e := range names {
		kind := map[string]string{".mjs": "esModule", ".js": "esModule", ".wasm": "wasm"}[filepath.Ext(e.Name())]
		if kind == "" {
			continue
		}
		from, err := filepath.Abs(filepath.Join(o.Folder, e.Name()))
		if err != nil {
			return err
		}
		if err := os.Symlink(from, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
		module := fmt.Sprintf("(name = %q, %s = embed %q)", e.Name(), kind, e.Name())
		if e.Name() == "worker.mjs" { // the first one is the Worker
			modules = append([]string{module}, modules...)
		} else {
			modules = append(modules, module)
		}
	}
	for _, b := range o.Settings.DurableObjects.Bindings {
		bindings = append(bindings, fmt.Sprintf("(name = %q, durableObjectNamespace = %q)", b.Name, b.Class))
		objects = append(objects, fmt.Sprintf("(className = %q, uniqueKey = %q)", b.Class, b.Class))
	}
	bindings = append(bindings, fmt.Sprintf("(name = %q, service = %q)", o.Settings.Assets.Binding, "page"))
	if err := os.WriteFile(filepath.Join(dir, "limiter.mjs"), limiter, 0o600); err != nil {
		return err
	}
	for _, l := range o.Settings.RateLimits {
		props, err := json.Marshal(map[string]any{"name": l.Name, "limit": l.Simple.Limit, "period": l.Simple.Period})
		if err != nil {
			return err
		}
		bindings = append(bindings, fmt.Sprintf(`(name = %q, service = (name = "limiter", entrypoint = "Limiter", props = (json = %q)))`, l.Name, props))
	}
	variables := o.Variables
	if variables == nil {
		variables = o.Settings.Vars
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		bindings = append(bindings, fmt.Sprintf("(name = %q, text = %q)", name, variables[name]))
	}
	var flags []string
	for _, flag := range o.Settings.Flags {
		flags = append(flags, fmt.Sprintf("%q", flag))
	}
	networks := `["public"]`
	if o.Anywhere {
		networks = `["public", "private"]`
	}
	page := o.Page
	if page == "" {
		page = "127.0.0.1:9" // discard: nobody listens
	}
	return os.WriteFile(filepath.Join(dir, "config.capnp"), []byte(fmt.Sprintf(`using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "page", external = (address = %[1]q, http = ())),
    (name = "limiter", worker = .limiter),
    (name = "internet", network = (allow = %[2]s)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const limiter :Workerd.Worker = (
  modules = [(name = "limiter.mjs", esModule = embed "limiter.mjs")],
  compatibilityDate = %[6]q,
);
const worker :Workerd.Worker = (
  modules = [%[3]s],
  bindings = [%[4]s],
  durableObjectNamespaces = [%[5]s],
  durableObjectStorage = (inMemory = void),
  compatibilityDate = %[6]q,
  compatibilityFlags = [%[7]s],
);
`, page, networks, strings.Join(modules, ", "), strings.Join(bindings, ", "), strings.Join(objects, ", "), o.Settings.CompatibilityDate, strings.Join(flags, ", "))), 0o600)
}
