//go:build !js

// Package browsertest runs a small Go program in Chromium, in a page and in workers, and lets a test call it.
//
// The program is a main package for js/wasm that calls program.Main with its cases. The page is served with the
// Content-Security-Policy of the real one, so that what needs eval or inline scripts fails here too.
package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Limit bounds one call of a case: a loaded machine compiles wasm slowly.
const Limit = 60 * time.Second

const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'"

// loader starts the program. In a page, call(name, arg) runs a case there and inWorker(name, arg) in a new worker.
const loader = `
async function boot() {
  const go = new Go();
  const { instance } = await WebAssembly.instantiateStreaming(fetch("/program.wasm"), go.importObject);
  go.run(instance).then(() => setTimeout(() => { throw new Error("the program ended"); }));
}
if (typeof document === "undefined") {
  importScripts("/wasm_exec.js");
  boot().then(() => {
    if (location.search.includes("wasm=")) { call("engine", ""); return; }
    self.addEventListener("message", async (e) => {
      if (e.data?.case === undefined) return;
      try { self.postMessage({ value: await call(e.data.case, e.data.arg) }); }
      catch (error) { self.postMessage({ error: String(error.message || error) }); }
    });
    self.postMessage({ up: true });
  });
} else {
  self.inWorker = (name, arg, keep) => new Promise((resolve, reject) => {
    const w = new Worker("/loader.js");
    w.onerror = (e) => reject(new Error(e.message));
    w.onmessage = (e) => {
      if (e.data.up) return w.postMessage({ case: name, arg });
      if (keep) self.kept = w; else w.terminate();
      e.data.error !== undefined ? reject(new Error(e.data.error)) : resolve(e.data.value);
    };
  });
  self.started = boot();
}
`

// Site is a program, served.
type Site struct {
	URL    string
	server *httptest.Server

	mu       sync.Mutex
	handlers map[string]http.Handler
}

// Handle answers a path of the site by h, for what a program asks a server for.
func (s *Site) Handle(path string, h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handlers == nil {
		s.handlers = map[string]http.Handler{}
	}
	s.handlers[path] = h
}

func (s *Site) handler(path string) http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handlers[path]
}

// Serve builds the main package in dir (relative to the test's folder) and serves it on loopback, at any path.
// HTML is the body of the page. Files are served besides.
func Serve(t testing.TB, dir, html string, files map[string]string) *Site {
	t.Helper()
	if Chromium() == "" {
		t.Skip("no Chromium on this machine: `task test` as root installs it")
	}
	wasm := filepath.Join(t.TempDir(), "program.wasm")
	build := exec.Command("go", "build", "-o", wasm, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	support := filepath.Join(strings.TrimSpace(string(goroot)), "lib", "wasm", "wasm_exec.js")
	s := &Site{}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := s.handler(r.URL.Path); h != nil {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		switch {
		case r.URL.Path == "/program.wasm":
			http.ServeFile(w, r, wasm)
		case r.URL.Path == "/wasm_exec.js":
			http.ServeFile(w, r, support)
		case r.URL.Path == "/loader.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, loader)
		case files[r.URL.Path] != "":
			if strings.HasSuffix(r.URL.Path, ".html") {
				w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'")
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
			} else {
				w.Header().Set("Content-Type", "text/javascript")
			}
			fmt.Fprint(w, files[r.URL.Path])
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, "<!doctype html><title>test</title><script src=/wasm_exec.js></script><script src=/loader.js defer></script>%s", html)
		}
	}))
	s.URL = s.server.URL
	t.Cleanup(s.server.Close)
	return s
}

// Chromium is the browser's path, or "".
func Chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}

// Tab is a page with the program in it.
type Tab struct {
	t      testing.TB
	ctx    context.Context
	cancel context.CancelFunc
}

// Open starts a browser with a fresh profile and opens the site in it.
func Open(t testing.TB, s *Site) *Tab {
	t.Helper()
	profile, err := os.MkdirTemp("", "postern-browser-")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Chromium()), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-features", "Translate,MediaRouter,OptimizationHints"),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocated, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // waits for the browser to end
		cancel()
		stop()
		for range 50 { // the browser goes on writing while it dies
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	tab := &Tab{t: t, ctx: ctx, cancel: cancel}
	tab.log()
	tab.Go(s.URL)
	return tab
}

// Another opens the site in another tab of the same browser.
func (b *Tab) Another(url string) *Tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(func() { chromedp.Cancel(ctx) })
	tab := &Tab{t: b.t, ctx: ctx, cancel: cancel}
	tab.log()
	tab.Go(url)
	return tab
}

// log shows what the program writes to the console.
func (b *Tab) log() {
	chromedp.ListenTarget(b.ctx, func(e any) {
		switch e := e.(type) {
		case *cdpruntime.EventConsoleAPICalled:
			for _, a := range e.Args {
				b.t.Logf("console %s: %s", e.Type, a.Value)
			}
		case *cdpruntime.EventExceptionThrown:
			b.t.Logf("exception: %s", e.ExceptionDetails.Error())
		}
	})
}

// Do runs actions of chromedp.
func (b *Tab) Do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Limit)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		_, file, line, _ := runtime.Caller(1)
		b.t.Fatalf("%s:%d: %v", filepath.Base(file), line, err)
	}
}

// Go opens a URL and waits until the program runs.
func (b *Tab) Go(url string) {
	b.t.Helper()
	// The first Run of a tab must not have a deadline: it would be the tab's.
	if err := chromedp.Run(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatal(err)
	}
	b.JS("started", nil)
}

// JS evaluates an expression, waits if it is a promise, and decodes its value into out, if that is not nil.
func (b *Tab) JS(expression string, out any) {
	b.t.Helper()
	if err := b.TryJS(expression, out); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// TryJS is JS that may fail.
func (b *Tab) TryJS(expression string, out any) error {
	ctx, cancel := context.WithTimeout(b.ctx, Limit)
	defer cancel()
	var raw json.RawMessage
	err := chromedp.Run(ctx, chromedp.Evaluate("Promise.resolve("+expression+").then(v => JSON.stringify(v) ?? 'null')", &raw,
		func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if err != nil || out == nil {
		return err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), out)
}

// Call runs a case of the program in the page and answers its text.
func (b *Tab) Call(name, arg string) string {
	b.t.Helper()
	return b.text("call", name, arg)
}

// InWorker runs a case in a worker of its own, which is terminated afterwards.
func (b *Tab) InWorker(name, arg string) string {
	b.t.Helper()
	return b.text("inWorker", name, arg)
}

func (b *Tab) text(how, name, arg string) string {
	b.t.Helper()
	n, _ := json.Marshal(name)
	a, _ := json.Marshal(arg)
	var s string
	b.JS(fmt.Sprintf("%s(%s, %s)", how, n, a), &s)
	return s
}

// Eventually waits until an expression is true.
func (b *Tab) Eventually(expression string) {
	b.t.Helper()
	var ok bool
	b.JS(fmt.Sprintf(`(async () => {
		for (const end = Date.now() + %d; Date.now() < end; await new Promise(r => setTimeout(r, 10))) if (await (%s)) return true;
		return false;
	})()`, (Limit/2).Milliseconds(), expression), &ok)
	if !ok {
		b.t.Fatalf("never: %s", expression)
	}
}

// Reload loads the page again.
func (b *Tab) Reload() {
	b.t.Helper()
	b.Do(page.Reload())
	b.Eventually("typeof started === 'object'")
	b.JS("started", nil)
}

// Close closes the tab as its user would: the page gets pagehide.
func (b *Tab) Close() {
	b.t.Helper()
	id := chromedp.FromContext(b.ctx).Target.TargetID
	b.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		return target.CloseTarget(id).Do(chromedpBrowser(ctx))
	}))
}
