package engine

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
)

// The page is told exactly how many of the messages here the server has too, whatever else is on either side.
func TestCopiesOnTheServer(t *testing.T) {
	for _, c := range []struct {
		name string
		drop *maildrop
		know bool
	}{
		{"UIDL", &maildrop{}, true},
		{"identities of our own", &maildrop{noUIDL: true}, true},
		{"known by its content alone", &maildrop{noUIDL: true, noTop: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.drop
			inDrop(t, d, leave(api.LeaveAlways, 0), func(t *testing.T, w *world, a api.AccountID) {
				unknown := 0
				want := func(when string, n int) {
					t.Helper()
					s := w.accountNow(a).Sync
					switch {
					case s.State != api.SyncIdle:
						t.Fatalf("%s: sync %+v", when, s)
					case s.OnServer == nil && !c.know:
						unknown++
					case s.OnServer == nil || *s.OnServer != n:
						t.Errorf("%s: %+v, want %d", when, s, n)
					}
				}
				d.deliver(letters("one", "two", "three", "four", "five")...)
				w.fetchNow(a)
				want("fetched", 5)

				w.erase(a, w.bySubject(a, "one").ID)
				want("erased here, and there still", 4)
				w.move(a, api.Trash, w.bySubject(a, "two").ID)
				want("in Trash", 4)

				d.mu.Lock()
				d.messages = slices.Delete(d.messages, 2, 3) // "three", by another program
				d.mu.Unlock()
				w.fetchNow(a)
				want("removed there", 3)
				d.deliver(letters("six")...)
				w.fetchNow(a)
				want("another there", 4)

				w.send(api.Draft{Account: a, To: to(bob), Subject: "written here"})
				synctest.Wait()
				want("what was sent was never there", 4)

				w.configure(a, leave(api.LeaveUntilErased, 0))
				w.fetchNow(a)
				want("removed at our word", 3)
				w.configure(a, leave(api.LeaveNever, 0))
				w.fetchNow(a)
				if len(d.left()) > 0 {
					t.Fatalf("left: %q", d.subjects())
				}
				want("all of it", 0)
				if !c.know && unknown == 0 { // all was compared for the removal alone
					t.Error("it was known all the time")
				}
			})
		})
	}
}

// What the server would not give is not here, and so no copy; what it has a name for and is large is here in part.
func TestCopiesOfWhatIsNotHere(t *testing.T) {
	d := &maildrop{retr: func(number int, content []byte) []byte {
		if number == 1 {
			return nil
		}
		return content
	}}
	inDrop(t, d, leave(api.LeaveAlways, 0), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(letters("refused", "two", "three")...)
		w.fetchNow(a)
		if s := w.accountNow(a).Sync; s.OnServer == nil || *s.OnServer != 2 {
			t.Errorf("sync %+v, want 2 copies", s)
		}
	})
}
