package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// leftover is what the server has of an upload that was canceled. The journal keeps it until it is removed: at once, or when its
// server is met the next time. One that the server does not let go is forgotten, and so are those that nobody could remove for long.
type leftover struct {
	site    *site
	rec     transferRecord
	running *task // the attempt that was under way; nil if none was
}

const (
	// leftoverTime is how long it may take to remove one.
	leftoverTime = 30 * time.Second
	// mostLeftovers bounds them; the oldest are forgotten first.
	mostLeftovers = 200
	// leftoverAge is after how long one is forgotten: nobody has been at its server for so long.
	leftoverAge = 90 * 24 * time.Hour
)

// leaves says that something may be at the server which nobody wants. A site that is being removed is not asked any more.
func (t *transfer) leaves(rec *transferRecord) bool {
	return rec.Direction == api.Uploading && rec.Begun && rec.State != api.TransferDone && t.site.durable()
}

// leave takes a leftover up, and has it removed if its server can be reached.
func (x *transfers) leave(l *leftover) {
	x.mu.Lock()
	x.leftovers = append(x.leftovers, l)
	var old []*leftover
	if n := len(x.leftovers) - mostLeftovers; n > 0 {
		old = slices.Clone(x.leftovers[:n])
	}
	x.mu.Unlock()
	for _, l := range old {
		x.forgetLeftover(l)
	}
	x.tidy(l.site)
}

// tidy removes what canceled uploads have left at a server, if the gateway is there.
func (x *transfers) tidy(s *site) {
	if !x.e.online() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	ctx := x.running
	if ctx == nil || x.tidying[s] || x.leftoverOf(s) == nil {
		return
	}
	x.tidying[s] = true
	x.tasks.Go(func() { x.removeLeftovers(ctx, s) })
}

func (x *transfers) tidyAll() {
	for _, s := range x.e.allSites() {
		x.tidy(s)
	}
}

// leftoverOf is the oldest of a site. Call it with mu held.
func (x *transfers) leftoverOf(s *site) *leftover {
	if i := slices.IndexFunc(x.leftovers, func(l *leftover) bool { return l.site == s }); i >= 0 {
		return x.leftovers[i]
	}
	return nil
}

func (x *transfers) removeLeftovers(ctx context.Context, s *site) {
	var err error
	for {
		x.mu.Lock()
		l := x.leftoverOf(s)
		if l == nil || err != nil {
			x.tidying[s] = false
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
		err = l.remove(ctx, x.e.Clock)
		if err == nil || isFTPRefusal(err) {
			if err != nil {
				x.e.Logf("transfer %d: removing what was sent: %v", l.rec.ID, err)
			}
			err = nil
			x.forgetLeftover(l)
		}
	}
}

// remove removes it from the server. That it is not there is no error.
func (l *leftover) remove(ctx context.Context, clock Clock) error {
	temp, err := octets(l.rec.Temp)
	if err != nil {
		return nil // there is no such file
	}
	if l.running != nil {
		<-l.running.done
	}
	limited, cancel := context.WithTimeout(ctx, leftoverTime)
	defer cancel()
	dele := func(x *siteSession) error { return x.Dele(limited, temp) }
	err = l.site.session(limited, dele)
	if errors.Is(err, ftp.ErrNoFile) && l.running != nil { // a server that has not noticed the end may have still to write it
		select {
		case <-clock.After(leftoverTime / 3):
		case <-limited.Done():
		}
		err = l.site.session(limited, dele)
	}
	if err != nil && !errors.Is(err, ftp.ErrNoFile) {
		return err
	}
	l.site.removed(temp)
	if l.rec.Aside == "" {
		return nil
	}
	return l.site.session(limited, func(x *siteSession) error { return l.putBack(limited, x) })
}

// putBack gives the file that was to be replaced its name again, if it was put aside.
func (l *leftover) putBack(ctx context.Context, x *siteSession) error {
	aside, err := octets(l.rec.Aside)
	path, _ := octets(l.rec.Path)
	if err != nil {
		return nil // there is no such file
	}
	there, _, err := x.fileThere(ctx, path)
	if err != nil {
		return err
	}
	if there {
		return x.Dele(ctx, aside)
	}
	return x.Rename(ctx, aside, path)
}

func (x *transfers) forgetLeftover(l *leftover) {
	x.mu.Lock()
	x.leftovers = slices.DeleteFunc(x.leftovers, func(o *leftover) bool { return o == l })
	x.mu.Unlock()
	if err := x.log.remove(l.rec.ID); err != nil {
		x.e.Logf("transfer %d: %v", l.rec.ID, err)
	}
}
