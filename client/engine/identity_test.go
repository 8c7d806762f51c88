package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
)

func numbered(n int) (all [][]byte, subjects []string) {
	for i := range n {
		s := fmt.Sprintf("m%03d", i)
		all, subjects = append(all, letter(s, strings.Repeat("x", i))), append(subjects, s)
	}
	return all, subjects
}

// Servers whose unique-ids are no good, each in its own way: all mail comes, once, new mail too, and nothing is fetched
// again and again.
func TestUniqueIDsThatAreNoGood(t *testing.T) {
	const n = 30
	all, subjects := numbered(n)
	session := 0
	for _, test := range []struct {
		name string
		d    *maildrop
		most int // RETR that the whole may cost
	}{
		{"sound", &maildrop{}, n},
		{"no UIDL", &maildrop{noUIDL: true}, n},
		{"no UIDL, no CAPA", &maildrop{noUIDL: true, noCapa: true}, n},
		{"no UIDL, no TOP", &maildrop{noUIDL: true, noTop: true}, 6 * n}, // at each change, and at each whole look
		{"no UIDL, no TOP, no CAPA", &maildrop{noUIDL: true, noTop: true, noCapa: true}, 6 * n},
		{"empty", &maildrop{uid: func(int, dropped) string { return "" }}, n},
		{"malformed", &maildrop{uid: func(i int, m dropped) string { return "\x80 " + m.uid }}, n},
		{"all the same", &maildrop{uid: func(int, dropped) string { return "0" }}, n},
		{"in pairs", &maildrop{uid: func(i int, _ dropped) string { return fmt.Sprint(i / 2) }}, n + 5},
		{"the number", &maildrop{uid: func(i int, _ dropped) string { return fmt.Sprint(i) }}, n},
		{"new in each session", &maildrop{uid: func(i int, m dropped) string {
			if i == 1 {
				session++
			}
			return fmt.Sprint("s", session, m.uid)
		}}, 5 * n},
		{"long", &maildrop{uid: func(_ int, m dropped) string { return m.uid + strings.Repeat("y", 200) }}, n},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := test.d
			d.deliver(all[:n-2]...)
			inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
				time.Sleep(20 * defaultPoll)
				d.deliver(all[n-2])
				time.Sleep(2 * defaultPoll)
				d.deliver(all[n-1])
				time.Sleep(20 * defaultPoll)
				synctest.Wait()
				wantHere(t, w, a, append([]string(nil), subjects...)...)
				if s := w.accountNow(a).Sync; s.State != api.SyncIdle || s.Problem != nil {
					t.Errorf("sync %+v", s)
				}
				if got := d.count("RETR"); got > test.most {
					t.Errorf("%d RETR, at most %d", got, test.most)
				}
				before := d.count("RETR")
				w.configure(a, leave(api.LeaveNever, 0))
				time.Sleep(3 * defaultPoll)
				synctest.Wait()
				wantLeft(t, d)
				wantHere(t, w, a, append([]string(nil), subjects...)...)
				t.Logf("%d RETR, %d more to remove, %d TOP", before, d.count("RETR")-before, d.count("TOP"))
			})
		})
	}
}

// Copies come once; messages that differ come each, though they have the same unique-id and even the same header.
func TestCopiesAndWhatIsNone(t *testing.T) {
	d := &maildrop{uid: func(int, dropped) string { return "same" }}
	one, two := letter("twin", "a text"), letter("twin", "another text")
	d.deliver(one, one, two, one)
	inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
		wantHere(t, w, a, "twin", "twin")
		w.configure(a, leave(api.LeaveNever, 0))
		w.fetchNow(a)
		time.Sleep(5 * defaultPoll)
		synctest.Wait()
		wantHere(t, w, a, "twin", "twin")
		wantLeft(t, d)
	})
	// Of the same size and header, one hides the other, and then nothing of them is removed that was not seen.
	d = &maildrop{uid: func(int, dropped) string { return "same" }}
	d.deliver(letter("twin", "text A"), letter("twin", "text B"))
	inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
		w.fetchNow(a)
		time.Sleep(5 * defaultPoll)
		synctest.Wait()
		if here, there := len(w.list(a, api.Inbox)), len(d.left()); here+there < 2 || here == 0 {
			t.Errorf("%d here, %d there", here, there)
		}
	})
}

// A server that names everything anew, once, costs one fetch. Twice, it is not believed any more.
func TestUniqueIDsThatChange(t *testing.T) {
	const n = 40
	all, subjects := numbered(n)
	name := "a"
	d := &maildrop{uid: func(_ int, m dropped) string { return name + m.uid }}
	d.deliver(all...)
	inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
		var costs []int
		for _, name = range []string{"a", "b", "c", "d", "e"} {
			before := d.count("RETR")
			w.fetchNow(a)
			w.fetchNow(a)
			time.Sleep(wholeLookEvery)
			synctest.Wait()
			costs = append(costs, d.count("RETR")-before)
			wantHere(t, w, a, append([]string(nil), subjects...)...)
		}
		if got := fmt.Sprint(costs); got != fmt.Sprint([]int{0, n, 2 * n, 0, 0}) {
			t.Errorf("RETR at each change: %s", got)
		}
		if news := w.seen.newMail(); news != nil {
			t.Errorf("news %v", news)
		}
		w.halt()
		w.start() // it is remembered
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := d.count("RETR"); got != 4*n {
			t.Errorf("%d RETR after a restart", got)
		}
	})
}

// What was erased stays so when the server names it anew.
func TestErasedStaysErasedUnderAnotherName(t *testing.T) {
	name := "a"
	d := &maildrop{uid: func(_ int, m dropped) string { return name + m.uid }}
	d.deliver(letters("one", "two")...)
	inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
		w.erase(a, w.bySubject(a, "one").ID)
		name = "b"
		w.fetchNow(a)
		wantHere(t, w, a, "two")
	})
}

func TestQuietMaildropIsNotListedAtEachPoll(t *testing.T) {
	for _, noTop := range []bool{false, true} {
		t.Run(fmt.Sprint("noTop ", noTop), func(t *testing.T) {
			d := &maildrop{noTop: noTop}
			all, subjects := numbered(smallMaildrop + 1)
			d.deliver(all...)
			inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
				time.Sleep(wholeLookEvery - time.Minute)
				synctest.Wait()
				if n := d.count("UIDL"); n != 2 { // one that fetched, one that found nothing more
					t.Errorf("listed %d times", n)
				}
				// One goes, another of its size comes.
				d.mu.Lock()
				d.messages = d.messages[:len(d.messages)-1]
				d.mu.Unlock()
				d.deliver(letter("mNEW", strings.Repeat("x", smallMaildrop)))
				began := time.Now()
				for time.Since(began) < 2*wholeLookEvery && d.count("RETR 201") < 2 {
					time.Sleep(time.Second)
				}
				synctest.Wait()
				wantHere(t, w, a, append([]string{"mNEW"}, subjects...)...)
				if took := time.Since(began); !noTop && took > defaultPoll+time.Second || took > wholeLookEvery+time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A STAT that is wrong hides nothing.
func TestWrongStat(t *testing.T) {
	for name, stat := range map[string]func(int, int) (int, int){
		"zero":    func(int, int) (int, int) { return 0, 0 },
		"frozen":  func(int, int) (int, int) { return 230, 4711 },
		"doubled": func(n, octets int) (int, int) { return 2 * n, octets },
	} {
		t.Run(name, func(t *testing.T) {
			d := &maildrop{stat: stat}
			all, subjects := numbered(smallMaildrop + 30)
			d.deliver(all[:smallMaildrop+28]...)
			inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
				for i := range 2 {
					time.Sleep(5 * defaultPoll)
					d.deliver(all[smallMaildrop+28+i])
				}
				time.Sleep(2 * defaultPoll)
				synctest.Wait()
				wantHere(t, w, a, append([]string(nil), subjects...)...)
			})
		})
	}
}
