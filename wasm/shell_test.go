package wasm

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/wasm/internal/bundle"
)

// These tests are about what is around the programs: the shell, the loader, the worker's script, the service worker.
// They run with programs of a few lines (testdata) and the real files of public, behind the real web server.

// programs are compiled once for all tests.
var programs = sync.OnceValues(func() (map[string][]byte, error) {
	return bundle.Compile(context.Background(), root, filepath.Join(root, ".task", "shell-test"), true,
		bundle.Program{Package: "./wasm/testdata/app"}, bundle.Program{Package: "./wasm/testdata/engine"})
})

// site serves versions of the page and lets a test break it.
type site struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	handler http.Handler
	broken  func(path string) bool // answered by 500
	held    func(path string) bool // half an answer, and no more until released
	release chan struct{}
	let     func() // releases what is held
	seen    map[string]int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, release: make(chan struct{}), seen: make(map[string]int)}
	s.let = sync.OnceFunc(func() { close(s.release) })
	s.publish("one")
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	t.Cleanup(s.let)
	return s
}

// publish packs public anew; version is put into boot.js, so that it is another one.
func (s *site) publish(version string) {
	s.t.Helper()
	p, err := programs()
	if err != nil {
		s.t.Fatal(err)
	}
	sources := make(fstest.MapFS)
	public := os.DirFS(filepath.Join(root, "public"))
	err = fs.WalkDir(public, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(name, "dist/") {
			return err
		}
		b, err := fs.ReadFile(public, name)
		sources[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	sources["boot.js"].Data = append(sources["boot.js"].Data, "\ndocument.documentElement.dataset.version = \""+version+"\";\n"...)
	packed, err := bundle.Pack(sources, p, false)
	if err != nil {
		s.t.Fatal(err)
	}
	files := make(fstest.MapFS)
	for _, f := range packed.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Content}
	}
	h, err := web.Handler(web.Config{Assets: files})
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

func (s *site) fault(broken, held func(path string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken, s.held = broken, held
}

func (s *site) requests(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for path, times := range s.seen {
		if strings.Contains(path, part) {
			n += times
		}
	}
	return n
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen[r.URL.Path]++
	handler, broken, held := s.handler, s.broken, s.held
	s.mu.Unlock()
	if broken != nil && broken(r.URL.Path) {
		http.Error(w, "broken for the test", http.StatusInternalServerError)
		return
	}
	if held == nil || !held(r.URL.Path) {
		handler.ServeHTTP(w, r)
		return
	}
	whole := httptest.NewRecorder()
	handler.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	b := whole.Body.Bytes()
	w.Write(b[:len(b)/2])
	w.(http.Flusher).Flush()
	select {
	case <-s.release:
		w.Write(b[len(b)/2:])
	case <-r.Context().Done():
	}
}

func (s *site) URL() string { return strings.Replace(s.server.URL, "127.0.0.1", "localhost", 1) }

// tab is a tab of a browser that was started for one test.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T) *tab {
	t.Helper()
	var binary string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			binary = p
			break
		}
	}
	if binary == "" {
		t.Skip("no Chromium on this machine: `task test` as root installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1440, 900), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost"))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	// Closed in order, so that the profile is no longer written to when it is removed.
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return &tab{t, ctx}
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, _, err := page.Navigate(url).Do(ctx)
		return err
	}))
}

// until waits for an expression to be true. The page may be on its way to another one meanwhile, which is no fault.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	patience := time.After(40 * time.Second)
	var yes bool
	var err error
	for !yes {
		if err = chromedp.Run(b.ctx, chromedp.Evaluate("(async () => !!("+expression+"))()", &yes, awaited)); b.ctx.Err() != nil {
			b.t.Fatalf("waiting until %s: %v", what, err)
		}
		select {
		case <-patience:
			var state string
			_ = chromedp.Run(b.ctx, chromedp.Evaluate("document.body.innerText", &state))
			b.t.Fatalf("waited in vain until %s: %v\nthe page reads: %s", what, err, state)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func (b *tab) eval(expression string, result any) {
	b.t.Helper()
	b.run(chromedp.Evaluate(expression, result, chromedp.EvalAsValue, awaited))
}

// shot leaves a picture in the folder POSTERN_SHOTS, if that is set.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("POSTERN_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.run(chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

const (
	runs   = `document.getElementById("app").textContent === "the engine says hello"`
	active = `navigator.serviceWorker.controller?.state === "activated"`
)

func isPage(path string) bool {
	return strings.HasPrefix(path, "/assets/app.") && strings.HasSuffix(path, ".wasm")
}

// The shell is there while the page's program is still coming, and says how far it is; then the page takes its place.
func TestShellWhileLoading(t *testing.T) {
	s, b := newSite(t), newTab(t)
	s.fault(nil, isPage)
	b.open(s.URL())
	b.until("half of it is shown", `document.getElementById("load-bar").value > 0.4 && document.getElementById("load-bar").value < 0.6`)
	b.until("in bytes, too", `/^\d\.\d of \d\.\d MB$/.test(document.getElementById("load-bytes").textContent)`)
	b.until("the shell is painted", `performance.getEntriesByName("first-contentful-paint").length === 1`)
	b.until("the card is there", `getComputedStyle(document.querySelector("#load .load-card")).opacity === "1"`)
	b.shot("shell")
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
	b.shot("shell-dark")
	b.run(emulation.SetDeviceMetricsOverride(390, 844, 2, true))
	b.until("nothing is wider than a phone", `document.documentElement.scrollWidth <= innerWidth`)
	b.shot("shell-phone-dark")
	b.run(emulation.SetEmulatedMedia().WithFeatures(nil))
	b.shot("shell-phone")
	s.let()
	b.until("the page runs", runs)
	// The engine comes along while the page loads, and once.
	if n := s.requests("/assets/engine."); n != 1 {
		t.Errorf("the engine was fetched %d times", n)
	}
	if n := s.requests("/assets/app."); n != 2 { // the program, and the style sheet of that name
		t.Errorf("the page was fetched %d times", n)
	}
	var names []string
	b.eval(`Object.getOwnPropertyNames(window).filter(n => /postern|^(boot|warm|start|keep|offer|meta|follow|fail|wasm|size|slow)$/i.test(n))`, &names)
	if len(names) > 0 {
		t.Errorf("the loader left %q on window", names)
	}
}

// What cannot be loaded is said, with what to do; trying again works without a reload.
func TestFailures(t *testing.T) {
	s, b := newSite(t), newTab(t)
	s.fault(isPage, nil)
	b.open(s.URL())
	b.until("the failure is shown", `!document.getElementById("failure").hidden && document.getElementById("failure-title").textContent === "Postern could not be loaded"`)
	b.until("with its cause", `document.getElementById("failure-technical").textContent.includes("500")`)
	b.until("and the way on has the focus", `document.activeElement.id === "failure-retry"`)
	b.shot("failure")
	s.fault(nil, nil)
	b.eval(`document.getElementById("failure-retry").click()`, nil)
	b.until("the page runs", runs)
	b.until("the failure is gone", `document.getElementById("failure").hidden`)

	b.eval(`document.dispatchEvent(new Event("test-end"))`, nil)
	b.until("a program that ended is noticed", `document.getElementById("failure-title").textContent === "Postern has stopped"`)
}

// A browser that lacks what is needed is told so before anything is loaded.
func TestUnfitBrowser(t *testing.T) {
	s, b := newSite(t), newTab(t)
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(`delete globalThis.WebAssembly`).Do(ctx)
		return err
	}))
	b.open(s.URL())
	b.until("it is told", `document.getElementById("failure-title").textContent === "This browser cannot run Postern"`)
}

// After one visit everything works without a network, the message frame keeps its own policy, and the gateway's
// services are never answered from the store.
func TestOffline(t *testing.T) {
	s, b := newSite(t), newTab(t)
	b.open(s.URL())
	b.until("the page runs", runs)
	b.until("the service worker has it", active)
	s.server.CloseClientConnections()
	s.server.Listener.Close()
	for _, path := range []string{"/", "/inbox/42", "/compose?to=a@b.example"} {
		b.open(s.URL() + path)
		b.until("the page runs offline at "+path, runs+` && location.pathname + location.search === "`+path+`"`)
	}
	var policy string
	b.eval(`fetch("/frame.html").then(r => r.headers.get("Content-Security-Policy"))`, &policy)
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'self'") {
		t.Errorf("the frame's policy offline is %q", policy)
	}
	for _, path := range []string{"/healthz", "/tunnel", "/assets/none.js"} {
		var result string
		b.eval(`fetch("`+path+`").then(r => "answered " + r.status, () => "failed")`, &result)
		if result != "failed" {
			t.Errorf("%s offline: %s; want it to fail", path, result)
		}
	}
}

// A new version is fetched whole, waits, is offered, and comes when the user wants it. Nothing of the old one stays.
func TestUpdate(t *testing.T) {
	s, b := newSite(t), newTab(t)
	b.open(s.URL())
	b.until("the page runs", runs)
	b.until("the service worker has it", active)

	// A version whose installation fails half-way changes nothing.
	s.publish("broken")
	s.fault(func(path string) bool { return path == "/frame.html" }, nil)
	var outcome string
	b.eval(`navigator.serviceWorker.getRegistration().then(async (r) => {
		await r.update().catch(() => {});
		const w = r.installing;
		if (w) await new Promise((done) => w.addEventListener("statechange", () => w.state === "redundant" && done()));
		return r.waiting ? "waits" : "failed";
	})`, &outcome)
	if outcome != "failed" {
		t.Errorf("a version with a missing file %s", outcome)
	}
	b.open(s.URL() + "/inbox")
	b.until("the version before goes on", runs+` && document.documentElement.dataset.version === "one"`)
	var caches []string
	b.eval(`caches.keys()`, &caches)
	if len(caches) != 1 {
		t.Errorf("the failed version left something behind: %q", caches)
	}

	s.publish("two")
	s.fault(nil, nil)
	fetched := s.requests("/assets/engine.")
	b.eval(`navigator.serviceWorker.getRegistration().then((r) => r.update()).then(() => true)`, nil)
	b.until("it is offered", `!document.getElementById("update").hidden`)
	b.until("and not forced", `document.documentElement.dataset.version === "one"`)
	b.shot("update")
	if n := s.requests("/assets/engine."); n != fetched {
		t.Error("a file that had not changed was fetched again")
	}
	b.eval(`document.getElementById("update-reload").click()`, nil)
	b.until("the new version runs", runs+` && document.documentElement.dataset.version === "two"`)
	b.until("and is alone", `(await caches.keys()).length === 1`)
	var now []string
	b.eval(`caches.keys()`, &now)
	if len(now) == 1 && len(caches) == 1 && now[0] == caches[0] {
		t.Errorf("the old version's files stayed: %q", now)
	}
}

// Chromium finds nothing in the manifest that stands against installing.
func TestManifest(t *testing.T) {
	s, b := newSite(t), newTab(t)
	b.open(s.URL())
	b.until("the service worker has it", active)
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		faults, err := page.GetInstallabilityErrors().Do(ctx)
		for _, f := range faults {
			t.Errorf("not installable: %s", f.ErrorID)
		}
		return err
	}), chromedp.ActionFunc(func(ctx context.Context) error {
		_, problems, _, _, err := page.GetAppManifest().Do(ctx)
		for _, p := range problems {
			t.Errorf("manifest: %s", p.Message)
		}
		return err
	}))
	b.until("the icon loads", `document.querySelector("img").naturalWidth > 0`)

	text, err := os.ReadFile(filepath.Join(root, "public", "manifest.webmanifest"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		ID, Scope, Display string
		StartURL           string `json:"start_url"`
		Icons              []struct{ Src, Sizes, Purpose string }
		Shortcuts          []struct{ Name, URL string }
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.ID == "" || manifest.Scope == "" || manifest.StartURL == "" || manifest.Display != "standalone" || len(manifest.Shortcuts) < 2 {
		t.Errorf("the manifest is %+v", manifest)
	}
	purposes := make(map[string]bool)
	for _, i := range manifest.Icons {
		purposes[i.Purpose+" "+i.Sizes] = true
		if _, err := os.Stat(filepath.Join(root, "public", filepath.FromSlash(i.Src))); err != nil {
			t.Errorf("an icon is missing: %v", err)
		}
	}
	for _, want := range []string{"any 192x192", "any 512x512", "maskable 192x192", "maskable 512x512"} {
		if !purposes[want] {
			t.Errorf("no icon is %s", want)
		}
	}
}

// awaited makes an evaluation wait for a promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
