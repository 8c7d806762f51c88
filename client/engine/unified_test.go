package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// listOf makes a sorted list of messages at these minutes, newest first.
func listOf(minutes []int, looks *int) sortedList {
	slices.SortFunc(minutes, func(a, b int) int { return b - a })
	entries := make([]store.Entry, len(minutes))
	for i, m := range minutes {
		entries[i] = store.Entry{ID: store.ID(i + 1), Stored: time.Unix(int64(m)*60, 0)}
		if m%2 == 0 { // half of them have a date of their own
			entries[i].Summary, entries[i].Stored = mail.Summary{Date: entries[i].Stored}, time.Now()
		}
	}
	return sortedList{n: len(entries), window: func(from, n int) []store.Entry {
		*looks++
		from = min(from, len(entries))
		return entries[from:min(from+n, len(entries))]
	}}
}

// A window of the merge is what a window of everything, sorted, is.
func TestMergeLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type at struct{ minute, list, place int }
		var lists []sortedList
		var all []at
		looks := 0
		for i, minutes := range rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 60), 0, 40), 0, 6).Draw(t, "lists") {
			lists = append(lists, listOf(minutes, &looks))
			for place, m := range minutes { // sorted by now
				all = append(all, at{m, i, place})
			}
		}
		slices.SortFunc(all, func(a, b at) int {
			return cmp.Or(b.minute-a.minute, a.list-b.list, a.place-b.place)
		})
		offset, limit := rapid.IntRange(0, len(all)+3).Draw(t, "offset"), rapid.IntRange(0, 20).Draw(t, "limit")
		want := all[min(offset, len(all)):min(offset+limit, len(all))]
		var got []at
		mergeLists(lists, offset, limit, func(list int, m *store.Entry) {
			got = append(got, at{int(dated(m).Unix() / 60), list, int(m.ID) - 1})
		})
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// Deep in 100,000 messages a window takes a few hundred looks.
func TestMergeLooksAtLittle(t *testing.T) {
	looks := 0
	var lists []sortedList
	for i := range 4 {
		var minutes []int
		for j := range 25_000 {
			minutes = append(minutes, j*(i+1))
		}
		lists = append(lists, listOf(minutes, &looks))
	}
	for _, offset := range []int{0, 50_000, 99_900} {
		looks = 0
		rows := 0
		mergeLists(lists, offset, 100, func(int, *store.Entry) { rows++ })
		if rows != 100 || looks > 400 {
			t.Errorf("at %d: %d rows, %d looks", offset, rows, looks)
		}
	}
}

func TestUnifiedInbox(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if p, err := w.List(t.Context(), api.ListQuery{Folder: api.Inbox, Limit: 10}); err != nil || p.Total != 0 || p.Rows == nil {
			t.Errorf("without an account: %+v, %v", p, err)
		}
		for i := range 60 {
			to := []string{alice, bob}[i%2]
			w.pop.Maildrop[to].Deliver(fmt.Appendf(nil, "From: c@example.org\r\nSubject: n%02d\r\nDate: Thu, 1 Jan 2026 10:%02d:00 +0000\r\n\r\n%s\r\n", i, i, []string{"apples", "pears", "plums"}[i%3]))
		}
		a, b := w.signIn(alice), w.signIn(bob)
		all := func(query string, offset, limit int) (api.ListPage, string) {
			t.Helper()
			p, err := w.List(t.Context(), api.ListQuery{Folder: api.Inbox, Query: query, Offset: offset, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			var subjects []string
			for _, r := range p.Rows {
				subjects = append(subjects, r.Subject)
				if want := []api.AccountID{a.ID, b.ID}[r.Date.Minute()%2]; r.Account != want {
					t.Errorf("%s is of account %s", r.Subject, r.Account)
				}
			}
			return p, strings.Join(subjects, " ")
		}
		p, subjects := all("", 0, 4)
		if p.Total != 60 || p.Unread != 60 || subjects != "n59 n58 n57 n56" {
			t.Errorf("%d, %d unread: %s", p.Total, p.Unread, subjects)
		}
		if p, subjects := all("", 57, 10); p.Offset != 57 || subjects != "n02 n01 n00" {
			t.Errorf("the end: %s", subjects)
		}
		if p, subjects := all("pears", 3, 3); p.Total != 20 || subjects != "n49 n46 n43" {
			t.Errorf("%d found: %s", p.Total, subjects)
		}
		if p, _ := w.List(t.Context(), api.ListQuery{Folder: api.Trash, Limit: 10}); p.Total != 0 {
			t.Errorf("trash: %+v", p)
		}

		revision := p.Revision
		grown := func(what string) {
			t.Helper()
			p, _ := all("", 0, 1)
			if p.Revision <= revision {
				t.Errorf("%s: revision %d after %d", what, p.Revision, revision)
			}
			revision = p.Revision
		}
		read := false
		if err := w.Mark(t.Context(), api.Mark{Account: b.ID, IDs: []api.MessageID{p.Rows[0].ID}, Unread: &read}); err != nil {
			t.Fatal(err)
		}
		grown("a mark")
		if p, _ := all("", 0, 1); p.Unread != 59 || p.Rows[0].Unread {
			t.Errorf("after a mark: %+v", p)
		}
		if err := w.SignOut(t.Context(), api.SignOut{Account: b.ID, Erase: true}); err != nil {
			t.Fatal(err)
		}
		grown("an account that went")
		if p, subjects := all("", 0, 2); p.Total != 30 || subjects != "n58 n56" {
			t.Errorf("%d: %s", p.Total, subjects)
		}
		w.halt()
		w.start()
		if p, _ := all("", 0, 1); p.Revision < revision {
			t.Errorf("after a restart: revision %d after %d", p.Revision, revision)
		}
		b = w.signIn(bob)
		synctest.Wait()
		grown("an account that came")
		if p, subjects := all("", 0, 2); p.Total != 60 || subjects != "n59 n58" {
			t.Errorf("%d: %s", p.Total, subjects)
		}
	})
}
