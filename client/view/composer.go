package view

import (
	"context"
	"slices"
	"strings"
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
	sent    map[api.MessageID]int // messages sent by this page, with the toast that says so
	serials int                   // counts the files attached
}

// Attachment is a file of the message being written.
type Attachment struct {
	api.DraftAttachment
	Uploading bool
	Problem   *api.Problem
	serial    int
}

// Wrong says what keeps a message from being sent, field by field; empty strings are right.
type Wrong struct{ To, Cc, Bcc, Attachments string }

// None says whether nothing is wrong.
func (w Wrong) None() bool { return w == Wrong{} }

const (
	// autosave is how long a pause in typing saves the draft: a crash loses at most these words.
	autosave = 1500 * time.Millisecond
	// largestFile bounds an attachment before the engine is asked: what mail servers commonly take is 25 MB, a third
	// of it lost to base64.
	largestFile = 25 << 20
)

// Compose starts a new message.
func (a *App) Compose() {
	if a.Composer.Open && a.Composer.empty() {
		a.platform.Focus(`[data-testid="compose-to"]`)
		return
	}
	a.Composer.Close()
	a.Composer.blank()
	a.Go(Route{Page: PageComposer, Folder: a.Route.Folder, ID: a.Route.ID, Query: a.Route.Query, Search: a.Route.Search})
}

// ComposeTo starts a new message to addresses.
func (a *App) ComposeTo(to string) {
	a.Composer.Close()
	a.Composer.blank()
	a.Composer.To = to
	a.Composer.saved = a.Composer.print()
	a.Go(Route{Page: PageComposer})
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
	c.app.platform.Focus(`[data-testid="compose-to"]`)
}

// edit opens a saved draft.
func (c *Composer) edit(id api.MessageID) {
	if c.Open && c.draft.ID == id {
		return
	}
	if c.Open {
		c.Close()
	}
	c.reset()
	c.Loading = true
	c.draft.ID = id
	serial := c.Serial
	ref := api.MessageRef{Account: c.app.Account, ID: id}
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
	c.Subject, c.Text = d.Subject, d.Text
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
	for _, s := range []string{c.To, c.Cc, c.Bcc, c.Subject, c.Text} {
		b.WriteString(s)
		b.WriteByte(0)
	}
	for _, x := range c.Attachments {
		if !x.Uploading && x.Problem == nil {
			b.WriteString(string(x.Blob) + x.Name)
		}
	}
	return b.String()
}

func (c *Composer) empty() bool {
	return strings.TrimSpace(c.To+c.Cc+c.Bcc+c.Subject+c.Text) == "" && len(c.Attachments) == 0
}

// collect is the draft as it stands; addresses that cannot be read are kept as they are typed, so that a draft saved in
// the middle of an address has it when it is opened again.
func (c *Composer) collect() api.Draft {
	d := c.draft
	d.To, d.Cc, d.Bcc = ReadList(c.To), ReadList(c.Cc), ReadList(c.Bcc)
	d.Subject, d.Text = c.Subject, c.Text
	d.Attachments = nil
	for _, x := range c.Attachments {
		if !x.Uploading && x.Problem == nil {
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
		if p != nil {
			if p.Code != api.CodeCanceled {
				c.Problem = p
			}
			return
		}
		c.draft.ID, c.saved, c.Saved, c.Problem = kept.ID, now, c.app.platform.Now(), nil
		if c.print() == now {
			c.changed = false
		} else if c.Open {
			c.touched()
		}
	})
}

// resave saves once more after the engine was replaced: its answer may have been lost with it.
func (c *Composer) resave() {
	c.Saving = false
	if c.Open && c.changed {
		c.save()
	}
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
		id := kept.ID
		app.Toasts.Show(Toast{Text: "Saved in Drafts", Action: "Open", Do: func() { app.Go(Route{Folder: api.Drafts, ID: id}) }})
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
			app.Composer.sent = map[api.MessageID]int{}
		}
		app.Composer.sent[id] = toast
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
