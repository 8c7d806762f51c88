package engine

import (
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// A unified list is one folder of every account, merged by date. It is made for each window from the accounts' own lists,
// which are in order: nothing of it is kept, and a window deep in 100,000 messages costs some hundred looks at them.

// unified answers a window of a folder of all accounts together.
func (e *Engine) unified(ctx context.Context, q api.ListQuery, offset, limit int) (api.ListPage, error) {
	var accounts []*account
	for _, a := range e.all() {
		if a.box != nil {
			accounts = append(accounts, a)
		}
	}
	folder := store.Folder(q.Folder)
	for try := 0; ; try++ {
		before := e.unifiedCounts(accounts, folder)
		page, err := e.merge(ctx, accounts, folder, q.Query, offset, limit)
		if err != nil {
			return api.ListPage{}, err
		}
		page.Revision = before.Revision
		// A change between two looks could show a message twice, or not at all. After some tries what there is will
		// do: the change is announced, and the page asks again.
		if try == unifiedTries || e.unifiedCounts(accounts, folder) == before {
			return page, nil
		}
	}
}

const unifiedTries = 3

// unifiedCounts are the figures of a folder of all accounts together. The revision grows over all that can happen to
// them, for the revision of an account that went is in the registry.
func (e *Engine) unifiedCounts(accounts []*account, folder store.Folder) store.Counts {
	sum := store.Counts{Revision: e.registry.bygone()}
	for _, a := range accounts {
		c := a.box.Counts(folder)
		sum.Total += c.Total
		sum.Unread += c.Unread
		sum.Revision += c.Revision
	}
	return sum
}

// merge makes one window.
func (e *Engine) merge(ctx context.Context, accounts []*account, folder store.Folder, query string, offset, limit int) (api.ListPage, error) {
	page := api.ListPage{Offset: offset, Rows: []api.Row{}}
	lists := make([]sortedList, len(accounts))
	for i, a := range accounts {
		if len(foldWords(query)) == 0 {
			c := a.box.Counts(folder)
			lists[i] = sortedList{n: c.Total, window: func(from, n int) []store.Entry { return a.box.List(folder, nil, from, n).Entries }}
			page.Total += c.Total
			page.Unread += c.Unread
			continue
		}
		w, err := a.window(ctx, folder, query, 0, offset+limit) // which of them are wanted, only the merge knows
		if err != nil {
			return page, err
		}
		lists[i] = sortedList{n: len(w.Entries), window: func(from, n int) []store.Entry {
			from = min(from, len(w.Entries))
			return w.Entries[from:min(from+n, len(w.Entries))]
		}}
		page.Total += w.Total
		page.Unread += w.Unread
	}
	mergeLists(lists, offset, limit, func(list int, m *store.Entry) {
		page.Rows = append(page.Rows, accounts[list].row(m))
	})
	return page, nil
}

// sortedList is a list of messages, newest first, of which windows can be had.
type sortedList struct {
	n      int
	window func(from, n int) []store.Entry
}

// mergeLists calls each for limit messages of all lists together from offset on, newest first; of messages of one
// moment, that of the earlier list comes first.
func mergeLists(lists []sortedList, offset, limit int, each func(list int, m *store.Entry)) {
	at := skip(lists, offset)
	windows := make([][]store.Entry, len(lists))
	for i, l := range lists {
		if n := min(limit, l.n-at[i]); n > 0 {
			windows[i] = l.window(at[i], n)
		}
	}
	for range limit {
		best := -1
		for i, w := range windows {
			if len(w) > 0 && (best < 0 || dated(&w[0]).After(dated(&windows[best][0]))) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		each(best, &windows[best][0])
		windows[best] = windows[best][1:]
	}
}

// skip answers how many messages of each list are among the first so many of all. Of k lists, let each look step =
// skip/k messages ahead: the newest of those k messages has fewer than k·step before it, so its list can go as far as
// there. That takes some k·log(skip) rounds.
func skip(lists []sortedList, offset int) []int {
	at := make([]int, len(lists))
	for offset > 0 {
		open := 0
		for i, l := range lists {
			if at[i] < l.n {
				open++
			}
		}
		if open == 0 {
			return at
		}
		step := max(1, offset/open)
		best, taken, newest := -1, 0, time.Time{}
		for i, l := range lists {
			ahead := min(step, l.n-at[i])
			if ahead <= 0 {
				continue
			}
			w := l.window(at[i]+ahead-1, 1)
			if len(w) == 0 { // it has become shorter meanwhile
				lists[i].n = at[i]
				continue
			}
			if m := dated(&w[0]); best < 0 || m.After(newest) {
				best, taken, newest = i, ahead, m
			}
		}
		if best >= 0 {
			at[best] += taken
			offset -= taken
		}
	}
	return at
}

// dated is the time by which a list is in order: as the store has it.
func dated(m *store.Entry) time.Time {
	if m.Summary.Date.IsZero() {
		return m.Stored
	}
	return m.Summary.Date
}
