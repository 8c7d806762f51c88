package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/store"
)

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
