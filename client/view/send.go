package view

import (
	"context"
	"slices"

	"github.com/postern-mail/postern/client/api"
)

// Wrong says what keeps a message from being sent, field by field; empty strings are right.
type Wrong struct{ To, Cc, Bcc, Attachments string }

// None says whether nothing is wrong.
func (w Wrong) None() bool { return w == Wrong{} }

// Send sends the message. The sheet closes at once; should the engine not take it, it opens again as it was.
func (c *Composer) Send() {
	if !c.Open || c.Loading {
		return
	}
	c.Wrong = c.check()
	c.Problem = nil
	if !c.Wrong.None() {
		c.sayWrong()
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	d, app, was := c.collect(), c.app, *c
	c.shut()
	c.goBack()
	words := "Sending…"
	if app.Gateway.State != api.Online {
		words = "In the Outbox: it leaves when you are online"
	}
	toast := app.Toasts.Say(words)
	app.Voice.Say(words)
	var id api.MessageID
	app.ask(func(ctx context.Context, svc api.Service) (err error) {
		id, err = svc.Send(ctx, d)
		return err
	}, func(p *api.Problem) {
		if p != nil {
			app.Toasts.Dismiss(toast)
			app.Voice.Cry("The message was not sent. " + WordsFor(p).Title)
			if app.Composer.Open {
				app.Composer.Close()
			}
			serial := app.Composer.Serial
			back := was
			back.Serial, back.Problem, back.Saving, back.changed = serial+1, p, false, true
			back.sent = app.Composer.sent
			app.Composer = back
			return
		}
		if app.Composer.sent == nil {
			app.Composer.sent = map[api.MessageRef]int{}
		}
		app.Composer.sent[api.MessageRef{Account: d.Account, ID: id}] = toast
	})
}

// check says what is wrong with the message.
func (c *Composer) check() Wrong {
	w := Wrong{To: wrongIn(c.To), Cc: wrongIn(c.Cc), Bcc: wrongIn(c.Bcc)}
	if w.None() && len(ReadList(c.To))+len(ReadList(c.Cc))+len(ReadList(c.Bcc)) == 0 {
		w.To = "Add at least one recipient"
	}
	if slices.ContainsFunc(c.Attachments, func(x Attachment) bool { return x.Uploading }) {
		w.Attachments = "A file is still being read; send again in a moment"
	}
	return w
}

func (c *Composer) sayWrong() {
	w := c.Wrong
	for _, x := range []struct{ words, field string }{{w.To, "to"}, {w.Cc, "cc"}, {w.Bcc, "bcc"}, {w.Attachments, "attach"}} {
		if x.words != "" {
			c.app.Voice.Cry(x.words)
			c.app.platform.Focus(`[data-testid="compose-` + x.field + `"]`)
			return
		}
	}
}
