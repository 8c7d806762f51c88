package maildrop

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// tellingDisk says how much of it is free.
type tellingDisk struct {
	osDisk
	free atomic.Int64 // negative: it does not say
}

func (d *tellingDisk) Free(string) (int64, error) {
	if free := d.free.Load(); free >= 0 {
		return free, nil
	}
	return 0, errors.ErrUnsupported
}

// On the reserve new mail is refused, at every moment at which that can be; reports are taken, and what was there can be deleted.
func TestReserve(t *testing.T) {
	const plenty, little = 2 << 20, 1<<20 - 1
	disk := &tellingDisk{}
	disk.free.Store(plenty)
	s := world(t, t.TempDir(), &Options{Logger: quiet(), Reserve: 1 << 20, disk: disk})
	must(t, deliver(s, "before", Envelope{Local: []string{bob}}))
	begin := func(text string) *Incoming {
		t.Helper()
		in, err := s.Create()
		must(t, err)
		_, err = in.Write([]byte(text))
		must(t, err)
		return in
	}
	to := Envelope{Local: []string{alice}}
	small, large, larger := begin("small"), begin(strings.Repeat("x", writeSize)), begin(strings.Repeat("x", 3*writeSize))

	for size, full := range map[int64]bool{-1: false, 0: false, 1 << 20: false, 1<<20 + 1: true, 1 << 62: true} {
		if err := s.Room(size); errors.Is(err, ErrFull) != full {
			t.Errorf("for %d octets of the %d that are free: %v", size, plenty, err)
		}
	}
	disk.free.Store(little)
	if _, err := s.Create(); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "1048575 octets are free, and 1048576 are for what makes room") {
		t.Errorf("Create: %v", err)
	}
	if err := small.Deliver(t.Context(), to); !errors.Is(err, ErrFull) {
		t.Errorf("what was small: %v", err)
	}
	if _, err := large.Write([]byte("and more")); !errors.Is(err, ErrFull) {
		t.Errorf("what became large: %v", err)
	}
	if err := large.Deliver(t.Context(), to); !errors.Is(err, ErrFull) {
		t.Errorf("what became large, then: %v", err)
	}
	if err := larger.Deliver(t.Context(), to); !errors.Is(err, ErrFull) {
		t.Errorf("what was large: %v", err)
	}
	if got := contents(t, s, alice); len(got) != 0 {
		t.Errorf("alice has %v", got)
	}
	must(t, s.Put(t.Context(), []byte("a report"), to))
	d, err := s.Lock(t.Context(), bob)
	must(t, err)
	must(t, d.Remove(t.Context(), d.Messages()))
	d.Unlock()

	for _, free := range []int64{plenty, -1} {
		disk.free.Store(free)
		must(t, deliver(s, "after", to))
	}
	if got := contents(t, s, alice); holds(got, "after") != 2 || holds(got, "a report") != 1 || len(got) != 3 {
		t.Errorf("alice has %v", got)
	}
	if n := contentFiles(t, s); n != 3 {
		t.Errorf("%d files are left", n)
	}
}

// Who wants no reserve has none.
func TestNoReserve(t *testing.T) {
	disk := &tellingDisk{}
	s := world(t, t.TempDir(), &Options{Logger: quiet(), Reserve: -1, disk: disk})
	must(t, deliver(s, "all the same", Envelope{Local: []string{alice}}))
}
