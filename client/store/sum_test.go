package store

import (
	"crypto/sha256"
	"testing"
)

// A sum that comes with a message is believed, and what does not fit it is damaged.
func TestSumsGiven(t *testing.T) {
	m, err := Open(NewMemFS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	content := []byte("From: a@b\r\n\r\nHello.\r\n")
	var right, wrong ID
	if err := m.Update(func(tx *Tx) (err error) {
		if right, err = tx.Add(Entry{UID: "1", SHA256: sha256.Sum256(content)}, content); err != nil {
			return err
		}
		wrong, err = tx.Add(Entry{UID: "2", SHA256: [32]byte{1}}, content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if b, err := m.Content(right); err != nil || string(b) != string(content) {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := m.Content(wrong); err == nil {
		t.Errorf("%q passes for another", b)
	}
}
