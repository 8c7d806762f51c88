package view

import (
	"context"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Files is the pane with a folder of a file server.
type Files struct {
	Folder
	Selected map[api.FilePath]api.File
	Over     bool // files are dragged over the pane
	Edit     FileEdit
	Acts     FileActs

	anchor int // the other end of a range being selected
	typed  string
	last   time.Time // when the last letter of it was typed
}

// FileEdit is a name being typed: of a new folder, or another one for an entry.
type FileEdit struct {
	Making bool
	Path   api.FilePath // the entry that is given another name
	Name   string
	Wrong  string
	Busy   bool
}

// FileActs is the menu of what can be done to an entry.
type FileActs struct {
	Open bool
	Row  int // what has the focus afterwards
	X, Y int // where on the page, px
}

// OpenFiles shows a folder of a site, with an entry in the history.
func (a *App) OpenFiles(site api.AccountID, path api.FilePath) {
	a.Files.focus = true
	a.Go(Route{Page: PageFiles, Site: site, Path: path})
}

// OpenFile opens what is under the cursor: it goes into a folder, and fetches a file.
func (f *Files) OpenFile(i int) {
	x, ok := f.Row(i)
	if !ok || !x.Usable {
		return
	}
	f.SetCursor(i)
	switch x.Kind {
	case api.KindFolder:
		f.app.OpenFiles(f.Site, x.Path)
	case api.KindLink: // to what, shows when it is tried as a folder
		f.follow(x)
	default:
		f.app.Download(f.Site, []api.File{x})
	}
}

// follow opens a link: as a folder, and if it is none as a file.
func (f *Files) follow(x api.File) {
	site, app := f.Site, f.app
	app.ask(func(ctx context.Context, svc api.Service) error {
		_, err := svc.ListFiles(ctx, api.FilesQuery{Site: site, Path: x.Path, Limit: 1})
		return err
	}, func(p *api.Problem) {
		switch {
		case p == nil:
			app.OpenFiles(site, x.Path)
		case p.Code == api.CodeGatewayOffline || p.Code == api.CodeServerTimeout:
			app.Toasts.FileTrouble(x.Name+" could not be opened", p)
		default:
			app.Download(site, []api.File{x})
		}
	})
}

// GoUp goes to the folder that this one is in, with the cursor on this one.
func (f *Files) GoUp() {
	up, ok := f.Up()
	if !ok {
		return
	}
	f.come = f.Path
	f.app.OpenFiles(f.Site, up)
}

// show is open for the place that the address names.
func (f *Files) show(site api.AccountID, path api.FilePath) {
	come := f.come
	if site != f.Site || path != f.Path {
		f.Selected, f.anchor, f.Edit, f.Acts = nil, 0, FileEdit{}, FileActs{}
		if come == "" && site == f.Site && strings.HasPrefix(string(f.Path), string(path)) { // Back, out of a folder
			come = f.Path
		}
	}
	f.open(site, path, come)
	f.app.title()
}

// LeaveFiles goes back to where one came from: the folder before, or the mail.
func (a *App) LeaveFiles() {
	a.Files.focus = true
	a.leave(a.List.place)
}

// Targets are what an action is about: what is selected, or what is under the cursor.
func (f *Files) Targets() []api.File {
	if len(f.Selected) == 0 {
		if x, ok := f.Here(); ok && x.Usable {
			return []api.File{x}
		}
		return nil
	}
	list := make([]api.File, 0, len(f.Selected))
	for _, x := range f.Selected {
		list = append(list, x)
	}
	inOrder(len(list), func(i, j int) bool { return list[i].Path < list[j].Path }, func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// inOrder sorts as Shell did. The library's sorting is written anew for each type that it is used with, some 10 KB of code that
// every page would fetch.
func inOrder(n int, less func(i, j int) bool, swap func(i, j int)) {
	for gap := n / 2; gap > 0; gap /= 2 {
		for i := gap; i < n; i++ {
			for j := i; j >= gap && less(j, j-gap); j -= gap {
				swap(j, j-gap)
			}
		}
	}
}

// Pick makes a row the only one selected.
func (f *Files) Pick(i int) {
	f.SetCursor(i)
	f.anchor = i
	f.Selected = nil
	if x, ok := f.Row(i); ok && x.Usable {
		f.Selected = map[api.FilePath]api.File{x.Path: x}
	}
}

// Toggle takes a row into the selection or out of it; with extend, all from the last one on.
func (f *Files) Toggle(i int, extend bool) {
	f.SetCursor(i)
	if f.Selected == nil {
		f.Selected = map[api.FilePath]api.File{}
	}
	if !extend {
		f.anchor = i
		x, ok := f.Row(i)
		switch _, in := f.Selected[x.Path]; {
		case !ok || !x.Usable:
		case in:
			delete(f.Selected, x.Path)
		default:
			f.Selected[x.Path] = x
		}
		return
	}
	clear(f.Selected)
	for j := min(f.anchor, i); j <= max(f.anchor, i); j++ {
		if x, ok := f.Row(j); ok && x.Usable && len(f.Selected) < api.MaxDelete {
			f.Selected[x.Path] = x
		}
	}
}

// SetFilter shows only what has some letters in its name. Nothing stays selected that is not seen.
func (f *Files) SetFilter(s string) {
	f.Selected = nil
	f.Folder.SetFilter(s)
}

// Clear selects nothing.
func (f *Files) Clear() { f.Selected = nil }

// SelectAll selects every entry, as far as one action takes them.
func (f *Files) SelectAll() {
	site, path, app := f.Site, f.Path, f.app
	q := f.query(0, api.MaxFilesLimit)
	var list []api.File
	total := 0
	app.ask(func(ctx context.Context, svc api.Service) error {
		for q.Offset < api.MaxDelete {
			page, err := svc.ListFiles(ctx, q)
			if err != nil {
				return err
			}
			list, total = append(list, page.Files...), page.Total
			if q.Offset += len(page.Files); len(page.Files) == 0 || q.Offset >= total {
				return nil
			}
		}
		return nil
	}, func(p *api.Problem) {
		if p != nil || f.Site != site || f.Path != path {
			return
		}
		f.Selected = map[api.FilePath]api.File{}
		for _, x := range list {
			if x.Usable && len(f.Selected) < api.MaxDelete {
				f.Selected[x.Path] = x
			}
		}
		if total > len(f.Selected) {
			app.Toasts.Say("The first " + Number(len(f.Selected)) + " are selected")
		}
		app.Voice.Say(Number(len(f.Selected)) + " selected")
	})
}

// SelectedWords say how much is selected.
func (f *Files) SelectedWords() string {
	size, known := int64(0), true
	for _, x := range f.Selected {
		if x.Kind != api.KindFile || x.Size < 0 {
			known = false
		} else {
			size += x.Size
		}
	}
	s := Number(len(f.Selected)) + " selected"
	if known {
		s += ", " + Size(size)
	}
	return s
}

// typeAhead puts the cursor on the next entry whose name begins with what is being typed.
func (f *Files) typeAhead(letter string) {
	now := f.app.Now()
	if now.Sub(f.last) > 900*time.Millisecond {
		f.typed = ""
	}
	f.last = now
	f.typed += strings.ToLower(letter)
	from := f.Cursor
	if len([]rune(f.typed)) == 1 {
		from++ // the same letter again goes to the next one
	}
	for j := range f.Total {
		i := (from + j) % f.Total
		if x, ok := f.rows[i]; ok && strings.HasPrefix(strings.ToLower(x.Name), f.typed) {
			f.Selected = nil
			f.anchor = i
			f.MoveTo(i)
			return
		}
		if j > 4*keepRows { // nothing that far is here
			return
		}
	}
}

// key does what a key means in the pane.
func (f *Files) key(k Key) bool {
	a := f.app
	if f.Acts.Open {
		return false // the menu's own
	}
	switch {
	case k.Alt && k.Name == "ArrowUp", k.Name == "Backspace" && !k.Ctrl && !k.Alt:
		f.GoUp()
		return true
	case k.Alt:
		return false
	case k.Ctrl && (k.Name == "a" || k.Name == "A") && k.InList:
		f.SelectAll()
		return true
	case k.Ctrl && k.Name == "z":
		a.UndoLast()
		return true
	case k.Ctrl && k.Name != " " && !strings.HasPrefix(k.Name, "Arrow"):
		return false
	}
	switch k.Name {
	case "/":
		a.platform.Focus(`[data-testid="files-filter"]`)
		return true
	case "F2":
		f.Rename()
		return true
	case "Delete":
		f.Delete()
		return true
	}
	if !k.InList {
		return false
	}
	move := func(i int) {
		i = min(max(i, 0), max(f.Total-1, 0))
		f.MoveTo(i)
		switch {
		case k.Shift:
			anchor := f.anchor
			f.Toggle(i, true)
			f.anchor = anchor
		case !k.Ctrl:
			f.Selected = nil
			f.anchor = i
		}
	}
	switch k.Name {
	case "ArrowDown":
		move(f.Cursor + 1)
	case "ArrowUp":
		move(f.Cursor - 1)
	case "PageDown":
		move(f.Cursor + max(f.Shown-2, 1))
	case "PageUp":
		move(f.Cursor - max(f.Shown-2, 1))
	case "Home":
		move(0)
	case "End":
		move(f.Total - 1)
	case "Enter":
		if k.OnControl {
			return false
		}
		if len(f.Selected) > 1 {
			a.Download(f.Site, f.Targets())
			return true
		}
		f.OpenFile(f.Cursor)
	case " ":
		if k.OnControl {
			return false
		}
		f.Toggle(f.Cursor, k.Shift)
	default:
		if len([]rune(k.Name)) != 1 || k.OnControl {
			return false
		}
		f.typeAhead(k.Name)
	}
	return true
}

// escape closes what is on top of the pane; false when there is nothing.
func (f *Files) escape() bool {
	switch {
	case f.Acts.Open:
		f.CloseActs()
	case f.Edit.Making || f.Edit.Path != "":
		f.StopEdit()
	case len(f.Selected) > 0:
		f.Clear()
	case f.Filter != "":
		f.SetFilter("")
		f.focus = true
	default:
		return false
	}
	return true
}
