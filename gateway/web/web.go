// Package web serves the page: static files with the right types, precompressed variants, caching by hash, a strict
// Content-Security-Policy and the other security headers, and the liveness check.
//
// HTTP semantics are those of RFC 9110 (methods in section 9, content negotiation in section 12, conditional requests in
// section 13), caching those of RFC 9111 with immutable of RFC 8246.
package web

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Config says what a Handler serves.
type Config struct {
	// Assets is the packed page: index.html at its root, hashed files under assets/. Required.
	Assets fs.FS
	// Tunnel answers TunnelPath, if set.
	Tunnel     http.Handler
	TunnelPath string
	// BasePath is where the page begins: "/" (or ""), or a path such as "/mail/" that it shares a host with other things by.
	BasePath string
	// HTTPS says that the page is served by it, and that browsers shall come by nothing else from now on.
	HTTPS bool
	// Ready answers /readyz, whether clients should be sent here: nil is yes, an error's text is sent with 503. Nil is
	// always ready. /healthz says that the process is alive, and no more: who restarts one that answers nothing there must
	// not do it while it drains.
	Ready func() error
	// Reload, in development, reads Assets anew for every request and tells open pages when they change, on ReloadPath.
	Reload bool
	// Logger takes faults of the server itself. Nil discards them.
	Logger *slog.Logger
}

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
	indexName  = "index.html"

	copySize = 8 << 10 // for each answer of HTTP/2 at one time; HTTP/1.1 has its own way
)

// Handler serves c. A page that has not been built is no error: visitors are told what to run.
func Handler(c Config) (http.Handler, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.BasePath == "" {
		c.BasePath = "/"
	}
	if c.BasePath != "/" {
		moved, err := rebase(c.Assets, c.BasePath)
		if err != nil && !errors.Is(err, errUnbuilt) {
			return nil, err
		}
		c.Assets = moved
	}
	s := &site{Config: c}
	assets, err := index(c.Assets)
	if err != nil && !errors.Is(err, errUnbuilt) && !c.Reload {
		return nil, err
	}
	s.assets = assets
	return s, nil
}

type site struct {
	Config
	assets map[string]*asset // nil: not built
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		// Nobody here wants a body. Where one has two lengths, a proxy may take its end for the beginning of somebody else's
		// request: such a connection ends (RFC 9112 section 6.1), which net/http does not see to.
		w.Header().Set("Connection", "close")
	}
	if r.URL.Path == healthPath || r.URL.Path == readyPath { // whoever asks for these knows of no page
		s.answer(w, r)
		return
	}
	inside, ok := s.strip(r)
	if !ok {
		secure(w.Header(), "")
		if r.URL.Path+"/" == s.BasePath {
			http.Redirect(w, r, s.BasePath, http.StatusPermanentRedirect)
			return
		}
		http.Error(w, "there is nothing at this address", http.StatusNotFound)
		return
	}
	if s.Tunnel != nil && inside.URL.Path == s.TunnelPath {
		s.Tunnel.ServeHTTP(w, inside)
		return
	}
	s.answer(w, inside)
}

// strip is the request as it would be if the page were at the root.
func (s *site) strip(r *http.Request) (*http.Request, bool) {
	if s.BasePath == "/" {
		return r, true
	}
	rest, ok := strings.CutPrefix(r.URL.Path, s.BasePath)
	if !ok {
		return nil, false
	}
	inside, at := *r, *r.URL
	at.Path, at.RawPath = "/"+rest, ""
	inside.URL = &at
	return &inside, true
}

func (s *site) answer(w http.ResponseWriter, r *http.Request) {
	secure(w.Header(), "")
	if s.HTTPS {
		w.Header().Set("Strict-Transport-Security", strictTransport)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case r.URL.Path == healthPath:
		health(w, nil)
	case r.URL.Path == readyPath:
		health(w, s.Ready)
	case s.Reload && r.URL.Path == ReloadPath:
		s.reload(w, r)
	default:
		s.file(w, r)
	}
}

func health(w http.ResponseWriter, check func() error) {
	w.Header().Set("Cache-Control", "no-store")
	if check != nil {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}

func (s *site) file(w http.ResponseWriter, r *http.Request) {
	assets := s.assets
	if s.Reload {
		var err error
		if assets, err = index(s.Assets); err != nil && !errors.Is(err, errUnbuilt) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable) // a build is writing; the reload that follows mends it
			return
		}
	}
	if assets == nil {
		unbuilt(w)
		return
	}
	a, ok := find(assets, r)
	if !ok {
		http.Error(w, "there is nothing at this address", http.StatusNotFound)
		return
	}
	s.send(w, r, a)
}

// find answers the asset that a request means. Paths are looked up in the index, never on a disk, so none leads out of it.
func find(assets map[string]*asset, r *http.Request) (*asset, bool) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if a, ok := assets[name]; ok && name != indexName {
		return a, true
	}
	if !place(name) || !accepts(r.Header.Values("Accept"), "text", "html") {
		return nil, false
	}
	return assets[indexName], true
}

// place says whether a path can be a place in the page, such as inbox/42, which the page itself finds its way to. A
// missing file must stay missing: index.html in place of a script is a riddle.
func place(name string) bool {
	if name == "" || name == indexName {
		return true
	}
	return name[0] != '/' && path.Clean("/"+name) == "/"+strings.TrimSuffix(name, "/") &&
		!strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ".") && // a folder of a file server ends in a slash
		!strings.HasPrefix(name, "assets/") && !strings.HasPrefix(name, "icons/") &&
		!strings.ContainsAny(name, "\\\x00")
}

func (s *site) send(w http.ResponseWriter, r *http.Request, a *asset) {
	h := w.Header()
	secure(h, a.name)
	h.Set("Content-Type", a.mediaType)
	h.Set("Cache-Control", a.cacheControl())
	h.Add("Vary", "Accept-Encoding")
	if a.name == "sw.js" {
		h.Set("Service-Worker-Allowed", s.BasePath)
	}
	v, ok := negotiate(r.Header.Values("Accept-Encoding"), a.variants)
	if !ok {
		// Nothing is acceptable; RFC 9110 section 12.5.3 lets a server send identity all the same, and a page that
		// loads is of more use than 406.
		v = a.variants[len(a.variants)-1]
	}
	h.Set("ETag", a.tag(v))
	if matches(r.Header.Values("If-None-Match"), a, v) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if v.coding != identity {
		h.Set("Content-Encoding", v.coding)
	}
	h.Set("Content-Length", strconv.FormatInt(v.size, 10))
	if r.Method == http.MethodHead {
		return
	}
	f, err := s.Assets.Open(v.name)
	if err != nil {
		h.Del("Content-Encoding")
		h.Del("Content-Length")
		h.Del("ETag")
		h.Set("Cache-Control", "no-store")
		s.Logger.Error("a file of the page cannot be read", "name", v.name, "error", err)
		http.Error(w, "the file cannot be read", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	if _, err := io.CopyBuffer(w, f, make([]byte, copySize)); err != nil && r.Context().Err() == nil {
		s.Logger.Debug("an answer was cut short", "name", v.name, "error", err)
	}
}

// matches compares If-None-Match weakly with what would be sent (RFC 9110 sections 8.8.3.2 and 13.1.2).
func matches(fields []string, a *asset, v variant) bool {
	for _, item := range split(fields) {
		if item == "*" || strings.TrimPrefix(item, "W/") == a.tag(v) {
			return true
		}
	}
	return false
}

const unbuiltPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Postern is not built yet</title>
<h1>The page is not built yet</h1>
<p>The gateway runs, but the files of the page are not in it. In the folder of the sources, run</p>
<pre>go run ./wasm/pack</pre>
<p>and start the gateway again; <code>task run</code> does both.</p>
`

func unbuilt(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, unbuiltPage)
}
