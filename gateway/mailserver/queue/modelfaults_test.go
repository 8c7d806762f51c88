package queue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// doubtful is a log that counts the lines which say that somebody may get a message twice, and hears of those that were given up.
type doubtful struct {
	world *world
	attrs []slog.Attr
}

func (d *doubtful) Enabled(context.Context, slog.Level) bool { return true }
func (d *doubtful) WithGroup(string) slog.Handler            { return d }

func (d *doubtful) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &doubtful{d.world, append(d.attrs[:len(d.attrs):len(d.attrs)], attrs...)}
}

func (d *doubtful) Handle(_ context.Context, r slog.Record) error {
	twice, over := strings.Contains(r.Message, "may get it twice"), strings.Contains(r.Message, "given up")
	if !twice && !over {
		return nil
	}
	to := ""
	find := func(a slog.Attr) bool {
		if a.Key == "to" {
			to = a.Value.String()
		}
		return true
	}
	for _, a := range d.attrs {
		find(a)
	}
	r.Attrs(find)
	if over {
		d.world.overdue(to)
		return nil
	}
	d.world.mu.Lock()
	d.world.doubts[to]++
	d.world.mu.Unlock()
	return nil
}

var errPower = errors.New("power cut")

// faults is a store whose disk has no room for most writes, or whose machine loses its power at some write: then it answers
// nothing any more.
type faults struct {
	*maildrop.Store
	world *world
	mu    sync.Mutex
	full  int  // of so many writes and one, one succeeds; 0: all do
	lies  bool // a write that fails has its effect nevertheless
	count int
	until int // writes to the power cut, that one included; 0: none is to come
	late  bool
	dead  bool
}

func (f *faults) cut(at int, late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until, f.late = at, late
	if !late && at == 1 {
		f.dead = true
	}
}

func (f *faults) fill(full int, lies bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full, f.lies = full, lies
}

func (f *faults) write(effect func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.dead:
		return errPower
	case f.full > 0:
		if f.count++; f.count%(f.full+1) == 0 {
			return effect()
		}
		if f.lies {
			effect()
		}
		return maildrop.ErrFull
	case f.until > 0:
		if f.until--; f.until == 0 {
			f.dead = true
			if f.late {
				effect()
			}
			return errPower
		}
	}
	return effect()
}

func (f *faults) read() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errPower
	}
	return nil
}

func (f *faults) Claim(ctx context.Context, destination string, now time.Time, limit int, claim int64) (rows []maildrop.Queued, err error) {
	err = f.write(func() (err error) { rows, err = f.Store.Claim(ctx, destination, now, limit, claim); return err })
	if err != nil {
		rows = nil
	}
	return rows, err
}

func (f *faults) Unclaim(ctx context.Context, claim int64) error {
	return f.write(func() error { return f.Store.Unclaim(ctx, claim) })
}

func (f *faults) Unsettled(ctx context.Context, now time.Time, problem string) error {
	return f.write(func() error { return f.Store.Unsettled(ctx, now, problem) })
}

func (f *faults) Settle(ctx context.Context, list []maildrop.Settlement) error {
	return f.write(func() error { return f.Store.Settle(ctx, list) })
}

func (f *faults) Put(ctx context.Context, content []byte, env maildrop.Envelope) error {
	return f.write(func() error {
		err := f.Store.Put(ctx, content, env)
		if err == nil && len(env.Remote) > 0 {
			f.world.note(content)
		}
		return err
	})
}

func (f *faults) Due(ctx context.Context, now time.Time, after string, limit int) ([]maildrop.Due, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Due(ctx, now, after, limit)
}

func (f *faults) DueRows(ctx context.Context, destination string, now time.Time, limit int) ([]maildrop.Queued, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.DueRows(ctx, destination, now, limit)
}

func (f *faults) NextTry(ctx context.Context) (time.Time, bool, error) {
	if err := f.read(); err != nil {
		return time.Time{}, false, err
	}
	return f.Store.NextTry(ctx)
}
