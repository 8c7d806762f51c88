package store

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// A mailbox knows octets again, whole or in parts and after it was opened anew; another mailbox knows them by another sum.
func TestSum(t *testing.T) {
	fs := NewMemFS()
	open := func(fs FS) *Mailbox {
		m, err := Open(fs, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m, other := open(fs), open(NewMemFS())
	defer other.Close()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "octets")
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		h := m.Hash()
		h.Write(b[:cut])
		h.Write(b[cut:])
		if sum := m.Sum(b); Sum(h.Sum(nil)) != sum || other.Sum(b) == sum {
			t.Fatal("another sum in parts, or the same elsewhere")
		}
	})
	content := []byte("From: a@b\r\n\r\nHello.\r\n")
	sum := m.Sum(content)
	var id ID
	if err := m.Update(func(tx *Tx) (err error) {
		id, err = tx.Add(Entry{UID: "1"}, content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	m.Close()
	m = open(fs)
	defer m.Close()
	if e, ok := m.Get(id); !ok || e.Sum != sum || m.Sum(content) != sum {
		t.Errorf("%v, %v, not %v", e.Sum, m.Sum(content), sum)
	}
}

// The key is in every update: what is left of a damaged journal knows its messages again.
func TestKeyOutlivesDamage(t *testing.T) {
	fs := NewMemFS()
	m, err := Open(fs, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ids [3]ID
	for i := range ids {
		if err := m.Update(func(tx *Tx) (err error) {
			ids[i], err = tx.Add(Entry{}, []byte{byte(i)})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	m.Close()
	f, err := fs.Open(journalName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, headerSize+frameHeader+20), 0); err != nil { // the header and the first update
		t.Fatal(err)
	}
	f.Close()
	if m, err = Open(fs, nil); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Content(ids[0]); !errors.Is(err, ErrNoMessage) {
		t.Errorf("of a lost update: %v", err)
	}
	for i, id := range ids[1:] {
		if b, err := m.Content(id); err != nil || b[0] != byte(i+1) {
			t.Errorf("%d: %v, %v", id, b, err)
		}
	}
}
