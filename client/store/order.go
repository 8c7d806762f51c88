package store

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// maxRun is how many records one run of an order holds at most: copying one is half a microsecond, and 100,000 messages
// are a few hundred runs.
const maxRun = 512

// order is a folder's messages, newest first: by date, and among those of one date the one stored last comes first. It
// is a persistent list of two levels. A copy of the struct is a snapshot that later changes leave alone: a change
// copies the run it touches, and the list of runs, unless it made them itself under the same edit number.
type order struct {
	runs []*run
	n    int
	edit uint64 // the edit that runs (the slice) belongs to
}

type run struct {
	edit uint64
	recs []*record
}

// when is the time a message is ordered by.
func (r *record) when() time.Time {
	if r.Summary.Date.IsZero() {
		return r.Stored
	}
	return r.Summary.Date
}

// before compares by place in the list: negative if a stands above b.
func before(a, b *record) int {
	if c := b.when().Compare(a.when()); c != 0 {
		return c
	}
	return cmp.Compare(b.ID, a.ID)
}

// sorted makes an order of records, in any order, at once.
func sorted(recs []*record) order {
	slices.SortFunc(recs, before)
	o := order{n: len(recs)}
	for part := range slices.Chunk(recs, maxRun/2) {
		o.runs = append(o.runs, &run{recs: slices.Clone(part)})
	}
	return o
}

// find answers the run in which r is or belongs, and the place within it.
func (o *order) find(r *record) (i, j int) {
	i = sort.Search(len(o.runs), func(i int) bool {
		recs := o.runs[i].recs
		return before(recs[len(recs)-1], r) >= 0
	})
	if i == len(o.runs) {
		if i == 0 {
			return 0, 0
		}
		i--
		return i, len(o.runs[i].recs)
	}
	recs := o.runs[i].recs
	j = sort.Search(len(recs), func(j int) bool { return before(recs[j], r) >= 0 })
	return i, j
}

// own makes run i this edit's own and answers it.
func (o *order) own(i int, edit uint64) *run {
	if o.edit != edit {
		o.runs = slices.Clone(o.runs)
		o.edit = edit
	}
	if o.runs[i].edit != edit {
		recs := make([]*record, len(o.runs[i].recs), maxRun)
		copy(recs, o.runs[i].recs)
		o.runs[i] = &run{edit: edit, recs: recs}
	}
	return o.runs[i]
}

func (o *order) insert(r *record, edit uint64) {
	o.n++
	if len(o.runs) == 0 {
		o.runs = []*run{{edit: edit, recs: []*record{r}}}
		o.edit = edit
		return
	}
	i, j := o.find(r)
	u := o.own(i, edit)
	u.recs = slices.Insert(u.recs, j, r)
	if len(u.recs) < maxRun {
		return
	}
	half := len(u.recs) / 2
	tail := &run{edit: edit, recs: slices.Clone(u.recs[half:])}
	clear(u.recs[half:])
	u.recs = u.recs[:half]
	o.runs = slices.Insert(o.runs, i+1, tail)
}

// remove takes r out; it must be in.
func (o *order) remove(r *record, edit uint64) {
	i, j := o.find(r)
	u := o.own(i, edit)
	u.recs = slices.Delete(u.recs, j, j+1)
	o.n--
	if len(u.recs) == 0 {
		o.runs = slices.Delete(o.runs, i, i+1)
	}
}

// replace puts r in the place of old, which must be in and stand at the same place.
func (o *order) replace(old, r *record, edit uint64) {
	i, j := o.find(old)
	o.own(i, edit).recs[j] = r
}

// each calls fn for the records from offset on until it answers false.
func (o order) each(offset int, fn func(*record) bool) {
	for _, u := range o.runs {
		if offset >= len(u.recs) {
			offset -= len(u.recs)
			continue
		}
		for _, r := range u.recs[offset:] {
			if !fn(r) {
				return
			}
		}
		offset = 0
	}
}
