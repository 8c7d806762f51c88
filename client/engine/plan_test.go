package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

func uniqueIDs(of ...any) (l []pop3.UniqueID) { // numbers and unique-ids, in turn
	for i := 0; i < len(of); i += 2 {
		l = append(l, pop3.UniqueID{Number: of[i].(int), UID: of[i+1].(string)})
	}
	return l
}

func hundreds(n int) (l []pop3.Listing) {
	for i := range n {
		l = append(l, pop3.Listing{Number: i + 1, Size: int64(i+1) * 100})
	}
	return l
}

func shown(spots []spot) string {
	var names []string
	for _, s := range spots {
		names = append(names, fmt.Sprint(s.Number, s.uid))
	}
	return strings.Join(names, " ")
}

func TestIdentify(t *testing.T) {
	for _, test := range []struct {
		name           string
		ids            []pop3.UniqueID
		listing        []pop3.Listing
		sure, doubtful string
	}{
		{"nothing", nil, nil, "", ""},
		{"as it should be", uniqueIDs(1, "a", 2, "b"), hundreds(2), "1a 2b", ""},
		{"without UIDL", nil, hundreds(2), "", "1 2"},
		{"an empty one", uniqueIDs(1, "a", 2, ""), hundreds(3), "1a", "2 3"},
		{"repeated", uniqueIDs(1, "a", 2, "b", 3, "a"), hundreds(3), "2b", "1 3"},
		{"not in the scan listing", uniqueIDs(1, "a", 7, "x"), hundreds(1), "1a", ""},
		{"one message, two unique-ids", uniqueIDs(1, "a", 1, "x"), hundreds(1), "1a", ""},
		{"listed twice", uniqueIDs(1, "a"), append(hundreds(2), hundreds(2)...), "1a", "2"},
	} {
		sure, doubtful := identify(test.ids, test.listing, true)
		if shown(sure) != test.sure || shown(doubtful) != test.doubtful {
			t.Errorf("%s: sure %q, doubtful %q", test.name, shown(sure), shown(doubtful))
		}
		if sure, doubtful := identify(test.ids, test.listing, false); len(sure) > 0 || test.sure != "" && len(doubtful) == 0 {
			t.Errorf("%s: believed though it is not: %v", test.name, sure)
		}
	}
}

func TestPlan(t *testing.T) {
	const here, part, gone = 1, 2, 3
	spots := func(of ...any) (l []spot) { // unique-ids and sizes, in turn
		for i := 0; i < len(of); i += 2 {
			l = append(l, spot{Listing: pop3.Listing{Number: i/2 + 1, Size: int64(of[i+1].(int))}, uid: of[i].(string)})
		}
		return l
	}
	in := terms{
		known: func(uid string) (store.ID, bool) {
			id, ok := map[string]store.ID{"here": here, "part": part, "gone": gone}[uid]
			return id, ok
		},
		get: func(id store.ID) (store.Entry, bool) {
			e := store.Entry{ID: id}
			if id == part {
				e.Whole = 800
			}
			return e, id != gone
		},
		asked: func(store.ID) bool { return false }, limit: 1000, top: true,
	}
	capped, old, asked := in, in, in
	capped.cap, old.cap, old.top, asked.cap = 500, 500, false, 500
	asked.asked = func(id store.ID) bool { return id == part }
	for _, test := range []struct {
		name  string
		spots []spot
		in    terms
		t     trouble
		want  string
	}{
		{"newest first", spots("a", 1, "b", 1, "c", 1), in, trouble{}, "wanted 3c 2b 1a"},
		{"known ones stay away", spots("here", 1, "b", 1, "gone", 1), in, trouble{}, "wanted 2b, here 1here 3gone"},
		{"copies come once", spots("a", 1, "a", 1), in, trouble{}, "wanted 1a, here 2a"},
		{"by content", spots("", 1, "", 1), in, trouble{}, "wanted 2 1"},
		{"too large", spots("a", 1000, "b", 1001), in, trouble{}, "wanted 1a, large 1"},
		{"larger than listed", spots("a", 1, "b", 1), in, trouble{large: map[string]bool{"b": true}}, "wanted 1a, large 1"},
		{"over the cap", spots("a", 500, "b", 501, "c", 1001), capped, trouble{}, "wanted 1a, begin 3c 2b, large 1"},
		{"over the cap, without TOP", spots("a", 500, "b", 501, "c", 1001), old, trouble{}, "wanted 1a, large 2"},
		{"part of it is here", spots("part", 800), capped, trouble{}, "here 1part"},
		{"part of it is here, and the cap is lifted", spots("part", 800), in, trouble{}, "here 1part, rest 1part"},
		{"part of it is here, and all is asked for", spots("part", 800), asked, trouble{}, "here 1part, rest 1part"},
		{"part of it is here, and all is too large", spots("part", 1800), asked, trouble{}, "here 1part, large 1"},
		{"damaged here", spots("here", 1), in, trouble{damaged: map[store.ID]bool{here: true}}, "here 1here, rest 1here"},
		{"stumbling blocks last", spots("a", 1, "b", 1, "c", 1), in, trouble{stumbles: map[string]int{"c": 2, "b": 1}}, "wanted 1a 2b 3c"},
	} {
		var p plan
		seen := make(map[string]bool)
		for _, s := range test.spots {
			p.add(s, test.in, seen, &test.t)
		}
		p.order(&test.t)
		var rests []spot
		for _, r := range p.rest {
			rests = append(rests, r.spot)
		}
		var got []string
		for _, l := range []struct {
			name  string
			spots []spot
		}{{"wanted", p.wanted}, {"begin", p.begin}, {"here", p.here}, {"rest", rests}} {
			if len(l.spots) > 0 {
				got = append(got, l.name+" "+shown(l.spots))
			}
		}
		if p.large > 0 {
			got = append(got, fmt.Sprint("large ", p.large))
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, s, test.want)
		}
	}
}
