package ui

import (
	"strconv"
	"strings"
	"time"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Files is the pane with a folder of a file server. As many rows are drawn as fit on the screen, and a few more.
type Files struct {
	App *view.App

	scroll *scroller
	now    time.Time
}

// Compute runs before each build.
func (c *Files) Compute() { c.now = c.App.Now() }

// fileRowHeight is in px, until the style sheet's own has been read.
const fileRowHeight = 40

func (c *Files) scroller(el js.Value) {
	c.scroll = scrolling(c.App, &c.App.Files, "--file-height", fileRowHeight, el, c.scroll)
}

// fileSlots are the rows of a folder to draw, of which some may be skeletons.
func fileSlots(f *view.Folder) []slot {
	shown := f.Shown
	if shown == 0 {
		shown = rowsAtFirst
	}
	return slotsOf(f.First, shown, fileTotal(f))
}

func fileTotal(f *view.Folder) int {
	if !f.Loaded && f.Slow && f.Problem == nil {
		return skeletonRows
	}
	return f.Total
}

func filesHeight(f *view.Folder) string {
	return "height:calc(var(--file-height)*" + strconv.Itoa(fileTotal(f)) + ")"
}

// way is a breadcrumb: what is shown of it, and in the middle what there is no room for.
type way struct {
	first, rest []api.Crumb
	hidden      []api.Crumb
}

func wayTo(f *view.Folder, site string, most int) (w way) {
	list := f.Crumbs
	if len(list) == 0 {
		return way{first: []api.Crumb{{Name: site}}}
	}
	top := list[0]
	top.Name = site
	w.first, w.rest = []api.Crumb{top}, list[1:]
	if n := len(w.rest) - most; n > 0 {
		w.hidden, w.rest = w.rest[:n], w.rest[n:]
	}
	return w
}

func (c *Files) way() way {
	most := 2
	if c.App.Narrow() {
		most = 1
	}
	return wayTo(&c.App.Files.Folder, c.site(), most)
}

func (c *Files) site() string { return view.SiteLabel(c.App.Site(c.App.Files.Site)) }

func (c *Files) last(p api.Crumb) any {
	if p.Path == c.App.Files.Path {
		return "page"
	}
	return nil
}

func (c *Files) href(p api.Crumb) string {
	return view.Route{Page: view.PageFiles, Site: c.App.Files.Site, Path: p.Path}.String()
}

func (c *Files) goTo(p api.Crumb, e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.Menu.Close()
		c.App.OpenFiles(c.App.Files.Site, p.Path)
	}
}

func (c *Files) sorted(by api.FileSort) string {
	f := &c.App.Files
	switch {
	case f.Sort != by:
		return "none"
	case f.Descending:
		return "descending"
	}
	return "ascending"
}

func (c *Files) sortWay() any {
	if c.App.Files.Descending {
		return "true"
	}
	return nil
}

type column struct {
	by         api.FileSort
	name, kind string
}

var columns = []column{{api.SortName, "Name", "cab-name"}, {api.SortSize, "Size", "cab-size"}, {api.SortDate, "Modified", "cab-date"}}

func (c *Files) sort(value string) { c.App.Files.SortBy(api.FileSort(value)) }

func (c *Files) label() string {
	if t := c.App.Files.Title(); strings.HasPrefix(t, "Files ") {
		return t
	} else {
		return "Files in " + t
	}
}

func (c *Files) count() string {
	f := &c.App.Files
	switch {
	case !f.Loaded && f.Slow && f.Problem == nil:
		return "Listing…"
	case !f.Loaded:
		return ""
	case f.Cut:
		return "The first " + view.Number(f.Total) + " are shown"
	}
	return view.Count(f.Total, "item")
}

func (c *Files) choosing() bool {
	n := len(c.App.Files.Selected)
	return n > 1 || n == 1 && c.App.Narrow()
}

// filtered goes from the filter to what it lets through.
func (c *Files) filtered(e vugu.DOMEvent) {
	if goesDown(e) {
		c.App.Files.FocusCursor()
	}
}

func (c *Files) empty() bool {
	f := &c.App.Files
	return f.Loaded && f.Total == 0 && f.Problem == nil
}

func (c *Files) words() view.Words { return c.App.FileTrouble(c.App.Files.Problem) }

// needsForm says that the trouble is one that the server's settings mend.
func (c *Files) needsForm() bool {
	switch c.App.Files.Problem.Code {
	case api.CodeWrongPassword, api.CodePasswordNeeded, api.CodeServerWantsTLS, api.CodeNoTLS, api.CodeServerUnreachable, api.CodeServerProtocol:
		return true
	}
	return false
}

func (c *Files) formText() string {
	if c.App.Files.Problem.Code == api.CodePasswordNeeded {
		return "Enter the password"
	}
	return "Server settings"
}

func (c *Files) certificate() *api.Certificate { return c.App.Files.Problem.Certificate }

// upload sends what was chosen in the input that the event is about.
func (c *Files) upload(e vugu.DOMEvent) {
	c.App.Upload(c.App.Files.Site, c.App.Files.Path, chosen(e.JSEventTarget()))
}

// drop takes files that are dropped on the pane. The listeners are its own: the pointer's way over the page renders nothing.
func (c *Files) drop(el js.Value) {
	over := false
	set := func(on bool) {
		if on != over {
			over = on
			c.App.Do(func() { c.App.Files.Over = on })
		}
	}
	hear := func(event string, fn func(e, data js.Value)) {
		el.Call("addEventListener", event, js.FuncOf(func(_ js.Value, args []js.Value) any {
			if data := args[0].Get("dataTransfer"); data.Truthy() && data.Get("types").Call("includes", "Files").Bool() {
				args[0].Call("preventDefault")
				args[0].Call("stopPropagation")
				fn(args[0], data)
			}
			return nil
		}))
	}
	hear("dragenter", func(_, _ js.Value) { set(true) })
	hear("dragover", func(_, data js.Value) { data.Set("dropEffect", "copy"); set(true) })
	hear("dragleave", func(e, _ js.Value) {
		if to := e.Get("relatedTarget"); !to.Truthy() || !el.Call("contains", to).Bool() {
			set(false)
		}
	})
	hear("drop", func(_, data js.Value) {
		files, folders := dropped(data)
		over = false
		c.App.Do(func() {
			c.App.Files.Over = false
			if folders {
				c.App.Toasts.Say("Folders cannot be uploaded: drop the files in them")
			}
			c.App.Upload(c.App.Files.Site, c.App.Files.Path, files)
		})
	})
}

// dropped are the files of a drop; folders says that there were folders too, which a browser does not read.
func dropped(data js.Value) (files []view.LocalFile, folders bool) {
	items := data.Get("items")
	if !items.Truthy() {
		return localFiles(data.Get("files")), false
	}
	for i := range items.Get("length").Int() {
		item := items.Index(i)
		if item.Get("kind").String() != "file" {
			continue
		}
		if item.Get("webkitGetAsEntry").Truthy() {
			if entry := item.Call("webkitGetAsEntry"); entry.Truthy() && entry.Get("isDirectory").Bool() {
				folders = true
				continue
			}
		}
		if f := item.Call("getAsFile"); f.Truthy() {
			files = append(files, localFile{f})
		}
	}
	return files, folders
}

// place puts the menu where it was asked for, and on the page.
func (c *Files) place() string {
	a := c.App.Files.Acts
	return "top:min(" + strconv.Itoa(a.Y) + "px, calc(100dvh - 320px));left:max(8px, min(" + strconv.Itoa(a.X) + "px, calc(100vw - 248px)))"
}

func first(i int) any {
	if i == 0 {
		return "true"
	}
	return nil
}

// selectStem puts the caret where a name is most often changed: its end stays.
func (c *Files) selectStem(el js.Value) {
	if data := el.Get("dataset"); data.Get("placed").Truthy() {
		return
	} else {
		data.Set("placed", "true")
	}
	name := el.Get("value").String()
	n := js.Global().Get("String").New(stem(name)).Get("length").Int() // JavaScript counts in UTF-16
	el.Call("setSelectionRange", 0, n)
}

func (c *Files) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.Files.CommitEdit()
}

// behind keeps the columns from the keyboard while what is done with the selection stands in their place.
func (c *Files) behind() any {
	if c.choosing() {
		return ""
	}
	return nil
}

func (c *Files) refresh() {
	c.App.Menu.Close()
	c.App.Files.Reload()
}

// hidden puts the list away while there is nothing to be shown in it.
func (c *Files) hidden() any {
	if f := &c.App.Files; f.Problem != nil && !f.Loaded {
		return ""
	}
	return nil
}
