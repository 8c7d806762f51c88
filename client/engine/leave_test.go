package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// inDrop runs fn with an engine and an account whose maildrop is d.
func inDrop(t *testing.T, d *maildrop, change func(s *api.Settings), fn func(t *testing.T, w *world, a api.AccountID)) {
	t.Helper()
	inDropEvery(t, defaultPoll, d, change, fn)
}

// inDropEvery is inDrop with polls so far apart.
func inDropEvery(t *testing.T, poll time.Duration, d *maildrop, change func(s *api.Settings), fn func(t *testing.T, w *world, a api.AccountID)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.startEvery(poll)
		defer w.halt()
		w.gateway.serve(wire.POP3S, d)
		id := w.signIn(alice).ID
		w.configure(id, change)
		fn(t, w, id)
	})
}

// startEvery is start with polls so far apart.
func (w *world) startEvery(poll time.Duration) {
	w.t.Helper()
	engine, err := New(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	engine.Poll = poll
	w.runEngine(engine)
}

func (w *world) configure(id api.AccountID, change func(s *api.Settings)) {
	w.t.Helper()
	if change == nil {
		return
	}
	s, err := w.Settings(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	change(&s)
	if _, err := w.Configure(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func leave(l api.Leave, days int) func(*api.Settings) {
	return func(s *api.Settings) { s.Leave, s.LeaveDays = l, days }
}

// fetchNow lets the engine fetch until it is at rest.
func (w *world) fetchNow(id api.AccountID) {
	w.t.Helper()
	if err := w.SyncNow(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) move(id api.AccountID, to api.FolderID, ids ...api.MessageID) {
	w.t.Helper()
	if err := w.Move(w.t.Context(), api.Move{Account: id, IDs: ids, To: to}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) erase(id api.AccountID, ids ...api.MessageID) {
	w.t.Helper()
	if err := w.Erase(w.t.Context(), api.Erase{Account: id, IDs: ids}); err != nil {
		w.t.Fatal(err)
	}
}

// bySubject is the message of that subject, wherever it is.
func (w *world) bySubject(id api.AccountID, subject string) api.Row {
	w.t.Helper()
	for _, f := range []api.FolderID{api.Inbox, api.Trash} {
		for _, r := range w.list(id, f) {
			if r.Subject == subject {
				return r
			}
		}
	}
	w.t.Fatalf("no message %q", subject)
	return api.Row{}
}

func (d *maildrop) subjects() (all []string) {
	for _, c := range d.left() {
		all = append(all, subjectOf(string(c)))
	}
	return all
}

func letters(subjects ...string) (all [][]byte) {
	for _, s := range subjects {
		all = append(all, letter(s, "text of "+s))
	}
	return all
}

func wantLeft(t *testing.T, d *maildrop, want ...string) {
	t.Helper()
	if got := d.subjects(); !slices.Equal(got, want) {
		t.Errorf("on the server: %v, want %v", got, want)
	}
}

func wantHere(t *testing.T, w *world, id api.AccountID, want ...string) {
	t.Helper()
	var got []string
	for _, r := range w.list(id, api.Inbox) {
		got = append(got, r.Subject)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("in the inbox: %v, want %v", got, want)
	}
}

func TestLeave(t *testing.T) {
	d := &maildrop{}
	d.deliver(letters("one", "two", "three")...)
	inDropEvery(t, 12*time.Hour, d, nil, func(t *testing.T, w *world, a api.AccountID) {
		w.move(a, api.Trash, w.bySubject(a, "one").ID)
		w.erase(a, w.bySubject(a, "two").ID)
		w.fetchNow(a)
		wantLeft(t, d, "one", "two", "three")
		if d.count("DELE") != 0 {
			t.Error("DELE though all is to be left")
		}

		w.configure(a, leave(api.LeaveUntilErased, 0))
		w.fetchNow(a)
		wantLeft(t, d, "three")
		w.move(a, api.Trash, w.bySubject(a, "three").ID)
		w.move(a, api.Inbox, w.bySubject(a, "three").ID)
		w.fetchNow(a)
		wantLeft(t, d, "three")
		w.move(a, api.Inbox, w.bySubject(a, "one").ID) // out of Trash, when it is gone from the server
		wantHere(t, w, a, "one", "three")

		w.configure(a, leave(api.LeaveDays, 3))
		d.deliver(letters("four")...)
		w.fetchNow(a)
		time.Sleep(24 * time.Hour)
		d.deliver(letters("five")...)
		w.fetchNow(a)
		time.Sleep(30 * time.Hour)
		wantLeft(t, d, "three", "four", "five")
		time.Sleep(24 * time.Hour)
		wantLeft(t, d, "five")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		wantLeft(t, d)

		d.deliver(letters("six", "seven")...)
		w.configure(a, leave(api.LeaveNever, 0))
		w.fetchNow(a)
		wantLeft(t, d)
		wantHere(t, w, a, "one", "three", "four", "five", "six", "seven")
		now := w.accountNow(a).Sync
		if now.State != api.SyncIdle || now.Problem != nil || now.OnServer == nil || *now.OnServer != 0 {
			t.Errorf("sync %+v", now)
		}
	})
}

func TestRemovalIsTold(t *testing.T) {
	d := &maildrop{}
	inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
		const n = 120
		for i := range n {
			d.deliver(letter(fmt.Sprint(i), "x"))
		}
		w.fetchNow(a)
		wantLeft(t, d)
		told := false
		for _, e := range w.seen.all() {
			if e.Account != nil && e.Account.Sync.State == api.SyncRemoving {
				told = told || e.Account.Sync.Done > 0 && e.Account.Sync.Total == n
			}
		}
		if !told {
			t.Error("nothing was told")
		}
		if top := d.count("TOP"); top != 0 {
			t.Errorf("%d TOP for what came in the same session", top)
		}
	})
}

// QUIT without a good answer: the account says so, nothing is lost, and the next look settles it.
func TestUnconfirmedUpdate(t *testing.T) {
	for _, how := range []string{"-ERR some were not removed", "silent", "lost"} {
		t.Run(how, func(t *testing.T) {
			d := &maildrop{}
			inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
				fails := 1
				d.quit = func() string {
					if fails--; fails >= 0 {
						return how
					}
					return ""
				}
				d.deliver(letters("one", "two")...)
				w.fetchNow(a)
				s := w.accountNow(a).Sync
				if problemCode(s.Problem) != api.CodeUnconfirmed || s.State != api.SyncIdle || s.OnServer != nil || s.Problem.Session == 0 {
					t.Errorf("sync %+v, problem %+v", s, s.Problem)
				}
				time.Sleep(2 * defaultPoll)
				synctest.Wait()
				wantLeft(t, d)
				wantHere(t, w, a, "one", "two")
				if s := w.accountNow(a).Sync; s.Problem != nil {
					t.Errorf("not settled: %+v", s.Problem)
				}
			})
		})
	}
}

// A server that never confirms is not asked at every poll.
func TestRemovalThatIsNeverConfirmedWaitsLonger(t *testing.T) {
	d := &maildrop{quit: func() string { return "-ERR no" }}
	inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(letters("one")...)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := d.count("DELE"); n < 8 || n > 25 {
			t.Errorf("%d DELE in an hour", n)
		}
		wantHere(t, w, a, "one")
	})
}

// A server that says that it removed what it goes on listing is left in peace.
func TestServerThatOnlySaysThatItRemoves(t *testing.T) {
	for name, d := range map[string]*maildrop{
		"QUIT lies": {quit: func() string { return "lie" }},
		"DELE lies": {dele: func(int) (bool, string) { return false, "" }},
		"DELE says": {dele: func(int) (bool, string) { return false, "-ERR not this one" }},
	} {
		t.Run(name, func(t *testing.T) {
			inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
				d.deliver(letters("one", "two")...)
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := d.count("DELE"); n != 2*mostConfirmed {
					t.Errorf("%d DELE", n)
				}
				wantHere(t, w, a, "one", "two")
				if s := w.accountNow(a).Sync; problemCode(s.Problem) != api.CodeServerRefused {
					t.Errorf("sync %+v", s)
				}
			})
		})
	}
}

// What cannot be read back keeps everything on the server; then it is fetched again, and all goes.
func TestNothingIsRemovedThatCannotBeReadBack(t *testing.T) {
	d := &maildrop{}
	inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(letters("one", "two", "three")...)
		failing := errors.New("the device cannot be read")
		w.fs.FailRead(func(string, int64, []byte) error { return failing })
		w.fetchNow(a)
		wantLeft(t, d, "one", "two", "three")
		if s := w.accountNow(a).Sync; problemCode(s.Problem) != api.CodeStorage || d.count("DELE") != 0 {
			t.Errorf("sync %+v, %d DELE", s, d.count("DELE"))
		}
		w.fs.FailRead(nil)
		w.fetchNow(a)
		wantLeft(t, d)
		wantHere(t, w, a, "one", "two", "three")
	})
}

// rot is a device on which some octets change when they are written.
type rot struct {
	store.FS
	find []byte
	once bool
}

func (r *rot) Sub(name string) (store.FS, error) {
	fs, err := r.FS.Sub(name)
	return &rot{FS: fs, find: r.find}, err
}

func (r *rot) Open(name string) (store.File, error) {
	f, err := r.FS.Open(name)
	return &rotFile{f, r}, err
}

type rotFile struct {
	store.File
	r *rot
}

func (f *rotFile) WriteAt(p []byte, off int64) (int, error) {
	if i := bytes.Index(p, f.r.find); i >= 0 && !f.r.once {
		f.r.once = true
		q := bytes.Clone(p)
		q[i] ^= 1
		p = q
	}
	return f.File.WriteAt(p, off)
}

func TestDamagedMessageIsFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := &maildrop{}
		w.gateway.serve(wire.POP3S, d)
		w.over = &rot{FS: w.fs, find: []byte("text of two")}
		w.start()
		defer w.halt()
		a := w.signIn(alice).ID
		w.configure(a, leave(api.LeaveNever, 0))
		d.deliver(letters("one", "two", "three")...)
		w.fetchNow(a)
		wantLeft(t, d, "one", "two", "three")
		if s := w.accountNow(a).Sync; problemCode(s.Problem) != api.CodeStorage || d.count("DELE") != 0 {
			t.Fatalf("sync %+v, %d DELE", s, d.count("DELE"))
		}
		time.Sleep(2 * defaultPoll)
		synctest.Wait()
		wantLeft(t, d)
		wantHere(t, w, a, "one", "two", "three")
		source, err := w.Source(t.Context(), api.MessageRef{Account: a, ID: w.bySubject(a, "two").ID})
		if err != nil || string(source) != string(letter("two", "text of two")) {
			t.Errorf("%v: %q", err, source)
		}
		if s := w.accountNow(a).Sync; s.Problem != nil {
			t.Errorf("problem %v", s.Problem)
		}
	})
}

// A unique-id that names another message by now takes nothing away: that one is fetched, and the old one is kept here.
func TestUniqueIDThatNamesAnotherMessage(t *testing.T) {
	for _, noTop := range []bool{false, true} {
		for _, erased := range []bool{false, true} {
			t.Run(fmt.Sprintf("noTop %v erased %v", noTop, erased), func(t *testing.T) {
				d := &maildrop{noTop: noTop}
				inDrop(t, d, leave(api.LeaveUntilErased, 0), func(t *testing.T, w *world, a api.AccountID) {
					d.deliver(letters("one", "two")...)
					w.fetchNow(a)
					d.mu.Lock()
					d.messages[0].content = letter("unseen", "text of unseen")
					d.mu.Unlock()
					if r := w.bySubject(a, "one"); erased {
						w.erase(a, r.ID)
					} else {
						w.move(a, api.Trash, r.ID)
					}
					w.fetchNow(a)
					time.Sleep(5 * defaultPoll)
					synctest.Wait()
					wantLeft(t, d, "unseen", "two")
					wantHere(t, w, a, "unseen", "two")
					if s := w.accountNow(a).Sync; s.State != api.SyncIdle {
						t.Errorf("sync %+v", s)
					}
				})
			})
		}
	}
}

// A server that answers RETR with other messages than asked for: each is kept, and in the end the server is empty
// without a message lost.
func TestAnswersOutOfTurn(t *testing.T) {
	for _, policy := range []api.Leave{api.LeaveNever, api.LeaveUntilErased} {
		t.Run(string(policy), func(t *testing.T) {
			var all [][]byte
			for i := range 9 {
				all = append(all, letter(fmt.Sprint("m", i), strings.Repeat("x", 10*i)))
			}
			d := &maildrop{}
			turned := true
			d.retr = func(n int, content []byte) []byte {
				if turned {
					return all[(n+3)%len(all)]
				}
				return content
			}
			inDrop(t, d, leave(policy, 0), func(t *testing.T, w *world, a api.AccountID) {
				d.removing = func(gone []dropped) { wantDurable(t, w, gone) }
				d.deliver(all...)
				w.fetchNow(a)
				turned = false
				w.fetchNow(a)
				if policy == api.LeaveUntilErased {
					for _, r := range w.list(a, api.Inbox) {
						w.move(a, api.Trash, r.ID)
					}
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				wantLeft(t, d)
				if n := len(w.list(a, api.Inbox)) + len(w.list(a, api.Trash)); n != len(all) {
					t.Errorf("%d messages here", n)
				}
			})
		})
	}
}

// A server that gives the same message whatever it is asked for makes us delete none of the others.
func TestOneMessageForAll(t *testing.T) {
	d := &maildrop{}
	same := letter("always", "this")
	d.retr = func(int, []byte) []byte { return same }
	inDrop(t, d, leave(api.LeaveNever, 0), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(letters("one", "two", "three")...)
		d.deliver(same)
		time.Sleep(time.Hour)
		synctest.Wait()
		wantLeft(t, d, "one", "two", "three")
		wantHere(t, w, a, "always")
	})
}

// wantDurable checks that messages a server is about to remove would be there after a power cut at this moment.
func wantDurable(t *testing.T, w *world, gone []dropped) {
	t.Helper()
	fs, err := w.fs.Restart(nil).Sub(accountFolder(accountID(alice)))
	if err != nil {
		t.Error(err)
		return
	}
	box, err := store.Open(fs, nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer box.Close()
	here := make(map[[32]byte]int)
	for _, f := range []store.Folder{inbox, trash} {
		for _, e := range box.List(f, nil, 0, 1<<20).Entries {
			content, err := box.Content(e.ID)
			if err != nil {
				t.Errorf("message %d: %v", e.ID, err)
			}
			here[sumOf(content)]++
		}
	}
	for _, m := range gone {
		if n := here[sumOf(m.content)]; n != 1 {
			t.Errorf("%q goes from the server and is here %d times", subjectOf(string(m.content)), n)
		}
	}
}

var _ mailtest.Server = (*maildrop)(nil)
