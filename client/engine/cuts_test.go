package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// A story is a maildrop of n messages under one policy, from the first fetch to the end: fetched, then (until-deleted) half
// of them put into Trash and one in ten erased, or (days) a week passed. In the end nothing may be lost and nothing be
// there twice; and whatever a server is about to remove must be here, durably, at that moment.
type story struct {
	policy api.Leave
	n      int
}

var policies = []api.Leave{api.LeaveAlways, api.LeaveDays, api.LeaveUntilErased, api.LeaveNever}

// thousand is how many messages the long stories have.
func thousand() int {
	if underRace {
		return 120
	}
	return 1000
}

// few is how many messages the short ones have: a kind of each, in several batches.
func few() int {
	if underRace {
		return 8
	}
	return 16
}

// batch is how many messages become durable at once: each story has several.
func (s story) batch() int { return max(2, s.n/5) }

// mail is message i of a story: small, for what matters is their number.
func (s story) mail(i int) []byte { return letter(fmt.Sprint("m", i), strings.Repeat("x", i%7*10)) }

func (s story) trashed(i int) bool {
	return s.policy == api.LeaveUntilErased && i%2 == 0 && !s.erased(i)
}
func (s story) erased(i int) bool { return s.policy == api.LeaveUntilErased && i%10 == 0 }

// stays says whether message i is left on the server in the end.
func (s story) stays(i int) bool {
	return s.policy == api.LeaveAlways || s.policy == api.LeaveUntilErased && !s.trashed(i) && !s.erased(i)
}

// begin signs in and sets the policy, before anything goes wrong.
func (s story) begin(t *testing.T, w *world, d *maildrop) {
	w.gateway.serveAt("pop.example.org:110", d, nil) // in plain text: TLS would take half of the time of it all
	w.gateway.serveAt("smtp.example.org:587", w.post, nil)
	w.batch = s.batch()
	w.startEvery(1000 * time.Hour)
	a, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true, Servers: &api.Servers{
		POP3: api.Server{Host: "pop.example.org", Port: 110, Security: api.Plain},
		SMTP: api.Server{Host: "smtp.example.org", Port: 587, Security: api.Plain},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.configure(a.ID, leave(s.policy, 3))
	for i := range s.n {
		d.deliver(s.mail(i))
	}
	s.watch(t, w, d)
}

// watch checks at every UPDATE that nothing goes from the server that is not here.
func (s story) watch(t *testing.T, w *world, d *maildrop) {
	d.removing = func(gone []dropped) {
		var mine []dropped // the user's own erasures are no loss
		for _, m := range gone {
			if i := s.number(m.content); !s.erased(i) {
				mine = append(mine, m)
			}
		}
		wantDurable(t, w, mine)
	}
}

func (s story) number(content []byte) (i int) {
	fmt.Sscanf(subjectOf(string(content)), "m%d", &i)
	return i
}

// act plays what the user does. It can be played again: what is done stays done.
func (s story) act(t *testing.T, w *world) {
	id := accountID(alice)
	_ = w.SyncNow(t.Context(), id)
	w.settle(id)
	switch s.policy {
	case api.LeaveDays:
		time.Sleep(5 * 24 * time.Hour)
	case api.LeaveUntilErased:
		var bin, erase []api.MessageID
		for _, r := range w.everything(id) {
			var i int
			fmt.Sscanf(r.Subject, "m%d", &i)
			switch {
			case s.erased(i):
				erase = append(erase, r.ID)
			case s.trashed(i):
				bin = append(bin, r.ID)
			}
		}
		_ = w.Move(t.Context(), api.Move{Account: id, IDs: bin, To: api.Trash})
		_ = w.Erase(t.Context(), api.Erase{Account: id, IDs: erase})
	}
	_ = w.SyncNow(t.Context(), id)
	w.settle(id)
}

// settle lets the account recover from whatever befell it.
func (w *world) settle(id api.AccountID) {
	for range 20 {
		time.Sleep(time.Second) // a maildrop's pace
		synctest.Wait()
		s, err := w.Status(w.t.Context())
		if err != nil || w.gateway.State().Phase != tunnel.Online || len(s.Accounts) == 0 || s.Accounts[0].Sync.State == api.SyncIdle && s.Accounts[0].Sync.Problem == nil {
			return
		}
		time.Sleep(time.Minute)
		_ = w.SyncNow(w.t.Context(), id)
	}
}

// everything is what is in the inbox and in Trash.
func (w *world) everything(id api.AccountID) (rows []api.Row) {
	for _, f := range []api.FolderID{api.Inbox, api.Trash} {
		for offset := 0; ; offset += api.MaxListLimit {
			p, err := w.List(w.t.Context(), api.ListQuery{Account: id, Folder: f, Offset: offset, Limit: api.MaxListLimit})
			if err != nil || len(p.Rows) == 0 {
				break
			}
			rows = append(rows, p.Rows...)
		}
	}
	return rows
}

// check says whether everything ended well.
func (s story) check(t *testing.T, w *world, d *maildrop) {
	t.Helper()
	id := accountID(alice)
	a, err := w.mailbox(id)
	if err != nil {
		t.Error(err)
		return
	}
	here := make(map[[32]byte]int)
	for _, r := range w.everything(id) {
		content, err := a.box.Content(store.ID(r.ID))
		if err != nil {
			t.Errorf("%s: %v", r.Subject, err)
		}
		here[sumOf(content)]++
	}
	there := make(map[[32]byte]int)
	for _, c := range d.left() {
		there[sumOf(c)]++
	}
	lost, doubled := 0, 0
	for i := range s.n {
		sum := sumOf(s.mail(i))
		wantHere, wantThere := 1, 0
		if s.erased(i) {
			wantHere = 0
		}
		if s.stays(i) {
			wantThere = 1
		}
		if here[sum] < wantHere || there[sum] < wantThere {
			lost++
		}
		if here[sum] > wantHere || there[sum] > wantThere {
			doubled++
		}
	}
	if lost+doubled > 0 || len(here) > s.n {
		t.Errorf("%d lost, %d there twice or not removed", lost, doubled)
	}
	if now := w.accountNow(id).Sync; now.State != api.SyncIdle || now.Problem != nil {
		t.Errorf("sync %+v, problem %+v", now, now.Problem)
	}
}

// steps plays the story whole and answers where it can be cut.
func (s story) steps(t *testing.T) (at []string) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{}
		s.begin(t, w, d)
		defer w.halt()
		var mu sync.Mutex
		d.step = func(where string) bool {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, where)
			return false
		}
		s.act(t, w)
		s.check(t, w, d)
	})
	return at
}

// cutAt plays the story with the line cut at one step. With kill the engine dies there too, and what its device had not
// made durable is gone or torn.
func (s story) cutAt(t *testing.T, step int, kill bool) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{pace: kill}
		s.begin(t, w, d)
		defer func() { w.halt() }()
		var mu sync.Mutex
		left, where := step, ""
		d.step = func(at string) bool {
			mu.Lock()
			defer mu.Unlock()
			if left--; left != -1 {
				return false
			}
			where = at
			if kill {
				w.fs.CutPower(0)
				w.gateway.set(tunnel.Offline)
			}
			return true
		}
		if kill {
			s.act(t, w) // as far as it gets
			w.halt()
			var torn *rand.Rand
			if step%2 == 1 {
				torn = rand.New(rand.NewPCG(2, uint64(step)))
			}
			w.fs = w.fs.Restart(torn)
			w.gateway.set(tunnel.Online)
			w.startEvery(1000 * time.Hour)
		}
		s.act(t, w)
		s.check(t, w, d)
		if where == "" {
			t.Errorf("step %d was not reached", step)
		}
		if t.Failed() {
			t.Fatalf("cut at step %d, %s, kill %v", step, where, kill)
		}
	})
}

// sample chooses at most most of the steps: all of a kind that occurs seldom, and of the others the first, the last, and
// some between.
func sample(at []string, most int) (steps []int) {
	kinds := make(map[string][]int)
	for i, where := range at {
		kinds[where] = append(kinds[where], i)
	}
	each := max(2, most/len(kinds))
	for _, all := range kinds {
		if len(all) <= each {
			steps = append(steps, all...)
			continue
		}
		for i := range each {
			steps = append(steps, all[i*(len(all)-1)/(each-1)])
		}
	}
	slices.Sort(steps)
	return slices.Compact(steps)
}

// TestCutEverywhere cuts the line at every boundary of a command and of an answer, within every answer, and kills the
// engine at each of them, over a maildrop of a few messages.
func TestCutEverywhere(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run("leave "+string(policy), func(t *testing.T) {
			s := story{policy, few()}
			all := s.steps(t)
			t.Logf("%d steps", len(all))
			for step := range all {
				s.cutAt(t, step, false)
				s.cutAt(t, step, true)
			}
		})
	}
}

// instant is what there is at one moment: what the device would have after a power cut, and what the server has.
type instant struct {
	disk     *store.MemFS
	messages []dropped
	where    string
}

// instants plays the story whole and keeps every state that a kill could leave: at every step of the protocol, and at
// every change of a file.
func (s story) instants(t *testing.T) (all []instant, steps int, vault *memVault) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{pace: true}
		vault = w.vault
		type state struct {
			disk     int64
			messages int
		}
		var mu sync.Mutex
		seen := make(map[state]bool)
		begun := false
		note := func(where string) {
			mu.Lock()
			defer mu.Unlock()
			if !begun {
				return
			}
			steps++
			d.mu.Lock()
			messages := d.messages
			d.mu.Unlock()
			if now := (state{w.fs.Steps(), len(messages)}); !seen[now] {
				seen[now] = true
				where = fmt.Sprint("step ", steps, ", ", where)
				all = append(all, instant{w.fs.Restart(nil), messages, where},
					instant{w.fs.Restart(rand.New(rand.NewPCG(3, uint64(steps)))), messages, where + ", torn"})
			}
		}
		w.over = &noticed{w.fs, note}
		s.begin(t, w, d)
		defer w.halt()
		begun = true
		d.step = func(where string) bool { note(where); return false }
		s.act(t, w)
		s.check(t, w, d)
	})
	return all, steps, vault
}

// noticed is an FS whose changes are told before they happen.
type noticed struct {
	store.FS
	note func(where string)
}

func (n *noticed) Sub(name string) (store.FS, error) {
	fs, err := n.FS.Sub(name)
	return &noticed{fs, n.note}, err
}

func (n *noticed) Open(name string) (store.File, error) {
	f, err := n.FS.Open(name)
	return &noticedFile{f, name, n.note}, err
}

type noticedFile struct {
	store.File
	name string
	note func(where string)
}

func (f *noticedFile) WriteAt(p []byte, off int64) (int, error) {
	f.note("writing " + f.name)
	return f.File.WriteAt(p, off)
}

func (f *noticedFile) Truncate(n int64) error {
	f.note("cutting " + f.name)
	return f.File.Truncate(n)
}

func (f *noticedFile) Sync() error {
	f.note("syncing " + f.name)
	return f.File.Sync()
}

// TestKillThousandEverywhere kills the engine at every step over a maildrop of 1,000 messages. What comes of it follows
// from what the device and the server have at that moment, so each such state is played on from once, however many steps
// lead to it.
func TestKillThousandEverywhere(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run("leave "+string(policy), func(t *testing.T) {
			s := story{policy, thousand()}
			all, steps, vault := s.instants(t)
			t.Logf("%d steps, %d states", steps, len(all))
			if len(all) < 40 {
				t.Fatal("that cannot be all")
			}
			for _, now := range all {
				synctest.Test(t, func(t *testing.T) {
					w, d := newWorld(t), &maildrop{messages: now.messages, last: s.n}
					w.fs, w.vault, w.batch = now.disk, vault, s.batch()
					w.gateway.serveAt("pop.example.org:110", d, nil)
					w.gateway.serveAt("smtp.example.org:587", w.post, nil)
					s.watch(t, w, d)
					w.startEvery(1000 * time.Hour)
					defer w.halt()
					s.act(t, w)
					s.check(t, w, d)
					if t.Failed() {
						t.Fatalf("killed at %s", now.where)
					}
				})
			}
		})
	}
}

// TestCutThousand cuts the line over a maildrop of 1,000 messages: at a sample of the steps that has every kind of them,
// and at octets chosen at random.
func TestCutThousand(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run("leave "+string(policy), func(t *testing.T) {
			s := story{policy, thousand()}
			all := s.steps(t)
			chosen := sample(all, 24)
			t.Logf("%d steps of %d", len(chosen), len(all))
			for _, step := range chosen {
				s.cutAt(t, step, false)
			}
			for seed := range uint64(4) {
				s.cutAtRandom(t, rand.New(rand.NewPCG(5, seed)))
			}
		})
	}
}

// cutAtRandom plays the story with the first sessions cut after octets chosen at random.
func (s story) cutAtRandom(t *testing.T, r *rand.Rand) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{}
		s.begin(t, w, d)
		defer w.halt()
		cuts := 1 + r.IntN(4)
		most := int64(100 + r.IntN(300*s.n)) // of what the server says in a session
		w.gateway.mu.Lock()
		w.gateway.faults = func(wire.ServiceName, int) *mailtest.Faults {
			if cuts--; cuts < 0 {
				return nil
			}
			return &mailtest.Faults{CutAfter: 1 + r.Int64N(most)}
		}
		w.gateway.mu.Unlock()
		s.act(t, w)
		s.check(t, w, d)
	})
}
