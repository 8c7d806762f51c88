package engine

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// The journal has what it has said to have, whenever the power is cut; of what was under way then it has the one or the other.
func TestTransferLogUnderPowerCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := store.NewMemFS()
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 0))
		want, maybe := map[api.TransferID]string{}, map[api.TransferID]string(nil)
		last := api.TransferID(0)
		for range rapid.IntRange(1, 6).Draw(t, "runs") {
			l, err := openTransferLog(fs)
			if err != nil {
				t.Fatal(err)
			}
			got := map[api.TransferID]string{}
			for _, rec := range l.records() {
				got[rec.ID] = string(rec.Path)
			}
			if !maps.Equal(got, want) && (maybe == nil || !maps.Equal(got, maybe)) {
				t.Fatalf("%d transfers, want %d", len(got), len(want))
			}
			if l.last < last {
				t.Fatalf("number %d would be given again", last)
			}
			want, maybe = got, nil
			fs.CutPower(rapid.Int64Range(0, 300_000).Draw(t, "steps"))
			for {
				id := api.TransferID(r.IntN(8) + 1)
				next := maps.Clone(want)
				if r.IntN(3) == 0 {
					delete(next, id)
					err = l.remove(id)
				} else {
					next[id] = strings.Repeat("x", r.IntN(20_000)) + "/" + string(rune('a'+r.IntN(26)))
					err = l.put(transferRecord{ID: id, Path: api.FilePath(next[id])})
				}
				if err != nil {
					maybe = next
					break
				}
				want, last = next, max(last, id)
			}
			_ = l.close()
			fs = fs.Restart(r)
		}
	})
}

// It does not grow with what was, and a frame that is damaged is the end of it.
func TestTransferLogIsWrittenAnew(t *testing.T) {
	fs := store.NewMemFS()
	l, err := openTransferLog(fs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5_000 {
		if err := l.put(transferRecord{ID: api.TransferID(i%3 + 1), Path: api.FilePath(strings.Repeat("x", i%700))}); err != nil {
			t.Fatal(err)
		}
	}
	sub, _ := fs.Sub(transfersFolder)
	for _, name := range logNames {
		f, _ := sub.Open(name)
		if n, _ := f.Size(); n > 2*slack {
			t.Errorf("%s has %d octets", name, n)
		}
		f.Close()
	}
	at := l.end
	if err := l.put(transferRecord{ID: 9}); err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	f, _ := sub.Open(logNames[l.name])
	if _, err := f.WriteAt([]byte{1}, at+frameHeader+2); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if l, err = openTransferLog(fs); err != nil || len(l.records()) != 3 {
		t.Errorf("%v, %d transfers", err, len(l.records()))
	}
	l.close()
}
