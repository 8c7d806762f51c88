package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// asset is one file of the page with its variants.
type asset struct {
	name      string // path in Assets, without a leading slash
	mediaType string
	immutable bool
	etag      string    // of the identity variant, without quotes
	variants  []variant // most preferred first; the last is identity
}

// variant is one representation of an asset (RFC 9110 section 3.2).
type variant struct {
	coding string // a content-coding of RFC 9110 section 8.4.1, or identity
	name   string
	size   int64
}

const identity = "identity"

// precompressed are the codings that wasm/pack makes, the smallest result first.
var precompressed = []struct{ coding, suffix string }{
	{"br", ".br"}, // RFC 7932
	{"gzip", ".gz"},
}

// hashed matches the name that wasm/pack gives to a file whose content can never change under that name.
var hashed = regexp.MustCompile(`^assets/[^/]+\.[0-9a-f]{10}\.[a-z0-9]+$`)

// mediaTypes are the types of the files a page is made of. The machine's own tables are not asked, so that a page is the
// same wherever it is served; a type that is missing here is an error when the page is loaded, not a download in it.
var mediaTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".ico":         "image/vnd.microsoft.icon",
	".js":          "text/javascript; charset=utf-8", // RFC 9239
	".json":        "application/json",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".txt":         "text/plain; charset=utf-8",
	".wasm":        "application/wasm",
	".webmanifest": "application/manifest+json",
	".webp":        "image/webp",
	".woff2":       "font/woff2", // RFC 8081
}

// errUnbuilt says that there is no page to serve.
var errUnbuilt = errors.New("web: the page has not been built")

// index reads what Assets holds. It is errUnbuilt if there is no index.html.
func index(files fs.FS) (map[string]*asset, error) {
	found := make(map[string]*asset)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		for _, p := range precompressed {
			if strings.HasSuffix(name, p.suffix) {
				return nil
			}
		}
		a, err := read(files, name)
		if err != nil {
			return err
		}
		found[name] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: reading the page: %w", err)
	}
	if found["index.html"] == nil {
		return nil, errUnbuilt
	}
	return found, nil
}

func read(files fs.FS, name string) (*asset, error) {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	a := &asset{name: name, immutable: hashed.MatchString(name), mediaType: mediaTypes[path.Ext(name)]}
	if a.mediaType == "" {
		return nil, fmt.Errorf("%s: no media type is known for %q", name, path.Ext(name))
	}
	sum := sha256.Sum256(content)
	a.etag = hex.EncodeToString(sum[:8])
	for _, p := range precompressed {
		info, err := fs.Stat(files, name+p.suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Size() < int64(len(content)) {
			a.variants = append(a.variants, variant{p.coding, name + p.suffix, info.Size()})
		}
	}
	a.variants = append(a.variants, variant{identity, name, int64(len(content))})
	return a, nil
}

// tag is the strong entity-tag of a variant: variants differ in octets, so they differ in tag (RFC 9110 section 8.8.3.3).
func (a *asset) tag(v variant) string {
	if v.coding == identity {
		return `"` + a.etag + `"`
	}
	return `"` + a.etag + "-" + v.coding + `"`
}

func (a *asset) cacheControl() string {
	if a.immutable {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache" // kept, but asked about each time: a new version shows at the next load
}
