package view

import (
	"context"
	"strconv"

	"github.com/postern-mail/postern/client/api"
)

// StateWords says where a message on its way is: the short word of its chip, and a sentence. Icon is the sprite's name.
type StateWords struct {
	Short, Means, Icon string
	Tone               string // "plain", "good", "waits", "bad"
	Do                 string // what the person can do about it, if anything
}

// StateWordsFor puts a row's state into words.
func (a *App) StateWordsFor(r api.Row) StateWords {
	why, do := "", ""
	if r.Problem != nil {
		w := WordsFor(r.Problem)
		why, do = w.Title, w.Do
		if w.Means != "" {
			why += ". " + w.Means
		}
	}
	switch r.State {
	case api.StateDraft:
		return StateWords{Short: "Draft", Means: "Not sent yet.", Icon: "draft", Tone: "plain"}
	case api.StateQueued:
		w := StateWords{Short: "Queued", Means: "It leaves in a moment.", Icon: "clock", Tone: "waits"}
		if a.Gateway.State != api.Online {
			w.Means = "It leaves as soon as you are online again."
		}
		return w
	case api.StateSending:
		w := StateWords{Short: "Sending", Means: "It is on the wire.", Icon: "send", Tone: "plain"}
		if r.Progress > 0 {
			w.Short += " " + strconv.Itoa(int(r.Progress*100)) + " %"
		}
		return w
	case api.StateSent:
		return StateWords{Short: "Sent", Means: "The mail server has it.", Icon: "check", Tone: "good"}
	case api.StateDeferred:
		w := StateWords{Short: "Deferred", Means: why, Icon: "clock", Tone: "waits"}
		if !r.RetryAt.IsZero() {
			at, now := a.platform.Local(r.RetryAt), a.platform.Now()
			if sameDay(at, now) {
				w.Short += " until " + Clock(at)
			} else {
				w.Short += " until " + ListDate(at, now)
			}
		}
		return w
	case api.StateFailed:
		return StateWords{Short: "Failed", Means: why, Icon: "alert", Tone: "bad", Do: do}
	case api.StateUnknown:
		return StateWords{Short: "Maybe sent", Means: "The connection was cut just when the server should have said that it has it. It may have arrived; it is not sent again unless you say so.", Icon: "question", Tone: "waits"}
	}
	return StateWords{}
}

// outboxChanged follows a message on its way.
func (a *App) outboxChanged(e api.OutboxEvent) {
	if e.Account != a.Account {
		return
	}
	change := func(r *api.Row) {
		r.State, r.Progress, r.RetryAt, r.Problem = e.Row.State, e.Row.Progress, e.Row.RetryAt, e.Row.Problem
	}
	if a.List.place.Folder == api.Outbox {
		a.List.edit(e.Row.ID, change)
	}
	if m := a.Reader.Message; m != nil && a.Reader.ID == e.Row.ID {
		a.Reader.edit(change)
	}
	sent := a.Composer.sent[e.Row.ID]
	switch e.Row.State {
	case api.StateSent:
		if sent != 0 {
			delete(a.Composer.sent, e.Row.ID)
			a.Toasts.Dismiss(sent)
			id := e.Row.ID
			a.Toasts.Show(Toast{Text: "Message sent", Action: "View", Do: func() { a.Go(Route{Folder: api.Sent, ID: id}) }})
		}
		a.Voice.Say("Message sent: " + subjectOr(e.Row.Subject))
	case api.StateFailed, api.StateUnknown:
		if sent != 0 {
			delete(a.Composer.sent, e.Row.ID)
			a.Toasts.Dismiss(sent)
		}
		p := e.Row.Problem
		if p == nil {
			p = &api.Problem{Code: api.CodeServerClosed}
		}
		what := "“" + subjectOr(e.Row.Subject) + "” was not sent"
		if e.Row.State == api.StateUnknown {
			what = "“" + subjectOr(e.Row.Subject) + "” may have been sent"
		}
		a.Voice.Cry(what)
		id := e.Row.ID
		a.Toasts.forget(id)
		if a.Reader.ID == id {
			return // it is said there
		}
		a.Toasts.Show(Toast{Text: what + ".", Problem: p, about: id, Action: "Open", Do: func() { a.Go(Route{Folder: api.Outbox, ID: id}) }})
	case api.StateDeferred:
		if sent != 0 {
			delete(a.Composer.sent, e.Row.ID)
			a.Toasts.Dismiss(sent)
			a.Toasts.Say("Not sent yet: " + a.StateWordsFor(e.Row).Short)
		}
	}
}

// RetrySend sends a deferred, failed or unknown message again.
func (a *App) RetrySend(id api.MessageID) {
	a.Toasts.forget(id)
	before, _ := a.rowOf(id)
	set := func(r *api.Row) { r.State, r.Problem, r.Progress = api.StateQueued, nil, 0 }
	a.editEverywhere(id, set)
	ref := api.MessageRef{Account: a.Account, ID: id}
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.Retry(ctx, ref) }, func(p *api.Problem) {
		if p != nil {
			a.editEverywhere(id, func(r *api.Row) { r.State, r.Problem = before.State, before.Problem })
			a.Toasts.Trouble("It could not be sent again", p)
		}
	})
}

// EditAgain takes a message out of the outbox, back into the composer.
func (a *App) EditAgain(id api.MessageID) {
	a.Toasts.forget(id)
	ref := api.MessageRef{Account: a.Account, ID: id}
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.Unsend(ctx, ref) }, func(p *api.Problem) {
		if p != nil {
			a.Toasts.Trouble("It could not be taken back", p)
			return
		}
		a.Go(Route{Folder: api.Drafts, ID: id})
	})
}

func (a *App) editEverywhere(id api.MessageID, change func(*api.Row)) {
	a.List.edit(id, change)
	if a.Reader.Message != nil && a.Reader.ID == id {
		a.Reader.edit(change)
	}
}

func subjectOr(s string) string {
	if s == "" {
		return NoSubject
	}
	return s
}
