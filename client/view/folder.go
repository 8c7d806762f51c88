package view

import (
	"context"
	"strconv"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Folder is a folder of a site as a pane or a sheet shows it: a window of its entries, of which there may be 200,000. Only those
// around what is on the screen are kept.
type Folder struct {
	Site   api.AccountID
	Path   api.FilePath // as it was asked for, and once it is Loaded as the server calls it
	Crumbs []api.Crumb  // the way to it; the last is itself
	Loaded bool         // the first answer has come
	Slow   bool         // it has not come for 100 ms
	Busy   bool         // the server is being asked, after Loaded
	Total  int
	Cut    bool         // there are more than are shown
	Ended  *api.Problem // why the listing ended early: there may be more
	// Problem is why the last question was not answered.
	Problem *api.Problem

	Sort       api.FileSort
	Descending bool
	Filter     string

	// First and Shown are the rows on the screen, told by the component that scrolls.
	First, Shown int
	Cursor       int // the row that the keyboard is at

	app      *App
	rows     map[int]api.File
	at       api.FilePath // what the cursor is on
	come     api.FilePath // what it is to be on when it is there
	focus    bool         // and has the focus then
	list     string       // the hook of the element with the rows
	gen      int          // counts refreshes: answers to older questions are dropped
	pending  map[int]bool // offsets asked in this generation and not answered
	asking   bool         // a refresh is on its way
	again    bool         // and another is due after it
	due      bool         // one will be asked for soon
	rested   time.Time    // until then, one would be too soon
	calm     bool         // the next is one that nobody waits for
	revision uint64
	viewport Viewport
	typing   *time.Timer
}

// SetViewport tells the folder what scrolls it.
func (f *Folder) SetViewport(v Viewport) { f.viewport = v }

// Count is how many rows there are.
func (f *Folder) Count() int { return f.Total }

// Row is the i-th entry, if it is here.
func (f *Folder) Row(i int) (api.File, bool) {
	x, ok := f.rows[i]
	return x, ok
}

// Find is the index of an entry among those that are here, or -1.
func (f *Folder) Find(path api.FilePath) int {
	if path == "" {
		return -1
	}
	if x, ok := f.rows[f.Cursor]; ok && x.Path == path {
		return f.Cursor
	}
	for i, x := range f.rows {
		if x.Path == path {
			return i
		}
	}
	return -1
}

// open shows a folder; come is what the cursor is to be on.
func (f *Folder) open(site api.AccountID, path, come api.FilePath) {
	same := site == f.Site && f.rows != nil
	if same && (path == f.Path || path == "" && f.Path == f.app.Site(site).Home) {
		f.Refresh()
		return
	}
	f.forgetCalls()
	if f.typing != nil {
		f.typing.Stop()
	}
	f.Site, f.Path, f.come = site, path, come
	f.Loaded, f.Slow, f.Busy, f.Total, f.Cut, f.Ended, f.Problem = false, false, false, 0, false, nil, nil
	f.Filter, f.First, f.Cursor, f.at = "", 0, 0, ""
	f.rows = map[int]api.File{}
	if !same {
		f.Crumbs = nil
	}
	if f.viewport != nil {
		f.viewport.Top()
	}
	f.Refresh()
	gen := f.gen
	time.AfterFunc(100*time.Millisecond, func() {
		f.app.sched.Update(func() { f.Slow = f.Slow || gen == f.gen && !f.Loaded })
	})
}

// close lets go of what was shown.
func (f *Folder) close() {
	f.forgetCalls()
	f.rows, f.Crumbs, f.Loaded, f.Total, f.Problem = nil, nil, false, 0, nil
}

// Refresh asks anew for what is on the screen. What is there stays until the answer comes.
func (f *Folder) Refresh() { f.refresh(false) }

// Reload has the server list the folder anew.
func (f *Folder) Reload() {
	f.focus = f.focus || f.Problem != nil // the button that was pressed goes with its trouble
	f.refresh(true)
}

func (f *Folder) refresh(fresh bool) {
	if f.asking && !fresh {
		f.again = true
		return
	}
	f.gen++
	f.pending = map[int]bool{}
	f.asking, f.again = true, false
	f.Busy = f.Loaded && fresh
	f.question(max(f.First-ahead, 0), min(max(f.Shown+2*ahead, pageRows), api.MaxFilesLimit), true, fresh)
}

func (f *Folder) forgetCalls() {
	f.gen++
	f.asking, f.again, f.pending = false, false, map[int]bool{}
}

// SetWindow says which rows are on the screen; those that are not here are asked for.
func (f *Folder) SetWindow(first, shown int) {
	f.First, f.Shown = max(first, 0), shown
	f.fetch()
}

// fetch asks for the rows near the screen that are missing.
func (f *Folder) fetch() {
	if f.asking || !f.Loaded {
		return
	}
	from, to := max(f.First-ahead, 0), min(f.First+f.Shown+ahead, f.Total)
	for i := from; i < to && len(f.pending) < questions; i++ {
		if _, ok := f.rows[i]; ok {
			continue
		}
		offset := i / pageRows * pageRows
		if !f.pending[offset] {
			f.question(offset, pageRows, false, false)
		}
		i = offset + pageRows - 1
	}
}

func (f *Folder) query(offset, limit int) api.FilesQuery {
	return api.FilesQuery{Site: f.Site, Path: f.Path, Sort: f.Sort, Descending: f.Descending, Filter: f.Filter, Offset: offset, Limit: limit}
}

func (f *Folder) question(offset, limit int, refresh, fresh bool) {
	gen, q := f.gen, f.query(offset, limit)
	q.Fresh = fresh
	f.pending[offset] = true
	var page api.FilesPage
	draw := f.app.sched.Update
	if f.calm && refresh {
		draw = f.app.sched.Later
	}
	f.calm = false
	f.app.askThen(draw, func(ctx context.Context, svc api.Service) (err error) {
		page, err = svc.ListFiles(ctx, q)
		return err
	}, func(p *api.Problem) {
		if gen != f.gen {
			return
		}
		delete(f.pending, offset)
		if refresh {
			f.asking, f.Busy = false, false
			f.rested = f.app.Now().Add(restTime)
		}
		switch {
		case p != nil && p.Code == api.CodeCanceled:
		case p != nil && p.Code == api.CodeGatewayOffline && f.app.Gateway.State == api.Online: // it came while this answer was on its way
			f.soon()
		case p != nil:
			f.failed(p)
		case refresh:
			f.replace(page)
		default:
			f.add(page)
			f.reach()
			if page.Revision != f.revision {
				f.Refresh()
			}
		}
		if refresh && f.again {
			f.soon()
			return
		}
		if p == nil {
			f.fetch()
		}
	})
}

// failed says why nothing was answered. What is here stays to be seen.
func (f *Folder) failed(p *api.Problem) {
	if f.Problem == nil || f.Problem.Code != p.Code {
		f.app.Voice.Cry(FileWords(p).Title)
	}
	f.Problem = p
	if f.focus {
		f.focus = false
		mends := `.cab-acts button`
		if f == &f.app.Picker.Folder {
			mends = `[data-testid="picker-retry"]`
		}
		f.app.platform.Focus(mends)
	}
}

// restTime is how long after a refresh the next is that nobody waits for: while 2,000 files are sent, the engine is asked a few times
// a second.
const restTime = 250 * time.Millisecond

// soon is Refresh a moment later.
func (f *Folder) soon() {
	f.again = false
	if f.due {
		return
	}
	f.due = true
	time.AfterFunc(restTime, func() {
		f.app.sched.Later(func() {
			f.due = false
			if f.rows != nil {
				f.calm = true
				f.Refresh()
			}
		})
	})
}

// changed follows the engine's word that the folder is another than before.
func (f *Folder) changed(e api.FilesChanged) {
	switch {
	case f.rows == nil || e.Site != f.Site || e.Path != f.Path || e.Revision <= f.revision:
	case f.asking:
		f.again = true
	case f.app.Now().Before(f.rested):
		f.soon()
	default:
		f.calm = true
		f.Refresh()
	}
}

// replace takes the answer to a refresh.
func (f *Folder) replace(page api.FilesPage) {
	f.Loaded, f.Slow, f.Problem = true, false, nil
	f.Path, f.Crumbs, f.Cut, f.Ended, f.revision = page.Path, page.Crumbs, page.Cut, page.Problem, page.Revision
	f.rows = map[int]api.File{}
	f.add(page)
	f.app.title()
	if f.come != "" {
		if i := f.Find(f.come); i >= 0 {
			f.Cursor = i
			if f.viewport != nil {
				f.viewport.Reveal(i)
			}
		}
		f.come, f.at = "", ""
	}
	if i := f.Find(f.at); i >= 0 {
		f.Cursor = i
	}
	f.Cursor = min(max(f.Cursor, 0), max(f.Total-1, 0))
	f.at = f.rows[f.Cursor].Path
	if f.focus {
		f.focus = false
		f.FocusCursor()
	}
}

func (f *Folder) add(page api.FilesPage) {
	f.Total = page.Total
	for i, x := range page.Files {
		x.Modified = f.app.platform.Local(x.Modified)
		f.rows[page.Offset+i] = x
	}
	for i := range f.rows {
		if i < f.First-keepRows || i > f.First+f.Shown+keepRows || i >= f.Total {
			delete(f.rows, i)
		}
	}
}

// reach puts the cursor's name to a row that came after the cursor did.
func (f *Folder) reach() {
	if x, ok := f.rows[f.Cursor]; ok && f.at == "" {
		f.at = x.Path
		if f.focus {
			f.focus = false
			f.FocusCursor()
		}
	}
}

// MoveTo puts the cursor on a row, and the focus.
func (f *Folder) MoveTo(i int) {
	if f.Total == 0 {
		return
	}
	i = min(max(i, 0), f.Total-1)
	f.SetCursor(i)
	if f.viewport != nil {
		f.viewport.Reveal(i)
	}
	if _, ok := f.rows[i]; !ok {
		f.First, f.focus = i, true
		f.fetch()
		return
	}
	f.FocusCursor()
}

// SetCursor follows the focus to a row.
func (f *Folder) SetCursor(i int) { f.Cursor, f.at = i, f.rows[i].Path }

// FocusCursor gives the focus to the cursor's row, or where there is none to the list.
func (f *Folder) FocusCursor() {
	if f.Total == 0 {
		f.app.platform.Focus(`[data-testid="` + f.list + `"]`)
		return
	}
	f.app.platform.Focus(`[data-testid="` + f.list + `"] [data-row="` + strconv.Itoa(f.Cursor) + `"]`)
}

// Here is the entry under the cursor.
func (f *Folder) Here() (api.File, bool) { return f.Row(f.Cursor) }

// SortBy sorts by a column: names from the first, sizes and dates from the largest and the newest. By the one that it is sorted
// by it is the other way round.
func (f *Folder) SortBy(by api.FileSort) {
	if f.Sort == by {
		f.Descending = !f.Descending
	} else {
		f.Sort, f.Descending = by, by != api.SortName
	}
	f.First, f.Cursor, f.at = 0, 0, ""
	if f.viewport != nil {
		f.viewport.Top()
	}
	f.gen++
	f.asking = false
	f.Refresh()
	way := "ascending"
	if f.Descending {
		way = "descending"
	}
	f.app.Voice.Say("Sorted by " + SortName(by) + ", " + way)
}

// SetFilter shows only what has some letters in its name. It is asked for a moment after the last letter.
func (f *Folder) SetFilter(s string) {
	f.Filter = s
	if f.typing != nil {
		f.typing.Stop()
	}
	site, path := f.Site, f.Path
	f.typing = time.AfterFunc(120*time.Millisecond, func() {
		f.app.sched.Update(func() {
			if f.Site != site || f.Path != path || f.rows == nil {
				return
			}
			f.First, f.Cursor, f.at = 0, 0, ""
			if f.viewport != nil {
				f.viewport.Top()
			}
			f.gen++
			f.asking = false
			f.Refresh()
		})
	})
}

// Up is the folder that this one is in; false at the top.
func (f *Folder) Up() (api.FilePath, bool) {
	if n := len(f.Crumbs); n > 1 {
		return f.Crumbs[n-2].Path, true
	}
	return "", false
}

// Title is what the folder is called: of the one at the top, what the server is.
func (f *Folder) Title() string {
	if n := len(f.Crumbs); n > 1 {
		return f.Crumbs[n-1].Name
	}
	return SiteLabel(f.app.Site(f.Site))
}

// SortName is a column's name within a sentence.
func SortName(by api.FileSort) string {
	switch by {
	case api.SortSize:
		return "size"
	case api.SortDate:
		return "date"
	}
	return "name"
}
