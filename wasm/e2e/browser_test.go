package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// wait bounds every expectation of a page. It is generous: a loaded machine with two cores compiles wasm slowly.
const wait = 45 * time.Second

// browser is one Chromium with a profile of its own, and so with a mailbox of its own.
type browser struct {
	t       testing.TB
	name    string
	profile string
	ctx     context.Context
	cancel  context.CancelFunc
}

// startBrowser starts Chromium with an empty profile.
func startBrowser(t testing.TB, name string) *browser {
	t.Helper()
	if chromium() == "" {
		t.Skip("no Chromium on this machine: `task test` as root installs it")
	}
	// Chromium goes on writing while it dies: the profile is removed by hand, after the process is gone.
	profile, err := os.MkdirTemp("", "postern-profile-")
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, name: name, profile: profile}
	b.start()
	t.Cleanup(func() {
		if t.Failed() {
			b.shot("failed-" + strings.ReplaceAll(t.Name(), "/", "-") + "-" + name)
		}
		b.Close()
		os.RemoveAll(profile)
	})
	return b
}

func chromium() string {
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	return ""
}

func (b *browser) start() {
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.UserDataDir(b.profile), chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
		chromedp.Env("LC_ALL=C.UTF-8"), // a bare machine has no locale, and a browser without one cannot name every file
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			// In a process group of its own, so that Kill reaches the children of this browser and of no other.
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		}),
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
	b.ctx, b.cancel = ctx, func() { cancel(); cancelAlloc() }
	if err := chromedp.Run(ctx); err != nil {
		b.t.Fatalf("%s: chromium does not start: %v", b.name, err)
	}
	b.watchConsole()
}

// watchConsole writes the page's errors into the test's log: a panic in wasm shows there and nowhere else.
func (b *browser) watchConsole() {
	var mu sync.Mutex
	over := false
	b.t.Cleanup(func() { mu.Lock(); over = true; mu.Unlock() })
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			b.t.Logf(b.name+": "+format, args...)
		}
	}
	chromedp.ListenTarget(b.ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			say("exception: %s", ev.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if ev.Type == runtime.APITypeError || ev.Type == runtime.APITypeWarning {
				var parts []string
				for _, a := range ev.Args {
					parts = append(parts, string(a.Value)+a.Description)
				}
				say("console.%s: %s", ev.Type, strings.Join(parts, " "))
			}
		}
	})
}

// Close ends the browser.
func (b *browser) Close() { b.cancel() }

// Kill ends the browser as a power cut would, and starts it again with the same profile.
func (b *browser) KillAndRestart() {
	b.t.Helper()
	p := chromedp.FromContext(b.ctx).Browser.Process()
	syscall.Kill(-p.Pid, syscall.SIGKILL)
	b.cancel()
	os.Remove(filepath.Join(b.profile, "SingletonLock"))
	b.start()
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
}

// Go opens an address and waits until the page has rendered from the store.
func (b *browser) Go(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url))
	b.Until("the page is ready", `document.querySelector('[data-ready="true"]') !== null`)
}

// Reload reloads the page and waits until it has rendered from the store.
func (b *browser) Reload() {
	b.t.Helper()
	b.Eval(`void (document.documentElement.dataset.former = "true")`, nil) // or the page that goes could be taken for the one that comes
	b.run(chromedp.ActionFunc(func(ctx context.Context) error { return page.Reload().Do(ctx) }))
	b.Until("the page is ready again", `!document.documentElement.dataset.former && document.readyState === "complete" && document.querySelector('[data-ready="true"]') !== null`)
}

// Eval evaluates an expression in the page, promises awaited.
func (b *browser) Eval(js string, out any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Evaluate(js, out, awaited)); err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, js, err)
	}
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// Until waits until a JavaScript expression is true. The page cannot tell us by an event (its CSP forbids eval, and it
// exports nothing), so it is asked again and again.
func (b *browser) Until(what, js string) {
	b.t.Helper()
	b.within(wait, what, js)
}

func (b *browser) within(d time.Duration, what, js string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, d)
	defer cancel()
	var last any
	for {
		err := chromedp.Run(ctx, chromedp.Evaluate("("+js+")", &last, awaited))
		if err == nil && last == true {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s: not within %v: %s\n%s (last: %v, %v)\npage: %s", b.name, d, what, js, last, err, b.text())
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// text is what a person would read on the page now, shortened.
func (b *browser) text() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var s string
	done := make(chan struct{})
	go func() {
		defer close(done)
		chromedp.Run(b.ctx, chromedp.Evaluate(`document.body.innerText.slice(0, 1500)`, &s))
	}()
	select {
	case <-done:
		return s
	case <-ctx.Done():
		return "(no answer)"
	}
}

// tid is the selector of a hook.
func tid(id string) string { return fmt.Sprintf(`[data-testid=%q]`, id) }

// q is a JavaScript expression for the first element with a hook.
func q(id string) string { return fmt.Sprintf(`document.querySelector('[data-testid="%s"]')`, id) }

// js quotes a Go string for JavaScript.
func js(s string) string { b, _ := json.Marshal(s); return string(b) }

// Click waits for an enabled, visible element and clicks it with the mouse, as a person would.
func (b *browser) Click(id string) {
	b.t.Helper()
	b.Until(id+" can be clicked", fmt.Sprintf(`(e => e && !e.disabled && e.getClientRects().length > 0)(%s)`, q(id)))
	b.run(chromedp.Click(tid(id), chromedp.ByQuery, chromedp.NodeVisible))
}

// Type puts the focus into a field and types.
func (b *browser) Type(id, text string) {
	b.t.Helper()
	b.Until(id+" is there", fmt.Sprintf(`(e => e && e.getClientRects().length > 0)(%s)`, q(id)))
	b.run(chromedp.Focus(tid(id), chromedp.ByQuery), chromedp.KeyEvent(text))
}

// Fill types in place of what stands in a field.
func (b *browser) Fill(id, text string) {
	b.t.Helper()
	b.Until(id+" is there", fmt.Sprintf(`(e => e && e.getClientRects().length > 0)(%s)`, q(id)))
	b.run(chromedp.Focus(tid(id), chromedp.ByQuery))
	b.Eval(q(id)+`.select()`, nil)
	b.run(chromedp.KeyEvent(text))
}

// Choose takes an option of a select.
func (b *browser) Choose(id, value string) {
	b.t.Helper()
	b.Until(id+" is there", fmt.Sprintf(`(e => e && e.getClientRects().length > 0)(%s)`, q(id)))
	b.Eval(fmt.Sprintf(`(e => { e.value = %s; e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true})) })(%s)`, js(value), q(id)), nil)
	b.Until(id+" is "+value, q(id)+`.value === `+js(value))
}

// Press sends a key to whatever has the focus.
func (b *browser) Press(key string, mods ...chromedp.KeyOption) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(key, mods...))
}

// enter is the Enter key.
const enter = kb.Enter

// row is a JavaScript expression for the first row with a subject.
func row(subject string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-testid="message-row"]')].find(r => r.dataset.subject === %s)`, js(subject))
}

// Open clicks the row with a subject and waits for its message.
func (b *browser) Open(subject string) {
	b.t.Helper()
	b.Until("the row "+subject, row(subject)+" !== undefined")
	// Where a person would click, once it is the row that is there: another page may still be painted over the list.
	at := `(r => { const b = r.getBoundingClientRect(); return {X: b.left + b.width/3, Y: b.top + b.height/2} })(` + row(subject) + `)`
	b.Until("nothing over the row "+subject, `(p => (e => e !== null && `+row(subject)+`.contains(e))(document.elementFromPoint(p.X, p.Y)))(`+at+`)`)
	var box struct{ X, Y float64 }
	b.Eval(at, &box)
	b.run(chromedp.MouseClickXY(box.X, box.Y))
	b.Until("the message "+subject, fmt.Sprintf(`(e => e && e.textContent.includes(%s))(%s)`, js(subject), q("message-subject")))
}

// body is a JavaScript expression for the text of the opened message, in its frame or its element.
const body = `(e => !e ? "" : e.tagName === "IFRAME" ? (e.contentDocument && e.contentDocument.body ? e.contentDocument.body.innerText : "") : e.innerText)(document.querySelector('[data-testid="message-body"]'))`

// SignInDemo signs in by a demo button and waits for the inbox.
func (b *browser) SignInDemo(who string) {
	b.t.Helper()
	b.Click("demo-" + who)
	b.Until(who+"'s inbox", q("message-list")+` !== null && `+q("folder-inbox")+` !== null`)
}

// Compose writes a message and sends it.
func (b *browser) Compose(to, subject, text string) {
	b.t.Helper()
	b.Click("compose")
	b.Type("compose-to", to)
	b.Type("compose-subject", subject)
	b.Type("compose-body", text)
	b.Click("compose-send")
	b.Until("the composer has closed", q("compose-form")+` === null`)
}

// shot saves a screenshot into the folder named by POSTERN_SHOTS, for a person to look at.
func (b *browser) shot(name string) {
	dir := os.Getenv("POSTERN_SHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	var png []byte
	// A picture is taken when nothing moves any more.
	still := `Promise.race([Promise.all(document.getAnimations().filter(a => a.effect?.getComputedTiming().iterations !== Infinity).map(a => a.finished)), new Promise(r => setTimeout(r, 1500))]).then(() => new Promise(requestAnimationFrame)).then(() => true, () => true)`
	if err := chromedp.Run(ctx, chromedp.Evaluate(still, nil, awaited)); err != nil {
		b.t.Logf("screenshot %s: %v", name, err)
	}
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		b.t.Logf("no screenshot %s: %v", name, err)
		return
	}
	os.MkdirAll(dir, 0o755)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Logf("no screenshot %s: %v", name, err)
	}
}

// Phone makes the viewport a phone's; Desktop makes it a desk's again.
func (b *browser) Phone()   { b.run(emulation.SetDeviceMetricsOverride(390, 844, 2, true)) }
func (b *browser) Desktop() { b.run(emulation.SetDeviceMetricsOverride(1440, 900, 1, false)) }

// Dark asks for a dark scheme.
func (b *browser) Dark(on bool) {
	v := "light"
	if on {
		v = "dark"
	}
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v}}))
}

// Tab opens a second tab in the same profile.
func (b *browser) Tab(name string) *browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	tab := &browser{t: b.t, name: name, profile: b.profile, ctx: ctx, cancel: cancel}
	if err := chromedp.Run(ctx); err != nil {
		b.t.Fatal(err)
	}
	tab.watchConsole()
	return tab
}

// CloseTab closes the page and leaves the browser.
func (b *browser) CloseTab() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error { return page.Close().Do(ctx) }))
}
