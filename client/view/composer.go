package view

import (
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Composer is the message being written. It is no modal: the mail it answers stays readable beside it.
type Composer struct {
	Open bool
	Full bool // grown over the whole page

	To, Cc, Bcc string // as typed: addresses separated by commas
	Subject     string
	Text        string
	Attachments []Attachment
	Receipt     bool         // ask to be told of the delivery
	Problem     *api.Problem // why the last Send or save was not done
	Wrong       Wrong        // what is wrong in the form
	Loading     bool         // a saved draft is being opened
	Saved       time.Time    // when it was last saved
	Saving      bool

	// Serial counts the messages written since the page was loaded: a new one gets new fields on the page, with the
	// caret at their start, and not the last one's with their undo history.
	Serial int

	app     *App
	draft   api.Draft // what the engine knows of it: its ID, and what it answers
	changed bool
	saved   string // what was last saved, to know whether anything has changed
	timer   *time.Timer
	tail    string                 // what is quoted below what is written: a signature stands above it
	start   string                 // the text that nobody has written yet
	sent    map[api.MessageRef]int // messages sent by this page, with the toast that says so
	serials int                    // counts the files attached
}

// Attachment is a file of the message being written.
type Attachment struct {
	api.DraftAttachment
	Uploading bool
	Problem   *api.Problem
	From      string         // of one from a file server: which
	Transfer  api.TransferID // it is being put on a file server, to be linked to
	serial    int
	file      LocalFile // of one that is too large: the file itself
}

// kept says that it is in the message; one that a link is to take the place of is, until that is there.
func (x *Attachment) kept() bool {
	return x.Problem == nil && (!x.Uploading || x.Transfer != 0 && x.Blob != "")
}

// Compose starts a new message.
func (a *App) Compose() {
	if a.Composer.Open && a.Composer.empty() {
		a.platform.Focus(`[data-testid="compose-to"]`)
		return
	}
	a.Composer.Close()
	a.Composer.blank()
	a.write()
}

// ComposeTo starts a new message to addresses.
func (a *App) ComposeTo(to string) {
	a.Composer.Close()
	a.Composer.blank()
	a.Composer.To = to
	a.Composer.saved = a.Composer.print()
	a.write()
	a.platform.Focus(`[data-testid="compose-subject"]`)
}

func (c *Composer) reset() {
	if c.timer != nil {
		c.timer.Stop()
	}
	*c = Composer{app: c.app, sent: c.sent, Serial: c.Serial + 1, Open: true, draft: api.Draft{Account: c.app.Account}}
	c.saved = c.print()
}

func (c *Composer) blank() {
	c.reset()
	c.write(c.draft, "")
	c.app.platform.Focus(`[data-testid="compose-to"]`)
}

// edit opens a saved draft.
func (c *Composer) edit(ref api.MessageRef) {
	if c.Open && c.draft.ID == ref.ID && c.draft.Account == ref.Account {
		return
	}
	if c.Open {
		c.Close()
	}
	c.reset()
	c.Loading = true
	c.draft.ID, c.draft.Account = ref.ID, ref.Account
	serial := c.Serial
	var d api.Draft
	c.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		d, err = svc.OpenDraft(ctx, ref)
		return err
	}, func(p *api.Problem) {
		if serial != c.Serial || !c.Open {
			return
		}
		if p != nil {
			c.Open = false
			c.app.Toasts.Trouble("The draft could not be opened", p)
			c.app.swap(c.app.List.place)
			return
		}
		d.Account = ref.Account
		c.fill(d)
		c.app.platform.Focus(`[data-testid="compose-body"]`)
	})
}

// fill shows a draft.
func (c *Composer) fill(d api.Draft) {
	c.Serial++
	c.Loading = false
	c.draft = d
	c.To, c.Cc, c.Bcc = FormatList(d.To), FormatList(d.Cc), FormatList(d.Bcc)
	c.Subject, c.Text, c.Receipt = d.Subject, d.Text, d.Receipt
	c.Attachments = nil
	for _, x := range d.Attachments {
		c.Attachments = append(c.Attachments, Attachment{DraftAttachment: x})
	}
	c.saved = c.print()
	c.changed = false
}

// SetTo, SetCc, SetBcc, SetSubject and SetText follow the typing.
func (c *Composer) SetTo(s string) { c.To, c.Wrong.To = s, ""; c.touched() }

// SetCc follows the typing in Cc.
func (c *Composer) SetCc(s string) { c.Cc, c.Wrong.Cc = s, ""; c.touched() }

// SetBcc follows the typing in Bcc.
func (c *Composer) SetBcc(s string) { c.Bcc, c.Wrong.Bcc = s, ""; c.touched() }

// SetSubject follows the typing of the subject.
func (c *Composer) SetSubject(s string) { c.Subject = s; c.touched() }

// SetText follows the typing of the text.
func (c *Composer) SetText(s string) { c.Text = s; c.touched() }

// ToggleReceipt asks for a receipt of the delivery, or not.
func (c *Composer) ToggleReceipt() { c.Receipt = !c.Receipt; c.touched() }

// Left checks a field of addresses when the focus leaves it: what is wrong is said while it is still in mind.
func (c *Composer) Left() {
	w := c.check()
	if c.To == "" {
		w.To = ""
	}
	w.Attachments = c.Wrong.Attachments
	c.Wrong = w
}

// Grow makes the sheet fill the page, or small again.
func (c *Composer) Grow() { c.Full = !c.Full }

// Title is what the sheet's bar says.
func (c *Composer) Title() string {
	if c.Subject != "" {
		return c.Subject
	}
	return "New message"
}

// Close puts the message away: what was written is in Drafts, and a note says so. An empty one leaves nothing.
func (c *Composer) Close() {
	if !c.Open {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.Loading || c.empty() && c.draft.ID == 0 || c.print() == c.saved && c.draft.ID == 0 {
		c.shut()
		return
	}
	if c.print() == c.saved {
		c.shut()
		return
	}
	d, app := c.collect(), c.app
	c.shut()
	var kept api.Draft
	app.ask(func(ctx context.Context, svc api.Service) (err error) {
		kept, err = svc.SaveDraft(ctx, d)
		return err
	}, func(p *api.Problem) {
		if p != nil {
			app.Toasts.Show(Toast{Text: "The draft could not be saved.", Problem: p, Action: "Open again", Do: func() {
				app.Composer.Close()
				app.Composer.reset()
				app.Composer.fill(d)
				app.Composer.saved = ""
			}})
			return
		}
		at := Route{Account: d.Account, Folder: api.Drafts, ID: kept.ID}
		app.Toasts.Show(Toast{Text: "Saved in Drafts", Action: "Open", Do: func() { app.Go(at) }})
	})
}

// Leave closes the composer and goes back to what was there before.
func (c *Composer) Leave() {
	c.Close()
	c.goBack()
}

// Discard throws the message away; for a while it can be had back.
func (c *Composer) Discard() {
	d, app, was := c.collect(), c.app, *c
	if c.empty() && d.ID == 0 {
		c.Leave()
		return
	}
	c.shut()
	c.goBack()
	if d.ID != 0 {
		app.ask(func(ctx context.Context, svc api.Service) error {
			return svc.Move(ctx, api.Move{Account: d.Account, IDs: []api.MessageID{d.ID}, To: api.Trash})
		}, func(p *api.Problem) {
			if p != nil {
				app.Toasts.Trouble("The draft could not be deleted", p)
			}
		})
	}
	app.Toasts.Show(Toast{Text: "Draft thrown away", Action: "Undo", Do: func() {
		app.Composer.Close()
		back := was
		back.Serial, back.Saving, back.sent = app.Composer.Serial+1, false, app.Composer.sent
		app.Composer = back
		if d.ID == 0 {
			app.Composer.touched()
			return
		}
		app.ask(func(ctx context.Context, svc api.Service) error {
			return svc.Move(ctx, api.Move{Account: d.Account, IDs: []api.MessageID{d.ID}, To: api.Drafts})
		}, func(p *api.Problem) {
			if p != nil {
				app.Toasts.Trouble("The draft could not be brought back", p)
			}
		})
	}})
}

// shut takes the composer away without a word.
func (c *Composer) shut() {
	c.Serial++
	*c = Composer{app: c.app, sent: c.sent, Serial: c.Serial}
}

// discardView closes the composer of an account that is gone.
func (c *Composer) discardView() { c.shut() }

func (c *Composer) goBack() {
	a := c.app
	switch {
	case a.Route.Page == PageComposer:
		back := a.back
		if back.Folder == "" {
			back = Route{Folder: api.Inbox, Page: PageList}
		}
		a.leave(back)
	case a.Route.Folder == api.Drafts && a.Route.ID != 0:
		a.leave(a.List.place)
	}
	if a.Reader.ID != 0 && a.platform.Narrow() {
		a.platform.Focus(readerHeading)
	} else {
		a.List.focusCursor()
	}
}
