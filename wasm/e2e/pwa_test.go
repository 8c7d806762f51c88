package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// The shell paints before any wasm has arrived, says how far the loading is, and then gives way to the page.
func TestShellPaintsBeforeWasm(t *testing.T) {
	g := startGateway(t)
	target, _ := url.Parse(g.URL())
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = target.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".wasm") {
			<-release
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Cleanup(let)
	b := startBrowser(t, "slow line")
	b.run(chromedp.Navigate(front.URL))
	b.Until("the browser painted", `performance.getEntriesByName("first-contentful-paint").length === 1`)
	b.Until("a progress bar is there", `document.querySelector('progress, [role="progressbar"]') !== null`)
	b.Until("and nothing of the wasm", `performance.getEntriesByType("resource").every(e => !e.name.endsWith(".wasm") || e.responseEnd === 0)`)
	b.shot("shell")
	b.Phone()
	b.Dark(true)
	b.shot("shell-phone-dark")
	let()
	b.Until("the page follows", `document.querySelector('#app [data-ready="true"]') !== null`)
	b.Until("and the root element says so", `document.documentElement.dataset.ready === "true"`)
}

// Chromium finds nothing that forbids to install the page.
func TestInstallable(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "installer")
	b.Go(g.URL())
	b.Until("the service worker is active", `navigator.serviceWorker.ready.then(r => !!r.active)`)
	var problems []string
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		errs, err := page.GetInstallabilityErrors().Do(ctx)
		for _, e := range errs {
			problems = append(problems, fmt.Sprintf("%s %v", e.ErrorID, e.ErrorArguments))
		}
		return err
	}))
	if len(problems) > 0 {
		t.Fatalf("not installable: %v", problems)
	}
}

// The page obeys a policy that allows neither inline nor evaluated script, and breaks it nowhere.
func TestContentSecurityPolicy(t *testing.T) {
	g := startGateway(t)
	resp, err := http.Get(g.URL())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	csp := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "script-src 'self' 'wasm-unsafe-eval'") || strings.Contains(csp, "unsafe-inline") || strings.Contains(csp, "'unsafe-eval'") {
		t.Fatalf("policy: %s", csp)
	}
	b := startBrowser(t, "watched")
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(`addEventListener("securitypolicyviolation", e => (window.__broken ||= []).push(e.violatedDirective + " " + e.blockedURI + " " + e.sourceFile))`).Do(ctx)
		return err
	}))
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Compose("alice@postern.test", "policy", "text")
	b.Open("policy")
	b.Click("reply")
	var broken []string
	b.Eval(`window.__broken || []`, &broken)
	if len(broken) > 0 {
		t.Fatalf("the page broke its own policy: %q", broken)
	}
	var globals []string
	b.Eval(`(() => { const f = document.createElement("iframe"); document.body.append(f); const clean = new Set(Object.getOwnPropertyNames(f.contentWindow)); f.remove(); return Object.getOwnPropertyNames(window).filter(n => !clean.has(n)) })()`, &globals)
	for _, n := range globals {
		switch n {
		case "Go", "fs", "process", "path", "enosys", "__broken": // wasm_exec.js's own
		default:
			if !strings.HasPrefix(n, "on") {
				t.Logf("a name on window: %s", n)
			}
		}
	}
}
