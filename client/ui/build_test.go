package ui

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"
	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const alice = "alice@postern.test"

// screen is the page drawn without a browser: components are built, their trees walked, their handlers called.
type screen struct {
	*viewtest.Page
	svc   *viewtest.Service
	root  *Root
	env   *vugu.BuildEnv
	built *vugu.BuildResults
}

// noFrame is a MessageFrame of which nothing is asked: nothing is created without a browser.
type noFrame struct{}

func (noFrame) Fill(js.Value, string) {}

// env is an EventEnv without a renderer.
type env struct{}

func (env) Lock()         {}
func (env) UnlockOnly()   {}
func (env) UnlockRender() {}
func (env) RLock()        {}
func (env) RUnlock()      {}

// show runs fn with a page at a location over an engine that setup has filled.
func show(t *testing.T, location string, setup func(*viewtest.Service), fn func(t *testing.T, s *screen)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret"})
		setup(svc)
		be, err := vugu.NewBuildEnv(env{})
		if err != nil {
			t.Fatal(err)
		}
		s := &screen{Page: viewtest.NewPage(t, svc, location), svc: svc, env: be}
		s.root = &Root{App: s.App, Frame: noFrame{}}
		svc.OnEvent(s.Receive)
		s.Start(t.Context())
		synctest.Wait()
		fn(t, s)
		s.Do(func() {})         // what the test has read comes before what happens now
		time.Sleep(time.Minute) // timers run out inside the bubble
		synctest.Wait()
	})
}

// draw builds the page and parses what a browser would be given.
func (s *screen) draw() *html.Node {
	s.T.Helper()
	var b strings.Builder
	s.Do(func() {
		s.built = s.env.RunBuild(s.root)
		for _, n := range s.built.Out.Out {
			s.write(&b, n)
		}
	})
	doc, err := html.Parse(strings.NewReader(b.String()))
	if err != nil {
		s.T.Fatal(err)
	}
	return doc
}

func (s *screen) write(b *strings.Builder, n *vugu.VGNode) {
	switch {
	case n.Component != nil:
		for _, o := range s.built.ResultFor(n.Component).Out {
			s.write(b, o)
		}
		return
	case n.Type == vugu.TextNode:
		b.WriteString(html.EscapeString(n.Data))
		return
	case n.Type != vugu.ElementNode:
		return
	case !n.IsTemplate():
		b.WriteString("<" + n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key + `="` + html.EscapeString(a.Val) + `"`)
		}
		for _, p := range n.Prop { // what a property shows, as an attribute of its own
			var v any
			if err := json.Unmarshal(p.JSONVal, &v); err != nil {
				s.T.Error(err)
			}
			b.WriteString(" prop-" + strings.ToLower(p.Key) + `="` + html.EscapeString(fmt.Sprint(v)) + `"`)
		}
		b.WriteString(">")
		defer b.WriteString("</" + n.Data + ">")
	}
	if n.InnerHTML != nil {
		b.WriteString(*n.InnerHTML)
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		s.write(b, c)
	}
}

// all lists the elements that match.
func all(n *html.Node, match func(*html.Node) bool) []*html.Node {
	var out []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && match(d) {
			out = append(out, d)
		}
	}
	return out
}

func hooks(n *html.Node, id string) []*html.Node {
	return all(n, func(n *html.Node) bool { return attr(n, "data-testid") == id })
}

// hook is the first element with a hook; it fails when there is none.
func (s *screen) hook(n *html.Node, id string) *html.Node {
	s.T.Helper()
	l := hooks(n, id)
	if len(l) == 0 {
		s.T.Fatalf("no %s on the page:\n%s", id, text(n))
	}
	return l[0]
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// event is a DOMEvent of a test.
type event struct {
	props             map[string]any
	prevented, halted bool
}

func (e *event) Prop(keys ...string) any            { return e.props[strings.Join(keys, ".")] }
func (e *event) PropString(keys ...string) string   { s, _ := e.Prop(keys...).(string); return s }
func (e *event) PropFloat64(keys ...string) float64 { f, _ := e.Prop(keys...).(float64); return f }
func (e *event) PropBool(keys ...string) bool       { b, _ := e.Prop(keys...).(bool); return b }
func (e *event) EventSummary() map[string]any       { return e.props }
func (e *event) JSEvent() js.Value                  { return js.Undefined() }
func (e *event) JSEventTarget() js.Value            { return js.Undefined() }
func (e *event) JSEventCurrentTarget() js.Value     { return js.Undefined() }
func (e *event) EventEnv() vugu.EventEnv            { return env{} }
func (e *event) PreventDefault()                    { e.prevented = true }
func (e *event) StopPropagation()                   { e.halted = true }

// fire calls an element's handler, as the browser would, and waits until all that follows has happened.
func (s *screen) fire(id, kind string, props map[string]any) *event {
	s.T.Helper()
	s.draw()
	var handler func(vugu.DOMEvent)
	s.visit(s.built.Out.Out, func(n *vugu.VGNode) bool {
		found := false
		for _, a := range n.Attr {
			found = found || a.Key == "data-testid" && a.Val == id
		}
		if !found {
			return false
		}
		for _, h := range n.DOMEventHandlerSpecList {
			if h.EventType == kind {
				handler = h.Func
			}
		}
		return true
	})
	if handler == nil {
		s.T.Fatalf("nothing hears %s of %s", kind, id)
	}
	e := &event{props: props}
	s.Do(func() { handler(e) })
	synctest.Wait()
	return e
}

func (s *screen) visit(list []*vugu.VGNode, fn func(*vugu.VGNode) bool) bool {
	for _, n := range list {
		if n.Component != nil {
			if s.visit(s.built.ResultFor(n.Component).Out, fn) {
				return true
			}
			continue
		}
		if fn(n) {
			return true
		}
		var kids []*vugu.VGNode
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			kids = append(kids, c)
		}
		if s.visit(kids, fn) {
			return true
		}
	}
	return false
}

func (s *screen) click(id string) *event { s.T.Helper(); return s.fire(id, "click", nil) }

func (s *screen) typeIn(id, words string) {
	s.T.Helper()
	s.fire(id, "input", map[string]any{"target.value": words})
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// mailbox is an account with a message of each kind.
func mailbox(s *viewtest.Service) {
	s.SignedIn(alice, "Alice Postern")
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the bubble's present
	bob, self := api.Address{Name: "Bob", Addr: "bob@postern.test"}, api.Address{Name: "Alice", Addr: alice}
	row := func(id api.MessageID, f api.FolderID, from api.Address, subject string) api.Row {
		return api.Row{ID: id, Folder: f, From: from, To: []api.Address{self}, Subject: subject, Snippet: "snippet <b>", Date: at.Add(-time.Duration(id) * time.Hour), Size: 900}
	}
	unread := row(1, api.Inbox, bob, "Lunch & <script>")
	unread.Unread = true
	files := row(2, api.Inbox, api.Address{Name: "bank@bank.example", Addr: "x@evil.example"}, "")
	files.Attachments, files.Flagged, files.Answered = 1, true, true
	letter := row(3, api.Inbox, bob, "お知らせ")
	s.Add(api.Message{Row: unread, Text: "See https://x.org/?a=1&b=2 <script>alert(1)</script>\n> old", Cc: []api.Address{{Addr: "carol@x.org"}}},
		api.Message{Row: files, Text: "text", Note: "It is damaged.", Parts: []api.Part{{Index: 1, Name: "plan.pdf", Type: "application/pdf", Size: 1200}}},
		api.Message{Row: letter, HTML: "<p>safe</p>", Remote: 2})
	for i, st := range []api.OutboxState{api.StateQueued, api.StateSending, api.StateDeferred, api.StateFailed, api.StateUnknown} {
		r := row(api.MessageID(10+i), api.Outbox, self, "Out "+string(st))
		r.To, r.State = []api.Address{bob}, st
		switch st {
		case api.StateSending:
			r.Progress = 0.45
		case api.StateDeferred:
			r.RetryAt = at.Add(14*time.Hour + 30*time.Minute)
		case api.StateFailed, api.StateUnknown:
			r.Problem = &api.Problem{Code: api.CodeRecipientRefused, Detail: "bob@postern.test", Technical: "550"}
		}
		s.Add(api.Message{Row: r, Text: "out"})
	}
	draft := row(20, api.Drafts, self, "Half")
	draft.State = api.StateDraft
	s.Add(api.Message{Row: draft, Text: "half a"})
}
