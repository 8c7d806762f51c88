//go:build !js

package platform_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"
	"github.com/postern-mail/postern/client/internal/browsertest"
)

const body = `
<a id="place" href="/inbox/7?q=x">in the page</a> <a id="away" href="/frame.html" target="_blank">away</a>
<input id="field"><button id="button">press</button><div data-testid="message-list" tabindex="0" id="list">list</div>
<iframe src="/frame.html" sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"></iframe>`

func serve(t *testing.T) *browsertest.Site {
	public := func(name string) string {
		b, err := os.ReadFile("../../public/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), `{{asset "socket.js"}}`, "socket.js")
	}
	return browsertest.Serve(t, "internal/tabs", body, map[string]string{
		"/frame.html": public("frame.html"), "/farsocket.js": public("farsocket.js"), "/socket.js": public("socket.js"),
		// A worker whose program says why it ends.
		"/failing.js": `importScripts("/wasm_exec.js"); (async () => {
			const go = new Go();
			const { instance } = await WebAssembly.instantiateStreaming(fetch("/program.wasm"), go.importObject);
			go.run(instance);
			await call("fail", "");
			setTimeout(() => { throw new Error("ended"); });
		})();`,
	})
}

func TestOneEngineForAllTabs(t *testing.T) {
	site := serve(t)
	first := browsertest.Open(t, site)
	start := func(b *browsertest.Tab) string {
		t.Helper()
		b.Call("host", "/loader.js")
		b.Eventually(`call("status", "").catch(() => "")`)
		return b.Call("status", "")
	}
	leader := start(first)

	second := first.Another(site.URL)
	if name := start(second); name != leader {
		t.Fatalf("the second tab speaks to an engine of its own: %s and %s", name, leader)
	}
	if n := second.Call("source", ""); n != "3145728" {
		t.Errorf("three megabytes came as %s", n)
	}
	second.Call("poke", "")
	for _, b := range []*browsertest.Tab{first, second} {
		b.Eventually(`call("events", "").then(n => n === "1")`)
	}
	third := first.Another(site.URL)
	if name := start(third); name != leader {
		t.Fatal("the third tab speaks to an engine of its own")
	}

	// The leader goes: another tab takes over, and the third finds it.
	began := time.Now()
	first.Close()
	next := `call("status", "").then(s => s && s !== "` + leader + `" ? s : "").catch(() => "")`
	second.Eventually(next)
	t.Logf("taken over after %v", time.Since(began))
	third.Eventually(next)
	if a, b := second.Call("status", ""), third.Call("status", ""); a != b {
		t.Errorf("two engines: %s and %s", a, b)
	}

	// A page that freezes lets go of the engine, and takes part again when it comes back.
	was := second.Call("status", "")
	freeze := `dispatchEvent(new PageTransitionEvent("pagehide", {persisted: true}))`
	second.JS(freeze, nil)
	third.JS(freeze, nil)
	third.Eventually(`navigator.locks.query().then(q => !q.held.some(l => l.name.startsWith("postern-")) && !q.pending.length)`)
	third.JS(`dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`, nil)
	third.Eventually(strings.ReplaceAll(next, leader, was))
	second.JS(`dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`, nil)
	second.Eventually(strings.ReplaceAll(next, leader, was))
	if a, b := second.Call("status", ""), third.Call("status", ""); a != b {
		t.Errorf("two engines after the freeze: %s and %s", a, b)
	}

	// A worker that dies is started again.
	was = third.Call("status", "")
	_ = third.TryJS(`call("kill", "")`, nil) // the call has no answer
	third.Eventually(strings.ReplaceAll(next, leader, was))
	second.Eventually(strings.ReplaceAll(next, leader, was))
}

func TestAnEngineThatCannotStart(t *testing.T) {
	site := serve(t)
	b := browsertest.Open(t, site)
	b.Call("host", "/nowhere.js")
	b.Eventually(`call("status", "").catch(e => e.message.includes("stopped"))`)
	b.Reload()
	b.Call("host", "/failing.js")
	b.Eventually(`call("status", "").catch(e => e.message.includes("nothing works"))`)
}

func TestVault(t *testing.T) {
	site := serve(t)
	b := browsertest.Open(t, site)
	if s := b.Call("vault-get", "alice"); s != `""` {
		t.Fatalf("an empty vault answers %s", s)
	}
	b.Call("vault-put", "first")
	b.Call("vault-put", "correct horse battery staple")
	if s := b.InWorker("vault-get", "alice"); s != `"correct horse battery staple"` {
		t.Errorf("in a worker: %s", s)
	}
	b.Reload()
	if s := b.Call("vault-get", "alice"); s != `"correct horse battery staple"` {
		t.Errorf("after a reload: %s", s)
	}
	var seen struct {
		Extractable bool
		Values      string
	}
	b.JS(`new Promise((resolve, reject) => {
		const open = indexedDB.open("test-vault");
		open.onerror = () => reject(open.error);
		open.onsuccess = () => {
			const tx = open.result.transaction(["keys", "secrets"]);
			const key = tx.objectStore("keys").getAll(), secrets = tx.objectStore("secrets").getAll();
			tx.oncomplete = () => {
				open.result.close();
				const text = secrets.result.map(s => String.fromCharCode(...new Uint8Array(s.sealed))).join();
				resolve({ Extractable: key.result[0].extractable, Values: text });
			};
		};
	})`, &seen)
	if seen.Extractable {
		t.Error("the key can be taken out")
	}
	if strings.Contains(seen.Values, "horse") || seen.Values == "" {
		t.Error("the secret lies there in clear")
	}
	if b.Call("vault-swap", "") != "true" {
		t.Error("a secret opens under another name")
	}
	b.Call("vault-delete", "alice")
	b.Call("vault-delete", "nobody")
	if s := b.Call("vault-get", "alice"); s != `""` {
		t.Errorf("a deleted secret answers %s", s)
	}
	if s := b.Call("vault-both", "fresh-vault"); s != "of one, of two" {
		t.Errorf("two at once: %s", s)
	}
}

func TestSocket(t *testing.T) {
	site := serve(t)
	ended := make(chan error, 10)
	site.Handle("/echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"test"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		err = c.Write(r.Context(), websocket.MessageBinary, []byte("hello"))
		for err == nil {
			var kind websocket.MessageType
			var m []byte
			if kind, m, err = c.Read(r.Context()); err != nil {
				break
			}
			if len(m) == 7 {
				kind = websocket.MessageText
			}
			err = c.Write(r.Context(), kind, m)
		}
		ended <- err
	}))
	b := browsertest.Open(t, site)
	for _, test := range []struct {
		name, sizes, answer string
		code                websocket.StatusCode
	}{
		{"messages", "0 1 1000 65535 65536 3", "websocket: closed here", websocket.StatusNormalClosure},
		{"too long", "5 65537", "websocket: a message of 65537 octets", 3000 + websocket.StatusMessageTooBig},
		{"text", "6 7", "websocket: a text message", 3000 + websocket.StatusUnsupportedData},
	} {
		for how, answer := range map[string]string{"here": b.Call("echo", test.sizes), "in a thread of its own": b.InWorker("echo-far", test.sizes)} {
			if answer != test.answer {
				t.Errorf("%s, %s: %q", test.name, how, answer)
			}
			if err := <-ended; websocket.CloseStatus(err) != test.code {
				t.Errorf("%s: the server saw %v", test.name, err)
			}
		}
	}
	b.JS(`(() => { globalThis.came = []; globalThis.WebSocket = class extends WebSocket {
		constructor(...to) { super(...to); this.addEventListener("message", ({ data }) => came.push(data)) }
	} })()`, nil)
	b.Call("echo", "1 1000 65536")
	<-ended
	var held string
	if b.JS(`came.length + " " + came.reduce((sum, { byteLength }) => sum + byteLength, 0)`, &held); held != "4 0" {
		t.Errorf("messages, and octets of them that are held when they have been read: %v", held)
	}
	site.Handle("/echo", http.NotFoundHandler())
	b.Eventually(`call("echo", "1").catch(e => /closed with 1006/.test(e.message))`)
	b.Eventually(`inWorker("echo-far", "1").catch(e => /closed with 1006/.test(e.message))`)
}

func TestDecodeText(t *testing.T) {
	site := serve(t)
	b := browsertest.Open(t, site)
	for label, want := range map[string]string{
		"windows-1251": "Привет true", "koi8-r": "оПХБЕР true", "no-such-charset": " false", "replacement": " false", "": " false",
	} {
		if got := b.Call("text", label); got != want {
			t.Errorf("%s: %q, want %q", label, got, want)
		}
	}
}

func TestPage(t *testing.T) {
	site := serve(t)
	b := browsertest.Open(t, site)
	b.Call("listen", "")
	log := func(want string) {
		t.Helper()
		if got := b.Call("log", ""); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	is := func(expression string, want any) {
		t.Helper()
		var got any
		b.JS(expression, &got)
		if got != want {
			t.Errorf("%s = %v, want %v", expression, got, want)
		}
	}

	t.Run("address", func(t *testing.T) {
		if at := b.Call("push", "/sent/1"); at != "/sent/1" {
			t.Error(at)
		}
		log("")
		b.Do(chromedp.Click("#place"))
		log("at /inbox/7?q=x")
		b.Call("back", "")
		b.Eventually(`location.pathname === "/sent/1"`)
		b.Eventually(`call("log", "").then(s => s === "at /sent/1")`)
	})

	t.Run("keys", func(t *testing.T) {
		b.JS("addEventListener('keydown', e => { globalThis.prevented = e.defaultPrevented })", nil)
		b.Do(chromedp.SendKeys("#list", "j"))
		log(`{"Name":"j","Ctrl":false,"Shift":false,"Alt":false,"Typing":false,"InList":true,"OnControl":false}`)
		is("prevented", true)
		b.Do(chromedp.SendKeys("#field", "x"))
		log(`{"Name":"x","Ctrl":false,"Shift":false,"Alt":false,"Typing":true,"InList":false,"OnControl":true}`)
		is("prevented", false)
		b.Do(chromedp.Focus("#button"), chromedp.KeyEvent(kb.Enter))
		log(`{"Name":"Enter","Ctrl":false,"Shift":false,"Alt":false,"Typing":false,"InList":false,"OnControl":true}`)
	})

	t.Run("files", func(t *testing.T) {
		b.JS(`(() => {
			const d = new DataTransfer();
			d.items.add(new File(["hello"], "a.txt", {type: "text/plain"}));
			d.items.add(new File(["x".repeat(1001)], "large.bin"));
			d.items.add(new File([], "b.bin"));
			const e = new DragEvent("drop", {dataTransfer: d, bubbles: true, cancelable: true});
			document.body.dispatchEvent(e);
			return e.defaultPrevented;
		})()`, nil)
		b.Eventually(`(async () => { globalThis.heard = (globalThis.heard ?? "") + await call("log", ""); return heard.includes("b.bin") })()`)
		is("heard.replaceAll(';', '')", `a.txt text/plain "hello"large.bin 1001 unreadb.bin  ""`)

		b.JS(`(() => { const make = URL.createObjectURL; URL.createObjectURL = (blob) => { globalThis.saved = blob; return make(blob) };
			HTMLAnchorElement.prototype.click = function () { globalThis.clicked = this.download } })()`, nil)
		b.Call("save", "")
		is("clicked + ' ' + saved.type + ' ' + saved.size", "evil.html application/octet-stream 25")
		is("document.querySelectorAll('a[download]').length", 0.0)
	})

	t.Run("settings", func(t *testing.T) {
		if v := b.Call("prefer", "dark"); v != "dark" {
			t.Error(v)
		}
		b.Reload()
		if v := b.Call("preference", ""); v != "dark" {
			t.Errorf("after a reload: %q", v)
		}
		b.Call("prefer", "")
		is("localStorage.length", 0.0)
		b.Call("title", "Inbox")
		is("document.title", "Inbox")
		b.Call("theme", "light")
		is("document.documentElement.dataset.theme", "light")
		b.Call("focus", "#field")
		is("document.activeElement.id", "field")
		b.Call("focus", "#nowhere")
		is("document.activeElement.id", "field")
	})

	t.Run("time", func(t *testing.T) {
		for _, at := range []string{"2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"} {
			var minutes float64
			b.JS(`-new Date("`+at+`").getTimezoneOffset()`, &minutes)
			utc, err := time.Parse(time.RFC3339, at)
			if err != nil {
				t.Fatal(err)
			}
			want := utc.In(time.FixedZone("", int(minutes)*60)).Format(time.RFC3339)
			if got := b.Call("local", at); got != want {
				t.Errorf("%s is %s here, want %s", at, got, want)
			}
		}
	})

	t.Run("frame", func(t *testing.T) {
		b.Call("listen", "")
		b.Call("fill", `<p style="height:700px">mail</p><p id="end">end</p><a id="out" href="https://example.org/">out</a><script>parent.hacked = 1</script><img src="x" onerror="parent.hacked = 1">`)
		b.Eventually(`document.querySelector("iframe").offsetHeight >= 700`)
		is(`typeof hacked`, "undefined")
		is(`(() => { const a = document.querySelector("iframe").contentDocument.querySelector("#out"); a.addEventListener("click", e => e.preventDefault()); a.click(); return a.target + a.rel })()`, "_blanknoopener noreferrer")

		// The frame is as high as the mail. A mail that is as high as the frame, and a bit, would grow without end.
		for _, grows := range []string{
			`html, body { height: 100% !important }`, `html { height: 110% } body { height: 120% !important; padding: 50px }`,
			`body { min-height: 100% !important } html { min-height: 100%; height: 101% }`, `:root:not(#a#b) { height: 110% !important; min-height: 110% !important }`,
			`html, body { aspect-ratio: 1; width: 100%; border: 9px solid !important }`, `html { height: 100% } body { max-height: 10px; overflow-y: scroll; height: 150% }`,
		} {
			b.Call("fill", "<style>"+grows+"</style><p>mail</p>")
			b.JS(`new Promise(done => setTimeout(() => done(true), 300))`, nil)
			var before, after float64
			b.JS(`document.querySelector("iframe").offsetHeight`, &before)
			b.JS(`new Promise(done => setTimeout(() => done(document.querySelector("iframe").offsetHeight), 300))`, &after)
			if after > before {
				t.Errorf("%s: the frame grows from %v to %v", grows, before, after)
			}
		}
		b.JS(`(() => { const d = document.querySelector("iframe").contentDocument; d.body.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true, cancelable: true})) })()`, nil)
		b.Eventually(`call("log", "").then(s => s.includes('"Name":"j"'))`)
	})
}
