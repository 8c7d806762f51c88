package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mailtest"
)

func (w *world) search(id api.AccountID, query string) (subjects []string) {
	w.t.Helper()
	p, err := w.List(w.t.Context(), api.ListQuery{Account: id, Folder: api.Inbox, Query: query, Limit: 100})
	if err != nil || p.Total != len(p.Rows) {
		w.t.Fatalf("searching %q: %d of %d, %v", query, len(p.Rows), p.Total, err)
	}
	for _, r := range p.Rows {
		subjects = append(subjects, r.Subject)
	}
	slices.Sort(subjects)
	return subjects
}

func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, room := range []int{0, 1} { // texts kept, and not
			w := newWorld(t)
			w.limits.Texts = room
			w.start()
			drop := w.pop.Maildrop[alice]
			drop.Deliver(letter("Invoice", "Your ORDER has shipped."))
			drop.Deliver(letter("Greetings", "Viele Grüße aus Zürich"))
			drop.Deliver(letter("Meeting", "Σίσυφος ΜΆΪΟΣ"))
			drop.Deliver([]byte("From: x@example.org\r\nSubject: Web\r\nContent-Type: text/html\r\n\r\n<p>rich&nbsp;<b>content</b> &amp; more</p>\r\n"))
			a := w.signIn(alice)
			for _, test := range []struct{ query, want string }{
				{"invoice", "Invoice"},
				{"  ", "Greetings Invoice Meeting Web"},
				{"order SHIPPED", "Invoice"},
				{"order zürich", ""},
				{"ZÜRICH grüsse", ""},
				{"zÜrich GRÜß", "Greetings"},
				{"carol", "Greetings Invoice Meeting"},
				{"carol order", "Invoice"}, // a field and the text
				{"ΣΊΣΥΦΟΣ", "Meeting"},     // final sigma
				{"rich content &", "Web"},
				{"nbsp", ""},
				{"ord", "Invoice"}, // parts of words too
			} {
				for range 2 {
					if got := strings.Join(w.search(a.ID, test.query), " "); got != test.want {
						t.Errorf("room %d: %q finds %q, want %q", room, test.query, got, test.want)
					}
				}
			}
			w.halt()
		}
	})
}

func TestSearchFollowsADraft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		find := func(q string) int {
			p, err := w.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Drafts, Query: q, Limit: 9})
			if err != nil {
				t.Fatal(err)
			}
			return p.Total
		}
		long := strings.Repeat("filler ", 100)
		d, _ := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, Text: long + "before"})
		if find("before") != 1 {
			t.Error("not found")
		}
		d.Text = long + "after"
		if _, err := w.SaveDraft(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if find("before") != 0 || find("after") != 1 {
			t.Error("the old text is found, or the new one is not")
		}
	})
}

func TestTextsAreReadAhead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		g := mailtest.Generator{Seed: 3}
		for i := range 100 {
			w.pop.Maildrop[alice].Deliver(g.Message(i))
		}
		a := w.signIn(alice)
		w.halt()
		w.start()
		time.Sleep(warmAfter + 10*time.Second)
		synctest.Wait()
		acc, _ := w.mailbox(a.ID)
		acc.texts.mu.Lock()
		defer acc.texts.mu.Unlock()
		if n := len(acc.texts.kept); n != 100 {
			t.Errorf("%d texts", n)
		}
		acc.texts.mu.Unlock()
		w.pop.Maildrop[alice].Deliver(letter("later", "x"))
		time.Sleep(defaultPoll + warmAfter + time.Second)
		synctest.Wait()
		acc.texts.mu.Lock()
		if n := len(acc.texts.kept); n != 101 {
			t.Errorf("%d texts after one more message", n)
		}
	})
}

func TestTextsStayWithinTheirRoom(t *testing.T) {
	c := newTexts(1000)
	for i := range 100 {
		c.put(&store.Entry{ID: store.ID(i % 10), Sum: store.Sum{byte(i)}}, strings.Repeat("x", i))
		used := 0
		for _, f := range c.kept {
			used += len(f.text) + textOverhead
		}
		if used != c.used || used > 1000 {
			t.Fatalf("used %d, counted %d", used, c.used)
		}
	}
}

func TestFold(t *testing.T) {
	for _, same := range [][]string{{"abc", "ABC", "aBc"}, {"straße", "STRAẞE"}, {"σς", "ΣΣ"}, {"k", "K", "\u212a"}, {"ǆ", "Ǆ", "ǅ"}, {"日本", "日本"}} {
		for _, s := range same {
			if fold(s) != fold(same[0]) {
				t.Errorf("%q folds to %q, %q to %q", s, fold(s), same[0], fold(same[0]))
			}
		}
	}
	if fold("\xff\x00") == "" {
		t.Error("broken text vanished")
	}
}

func TestSearchGivesUpWithItsContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range 200 {
			w.pop.Maildrop[alice].Deliver(letter(fmt.Sprint(i), "x"))
		}
		a := w.signIn(alice)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.List(ctx, api.ListQuery{Account: a.ID, Folder: api.Inbox, Query: "nothing"}); code(err) != api.CodeCanceled {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzPlain(f *testing.F) {
	f.Add("<p>a</p>")
	f.Add("a < b")
	f.Add("<<>><")
	f.Fuzz(func(t *testing.T, s string) {
		if len(plain(s)) > 2*len(s)+1 {
			t.Errorf("grew: %q", plain(s))
		}
		_ = foldWords(s)
	})
}

// Searching 10,000 messages of 2 KB: for a word in a field, for one in the texts, and for the first time, when the
// texts have to be read.
func BenchmarkSearch(b *testing.B) {
	box, err := store.Open(store.NewMemFS(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	g := mailtest.Generator{Seed: 4, Median: 2000, Largest: 20_000}
	err = box.Update(func(tx *store.Tx) error {
		for i := range 10_000 {
			content := g.Message(i)
			if _, err := tx.Add(store.Entry{Folder: inbox, UID: fmt.Sprint(i), Summary: mail.Reader{}.Summarize(content)}, content); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name, query string
		warm        bool
	}{{"text", "nowhere-to-be-found", true}, {"field", "sender", true}, {"two words", "migration überfällig", true}, {"first", "nowhere-to-be-found", false}} {
		b.Run(bench.name, func(b *testing.B) {
			a := &account{e: &Engine{Config: Config{}.withDefaults()}, box: box, texts: newTexts(256 << 20)}
			if bench.warm {
				_, _ = a.window(b.Context(), inbox, "nowhere-to-be-found", 0, 50)
			}
			for b.Loop() {
				if !bench.warm {
					a.texts = newTexts(256 << 20)
				}
				if _, err := a.window(b.Context(), inbox, bench.query, 0, 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
