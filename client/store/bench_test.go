package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mailtest"
)

// typical is an entry of the size that real mail has.
func typical(i int) Entry {
	return Entry{
		Folder: "inbox", UID: fmt.Sprintf("%016x", i), Flags: Flags{Unread: i%5 == 0}, Stored: epoch,
		Summary: mail.Summary{
			MessageID: fmt.Sprintf("<%d.abcdef0123456789@mail.example.org>", i), InReplyTo: "<parent-0123456789@mail.example.org>",
			References: []string{"<root-0123456789@mail.example.org>", "<parent-0123456789@mail.example.org>"},
			From:       []mail.Address{{Name: "Somebody Else", Addr: "somebody.else@example.org"}},
			To:         []mail.Address{{Name: "Alice", Addr: "alice@postern.test"}},
			Subject:    "Re: the subject of a message that is neither long nor short", Date: epoch.Add(time.Duration(i*7919%1000003) * time.Minute),
			Snippet: "The first words of a message, a hundred and forty of them at most, are kept for the list so that it can be shown without a look at the message itself",
		},
	}
}

// filled makes a mailbox of n messages in updates of 1,000.
func filled(t testing.TB, fs FS, n int) {
	mb, err := Open(fs, fixed)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	for i := 0; i < n; {
		update(t, mb, func(tx *Tx) error {
			for end := min(n, i+1000); i < end; i++ {
				if _, err := tx.Add(typical(i), []byte("x")); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func BenchmarkOpen100000(b *testing.B) {
	fs := NewMemFS()
	filled(b, fs, 100_000)
	b.ReportMetric(float64(len(fs.dir.files[journalName].data))/1e6, "journal-MB")
	b.ResetTimer()
	for b.Loop() {
		open(b, fs).Close()
	}
}

func BenchmarkWindow(b *testing.B) {
	fs := NewMemFS()
	filled(b, fs, 100_000)
	mb := open(b, fs)
	for b.Loop() {
		if w := mb.List("inbox", nil, 50_000, 50); len(w.Entries) != 50 {
			b.Fatal(len(w.Entries))
		}
	}
}

func BenchmarkMatch100000(b *testing.B) {
	fs := NewMemFS()
	filled(b, fs, 100_000)
	mb := open(b, fs)
	for b.Loop() {
		mb.List("inbox", func(e *Entry) bool { return e.Flags.Unread }, 0, 50)
	}
}

// BenchmarkAdd adds single messages to a mailbox of 100,000.
func BenchmarkAdd(b *testing.B) {
	fs := NewMemFS()
	filled(b, fs, 100_000)
	mb := open(b, fs)
	content := make([]byte, 4096)
	i := 100_000
	for b.Loop() {
		update(b, mb, func(tx *Tx) error { _, err := tx.Add(typical(i), content); return err })
		i++
	}
}

// TestQuickEnough keeps the orders of magnitude: a hundred times slower is a fault, a slow machine is none.
func TestQuickEnough(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or two: not in -short")
	}
	fs := NewMemFS()
	mb := open(t, fs)
	start := mailtest.ProcessorTime()
	for i := range 10_000 {
		update(t, mb, func(tx *Tx) error { _, err := tx.Add(typical(i), []byte("x")); return err })
	}
	if d := mailtest.ProcessorTime() - start; d > 10*time.Second {
		t.Errorf("10,000 insertions one by one took %v", d)
	} else {
		t.Logf("10,000 insertions one by one: %v", d)
	}
	big := NewMemFS()
	filled(t, big, 100_000)
	start = mailtest.ProcessorTime()
	mb = open(t, big)
	d := mailtest.ProcessorTime() - start
	t.Logf("opening 100,000 messages: %v", d)
	if d > 10*time.Second {
		t.Errorf("opening 100,000 messages took %v", d)
	}
	start = mailtest.ProcessorTime()
	for range 1000 {
		mb.List("inbox", nil, 90_000, 50)
	}
	if d := (mailtest.ProcessorTime() - start) / 1000; d > 5*time.Millisecond {
		t.Errorf("a window took %v", d)
	}
}

// TestOrderAgainstASlice inserts, moves and removes in an order and in a plain slice.
func TestOrderAgainstASlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var o order
	var plain []*record
	var shots []order
	var kept [][]*record
	for edit := uint64(1); edit < 4000; edit++ {
		for range 1 + r.IntN(5) {
			switch k := r.IntN(10); {
			case k < 7 || len(plain) == 0:
				rec := &record{Entry: Entry{ID: ID(edit*10 + uint64(r.IntN(10))), Stored: day(r.IntN(300))}}
				if slices.ContainsFunc(plain, func(p *record) bool { return p.ID == rec.ID }) {
					continue
				}
				plain = append(plain, rec)
				o.insert(rec, edit)
			case k < 8:
				i := r.IntN(len(plain))
				c := *plain[i]
				o.replace(plain[i], &c, edit)
				plain[i] = &c
			default:
				i := r.IntN(len(plain))
				o.remove(plain[i], edit)
				plain = slices.Delete(plain, i, i+1)
			}
		}
		if edit%500 == 0 {
			slices.SortFunc(plain, before)
			shots, kept = append(shots, o), append(kept, slices.Clone(plain))
		}
	}
	slices.SortFunc(plain, before)
	shots, kept = append(shots, o), append(kept, plain)
	for i, o := range shots { // the snapshots too: later changes left them alone
		var got []*record
		o.each(0, func(r *record) bool { got = append(got, r); return true })
		if !slices.Equal(got, kept[i]) || o.n != len(kept[i]) {
			t.Fatalf("snapshot %d: %d records, want %d", i, len(got), len(kept[i]))
		}
		for _, offset := range []int{0, 1, len(got) / 2, len(got) - 1, len(got), len(got) + 5} {
			var tail []*record
			o.each(offset, func(r *record) bool { tail = append(tail, r); return true })
			if !slices.Equal(tail, kept[i][min(offset, len(got)):]) {
				t.Fatalf("from %d on: %d records", offset, len(tail))
			}
		}
	}
}

// TestReadersAndWriter lets readers read while one writes: every answer is of one moment.
func TestReadersAndWriter(t *testing.T) {
	mb := open(t, NewMemFS())
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w := mb.List("inbox", func(e *Entry) bool { return true }, 0, 1000)
				if w.Total%2 != 0 { // messages arrive and leave in pairs
					t.Errorf("half an update is seen: %d", w.Total)
					return
				}
				for _, e := range w.Entries {
					mb.Get(e.ID)
					mb.HasUID(e.UID)
				}
				if len(w.Entries) > 0 {
					mb.Content(w.Entries[0].ID)
				}
				mb.Counts("inbox")
				mb.Meta("k")
			}
		})
	}
	for i := range 300 {
		update(t, mb, func(tx *Tx) error {
			a, _ := tx.Add(typical(2*i), []byte("a"))
			b, _ := tx.Add(typical(2*i+1), []byte("b"))
			if i%3 == 0 {
				tx.SetFolder(a, "trash")
				tx.SetFolder(b, "trash")
			}
			return tx.SetMeta("k", []byte{byte(i)})
		})
	}
	close(stop)
	wg.Wait()
}
