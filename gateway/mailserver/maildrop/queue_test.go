package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"
)

// when is a clock that stands still, unless told otherwise.
var when = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

// queueing is a store whose clock stands at when.
func queueing(t testing.TB, dir string) *Store {
	return world(t, dir, &Options{Now: func() time.Time { return when }})
}

func remote(addresses ...string) (list []Recipient) {
	for _, a := range addresses {
		list = append(list, Recipient{Address: a})
	}
	return list
}

// rows lists a queue as "recipient state attempts".
func rows(t testing.TB, s *Store, f Filter) (list []string) {
	t.Helper()
	queue, err := s.Queue(t.Context(), f)
	must(t, err)
	for _, q := range queue {
		list = append(list, fmt.Sprint(q.Recipient, " ", q.State, " ", q.Attempts))
	}
	return list
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func TestDestination(t *testing.T) {
	for address, want := range map[string]string{
		"a@Elsewhere.TEST":       "elsewhere.test",
		`"odd@one"@b.test`:       "b.test",
		"x@münchen.test":         "xn--mnchen-3ya.test",
		"x@[192.0.2.1]":          "[192.0.2.1]",
		"x@[IPv6:2001:DB8::1]":   "[ipv6:2001:db8::1]",
		"用户@例子.test":             "xn--fsqu00a.test",
		"x@xn--MNCHEN-3ya.test":  "xn--mnchen-3ya.test",
		"x@e\u0301.test":         "e\u0301.test", // no form in ASCII: the resolver will say so
		"bob@mail.sub.test":      "mail.sub.test",
		"no-domain-in-here-test": "no-domain-in-here-test",
	} {
		same(t, address, Destination(address), want)
	}
}

func TestQueuedRowKeepsItsEnvelope(t *testing.T) {
	dir := t.TempDir()
	s := queueing(t, dir)
	must(t, deliver(s, "text", Envelope{From: alice, UTF8: true, Return: "HDRS", EnvelopeID: "QQ 31+4", Remote: []Recipient{
		{Address: "carol@Elsewhere.test", Notify: []string{"SUCCESS", "DELAY"}, Original: "rfc822;Carol@Elsewhere.test"}}}))
	must(t, s.Close())
	s = queueing(t, dir)
	queue, err := s.Queue(t.Context(), Filter{})
	must(t, err)
	want := Queued{ID: 1, Content: 1, Size: 4, Sender: alice, Recipient: "carol@Elsewhere.test", Destination: "elsewhere.test", UTF8: true, Return: "HDRS", EnvelopeID: "QQ 31+4",
		Notify: []string{"SUCCESS", "DELAY"}, Original: "rfc822;Carol@Elsewhere.test", State: Waiting, NextTry: when.Local(), Created: when.Local()}
	same(t, "row", fmt.Sprintf("%+v", queue), fmt.Sprintf("%+v", []Queued{want}))
	r, err := s.OpenContent(queue[0])
	must(t, err)
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "text" {
		t.Errorf("content %q %v", b, err)
	}
}

func TestClaimAndSettle(t *testing.T) {
	dir := t.TempDir()
	s := queueing(t, dir)
	must(t, deliver(s, "one", Envelope{From: alice, Remote: remote("a@x.test", "b@y.test", "c@x.test", "d@x.test")}))
	must(t, deliver(s, "two", Envelope{From: alice, Remote: remote("a@x.test")}))

	if none, err := s.Claim(t.Context(), "x.test", when.Add(-time.Second), 10, 1); err != nil || len(none) != 0 {
		t.Fatalf("claimed before it is due: %v %v", none, err)
	}
	first, err := s.Claim(t.Context(), "x.test", when, 2, 7)
	must(t, err)
	if len(first) != 2 || first[0].Recipient != "a@x.test" || first[1].Recipient != "c@x.test" || first[0].Content != first[1].Content || first[0].State != Sending || first[0].Claim != 7 {
		t.Fatalf("claimed %+v; want two of the first message's three", first)
	}
	second, err := s.Claim(t.Context(), "x.test", when, 10, 8)
	must(t, err)
	if len(second) != 1 || second[0].Recipient != "d@x.test" {
		t.Fatalf("claimed %+v; want the first message's third", second)
	}
	third, err := s.Claim(t.Context(), "x.test", when, 10, 9)
	must(t, err)
	must(t, s.Unclaim(t.Context(), 9))
	if again, err := s.Claim(t.Context(), "x.test", when, 10, 10); err != nil || len(third) != 1 || len(again) != 1 || again[0].ID != third[0].ID || again[0].Attempts != 0 {
		t.Fatalf("given back %+v, claimed %+v %v", third, again, err)
	}

	last := Attempt{At: when, Code: 450, Enhanced: "4.2.0", Problem: "greylisted", Server: "mx.x.test (192.0.2.1)", TLS: "none"}
	later := Settlement{Row: first[1], State: Waiting, NextTry: when.Add(time.Hour), Attempts: 1, Last: last, DelayTold: true, Unknown: 1, Transcript: "S: 450"}
	must(t, s.Settle(t.Context(), []Settlement{{Row: first[0], Gone: true}, later}))
	same(t, "rows", rows(t, s, Filter{Destination: "x.test"}), "[c@x.test waiting 1 d@x.test sending 0 a@x.test sending 0]")
	queue, err := s.Queue(t.Context(), Filter{IDs: []int64{first[1].ID}})
	must(t, err)
	last.At = last.At.Local()
	same(t, "attempt", queue[0].Last, last)
	if q := queue[0]; !q.DelayTold || q.Unknown != 1 || !q.NextTry.Equal(when.Add(time.Hour)) || q.Claim != 0 {
		t.Errorf("settled row %+v", q)
	}
	if text, err := s.Transcript(t.Context(), first[1].ID); text != "S: 450" || err != nil {
		t.Errorf("transcript %q %v", text, err)
	}
	if _, err := s.Transcript(t.Context(), 99); !errors.Is(err, ErrNotQueued) {
		t.Errorf("transcript of nothing: %v", err)
	}

	// What was settled is not settled again, and takes nothing else with it.
	if err := s.Settle(t.Context(), []Settlement{{Row: second[0], Gone: true}, {Row: first[0], Gone: true}}); !errors.Is(err, ErrSettled) {
		t.Errorf("settled twice: %v", err)
	}
	if got := rows(t, s, Filter{IDs: []int64{second[0].ID}}); len(got) != 1 {
		t.Error("a settlement that failed was made in part")
	}
}

func TestContentGoesWithItsLastRow(t *testing.T) {
	dir := t.TempDir()
	s := queueing(t, dir)
	must(t, deliver(s, "one", Envelope{From: alice, Remote: remote("a@x.test", "b@y.test")}))
	for i, destination := range []string{"x.test", "y.test"} {
		claimed, err := s.Claim(t.Context(), destination, when, 10, 1)
		must(t, err)
		must(t, s.Settle(t.Context(), []Settlement{{Row: claimed[0], Gone: true}}))
		if got := keeps(t, s); len(got) != 1-i {
			t.Errorf("after %s: files %q", destination, got)
		}
	}
}

// A report and what it reports of are one change.
func TestReportSettles(t *testing.T) {
	dir := t.TempDir()
	s := queueing(t, dir)
	must(t, deliver(s, "one", Envelope{From: alice, Remote: remote("a@x.test")}))
	claimed, err := s.Claim(t.Context(), "x.test", when, 10, 1)
	must(t, err)
	gone := []Settlement{{Row: claimed[0], Gone: true}}
	if err := deliver(s, "report", Envelope{Local: []string{"nobody@postern.test"}, Settles: gone}); !errors.Is(err, ErrNoAccount) {
		t.Fatal(err)
	}
	same(t, "after a report that nobody took", rows(t, s, Filter{}), "[a@x.test sending 0]")
	must(t, deliver(s, "report", Envelope{Local: []string{alice}, Settles: gone}))
	same(t, "after the report", rows(t, s, Filter{}), "[]")
	if err := deliver(s, "report", Envelope{Local: []string{alice}, Settles: gone}); !errors.Is(err, ErrSettled) {
		t.Errorf("reported twice: %v", err)
	}
	if got := contents(t, s, alice); len(got) != 1 || len(keeps(t, s)) != 1 {
		t.Errorf("alice has %q, the folder %q", got, keeps(t, s))
	}
}

func TestUnsettledAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := queueing(t, dir)
	must(t, deliver(s, "one", Envelope{From: alice, Remote: remote("a@x.test", "b@y.test")}))
	_, err := s.Claim(t.Context(), "x.test", when, 10, 1)
	must(t, err)
	must(t, s.Close())
	s = queueing(t, dir)
	cut, err := s.Queue(t.Context(), Filter{State: Sending})
	must(t, err)
	if len(cut) != 1 || cut[0].Recipient != "a@x.test" {
		t.Errorf("unsettled %+v", cut)
	}
	must(t, s.Unsettled(t.Context(), when.Add(time.Minute), "stopped in between"))
	queue, err := s.Queue(t.Context(), Filter{Destination: "x.test"})
	must(t, err)
	if q := queue[0]; q.State != Waiting || q.Unknown != 1 || q.Attempts != 1 || q.Last.Problem != "stopped in between" || !q.NextTry.Equal(when.Add(time.Minute)) {
		t.Errorf("row %+v", q)
	}
	must(t, s.Unsettled(t.Context(), when, ""))
	if again, err := s.Queue(t.Context(), Filter{Destination: "x.test"}); err != nil || again[0].Unknown != 1 {
		t.Errorf("twice: %+v %v", again, err)
	}
}

func TestDueDestinations(t *testing.T) {
	s := queueing(t, t.TempDir())
	ctx := t.Context()
	if _, ok, err := s.NextTry(ctx); ok || err != nil {
		t.Errorf("an empty queue has a next try: %v", err)
	}
	for i := range 6 {
		must(t, deliver(s, "x", Envelope{From: alice, Remote: remote(fmt.Sprintf("a@%c.test", 'a'+i), fmt.Sprintf("b@%c.test", 'a'+i))}))
	}
	if _, err := s.Hold(ctx, Filter{Destination: "b.test"}); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.Claim(ctx, "c.test", when, 10, 1)
	must(t, err)
	must(t, s.Settle(ctx, []Settlement{{Row: claimed[0], State: Waiting, NextTry: when.Add(time.Hour)}, {Row: claimed[1], State: Waiting, NextTry: when.Add(2 * time.Hour)}}))
	_, err = s.Claim(ctx, "d.test", when, 1, 1)
	must(t, err)
	list := func(now time.Time, after string, limit int) (names string) {
		due, err := s.Due(ctx, now, after, limit)
		must(t, err)
		for _, d := range due {
			names += fmt.Sprint(d.Destination, " ", d.Rows, " ", d.Oldest.Sub(when), " ")
		}
		return names
	}
	same(t, "now", list(when, "", 10), "a.test 2 0s d.test 1 0s e.test 2 0s f.test 2 0s ")
	same(t, "a page", list(when, "", 2), "a.test 2 0s d.test 1 0s ")
	same(t, "the next", list(when, "d.test", 10), "e.test 2 0s f.test 2 0s ")
	same(t, "an hour later", list(when.Add(time.Hour), "b.test", 1), "c.test 1 1h0m0s ")
	same(t, "before", list(when.Add(-1), "", 10), "")
	if at, ok, err := s.NextTry(ctx); !ok || err != nil || !at.Equal(when) {
		t.Errorf("next try %v %v %v", at, ok, err)
	}
	due, err := s.DueRows(ctx, "c.test", when.Add(3*time.Hour), 1)
	must(t, err)
	if len(due) != 1 || due[0].Recipient != "a@c.test" {
		t.Errorf("due rows %v", due)
	}
	tally, err := s.Tally(ctx)
	must(t, err)
	same(t, "tally", tally, map[State]int{Waiting: 9, Held: 2, Sending: 1})
}

func TestAdministration(t *testing.T) {
	s := queueing(t, t.TempDir())
	ctx := t.Context()
	must(t, deliver(s, "x", Envelope{From: alice, Remote: remote("a@x.test", "b@x.test", "c@y.test")}))
	must(t, deliver(s, "x", Envelope{Remote: remote("D@z.test")}))
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"all":         {Filter{}, "[a@x.test b@x.test c@y.test D@z.test]"},
		"ids":         {Filter{IDs: []int64{2, 4, 9}}, "[b@x.test D@z.test]"},
		"no ids":      {Filter{IDs: []int64{}}, "[]"},
		"null sender": {Filter{Sender: NullSender}, "[D@z.test]"},
		"sender":      {Filter{Sender: alice, Destination: "x.test"}, "[a@x.test b@x.test]"},
		"text":        {Filter{Text: "d@Z"}, "[D@z.test]"},
		"sign":        {Filter{Text: "%"}, "[]"},
		"page":        {Filter{Limit: 2}, "[a@x.test b@x.test]"},
		"next page":   {Filter{Limit: 2, After: 2}, "[c@y.test D@z.test]"},
		"state":       {Filter{State: Held}, "[]"},
	} {
		queue, err := s.Queue(ctx, c.f)
		must(t, err)
		got := []string{}
		for _, q := range queue {
			got = append(got, q.Recipient)
		}
		same(t, name, got, c.want)
	}
	_, err := s.Claim(ctx, "y.test", when, 1, 1)
	must(t, err)
	count := func(what string, want int) func(int, error) {
		return func(n int, err error) {
			t.Helper()
			must(t, err)
			same(t, what, n, want)
		}
	}
	count("held", 3)(s.Hold(ctx, Filter{}))
	count("held again", 0)(s.Hold(ctx, Filter{}))
	count("hastened while held", 0)(s.Hasten(ctx, Filter{}, when))
	count("released", 2)(s.Release(ctx, Filter{Destination: "x.test"}, when.Add(time.Hour)))
	count("hastened", 1)(s.Hasten(ctx, Filter{IDs: []int64{1, 3, 4}}, when.Add(time.Minute)))
	if at, _, _ := s.NextTry(ctx); !at.Equal(when.Add(time.Minute)) {
		t.Errorf("next try %v", at)
	}
	same(t, "rows", rows(t, s, Filter{}), "[a@x.test waiting 0 b@x.test waiting 0 c@y.test sending 0 D@z.test held 0]")
	newest, err := s.Newest(ctx)
	must(t, err)
	same(t, "newest", newest, 4)
	count("discarded of those that came by then", 1)(s.Discard(ctx, Filter{Destination: "x.test", UpTo: 1}))
	same(t, "their content is for others", len(keeps(t, s)), 2)
	count("discarded", 2)(s.Discard(ctx, Filter{}))
	same(t, "what is being sent stays", rows(t, s, Filter{}), "[c@y.test sending 0]")
	same(t, "with its content alone", len(keeps(t, s)), 1)
	newest, err = s.Newest(ctx)
	must(t, err)
	same(t, "newest of those there were", newest, 4)
}

func TestAdministrationOfMany(t *testing.T) {
	s := queueing(t, t.TempDir())
	var many []Recipient
	for i := range 2*alterBatch + 1 {
		many = append(many, Recipient{Address: fmt.Sprintf("%d@x.test", i)})
	}
	must(t, deliver(s, "x", Envelope{From: alice, Remote: many}))
	if n, err := s.Hold(t.Context(), Filter{}); n != len(many) || err != nil {
		t.Errorf("held %d %v of %d", n, err, len(many))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Release(ctx, Filter{}, when); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPullIn(t *testing.T) {
	s := queueing(t, t.TempDir())
	must(t, deliver(s, "x", Envelope{From: alice, Remote: remote("a@x.test")}))
	if n, err := s.PullIn(t.Context(), when, when.Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("pulled in %d %v", n, err)
	}
	past := when.AddDate(-1, 0, 0)
	if n, err := s.PullIn(t.Context(), past, past.Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("pulled in %d %v", n, err)
	}
	queue, err := s.Queue(t.Context(), Filter{})
	must(t, err)
	if q := queue[0]; !q.NextTry.Equal(past.Add(time.Hour)) || !q.Created.Equal(past) {
		t.Errorf("row %+v", q)
	}
}

// What waited when the program could not send yet is sent by the one that can.
func TestQueueOfTheFirstVersion(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "index.db"))
	must(t, err)
	all := migrations
	migrations = all[:1]
	err = migrate(t.Context(), db)
	migrations = all
	must(t, err)
	_, err = db.Exec(`INSERT INTO contents (id, size, sha256, received) VALUES (1, 1, x'00', 1);
		INSERT INTO queue (content, sender, recipient, utf8, state, next_try, created) VALUES
		(1, 'a@postern.test', 'b@Elsewhere.test', 1, 'waiting', 5, 4), (1, 'a@postern.test', '"c@d"@[192.0.2.1]', 0, 'waiting', 5, 4)`)
	must(t, err)
	must(t, db.Close())
	s := open(t, dir, nil)
	queue, err := s.Queue(t.Context(), Filter{})
	must(t, err)
	if len(queue) != 2 || queue[0].Destination != "elsewhere.test" || queue[1].Destination != "[192.0.2.1]" || !queue[0].UTF8 || queue[1].Recipient != `"c@d"@[192.0.2.1]` || queue[0].NextTry.UnixMicro() != 5 {
		t.Errorf("queue %+v", queue)
	}
	if due, err := s.Due(t.Context(), when, "", 9); len(due) != 2 || err != nil {
		t.Errorf("due %v %v", due, err)
	}
}
