package view_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"pgregory.net/rapid"
)

// viewport notes how the list is scrolled.
type viewport struct{ shifted, revealed int }

func (v *viewport) ShiftBy(rows int) { v.shifted += rows }
func (v *viewport) Reveal(i int)     { v.revealed = i }
func (v *viewport) Top()             {}

func TestListWindow(t *testing.T) {
	in(t, "/inbox", 10_000, func(t *testing.T, p *page) {
		equal(t, "total", p.List.Total, 10_000)
		equal(t, "first row", p.subjects(0, 1)[0], "Message 10000")
		p.act(func() { p.List.SetWindow(5000, 12) })
		got := p.subjects(5000, 12)
		equal(t, "rows", len(got), 12)
		equal(t, "row 5000", got[0], "Message 5000")
		equal(t, "far rows are let go of", len(p.subjects(0, 100)), 0)

		// Thousands of positions of the scroll bar in a moment ask a few questions, not thousands.
		release := p.svc.Hold("List")
		before := len(p.svc.Calls())
		for i := 0; i < 9000; i += 10 {
			p.Do(func() { p.List.SetWindow(i, 12) })
		}
		synctest.Wait()
		if n := len(p.svc.Calls()) - before; n > 2 {
			t.Errorf("%d questions at once", n)
		}
		release()
		p.pass(time.Second)
		equal(t, "where it stopped", len(p.subjects(8990, 12)), 12)
	})
}

// Whatever is scrolled, deleted and undone, the rows shown are those of the folder, in its order.
func TestListIsTheFolder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 1<<20), 1, 12).Draw(rt, "steps")
		in(t, "/inbox", 700, func(t *testing.T, p *page) {
			p.Browser.OnePane = true
			for _, s := range steps {
				switch s % 4 {
				case 0, 1:
					p.act(func() { p.List.SetWindow(s/4%max(p.List.Total, 1), 12) })
				case 2:
					p.act(func() {
						if r, ok := p.List.Row(p.List.First); ok {
							p.Delete(of(r.ID))
						}
					})
				case 3:
					p.act(p.UndoLast)
				}
				if s%3 == 0 {
					p.pass(time.Second)
				}
			}
			p.pass(10 * time.Second)
			want, _ := p.svc.List(t.Context(), api.ListQuery{Folder: api.Inbox, Offset: p.List.First, Limit: 12})
			equal(t, "total", p.List.Total, want.Total)
			for i, w := range want.Rows {
				if r, ok := p.List.Row(p.List.First + i); !ok || r.ID != w.ID {
					rt.Fatalf("row %d: %v %v, want %v", p.List.First+i, r.ID, ok, w.ID)
				}
			}
		})
	})
}

// New mail above what is looked at does not move it.
func TestScrollStaysWhenMailArrives(t *testing.T) {
	in(t, "/inbox", 1000, func(t *testing.T, p *page) {
		v := &viewport{}
		p.act(func() { p.List.SetViewport(v); p.List.SetWindow(300, 12) })
		top := p.subjects(300, 1)[0]
		m := inbox(3)
		for i := range m {
			m[i].ID, m[i].Date = api.MessageID(2000+i), time.Now()
		}
		p.svc.Arrive(alice, m...)
		p.pass(time.Second)
		equal(t, "shifted by", v.shifted, 3)
		equal(t, "first", p.List.First, 303)
		equal(t, "the row looked at", p.subjects(303, 1)[0], top)
	})
}

func TestListTrouble(t *testing.T) {
	in(t, "/inbox", 50, func(t *testing.T, p *page) {
		p.svc.Fail("List", &api.Problem{Code: api.CodeStorage})
		p.act(func() { p.OpenFolder(api.Trash) })
		equal(t, "problem", p.List.Problem.Code, api.CodeStorage)
		equal(t, "ready all the same", p.Ready(), true)
		p.svc.Fail("List", nil)
		p.act(p.List.Refresh)
		equal(t, "problem", p.List.Problem == nil, true)
		equal(t, "loaded", p.List.Loaded, true)
	})
}

func TestSlowListShowsSkeleton(t *testing.T) {
	in(t, "/inbox", 5, func(t *testing.T, p *page) {
		release := p.svc.Hold("List")
		p.act(func() { p.OpenFolder(api.Sent) })
		p.pass(90 * time.Millisecond)
		equal(t, "slow after 90 ms", p.List.Slow, false)
		p.pass(20 * time.Millisecond)
		equal(t, "slow after 110 ms", p.List.Slow, true)
		release()
		synctest.Wait()
		equal(t, "slow when it has come", p.List.Slow, false)
	})
}

func TestSearch(t *testing.T) {
	in(t, "/inbox", 300, func(t *testing.T, p *page) {
		before := len(p.svc.Calls())
		for _, s := range []string{"m", "me", "message 7"} {
			p.act(func() { p.SetSearch(s) })
		}
		p.pass(time.Second)
		if n := len(p.svc.Calls()) - before; n != 1 {
			t.Errorf("%d questions for one pause in the typing", n)
		}
		equal(t, "place", p.Browser.Location(), "/search?q=message%207")
		equal(t, "found", p.List.Total, 57) // of 300 numbers, those with a 7
		p.act(func() { p.OpenMessage(p.List.Cursor) })
		if !strings.HasPrefix(p.Browser.Location(), "/search/") {
			t.Errorf("place %s", p.Browser.Location())
		}
		p.act(func() { p.Key(view.Key{Name: "Escape"}) })
		equal(t, "place", p.Browser.Location(), "/inbox")
		equal(t, "field", p.List.Search, "")
		equal(t, "total", p.List.Total, 300)

		p.act(func() { p.SetSearch("zebra"); p.SubmitSearch() })
		equal(t, "found", p.List.Total, 0)
		p.act(p.Browser.Back)
		equal(t, "back", p.List.Total, 300)
	})
}

func TestSelectionAndCursor(t *testing.T) {
	in(t, "/inbox", 20, func(t *testing.T, p *page) {
		p.act(func() { p.List.Toggle(of(20)[0], false) })
		p.act(func() { p.List.Toggle(of(16)[0], true) })
		equal(t, "range", len(p.List.Selected), 5)
		p.act(func() { p.Delete(p.List.Targets()) })
		equal(t, "total", p.List.Total, 15)
		equal(t, "selected", len(p.List.Selected), 0)
		equal(t, "cursor on the next", p.List.Cursor.ID, api.MessageID(15))
		equal(t, "focus on the next", p.Browser.Focused, `[data-row="15"]`)
		equal(t, "said", p.toasts(), "5 messages moved to Trash")
		p.act(p.UndoLast)
		p.pass(time.Second)
		equal(t, "undone", p.List.Total, 20)
		equal(t, "first", p.subjects(0, 1)[0], "Message 20")
	})
}

func TestDeleteAndUndo(t *testing.T) {
	in(t, "/inbox/3", 3, func(t *testing.T, p *page) {
		equal(t, "unread", p.folder(api.Inbox).Unread, 2) // the open one was marked read
		release := p.svc.Hold("Move")
		p.act(func() { p.Delete(of(3)) })
		equal(t, "gone before the engine has answered", p.List.Total, 2)
		equal(t, "count", p.folder(api.Inbox).Total, 2)
		equal(t, "trash", p.folder(api.Trash).Total, 1)
		equal(t, "the next is open", p.Reader.ID, api.MessageID(2))
		p.act(p.UndoLast)
		equal(t, "back before the engine has answered", p.List.Total, 3)
		release()
		p.pass(time.Second)
		m, _ := p.svc.Stored(3)
		equal(t, "where it is", m.Folder, api.Inbox)
		equal(t, "total", p.List.Total, 3)

		p.act(func() { p.Delete(of(1, 2, 3)) })
		equal(t, "all gone", p.List.Total, 0)
		equal(t, "nothing open", p.Reader.ID, api.MessageID(0))
		p.pass(9 * time.Second)
		equal(t, "the note went", p.toasts(), "")
	})
}

// The count of unread mail is right before the engine has said so.
func TestUnreadIsCountedAtOnce(t *testing.T) {
	in(t, "/inbox", 3, func(t *testing.T, p *page) {
		before := p.List.Unread()
		r, _ := p.List.Row(0)
		release := p.svc.Hold("Move")
		p.act(func() { p.Delete(of(r.ID)) })
		want := before
		if r.Unread {
			want--
		}
		equal(t, "unread", p.List.Unread(), want)
		release()
		synctest.Wait()
		equal(t, "afterwards", p.List.Unread(), want)
	})
}

func TestDeleteRefused(t *testing.T) {
	in(t, "/inbox", 3, func(t *testing.T, p *page) {
		p.svc.Fail("Move", &api.Problem{Code: api.CodeStorageFull})
		p.act(func() { p.Delete(of(2)) })
		equal(t, "total", p.List.Total, 3)
		equal(t, "order", strings.Join(p.subjects(0, 3), ","), "Message 3,Message 2,Message 1")
		equal(t, "counts", p.folder(api.Inbox).Total*10+p.folder(api.Trash).Total, 30)
		equal(t, "said", p.toasts(), "The message could not be moved.")
		equal(t, "why", view.WordsFor(p.Toasts.Shown[0].Problem).Title, "This device is full")
		p.pass(time.Minute)
		equal(t, "trouble stays until it is dismissed", len(p.Toasts.Shown), 1)
	})
}

// What cannot be brought back is not done before the time to undo is over.
func TestEraseWaits(t *testing.T) {
	in(t, "/trash", 0, func(t *testing.T, p *page) {
		for _, m := range inbox(2) {
			m.Folder = api.Trash
			p.svc.Arrive(alice, m)
		}
		p.pass(time.Second)
		p.act(func() { p.Delete(of(1)) })
		equal(t, "hidden", p.List.Total, 1)
		p.pass(7 * time.Second)
		equal(t, "not yet", len(p.svc.Erased()), 0)
		p.act(p.UndoLast)
		p.pass(time.Minute)
		equal(t, "undone", len(p.svc.Erased()), 0)
		equal(t, "shown", p.List.Total, 2)
		p.act(func() { p.Delete(of(1)) })
		p.pass(9 * time.Second)
		equal(t, "done", slices.Equal(p.svc.Erased(), []api.MessageID{1}), true)
		equal(t, "total", p.List.Total, 1)
	})
}

func TestMark(t *testing.T) {
	in(t, "/inbox", 3, func(t *testing.T, p *page) {
		release := p.svc.Hold("Mark")
		p.act(func() { p.ToggleUnread(of(2)); p.ToggleFlag(of(2)) })
		r, _ := p.List.Row(1)
		equal(t, "at once", !r.Unread && r.Flagged, true)
		equal(t, "count", p.folder(api.Inbox).Unread, 2)
		release()
		p.pass(time.Second)
		m, _ := p.svc.Stored(2)
		equal(t, "stored", !m.Unread && m.Flagged, true)

		p.svc.Fail("Mark", &api.Problem{Code: api.CodeStorage})
		p.act(func() { p.MarkUnread(of(3), false) })
		r, _ = p.List.Row(0)
		equal(t, "rolled back", r.Unread, true)
		equal(t, "count", p.folder(api.Inbox).Unread, 2)
	})
}
