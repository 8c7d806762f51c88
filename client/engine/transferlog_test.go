package engine

import (
	"errors"
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

// One octet of the journal is damaged, anywhere: what is read was written, no number is given twice, and it goes on.
func TestTransferLogThatIsDamaged(t *testing.T) {
	written := func() (store.FS, map[api.TransferID]string) {
		fs := store.NewMemFS()
		l, err := openTransferLog(fs)
		if err != nil {
			t.Fatal(err)
		}
		paths := map[api.TransferID]string{}
		for i := range api.TransferID(6) {
			paths[i+1] = "/" + strings.Repeat("x", int(i))
			err = errors.Join(err, l.put(transferRecord{ID: i + 1, Path: api.FilePath(paths[i+1])}))
			if i == 3 {
				err = errors.Join(err, l.remove(1), l.rewrite())
			}
		}
		if err = errors.Join(err, l.close()); err != nil {
			t.Fatal(err)
		}
		return fs, paths
	}
	fs, _ := written()
	for i, name := range logNames {
		size := fileSize(t, fs, name)
		for at := range size {
			fs, paths := written()
			sub, _ := fs.Sub(transfersFolder)
			f, _ := sub.Open(name)
			var one [1]byte
			_, _ = f.ReadAt(one[:], at)
			one[0] ^= 1 << (at % 8)
			_, err := f.WriteAt(one[:], at)
			if err = errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			l, err := openTransferLog(fs)
			if err != nil {
				t.Fatalf("%s damaged at %d: %v", logNames[i], at, err)
			}
			for _, rec := range l.records() {
				if paths[rec.ID] != string(rec.Path) {
					t.Errorf("%s damaged at %d: %+v", logNames[i], at, rec)
				}
			}
			if err := l.put(transferRecord{ID: 9}); err != nil {
				t.Fatalf("%s damaged at %d: %v", logNames[i], at, err)
			}
			l.close()
			if l, err = openTransferLog(fs); err != nil || l.live[9].ID != 9 {
				t.Errorf("%s damaged at %d: it does not go on: %v", logNames[i], at, err)
			}
			l.close()
		}
	}
}

func fileSize(t *testing.T, fs store.FS, name string) int64 {
	t.Helper()
	sub, err := fs.Sub(transfersFolder)
	if err != nil {
		t.Fatal(err)
	}
	f, err := sub.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil || n == 0 {
		t.Fatalf("%s has %d octets, %v", name, n, err)
	}
	return n
}

// A device without room for the journal keeps nobody from the mail, and what is in the journal stays.
func TestTransferLogWithoutRoom(t *testing.T) {
	fs := store.NewMemFS()
	if _, err := fs.Sub(transfersFolder); err != nil {
		t.Fatal(err)
	}
	fs.SetRoom(0)
	l, err := openTransferLog(fs)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.put(transferRecord{ID: 1}); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v", err)
	}
	fs.SetRoom(-1)
	for i := 0; l.end <= 2*l.compacted+slack-3000; i++ {
		if err := l.put(transferRecord{ID: 1, Path: api.FilePath(strings.Repeat("x", 1000))}); err != nil {
			t.Fatal(err)
		}
	}
	fs.SetRoom(4000) // for what is appended, and not for writing it anew
	for range 3 {
		if err := l.put(transferRecord{ID: 2, Path: api.FilePath(strings.Repeat("y", 1000))}); err != nil {
			t.Errorf("%v", err)
		}
	}
	l.close()
	if l, err = openTransferLog(fs); err != nil || len(l.records()) != 2 {
		t.Errorf("%v, %d transfers", err, len(l.records()))
	}
	l.close()
}
