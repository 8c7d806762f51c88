package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snapshots answers the models after each update of the script, the empty one first, and the files at the end.
func snapshots(t testing.TB) (models []*model, ends []int64, journal, content []byte) {
	t.Helper()
	fs := NewMemFS()
	mb := open(t, fs)
	mb.now = fixed.Now
	m := newModel()
	models, ends = append(models, m), append(ends, mb.journal.end)
	for _, u := range script() {
		var err error
		if m, err = runSteps(mb, m, u); err != nil {
			t.Fatal(err)
		}
		models, ends = append(models, m), append(ends, mb.journal.end)
	}
	mb.Close()
	return models, ends, fs.dir.files[journalName].data, fs.dir.files[contentName].data
}

func filesOf(journal, content []byte) *MemFS {
	fs := NewMemFS()
	fs.dir.files[journalName] = &memFile{data: bytes.Clone(journal), synced: bytes.Clone(journal)}
	fs.dir.files[contentName] = &memFile{data: bytes.Clone(content), synced: bytes.Clone(content)}
	return fs
}

// TestJournalCutAnywhere cuts the journal, and fills its end with zeros or noise: what was whole before is there.
func TestJournalCutAnywhere(t *testing.T) {
	models, ends, journal, content := snapshots(t)
	for n := range len(journal) {
		for name, tail := range map[string][]byte{
			"cut": nil, "zeros": make([]byte, len(journal)-n), "noise": bytes.Repeat([]byte{0xa5}, 33),
		} {
			if n < headerSize && name != "cut" {
				continue // a damaged header, below
			}
			j := append(bytes.Clone(journal[:n]), tail...)
			same := int64(n) // zeros can be what was there
			for same < int64(len(j)) && same < int64(len(journal)) && j[same] == journal[same] {
				same++
			}
			want, whole := models[0], int64(0)
			for i, end := range ends {
				if same >= end {
					want, whole = models[i], end
				}
			}
			fs := filesOf(j, content)
			mb := open(t, fs)
			if err := want.differs(mb); err != nil {
				t.Fatalf("%s at %d: %v", name, n, err)
			}
			if r := mb.Recovery(); r.Harmed() || r.Cut != int64(len(j))-whole {
				t.Fatalf("%s at %d: cut %d: %s", name, n, r.Cut, &r)
			}
			after, err := runSteps(mb, want, []step{metaStep{"x", "y"}})
			if err != nil {
				t.Fatal(err)
			}
			mb.Close()
			checkModel(t, after, open(t, fs))
		}
	}
}

// TestContentCutAnywhere cuts content.log: what is cut is ErrCorrupt and known as missing, the rest is readable.
func TestContentCutAnywhere(t *testing.T) {
	models, _, journal, content := snapshots(t)
	last := models[len(models)-1]
	for n := range len(content) {
		fs := filesOf(journal, content[:n])
		mb := open(t, fs)
		r := mb.Recovery()
		missing := 0
		for id, want := range last.content {
			p, err := mb.Content(id)
			switch {
			case err == nil && string(p) == want:
			case errors.Is(err, ErrCorrupt):
				missing++
			default:
				t.Fatalf("cut at %d: message %d is %q, %v", n, id, p, err)
			}
		}
		if missing != len(r.Missing) || r.Harmed() != (missing > 0) {
			t.Fatalf("cut at %d: %d missing, %s", n, missing, &r)
		}
		id := add(t, mb, Entry{Folder: "f"}, "goes on") // and what is written into the hole is not taken for the old
		if p, err := mb.Content(id); err != nil || string(p) != "goes on" {
			t.Fatal(err)
		}
		for id, want := range last.content {
			if p, err := mb.Content(id); !errors.Is(err, ErrCorrupt) && (err != nil || string(p) != want) {
				t.Fatalf("message %d is %q, %v", id, p, err)
			}
		}
		mb.Close()
	}
}

// TestFlippedBits flips every bit of the journal. What is before the damage is kept, what is behind it is kept, and it is
// said aloud; only in the last update it cannot be told from a crash.
func TestFlippedBits(t *testing.T) {
	_, ends, journal, content := snapshots(t)
	for n := range journal {
		for bit := range 8 {
			j := bytes.Clone(journal)
			j[n] ^= 1 << bit
			fs := filesOf(j, content)
			mb, err := Open(fs, fixed)
			if err != nil {
				t.Fatalf("octet %d: %v", n, err)
			}
			r := mb.Recovery()
			switch last := ends[len(ends)-2]; {
			case n < headerSize:
				if fmt.Sprint(r.Headers) != "[journal.log]" || r.Lost != 0 {
					t.Fatalf("octet %d of the header: %s", n, &r)
				}
			case int64(n) < last:
				if r.Lost != 1 || len(r.Damaged) != 1 || !r.Harmed() || r.Damaged[0].From > int64(n) || r.Damaged[0].To <= int64(n) {
					t.Fatalf("octet %d: %s", n, &r)
				}
			default:
				if r.Cut != int64(len(journal))-last {
					t.Fatalf("octet %d: %s", n, &r)
				}
			}
			mb.Close()
			again := open(t, fs).Recovery()
			if int64(n) >= headerSize && again.Lost != r.Lost {
				t.Fatalf("octet %d: the damage is forgotten", n)
			}
		}
	}
}

func TestFlippedContent(t *testing.T) {
	models, _, journal, content := snapshots(t)
	last := models[len(models)-1]
	for n := range content {
		c := bytes.Clone(content)
		c[n] ^= 1
		mb, err := Open(filesOf(journal, c), fixed)
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range last.content {
			p, err := mb.Content(id)
			var corrupt *CorruptError
			if errors.As(err, &corrupt) && corrupt.ID == id && errors.Is(err, ErrCorrupt) {
				continue
			}
			if err != nil || string(p) != want {
				t.Fatalf("octet %d: message %d is %q, %v", n, id, p, err)
			}
		}
		for sha, want := range last.blobs {
			p, err := mb.Blob(sha)
			var corrupt *CorruptError
			if errors.As(err, &corrupt) && corrupt.Blob == sha {
				continue
			}
			if err != nil || string(p) != want {
				t.Fatalf("octet %d: blob is %q, %v", n, p, err)
			}
		}
		mb.Close()
	}
}

// TestFrameWithinAMessage stores, as a value in the journal, octets that look like a frame, and damages the frame that
// holds them: they must not be taken for an update.
func TestFrameWithinAMessage(t *testing.T) {
	fs := NewMemFS()
	mb := open(t, fs)
	var e encoder
	e.uint(7)
	e.uint(99)
	e.op(&op{kind: opMeta, key: "evil", present: true, value: []byte("x")})
	var forged []byte
	for off := range int64(256) { // even one who knows the marker has to know the offset
		b := (&logFile{marker: mb.journal.marker}).appendFrameHeader(nil, off, checked(e.b))
		forged = append(append(forged, b...), e.b...)
	}
	update(t, mb, func(tx *Tx) error { return tx.SetMeta("subject", forged[:4096]) })
	update(t, mb, func(tx *Tx) error { return tx.SetMeta("k", []byte("v")) })
	mb.Close()
	fs.dir.files[journalName].data[headerSize+20] ^= 1
	mb = open(t, fs)
	if _, ok := mb.Meta("evil"); ok {
		t.Fatal("a frame was forged")
	}
	if r := mb.Recovery(); r.Lost != 1 {
		t.Fatal(&r)
	}
}

func TestOtherVersion(t *testing.T) {
	_, _, journal, content := snapshots(t)
	as := func(version uint32, b []byte) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[8:], version)
		binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
		return b
	}
	for other, words := range map[uint32]string{version - 1: "an older version", version + 1: "a newer version"} {
		for _, fs := range []*MemFS{filesOf(as(other, journal), content), filesOf(journal, as(other, content))} {
			steps := fs.Steps()
			_, err := Open(fs, nil)
			var v *VersionError
			if !errors.As(err, &v) || v.Version != other || v.Known != version || !strings.Contains(err.Error(), words) {
				t.Fatal(err)
			}
			if fs.Steps() != steps {
				t.Fatal("a mailbox of another program was written to")
			}
		}
	}
}

func TestNotAMailbox(t *testing.T) {
	_, _, journal, content := snapshots(t)
	text := bytes.Repeat([]byte("Dear diary, "), 100)
	for name, fs := range map[string]*MemFS{
		"text": filesOf(text, nil), "zeros": filesOf(make([]byte, 4096), content), "swapped": filesOf(content, journal),
	} {
		if _, err := Open(fs, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fs := filesOf(text, nil)
	Open(fs, nil)
	if !bytes.Equal(fs.dir.files[journalName].data, text) {
		t.Error("somebody else's file was written to")
	}
}

// FuzzReplay opens arbitrary journals, raw and (so that the fuzzer gets past the checksums) as the payload of a good frame.
func FuzzReplay(f *testing.F) {
	_, ends, journal, content := snapshots(f)
	f.Add(journal)
	f.Add(journal[:len(journal)/2])
	for i := range ends[1:] {
		f.Add(journal[ends[i]+frameHeader : ends[i+1]])
	}
	f.Add([]byte("\x01\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		framed := bytes.Clone(journal)
		if len(b) > 0 {
			l := &logFile{marker: binary.LittleEndian.Uint32(journal[12:])}
			framed = append(l.appendFrameHeader(framed, int64(len(framed)), checked(b)), b...)
		}
		for _, j := range [][]byte{b, framed, append(bytes.Clone(journal), b...)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			mb, err := Open(filesOf(j, content), fixed)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(2<<20+400*len(j)) {
				t.Fatalf("%d octets of journal took %d of memory", len(j), grown)
			}
			if err != nil {
				if !errors.Is(err, ErrFormat) {
					var v *VersionError
					if !errors.As(err, &v) {
						t.Fatal(err)
					}
				}
				continue
			}
			for _, f := range []Folder{"inbox", "trash"} {
				for _, e := range mb.List(f, nil, 0, 10).Entries {
					mb.Content(e.ID)
				}
			}
			id := add(t, mb, Entry{Folder: "inbox"}, "after")
			if p, err := mb.Content(id); err != nil || string(p) != "after" {
				t.Fatal(err)
			}
			mb.Close()
		}
	})
}
