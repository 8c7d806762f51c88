package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mail"
	"pgregory.net/rapid"
)

var fixed = &Options{Now: func() time.Time { return epoch }, key: modelKey}

// script is a life of a mailbox that uses everything, in few octets.
func script() [][]step {
	e := letter("inbox", "u1", "one", day(1))
	e.Summary.From = []mail.Address{{Name: "Bob", Addr: "bob@example"}}
	e.Summary.References = []string{"<a@b>", "<c@d>"}
	e.Stored = epoch
	f, g := e, e
	f.UID, f.Summary.Subject = "u2", "two"
	g.UID, g.Folder, g.Delivery = "", "outbox", &Delivery{State: "queued", To: []string{"x@y"}}
	h, i, j := e, e, e
	h.UID, h.Whole = "u3", 4711
	i.UID = "u4"
	j.UID, j.Whole = "u5", 4711
	return [][]step{
		{addStep{e, "first message"}},
		{addStep{f, "second message"}, addStep{g, ""}, metaStep{"k", "v"}},
		{flagsStep{1, Flags{Answered: true}}, folderStep{2, "trash"}},
		{blobStep{"a blob"}, deliveryStep{3, &Delivery{State: "deferred", Attempts: 1, NextTry: day(1), Problem: []byte("p")}}},
		{replaceStep{3, "again", "third message"}, blobStep{"a blob"}},
		{removeStep{1}, metaStep{"k", ""}, deliveryStep{3, nil}},
		{folderStep{2, "inbox"}, folderStep{3, "sent"}},
		{onceStep{h, "begin"}, onceStep{i, "first message"}, onceStep{j, "begin"}},
		{completeStep{4, "beginning and end"}},
	}
}

// play runs updates until one fails. It answers the model after the last that was durable, and the one after the update
// in flight (the same if there is none).
func play(fs FS, updates [][]step) (durable, inFlight *model, err error) {
	durable = newModel()
	mb, err := Open(fs, fixed)
	if err != nil {
		return durable, durable, err
	}
	defer mb.Close()
	for _, u := range updates {
		after, err := runSteps(mb, durable, u)
		if err != nil {
			return durable, after, err
		}
		durable = after
	}
	return durable, durable, nil
}

// checkRestart opens what a crash left: it must be one of the two, must take an update, and must hold that then.
func checkRestart(t testing.TB, fs FS, durable, inFlight *model) {
	t.Helper()
	mb, err := Open(fs, fixed)
	if err != nil {
		t.Fatal(err)
	}
	if r := mb.Recovery(); r.Harmed() {
		t.Fatalf("a crash is taken for damage: %s", &r)
	}
	now := durable
	if now.differs(mb) != nil {
		now = inFlight
	}
	if err := now.differs(mb); err != nil {
		t.Fatalf("neither before nor after: %v\nnor: %v", durable.differs(mb), err)
	}
	now, err = runSteps(mb, now, []step{metaStep{"after", "crash"}, addStep{Entry{Folder: "inbox", Stored: epoch}, "new"}})
	if err != nil {
		t.Fatal(err)
	}
	mb.Close()
	mb = open(t, fs)
	if r := mb.Recovery(); r.Harmed() || r.Cut != 0 {
		t.Fatalf("not mended: %s", &r)
	}
	checkModel(t, now, mb)
}

// TestPowerCutAtEveryOctet cuts the power after each octet and each sync of a script, and looks at what a disk may hold
// then: nothing unsynced, all of it, and parts of it in no order.
func TestPowerCutAtEveryOctet(t *testing.T) {
	whole := NewMemFS()
	if _, _, err := play(whole, script()); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Steps() {
		fs := NewMemFS()
		fs.CutPower(n)
		durable, inFlight, err := play(fs, script())
		if err != nil && !errors.Is(err, ErrPower) {
			t.Fatalf("after %d steps: %v", n, err)
		}
		checkRestart(t, fs.Restart(nil), durable, inFlight)
		for seed := range uint64(6) {
			checkRestart(t, fs.Restart(rand.New(rand.NewPCG(uint64(n), seed))), durable, inFlight)
		}
	}
}

// TestAnyLifeAnyCrash does the same with lives and moments that rapid invents, several crashes after each other.
func TestAnyLifeAnyCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := NewMemFS()
		m := newModel()
		uid := 0
		for range rapid.IntRange(1, 4).Draw(rt, "lives") {
			if rapid.Bool().Draw(rt, "crash") {
				fs.CutPower(rapid.Int64Range(1, 2000).Draw(rt, "steps"))
			}
			mb, err := Open(fs, fixed)
			inFlight := m
			for i := 0; err == nil && i < 8; i++ {
				var after *model
				after, err = runSteps(mb, m, drawUpdate(rt, m, &uid))
				if inFlight = after; err == nil {
					m = after
					if rapid.IntRange(0, 3).Draw(rt, "look") == 0 {
						err = m.differs(mb) // looking reads, so the power may go here too
					}
				}
			}
			if err != nil && !errors.Is(err, ErrPower) {
				rt.Fatal(err)
			}
			if mb != nil {
				mb.Close()
			}
			var r *rand.Rand
			if rapid.Bool().Draw(rt, "keep unsynced") {
				r = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
			}
			fs = fs.Restart(r)
			mb, err = Open(fs, fixed)
			if err != nil {
				rt.Fatal(err)
			}
			if m.differs(mb) != nil {
				m = inFlight
			}
			checkModel(rt, m, mb)
			mb.Close()
		}
	})
}

// drawUpdate invents an update that the model allows.
func drawUpdate(t *rapid.T, m *model, uid *int) []step {
	now := m.clone()
	var u []step
	for range rapid.IntRange(1, 4).Draw(t, "steps in update") {
		var s step
		folder := rapid.SampledFrom([]Folder{"inbox", "sent", "trash"})
		flags := Flags{Unread: rapid.Bool().Draw(t, "unread"), Flagged: rapid.Bool().Draw(t, "flagged")}
		text := rapid.StringN(0, 40, 80)
		ids := now.ids()
		kind := rapid.IntRange(-1, 9).Draw(t, "kind")
		if len(ids) == 0 && kind > 2 {
			kind = 0
		}
		var id ID
		if kind > 2 {
			id = rapid.SampledFrom(ids).Draw(t, "id")
		}
		switch kind {
		case -1:
			*uid++
			s = onceStep{Entry{
				Folder: "inbox", UID: fmt.Sprint("u", *uid), Stored: day(1), Whole: rapid.Int64Range(0, 1).Draw(t, "whole"),
			}, rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "content")}
		case 9:
			s = completeStep{id, rapid.SampledFrom([]string{"a", "b", "whole", text.Draw(t, "content")}).Draw(t, "which")}
		case 0:
			*uid++
			s = addStep{Entry{
				Folder: folder.Draw(t, "folder"), UID: fmt.Sprint("u", *uid), Flags: flags, Stored: day(rapid.IntRange(-3, 3).Draw(t, "stored")),
				Summary: mail.Summary{Subject: text.Draw(t, "subject"), Date: rapid.SampledFrom([]time.Time{{}, day(0), day(1), day(5)}).Draw(t, "date")},
			}, text.Draw(t, "content")}
		case 1:
			s = blobStep{text.Draw(t, "blob")}
		case 2:
			s = metaStep{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), text.Draw(t, "value")}
		case 3, 4:
			s = flagsStep{id, flags}
		case 5:
			s = folderStep{id, folder.Draw(t, "folder")}
		case 6:
			s = deliveryStep{id, &Delivery{State: "queued", Attempts: rapid.IntRange(-1, 3).Draw(t, "attempts")}}
		case 7:
			s = replaceStep{id, text.Draw(t, "subject"), text.Draw(t, "content")}
		case 8:
			s = removeStep{id}
		}
		s.model(now)
		u = append(u, s)
	}
	return u
}

// TestFullDevice fills the device at every octet of the script: the update answers ErrFull, nothing of it is there, the
// mailbox goes on, and with room again it takes the same update.
func TestFullDevice(t *testing.T) {
	updates := script()
	for room := int64(0); ; room++ {
		fs := NewMemFS()
		mb, err := Open(fs, fixed)
		if err != nil {
			t.Fatal(err)
		}
		fs.SetRoom(room)
		m := newModel()
		failed := 0
		for _, u := range updates {
			after, err := runSteps(mb, m, u)
			if err != nil {
				if !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				failed++
				checkModel(t, m, mb)
				fs.SetRoom(-1)
				if after, err = runSteps(mb, m, u); err != nil {
					t.Fatal(err)
				}
			}
			m = after
		}
		mb.Close()
		mb = open(t, fs)
		if r := mb.Recovery(); r.Harmed() || r.Cut != 0 {
			t.Fatal(&r)
		}
		checkModel(t, m, mb)
		if failed == 0 {
			return
		}
	}
}

// TestFailureThatCannotBeUndone is a device that neither takes an update nor lets it be cut off: reading goes on, and
// the next update that finds the device well again succeeds.
func TestFailureThatCannotBeUndone(t *testing.T) {
	fs := NewMemFS()
	mb := open(t, fs)
	id := add(t, mb, letter("inbox", "a", "a", day(1)), "A")
	broken := errors.New("broken")
	fs.FailSync(broken)
	for range 3 {
		err := mb.Update(func(tx *Tx) error { _, err := tx.Add(letter("inbox", "b", "b", day(1)), []byte("B")); return err })
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if p, err := mb.Content(id); err != nil || string(p) != "A" {
			t.Fatal(err)
		}
	}
	if mb.HasUID("b") {
		t.Fatal("an update that failed is there")
	}
	fs.FailSync(nil)
	fs.FailTruncate(broken)
	if err := mb.Update(func(tx *Tx) error { return tx.Remove(id) }); err != nil && !errors.Is(err, broken) {
		t.Fatal(err)
	}
	fs.FailTruncate(nil)
	add(t, mb, letter("inbox", "b", "b", day(1)), "BB")
	mb.Close()
	mb = open(t, fs)
	if r := mb.Recovery(); r.Harmed() || !mb.HasUID("b") {
		t.Fatal(&r)
	}
	fs.FailRead(func(string, int64, []byte) error { return broken })
	if _, err := mb.Content(2); !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
		t.Fatalf("a read that fails is not damage: %v", err)
	}
	if _, err := Open(fs, nil); !errors.Is(err, broken) {
		t.Fatalf("opening without being able to read: %v", err)
	}
}
