package engine

import (
	"fmt"
	"testing"

	"github.com/postern-mail/postern/shared/pop3"
)

func TestPlan(t *testing.T) {
	list := func(of ...any) (l []pop3.UniqueID) { // numbers and unique-ids, in turn
		for i := 0; i < len(of); i += 2 {
			l = append(l, pop3.UniqueID{Number: of[i].(int), UID: of[i+1].(string)})
		}
		return l
	}
	sizes := func(n int) (l []pop3.Listing) {
		for i := range n {
			l = append(l, pop3.Listing{Number: i + 1, Size: int64(i+1) * 100})
		}
		return l
	}
	known := func(uid string) bool { return uid == "known" }
	for _, test := range []struct {
		name  string
		ids   []pop3.UniqueID
		sizes []pop3.Listing
		t     trouble
		want  string
	}{
		{"nothing", nil, nil, trouble{}, "[] large 0 nameless 0"},
		{"newest first", list(1, "a", 2, "b", 3, "c"), sizes(3), trouble{}, "[c b a] large 0 nameless 0"},
		{"in no order", list(3, "c", 1, "a", 2, "b"), sizes(3), trouble{}, "[c b a] large 0 nameless 0"},
		{"known ones stay away", list(1, "known", 2, "b"), sizes(2), trouble{}, "[b] large 0 nameless 0"},
		{"copies come once", list(1, "a", 2, "a", 3, "b"), sizes(3), trouble{}, "[b a] large 0 nameless 0"},
		{"without a unique-id", list(1, "a", 2, ""), sizes(3), trouble{}, "[a] large 0 nameless 2"},
		{"not in the scan listing", list(1, "a", 7, "x"), sizes(1), trouble{}, "[a] large 0 nameless 0"},
		{"one message, two unique-ids", list(1, "a", 1, "x"), sizes(1), trouble{}, "[a] large 0 nameless 0"},
		{"too large", list(9, "a", 10, "b", 11, "c"), sizes(11)[8:], trouble{}, "[b a] large 1 nameless 0"},
		{"larger than listed", list(1, "a", 2, "b"), sizes(2), trouble{large: map[string]bool{"b": true}}, "[a] large 1 nameless 0"},
		{"stumbling blocks last", list(1, "a", 2, "b", 3, "c"), sizes(3), trouble{stumbles: map[string]int{"c": 2, "b": 1}}, "[a b c] large 0 nameless 0"},
	} {
		p := planFetch(test.ids, test.sizes, known, 1000, &test.t)
		uids := []string{}
		for _, w := range p.wanted {
			uids = append(uids, w.uid)
		}
		if got := fmt.Sprintf("%v large %d nameless %d", uids, p.large, p.nameless); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
