//go:build !js

package render

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/postern-mail/postern/client/internal/browsertest"
)

// TestInChromium draws a real page. Each part leaves the page as the next one needs it.
func TestInChromium(t *testing.T) {
	site := browsertest.Serve(t, "internal/screen", `<div id="app"><p id="shell">loading</p></div>`, map[string]string{"/frame.html": "<!doctype html><body>frame</body>"})
	b := browsertest.Open(t, site)
	set := func(t *testing.T, format string, args ...any) {
		t.Helper()
		b.Call("set", fmt.Sprintf(format, args...))
	}
	is := func(t *testing.T, expression, want string) {
		t.Helper()
		var got any
		b.JS(expression, &got)
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s = %q, want %q", expression, s, want)
		}
	}
	log := func() string { return b.Call("log", "") }

	t.Run("the shell gives way", func(t *testing.T) {
		b.Eventually("document.querySelector('#list')")
		is(t, "document.querySelectorAll('#shell').length", "0")
		is(t, "document.querySelector('main').className", "page tick-0")
	})

	t.Run("keyed rows keep focus, text, caret and identity", func(t *testing.T) {
		b.Do(chromedp.SendKeys("#in-b", "typed"))
		b.JS(`(() => { const i = document.querySelector('#in-b'); i.setSelectionRange(2, 4); i.mark = 1 })()`, nil)
		for _, order := range []string{"bca", "cab", "dcba", "b", "xbyz", "abc"} {
			set(t, `{"Items": ["%s"]}`, strings.Join(strings.Split(order, ""), `","`))
			is(t, `(() => { const i = document.activeElement; return [i.id, i.value, i.selectionStart, i.selectionEnd, i.mark].join() })()`, "in-b,typed,2,4,1")
			is(t, `[...document.querySelectorAll('#list li')].map(e => e.dataset.row).join('')`, order)
		}
		set(t, `{"Items": []}`)
		is(t, "document.querySelector('#list').childNodes.length", "0")
		set(t, `{"Items": ["a", "b"]}`)
		is(t, "document.querySelector('#in-b').value", "")
	})

	t.Run("a controlled input", func(t *testing.T) {
		log()
		b.Do(chromedp.SendKeys("#value", "hello"), chromedp.SendKeys("#value", kb.ArrowLeft+kb.ArrowLeft+"X"))
		is(t, "document.querySelector('#value').value + document.querySelector('#value').selectionStart", "helXlo4")
		set(t, `{"Value": "of the model"}`)
		is(t, "document.querySelector('#value').value", "of the model")
		set(t, `{"Upper": true, "Value": "SHOUT"}`)
		b.Do(chromedp.SendKeys("#value", "y"))
		b.Eventually("document.querySelector('#value').value === 'SHOUT'")
		set(t, `{"Upper": false}`)
	})

	t.Run("typing that the model does not hear of", func(t *testing.T) {
		b.Do(chromedp.SendKeys("#secret", "pass"))
		set(t, `{"Tick": 1}`)
		is(t, "document.querySelector('#secret').value", "pass")
		set(t, `{"Secret": "new"}`)
		is(t, "document.querySelector('#secret').value", "new")
	})

	t.Run("an input method is left alone", func(t *testing.T) {
		set(t, `{"Value": "", "Upper": true}`)
		b.Do(chromedp.Focus("#value"), input.ImeSetComposition("にほ", 2, 2))
		set(t, `{"Tick": 2}`)
		is(t, "document.querySelector('#value').value", "にほ")
		b.Do(input.InsertText("日本"))
		b.Eventually("document.querySelector('#value').value === 'SHOUT'")
		set(t, `{"Upper": false}`)
	})

	t.Run("a checkbox and a select", func(t *testing.T) {
		is(t, "document.querySelector('#choice').value", "y")
		set(t, `{"Option": ["p", "q", "y"], "Choice": "q"}`)
		is(t, "document.querySelector('#choice').value", "q")
		b.Do(chromedp.Click("#agreed"))
		b.Eventually("document.querySelector('#agreed').checked")
		set(t, `{"Agreed": false}`)
		is(t, "document.querySelector('#agreed').checked", "false")
	})

	t.Run("large text and attributes", func(t *testing.T) {
		big := strings.Repeat("郵便", 40_000)
		set(t, `{"Text": %q, "Attr": %q}`, big+" <&\"'>", big)
		is(t, fmt.Sprintf("document.querySelector('#text').textContent === '郵便'.repeat(40000) + %q", " <&\"'>"), "true")
		is(t, "document.querySelector('main').title === '郵便'.repeat(40000)", "true")
		set(t, `{"Attr": "", "Text": "short"}`)
	})

	t.Run("HTML is written when it changed", func(t *testing.T) {
		set(t, `{"Raw": "<b>bold</b> text"}`)
		b.JS(`(() => { const n = document.querySelector('#raw b').firstChild; getSelection().selectAllChildren(n.parentNode) })()`, nil)
		set(t, `{"Tick": 3}`)
		is(t, "getSelection().toString()", "bold")
		set(t, `{"Raw": "plain"}`)
		is(t, "document.querySelector('#raw').innerHTML", "plain")
	})

	t.Run("namespaces", func(t *testing.T) {
		is(t, "document.querySelector('#icon path') instanceof SVGPathElement", "true")
		is(t, "document.querySelector('#icon').viewBox.baseVal.width", "10")
	})

	t.Run("a frame made by vg-js-create is made once and never reloaded", func(t *testing.T) {
		b.Eventually("document.querySelector('#host iframe').contentDocument.readyState === 'complete'")
		b.JS("document.querySelector('#host iframe').contentWindow.mark = 1", nil)
		set(t, `{"Tick": 4, "Items": ["b", "a", "z"]}`)
		is(t, "document.querySelector('#host iframe').contentWindow.mark", "1")
		if n := b.Call("frames", ""); n != "1" {
			t.Errorf("created %s times", n)
		}
	})

	t.Run("events", func(t *testing.T) {
		log()
		b.Do(chromedp.Click("#list li span"), chromedp.Click("#submit"))
		if got := log(); got != `["row b","submit","prevented"]` && got != `["focusout","row b","submit","prevented"]` {
			t.Error(got)
		}
		set(t, `{"Big": 200}`)
		b.JS("document.querySelector('#big').scrollTo(0, 120)", nil)
		b.Eventually(`call("log", "").then(s => s.includes("scroll 120"))`)
		set(t, `{"Tick": 5}`)
		is(t, "document.querySelector('#big').scrollTop", "120")
	})

	t.Run("an event while drawing waits its turn", func(t *testing.T) {
		set(t, `{"Modal": true}`)
		b.Do(chromedp.Focus("#in-modal"))
		log()
		set(t, `{"Modal": false}`)
		if got := log(); strings.Contains(got, "modal") {
			t.Errorf("an element that went heard %s", got)
		}
	})

	t.Run("panics are survived", func(t *testing.T) {
		b.Do(chromedp.Click("#panic"))
		b.Call("break", "")
		b.Call("set", `{"Break": true}`)
		b.Call("set", `{"Break": false, "Tick": 6}`)
		is(t, "document.querySelector('main').dataset.tick", "6")
		var panics []string
		if err := json.Unmarshal([]byte(b.Call("panics", "")), &panics); err != nil {
			t.Fatal(err)
		}
		want := []string{"panic in handler click: the handler breaks", "panic in update: the update breaks", "panic in build: the build breaks"}
		if strings.Join(panics, "; ") != strings.Join(want, "; ") {
			t.Errorf("caught %q", panics)
		}
	})

	t.Run("somebody else's changes are mended", func(t *testing.T) {
		b.JS("document.querySelector('#list').replaceChildren()", nil)
		b.Call("set", `{"Items": ["c", "b", "a"]}`)
		b.Eventually(`[...document.querySelectorAll('#list li')].map(e => e.dataset.row).join('') === 'cba'`)
		b.Call("panics", "")
	})

	t.Run("many updates are few renders", func(t *testing.T) {
		if n := b.Call("burst", ""); n != "1" && n != "2" {
			t.Errorf("a thousand updates made %s renders", n)
		}
	})

	t.Run("a hidden page is drawn too", func(t *testing.T) {
		other := b.Another(site.URL) // puts the first in the background
		set(t, `{"Tick": 70}`)
		is(t, "document.querySelector('main').dataset.tick", "70")
		other.Close()
	})

	t.Run("Rendered is called at any depth", func(t *testing.T) {
		if b.Call("shown", "a") == "0" {
			t.Error("not called")
		}
	})

	for _, n := range []int{50, 500, 5000} {
		if n == 5000 && os.Getenv("POSTERN_BENCH") == "" {
			continue
		}
		set(t, `{"Big": %d}`, n)
		t.Logf("%d rows, one changed: %s ms", n, b.Call("bench", ""))
	}
}
