package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mail"
)

func open(t testing.TB, fs FS) *Mailbox {
	t.Helper()
	m, err := Open(fs, &Options{key: modelKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func update(t testing.TB, m *Mailbox, fn func(tx *Tx) error) {
	t.Helper()
	if err := m.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, m *Mailbox, e Entry, content string) (id ID) {
	t.Helper()
	update(t, m, func(tx *Tx) (err error) {
		id, err = tx.Add(e, []byte(content))
		return err
	})
	return id
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func day(n int) time.Time { return epoch.AddDate(0, 0, n) }

func letter(folder Folder, uid, subject string, date time.Time) Entry {
	return Entry{Folder: folder, UID: uid, Flags: Flags{Unread: true}, Summary: mail.Summary{Subject: subject, Date: date}}
}

func subjects(w Window) string {
	var s []string
	for _, e := range w.Entries {
		s = append(s, e.Summary.Subject)
	}
	return fmt.Sprint(s)
}

// TestLifeOfAMessage walks a message through what can happen to one, and opens the mailbox again after each step.
func TestLifeOfAMessage(t *testing.T) {
	fs := NewMemFS()
	m := open(t, fs)
	again := func() { m.Close(); m = open(t, fs) }
	id := add(t, m, letter("inbox", "u1", "hello", day(1)), "Subject: hello\r\n\r\nBob")
	if id != 1 {
		t.Fatalf("the first message is number %d", id)
	}
	again()
	e, ok := m.Get(id)
	if !ok || e.Summary.Subject != "hello" || !e.Flags.Unread || e.Size != 21 || e.Stored.IsZero() {
		t.Fatalf("%+v", e)
	}
	if p, err := m.Content(id); err != nil || string(p) != "Subject: hello\r\n\r\nBob" {
		t.Fatalf("%q, %v", p, err)
	}
	first := m.Counts("inbox")
	if first.Total != 1 || first.Unread != 1 || first.Revision == 0 {
		t.Fatalf("%+v", first)
	}

	update(t, m, func(tx *Tx) error { return tx.SetFlags(id, Flags{Flagged: true, Answered: true}) })
	again()
	if e, _ := m.Get(id); e.Flags != (Flags{Flagged: true, Answered: true}) {
		t.Fatalf("%+v", e.Flags)
	}
	if c := m.Counts("inbox"); c.Unread != 0 || c.Revision <= first.Revision {
		t.Fatalf("%+v after %+v", c, first)
	}

	update(t, m, func(tx *Tx) error { return tx.SetFolder(id, "trash") })
	again()
	if e, _ := m.Get(id); e.Folder != "trash" || e.Previous != "inbox" {
		t.Fatalf("%+v", e)
	}
	if m.Counts("inbox").Total != 0 || m.Counts("trash").Total != 1 {
		t.Fatal("the move is not in the counts")
	}

	d := &Delivery{State: "deferred", From: "a@b", To: []string{"c@d"}, Attempts: 2, NextTry: day(2), Problem: []byte("{}")}
	update(t, m, func(tx *Tx) error { return tx.SetDelivery(id, d) })
	again()
	if e, _ := m.Get(id); e.Delivery == nil || fmt.Sprint(*e.Delivery) != fmt.Sprint(*d) {
		t.Fatalf("%+v", e.Delivery)
	}

	update(t, m, func(tx *Tx) error {
		return tx.Replace(id, mail.Summary{Subject: "again", Date: day(3)}, []byte("new"))
	})
	again()
	if p, err := m.Content(id); err != nil || string(p) != "new" {
		t.Fatalf("%q, %v", p, err)
	}
	if got := subjects(m.List("trash", nil, 0, 9)); got != "[again]" {
		t.Fatal(got)
	}

	update(t, m, func(tx *Tx) error { return tx.Remove(id) })
	again()
	if _, ok := m.Get(id); ok || !m.HasUID("u1") || m.UIDs() != 1 {
		t.Fatal("a removed message is there, or its unique-id is not")
	}
	if _, err := m.Content(id); !errors.Is(err, ErrNoMessage) {
		t.Fatal(err)
	}
	err := m.Update(func(tx *Tx) error { _, err := tx.Add(letter("inbox", "u1", "", day(1)), nil); return err })
	if !errors.Is(err, ErrKnownUID) {
		t.Fatalf("the same message was stored twice: %v", err)
	}
	if id := add(t, m, Entry{Folder: "inbox"}, ""); id != 2 {
		t.Fatalf("number %d is used again", id)
	}
	again()
	if p, err := m.Content(2); err != nil || len(p) != 0 {
		t.Fatalf("an empty message: %q, %v", p, err)
	}
}

func TestListNewestFirst(t *testing.T) {
	fs := NewMemFS()
	m := open(t, fs)
	add(t, m, letter("f", "", "b", day(2)), "x")
	add(t, m, letter("f", "", "d", day(4)), "x")
	add(t, m, letter("f", "", "a", day(1)), "x")
	add(t, m, letter("f", "", "b'", day(2)), "x")
	undated := letter("f", "", "c", time.Time{})
	undated.Stored = day(3)
	add(t, m, undated, "x")
	check := func(m *Mailbox) {
		t.Helper()
		for _, c := range []struct {
			offset, limit int
			want          string
		}{
			{0, 9, "[d c b' b a]"}, {1, 2, "[c b']"}, {4, 9, "[a]"}, {5, 9, "[]"}, {99, 9, "[]"}, {-1, 1, "[d]"}, {0, 0, "[]"}, {0, -1, "[]"},
		} {
			w := m.List("f", nil, c.offset, c.limit)
			if got := subjects(w); got != c.want || w.Total != 5 || w.Unread != 5 {
				t.Errorf("List(%d, %d) is %s of %d, want %s", c.offset, c.limit, got, w.Total, c.want)
			}
		}
		w := m.List("f", func(e *Entry) bool { return e.Summary.Date.Equal(day(2)) }, 1, 9)
		if subjects(w) != "[b]" || w.Total != 2 {
			t.Errorf("%+v", w)
		}
	}
	check(m)
	m.Close()
	check(open(t, fs))
	if w := m.List("none", nil, 0, 9); w.Total != 0 || w.Entries != nil {
		t.Errorf("%+v", w)
	}
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	fs := NewMemFS()
	m := open(t, fs)
	a := add(t, m, letter("inbox", "a", "a", day(1)), "A")
	boom := errors.New("boom")
	var leaked *Tx
	err := m.Update(func(tx *Tx) error {
		leaked = tx
		id, err := tx.Add(letter("inbox", "b", "b", day(2)), []byte("B"))
		if err != nil {
			return err
		}
		if err := tx.Remove(a); err != nil {
			return err
		}
		if _, ok := tx.Get(a); ok {
			t.Error("the update does not see its own removal")
		}
		if e, ok := tx.Get(id); !ok || e.Summary.Subject != "b" {
			t.Error("the update does not see its own message")
		}
		if _, ok := m.Get(id); ok {
			t.Error("a reader sees an update that is not over")
		}
		return boom
	})
	if err != boom {
		t.Fatal(err)
	}
	if m.Counts("inbox").Total != 1 || m.HasUID("b") {
		t.Fatal("half of an update happened")
	}
	if err := leaked.Remove(a); !errors.Is(err, ErrTxDone) {
		t.Fatal(err)
	}
	for name, fn := range map[string]func(tx *Tx) error{
		"SetFlags":    func(tx *Tx) error { return tx.SetFlags(99, Flags{}) },
		"SetFolder":   func(tx *Tx) error { return tx.SetFolder(99, "x") },
		"SetDelivery": func(tx *Tx) error { return tx.SetDelivery(99, nil) },
		"Replace":     func(tx *Tx) error { return tx.Replace(99, mail.Summary{}, nil) },
		"Remove":      func(tx *Tx) error { return tx.Remove(99) },
	} {
		if err := m.Update(fn); !errors.Is(err, ErrNoMessage) {
			t.Errorf("%s of no message: %v", name, err)
		}
	}
	func() {
		defer func() { recover() }()
		m.Update(func(tx *Tx) error { panic("a fault of the caller's") })
	}()
	add(t, m, letter("inbox", "c", "c", day(3)), "C") // and the mailbox is not stuck
	m.Close()
	if err := m.Update(func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := m.Content(a); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBlobsAndMeta(t *testing.T) {
	fs := NewMemFS()
	m := open(t, fs)
	data := bytes.Repeat([]byte("blob"), 1000)
	var sha string
	update(t, m, func(tx *Tx) (err error) {
		sha, err = tx.PutBlob(data)
		return errors.Join(err, tx.SetMeta("k", []byte("v")), tx.SetMeta("empty", []byte{}), tx.SetMeta("gone", []byte("x")))
	})
	size := m.content.end
	update(t, m, func(tx *Tx) error {
		again, err := tx.PutBlob(data)
		if again != sha {
			t.Errorf("%s, then %s", sha, again)
		}
		return errors.Join(err, tx.SetMeta("gone", nil))
	})
	if m.content.end != size {
		t.Error("the same octets were stored twice")
	}
	m.Close()
	m = open(t, fs)
	if p, err := m.Blob(sha); err != nil || !bytes.Equal(p, data) {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "zz", sha[2:], "00" + sha[2:]} {
		if _, err := m.Blob(bad); !errors.Is(err, ErrNoBlob) {
			t.Errorf("Blob(%q): %v", bad, err)
		}
	}
	if v, ok := m.Meta("k"); !ok || string(v) != "v" {
		t.Errorf("%q, %v", v, ok)
	}
	if v, ok := m.Meta("empty"); !ok || len(v) != 0 {
		t.Errorf("%q, %v", v, ok)
	}
	if _, ok := m.Meta("gone"); ok {
		t.Error("a removed value is there")
	}
}

func TestLimits(t *testing.T) {
	m, err := Open(NewMemFS(), &Options{MaxContent: 10, MaxUpdate: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for name, fn := range map[string]func(tx *Tx) error{
		"content": func(tx *Tx) error { _, err := tx.Add(Entry{}, make([]byte, 11)); return err },
		"blob":    func(tx *Tx) error { _, err := tx.PutBlob(make([]byte, 11)); return err },
		"update":  func(tx *Tx) error { return tx.SetMeta("k", make([]byte, 100)) },
	} {
		if err := m.Update(fn); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := Open(NewMemFS(), &Options{MaxContent: -1}); err != nil || m.maxContent != 1<<32-1 {
		t.Error("-1 is no limit but that of the format")
	}
	add(t, m, Entry{}, "1234567890")
}

// A message fetched again under another unique-id is the one that was here, erased or not; the beginning of a message is
// not the message that ends there.
func TestAddOnce(t *testing.T) {
	fs := NewMemFS()
	mb := open(t, fs)
	once := func(uid, content string, whole int64) (id ID, added bool) {
		t.Helper()
		err := mb.Update(func(tx *Tx) (err error) {
			e := letter("inbox", uid, uid, day(1))
			e.Whole = whole
			id, added, err = tx.AddOnce(e, []byte(content))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id, added
	}
	local := add(t, mb, Entry{Folder: "sent"}, "one") // not fetched
	one, added := once("a", "one", 0)
	if !added || one == local {
		t.Fatal("what was not fetched is no copy")
	}
	if id, added := once("b", "one", 0); added || id != one {
		t.Errorf("a copy is %d", id)
	}
	if err := mb.Update(func(tx *Tx) error { return tx.Remove(one) }); err != nil {
		t.Fatal(err)
	}
	mb.Close()
	mb = open(t, fs)
	if id, added := once("c", "one", 0); added || id != one {
		t.Errorf("a copy of what was erased is %d", id)
	}
	if gone, ok := mb.Erased(one); !ok || gone.Sum != mb.Sum([]byte("one")) || mb.Erasures() != 1 {
		t.Errorf("erased: %+v", gone)
	}
	part, added := once("d", "begin", 99)
	if !added {
		t.Fatal("not added")
	}
	for uid, want := range map[string]struct {
		whole int64
		added bool
	}{"e": {0, true}, "f": {98, true}, "g": {99, false}} {
		if id, added := once(uid, "begin", want.whole); added != want.added || !added && id != part {
			t.Errorf("%s: %d, %v", uid, id, added)
		}
	}
	if err := mb.Update(func(tx *Tx) error { return tx.Complete(part, mail.Summary{}, []byte("beginning and end")) }); err != nil {
		t.Fatal(err)
	}
	if e, _ := mb.Get(part); e.Partial() || e.UID != "d" || !e.Flags.Unread {
		t.Errorf("%+v", e)
	}
	if id, added := once("h", "beginning and end", 0); added || id != part {
		t.Errorf("a copy of the whole is %d", id)
	}
	if err := mb.Update(func(tx *Tx) error { _, _, err := tx.AddOnce(letter("inbox", "h", "h", day(1)), nil); return err }); !errors.Is(err, ErrKnownUID) {
		t.Errorf("a unique-id that is known: %v", err)
	}
	mb.Close()
}
