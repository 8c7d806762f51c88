package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
)

// marked is an FS that notes how many steps its MemFS had taken before each change of a file: the moments at which the
// power can be cut with a meaning of their own.
type marked struct {
	store.FS
	disk *store.MemFS
	*marks
}

type marks struct {
	mu    sync.Mutex
	steps []int64
}

func (m *marked) mark() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps = append(m.steps, m.disk.Steps())
}

func (m *marked) Sub(name string) (store.FS, error) {
	m.mark()
	fs, err := m.FS.Sub(name)
	return &marked{fs, m.disk, m.marks}, err
}

func (m *marked) Open(name string) (store.File, error) {
	m.mark()
	f, err := m.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &markedFile{f, m}, nil
}

type markedFile struct {
	store.File
	m *marked
}

func (f *markedFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mark()
	return f.File.WriteAt(p, off)
}

func (f *markedFile) Truncate(n int64) error {
	f.m.mark()
	return f.File.Truncate(n)
}

func (f *markedFile) Sync() error {
	f.m.mark()
	return f.File.Sync()
}

// moments are the steps at which a story is cut: before, within and after every write, truncation and sync.
func moments(t *testing.T, prepare, story func(t *testing.T, w *world)) []int64 {
	t.Helper()
	var all []int64
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &marked{FS: w.fs, disk: w.fs, marks: new(marks)}
		w.over = m
		prepare(t, w)
		w.start()
		story(t, w)
		w.halt()
		all = append(m.steps, w.fs.Steps())
	})
	for i := len(all) - 1; i > 0; i-- {
		all = append(all, (all[i-1]+all[i])/2, all[i]+1)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// atEveryMoment runs a story until the power is cut, once for each moment, starts the engine again on what the disk
// kept, and checks what has become of it.
func atEveryMoment(t *testing.T, prepare, story, check func(t *testing.T, w *world)) {
	all := moments(t, prepare, story)
	if len(all) < 20 {
		t.Fatalf("only %d moments", len(all))
	}
	t.Logf("%d moments", len(all))
	for i, at := range all {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			prepare(t, w)
			w.fs.CutPower(at)
			if engine, err := New(w.config()); err == nil { // else the power went before it had begun
				w.runEngine(engine)
				story(t, w)
				w.halt()
			}
			var torn *rand.Rand
			if i%2 == 1 {
				torn = rand.New(rand.NewPCG(1, uint64(at)))
			}
			w.fs = w.fs.Restart(torn)
			w.gateway.set(tunnel.Online)
			w.start()
			defer w.halt()
			check(t, w)
			if t.Failed() {
				t.Fatalf("the power was cut after %d steps", at)
			}
		})
	}
}

func TestPowerCutWhileFetching(t *testing.T) {
	t.Parallel()
	const n = 60
	g := mailtest.Generator{Seed: 9, Median: 400, Largest: 3000}
	atEveryMoment(t, func(t *testing.T, w *world) {
		w.batch = 15
		for i := range n {
			w.pop.Maildrop[alice].Deliver(g.Message(i))
		}
	}, func(t *testing.T, w *world) {
		_, _ = w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true})
		synctest.Wait()
	}, func(t *testing.T, w *world) {
		s, err := w.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Accounts) == 0 || !s.Accounts[0].HasPassword { // the cut was in the middle of signing in
			w.signIn(alice)
		}
		synctest.Wait()
		wantMailbox(t, w, accountID(alice), g, n)
	})
}

func TestPowerCutWhileSending(t *testing.T) {
	t.Parallel()
	n := 3
	if underRace {
		n = 2
	}
	queued := make(map[string]bool) // subjects that Send has answered for
	atEveryMoment(t, func(*testing.T, *world) { clear(queued) }, func(t *testing.T, w *world) {
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true}); err != nil {
			return
		}
		for i := range n {
			subject := fmt.Sprint("message ", i)
			d, err := w.SaveDraft(t.Context(), api.Draft{Account: accountID(alice), To: to(bob), Subject: subject})
			if err != nil {
				return
			}
			if _, err := w.Send(t.Context(), d); err != nil {
				return
			}
			queued[subject] = true
		}
		synctest.Wait()
	}, func(t *testing.T, w *world) {
		id := accountID(alice)
		if s, _ := w.Status(t.Context()); len(s.Accounts) == 0 {
			if len(queued) > 0 {
				t.Errorf("the account is gone, with %v", queued)
			}
			return
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		taken := make(map[string]int)
		for _, l := range w.post.letters() {
			taken[subjectOf(l.content)]++
		}
		found := make(map[string]int)
		for _, f := range []api.FolderID{api.Drafts, api.Outbox, api.Sent} {
			for _, r := range w.list(id, f) {
				found[r.Subject]++
				switch {
				case r.State == api.StateSent && f == api.Sent && taken[r.Subject] == 1:
				case r.State == api.StateUnknown && f == api.Outbox && taken[r.Subject] <= 1:
				case r.State == api.StateDraft && f == api.Drafts && taken[r.Subject] == 0 && !queued[r.Subject]:
				default:
					t.Errorf("%q is %s in %s and was taken %d times", r.Subject, r.State, f, taken[r.Subject])
				}
			}
		}
		for subject := range queued {
			if found[subject] != 1 {
				t.Errorf("%q is there %d times", subject, found[subject])
			}
		}
		for subject, n := range found {
			if n != 1 {
				t.Errorf("%q is there %d times", subject, n)
			}
		}
	})
}

// A device that fills up while the server takes a message must not have it sent again, and says so until there is room.
func TestFullDeviceWhileSending(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.failAt(func(step, _ string) string {
			if step == "dot" { // after the mark, before the settlement
				w.fs.SetRoom(0)
			}
			return ""
		})
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		if r := w.row(a.ID, id); r.Folder != api.Outbox || r.State != api.StateSent || problemCode(r.Problem) != api.CodeStorage {
			t.Fatalf("row %+v", r)
		}
		time.Sleep(time.Hour)
		w.post.failAt(nil)
		w.fs.SetRoom(-1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := w.row(a.ID, id); r.Folder != api.Sent || r.State != api.StateSent || r.Problem != nil {
			t.Errorf("row %+v", r)
		}
		if n := len(w.post.letters()); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestFullDeviceWhileFetching(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		g := mailtest.Generator{Seed: 2}
		const n = 150
		for i := range n {
			w.pop.Maildrop[alice].Deliver(g.Message(i))
		}
		w.fs.SetRoom(50_000)
		time.Sleep(defaultPoll)
		synctest.Wait()
		if s := w.accountNow(a.ID).Sync; s.State != api.SyncError || problemCode(s.Problem) != api.CodeStorageFull {
			t.Errorf("sync %+v", s)
		}
		w.fs.SetRoom(-1)
		time.Sleep(2 * mostBackoff)
		synctest.Wait()
		wantMailbox(t, w, a.ID, g, n)
	})
}
