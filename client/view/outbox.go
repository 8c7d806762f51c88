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
	ref := api.MessageRef{Account: e.Account, ID: e.Row.ID}
	change := func(r *api.Row) {
		r.State, r.Progress, r.RetryAt, r.Problem, r.Session = e.Row.State, e.Row.Progress, e.Row.RetryAt, e.Row.Problem, e.Row.Session
	}
	if a.List.place.Folder == api.Outbox {
		a.List.edit(ref, change)
	}
	if m := a.Reader.Message; m != nil && a.Reader.MessageRef == ref {
		if m.State != e.Row.State { // what became of each recipient
			a.Reader.load()
		}
		a.Reader.edit(change)
	}
	sent := a.Composer.sent[ref]
	switch e.Row.State {
	case api.StateSent:
		if sent != 0 {
			delete(a.Composer.sent, ref)
			a.Toasts.Dismiss(sent)
			a.Toasts.Show(Toast{Text: "Message sent", Action: "View", Do: func() { a.Go(Route{Account: ref.Account, Folder: api.Sent, ID: ref.ID}) }})
		}
		a.Voice.Say("Message sent: " + subjectOr(e.Row.Subject))
	case api.StateFailed, api.StateUnknown:
		if sent != 0 {
			delete(a.Composer.sent, ref)
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
		a.Toasts.forget(ref)
		if a.Reader.MessageRef == ref {
			return // it is said there
		}
		a.Toasts.Show(Toast{Text: what + ".", Problem: p, about: ref, Action: "Open", Do: func() { a.Go(Route{Account: ref.Account, Folder: api.Outbox, ID: ref.ID}) }})
	case api.StateDeferred:
		if sent != 0 {
			delete(a.Composer.sent, ref)
			a.Toasts.Dismiss(sent)
			a.Toasts.Say("Not sent yet: " + a.StateWordsFor(e.Row).Short)
		}
	}
}

// RetrySend sends a deferred, failed or unknown message again.
func (a *App) RetrySend(ref api.MessageRef) {
	a.Toasts.forget(ref)
	a.Reader.Warned = false
	before, _ := a.rowOf(ref)
	set := func(r *api.Row) { r.State, r.Problem, r.Progress = api.StateQueued, nil, 0 }
	a.editEverywhere(ref, set)
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.Retry(ctx, ref) }, func(p *api.Problem) {
		if p != nil {
			a.editEverywhere(ref, func(r *api.Row) { r.State, r.Problem = before.State, before.Problem })
			a.Toasts.Trouble("It could not be sent again", p)
		}
	})
}

// EditAgain takes a message out of the outbox, back into the composer.
func (a *App) EditAgain(ref api.MessageRef) {
	a.Toasts.forget(ref)
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.Unsend(ctx, ref) }, func(p *api.Problem) {
		if p != nil {
			a.Toasts.Trouble("It could not be taken back", p)
			return
		}
		a.Go(Route{Account: ref.Account, Folder: api.Drafts, ID: ref.ID})
	})
}

func (a *App) editEverywhere(ref api.MessageRef, change func(*api.Row)) {
	a.List.edit(ref, change)
	if a.Reader.Message != nil && a.Reader.MessageRef == ref {
		a.Reader.edit(change)
	}
}

func subjectOr(s string) string {
	if s == "" {
		return NoSubject
	}
	return s
}
