package view

import (
	"context"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// autosave is how long a pause in typing saves the draft: a crash loses at most these words.
const autosave = 1500 * time.Millisecond

// SavedWords says how the draft stands.
func (c *Composer) SavedWords() string {
	switch {
	case c.Saving:
		return "Saving…"
	case !c.Saved.IsZero() && !c.changed:
		return "Saved in Drafts at " + Clock(c.app.platform.Local(c.Saved))
	}
	return ""
}

func (c *Composer) touched() {
	c.changed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	serial, sched := c.Serial, c.app.sched // c itself is read with the lock held alone
	c.timer = time.AfterFunc(autosave, func() {
		sched.Update(func() {
			if serial == c.Serial && c.Open {
				c.save()
			}
		})
	})
}

// print is all that a draft holds, in one string, to see whether it has changed.
func (c *Composer) print() string {
	var b strings.Builder
	for _, s := range []string{c.To, c.Cc, c.Bcc, c.Subject, c.Text, string(c.draft.Account), c.draft.Identity} {
		b.WriteString(s)
		b.WriteByte(0)
	}
	if c.Receipt {
		b.WriteByte('r')
	}
	for _, x := range c.Attachments {
		if x.kept() {
			b.WriteString(string(x.Blob) + x.Name)
		}
	}
	return b.String()
}

func (c *Composer) empty() bool {
	text := c.Text
	if text == c.start {
		text = ""
	}
	return strings.TrimSpace(c.To+c.Cc+c.Bcc+c.Subject+text) == "" && len(c.Attachments) == 0
}

// collect is the draft as it stands; addresses that cannot be read are kept as they are typed, so that a draft saved in
// the middle of an address has it when it is opened again.
func (c *Composer) collect() api.Draft {
	d := c.draft
	d.To, d.Cc, d.Bcc = ReadList(c.To), ReadList(c.Cc), ReadList(c.Bcc)
	d.Subject, d.Text, d.Receipt = c.Subject, c.Text, c.Receipt
	d.Attachments = nil
	for _, x := range c.Attachments {
		if x.kept() {
			d.Attachments = append(d.Attachments, x.DraftAttachment)
		}
	}
	return d
}

// save stores the draft if it has changed since.
func (c *Composer) save() {
	now := c.print()
	if c.Saving || now == c.saved {
		c.changed = c.changed && now != c.saved
		return
	}
	c.Saving = true
	serial, d := c.Serial, c.collect()
	var kept api.Draft
	c.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		kept, err = svc.SaveDraft(ctx, d)
		return err
	}, func(p *api.Problem) {
		if serial != c.Serial {
			return
		}
		c.Saving = false
		if d.Account != c.draft.Account { // it is another account's now
			if p == nil {
				c.forget(d.Account, kept.ID)
			}
			c.touched()
			return
		}
		if p != nil {
			if p.Code != api.CodeCanceled {
				c.Problem = p
			}
			return
		}
		c.draft.ID, c.saved, c.Saved, c.Problem = kept.ID, now, c.app.platform.Now(), nil
		c.locate()
		if c.print() == now {
			c.changed = false
		} else if c.Open {
			c.touched()
		}
	})
}

// locate names the draft in the address, so that a reload opens it again.
func (c *Composer) locate() {
	a := c.app
	if a.Route.Page == PageComposer {
		a.Route.Draft, a.Route.Account = c.draft.ID, c.draft.Account
		if at := a.address(a.Route); at != a.platform.Location() {
			a.platform.Replace(at)
		}
	}
}

// resave saves once more after the engine was replaced: its answer may have been lost with it.
func (c *Composer) resave() {
	c.Saving = false
	if c.Open && c.changed {
		c.save()
	}
}
