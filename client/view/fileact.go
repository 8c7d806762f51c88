package view

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
)

// OpenActs shows what can be done to a row, at a point of the page. What is selected stays so if the row is part of it.
func (f *Files) OpenActs(i, x, y int) {
	row, ok := f.Row(i)
	if !ok || !row.Usable {
		return
	}
	if _, in := f.Selected[row.Path]; !in {
		if f.Pick(i); f.app.Narrow() { // where what is selected is acted on together, and a touch adds to it
			f.Selected = nil
		}
	}
	f.SetCursor(i)
	f.Acts = FileActs{Open: true, Row: i, X: x, Y: y}
	f.app.platform.Focus(`[data-menu="file"] [data-first]`)
}

// CloseActs takes the menu away.
func (f *Files) CloseActs() {
	f.Acts = FileActs{}
	f.FocusCursor()
}

// FileAct is an entry of that menu.
type FileAct struct {
	ID, Name, Icon, Keys string
	Bad                  bool
	Do                   func()
}

// ActList are what can be done to the targets.
func (f *Files) ActList() []FileAct {
	targets := f.Targets()
	if len(targets) == 0 {
		return nil
	}
	one, files := len(targets) == 1, true
	for _, x := range targets {
		files = files && x.Kind != api.KindFolder
	}
	var list []FileAct
	if one && targets[0].Kind == api.KindFolder {
		list = append(list, FileAct{ID: "file-open", Name: "Open", Icon: "folder", Keys: "Enter", Do: func() { f.OpenFile(f.Acts.Row) }})
	}
	if files {
		list = append(list, FileAct{ID: "file-download", Name: "Download", Icon: "download", Do: func() { f.app.Download(f.Site, targets) }})
		if len(f.app.Accounts) > 0 {
			list = append(list, FileAct{ID: "file-attach", Name: "Attach to a message", Icon: "attach", Do: func() { f.app.AttachToNew(f.Site, targets) }})
		}
	}
	if one {
		list = append(list, FileAct{ID: "file-rename", Name: "Rename", Icon: "draft", Keys: "F2", Do: f.Rename})
	}
	list = append(list, FileAct{ID: "file-move", Name: "Move to…", Icon: "folder-move", Do: f.Move})
	if one {
		list = append(list, FileAct{ID: "file-copy-path", Name: "Copy the path", Icon: "link", Do: func() {
			f.app.platform.Copy(string(targets[0].Path))
			f.app.Toasts.Say("The path was copied")
		}})
	}
	return append(list, FileAct{ID: "file-delete", Name: "Delete", Icon: "trash", Keys: "Delete", Bad: true, Do: f.Delete})
}

// Act does an entry of the menu.
func (f *Files) Act(x FileAct) {
	do := x.Do
	row := f.Acts.Row
	f.Acts = FileActs{Row: row}
	f.FocusCursor()
	do()
}

// MakeFolder begins a new folder: its name is asked for in the list itself.
func (f *Files) MakeFolder() {
	if f.Problem != nil && !f.Loaded {
		return
	}
	if f.Filter != "" { // or it would not be seen
		f.SetFilter("")
	}
	f.Edit = FileEdit{Making: true, Name: "New folder"}
	f.app.platform.Focus(`[data-testid="file-name"]`)
}

// Rename begins another name for the entry under the cursor.
func (f *Files) Rename() {
	list := f.Targets()
	if len(list) != 1 {
		return
	}
	if i := f.Find(list[0].Path); i >= 0 {
		f.SetCursor(i)
	}
	f.Edit = FileEdit{Path: list[0].Path, Name: list[0].Name}
	f.app.platform.Focus(`[data-testid="file-name"]`)
}

// SetName follows the typing of the name.
func (f *Files) SetName(s string) { f.Edit.Name, f.Edit.Wrong = s, "" }

// StopEdit leaves the name as it was.
func (f *Files) StopEdit() {
	f.Edit = FileEdit{}
	f.FocusCursor()
}

// LeaveEdit takes the name when the focus goes elsewhere, as file managers do; a new folder only if its name was changed.
func (f *Files) LeaveEdit() {
	if f.Edit.Path != "" && f.Edit.Wrong == "" && !f.Edit.Busy {
		f.CommitEdit()
	}
}

// CommitEdit tells the server the name.
func (f *Files) CommitEdit() {
	e := f.Edit
	if e.Busy || !e.Making && e.Path == "" {
		return
	}
	name := strings.TrimSpace(e.Name)
	old := f.nameOf(e.Path)
	switch {
	case name == "":
		f.wrongName("Enter a name")
		return
	case !utf8.ValidString(name) || strings.ContainsRune(name, '/') || name == "." || name == "..":
		f.wrongName("Nothing can be called that: a name has no “/” in it")
		return
	case !e.Making && name == old:
		f.StopEdit()
		return
	}
	f.Edit.Busy = true
	site, folder := f.Site, f.Path
	var made api.File
	f.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		if e.Making {
			made, err = svc.MakeFolder(ctx, api.MakeFolder{Site: site, Folder: folder, Name: name})
		} else {
			made, err = svc.RenameFile(ctx, api.RenameFile{Site: site, Path: e.Path, Name: name})
		}
		return err
	}, func(p *api.Problem) {
		if f.Site != site || f.Path != folder || f.Edit.Path != e.Path || f.Edit.Making != e.Making {
			if p != nil {
				f.app.Toasts.FileTrouble(name+" could not be made", p)
			}
			return
		}
		if p != nil {
			f.Edit.Busy = false
			f.wrongName(nameTrouble(p))
			return
		}
		f.Edit = FileEdit{}
		f.Selected = nil
		f.come, f.focus = made.Path, true
		f.Refresh()
		if e.Making {
			f.app.Voice.Say("The folder " + name + " was made")
		} else {
			f.app.Voice.Say(old + " is called " + name + " now")
		}
	})
}

// nameTrouble is why a name was not taken, in a sentence for beside the name.
func nameTrouble(p *api.Problem) string {
	w := FileWords(p)
	if w.Means == "" {
		return w.Title
	}
	return w.Title + ". " + w.Means
}

func (f *Files) wrongName(why string) {
	f.Edit.Wrong = why
	f.app.Voice.Cry(why)
	f.app.platform.Focus(`[data-testid="file-name"]`)
}

func (f *Files) nameOf(path api.FilePath) string {
	if i := f.Find(path); i >= 0 {
		return f.rows[i].Name
	}
	return ""
}

// Delete takes the targets away. The server is told when nobody has taken it back for a while.
func (f *Files) Delete() {
	targets := f.Targets()
	if len(targets) == 0 {
		return
	}
	site, next := f.Site, f.Cursor
	paths := make([]api.FilePath, len(targets))
	for i, x := range targets {
		paths[i] = x.Path
		if j := f.Find(x.Path); j >= 0 {
			next = min(next, j)
		}
	}
	what := targets[0].Name
	if len(targets) > 1 {
		what = Count(len(targets), "item")
	}
	f.Selected = nil
	var t api.Transfer
	f.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		t, err = svc.DeleteFiles(ctx, api.DeleteFiles{Site: site, Paths: paths})
		return err
	}, func(p *api.Problem) {
		if p != nil {
			f.app.Toasts.FileTrouble(what+" could not be deleted", p)
			return
		}
		f.app.Transfers.put(t)
		if f.Site == site {
			f.Cursor, f.at, f.focus = next, "", true
			f.Refresh()
		}
		f.app.Toasts.Show(Toast{Text: what + " deleted", Action: "Undo", Do: func() { f.app.undoDelete(t.ID, what) }})
	})
}

func (a *App) undoDelete(id api.TransferID, what string) {
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.UndoDelete(ctx, id) }, func(p *api.Problem) {
		if p != nil {
			a.Toasts.FileTrouble(what+" could not be brought back", p)
			return
		}
		a.Voice.Say(what + " is back")
		a.Files.FocusCursor()
	})
}

// Download has files fetched to this device.
func (a *App) Download(site api.AccountID, list []api.File) {
	fewAtATime(len(list), func(i int, after func()) {
		x := list[i]
		if x.Kind == api.KindFolder || !x.Usable {
			after()
			return
		}
		var t api.Transfer
		a.askThen(a.sched.Later, func(ctx context.Context, svc api.Service) (err error) {
			t, err = svc.DownloadFile(ctx, api.FileRef{Site: site, Path: x.Path})
			return err
		}, func(p *api.Problem) {
			if p != nil {
				a.Toasts.FileTrouble(x.Name+" could not be fetched", p)
			} else {
				a.Transfers.mine[t.ID] = true
				a.Transfers.began(t)
			}
			after()
		})
	})
}

// Move asks where to, and gives the targets that folder.
func (f *Files) Move() {
	targets := f.Targets()
	if len(targets) == 0 {
		return
	}
	site, from := f.Site, f.Path
	title := "Move " + targets[0].Name
	if len(targets) > 1 {
		title = "Move " + Count(len(targets), "item")
	}
	f.app.Picker.ask(PickFolder, title, "Move here", site, from, func(_ api.AccountID, folder api.FilePath, _ []api.File) {
		for _, x := range targets {
			f.app.ask(func(ctx context.Context, svc api.Service) error {
				_, err := svc.RenameFile(ctx, api.RenameFile{Site: site, Path: x.Path, Folder: folder})
				return err
			}, func(p *api.Problem) {
				if p != nil {
					f.app.Toasts.FileTrouble(x.Name+" could not be moved", p)
					return
				}
				f.app.Voice.Say(x.Name + " was moved")
				if f.Site == site {
					delete(f.Selected, x.Path)
					f.focus = true
					f.Refresh()
				}
			})
		}
	})
	f.app.Picker.From = from
}
