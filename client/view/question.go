package view

import "github.com/postern-mail/postern/client/api"

// Question is what is asked before something is done that nobody can take back. Not to do it is what Enter does.
type Question struct {
	Title, Means string
	Yes          string // what the button says that does it

	back string // what has the focus afterwards, if it is not done
	do   func()
	app  *App
}

// Asked says that an answer is waited for.
func (q *Question) Asked() bool { return q.do != nil }

func (q *Question) ask(title, means, yes, back string, do func()) {
	*q = Question{Title: title, Means: means, Yes: yes, back: back, do: do, app: q.app}
	q.app.Voice.Cry(title + " " + means)
	q.app.platform.Focus(`[data-testid="question-no"]`)
}

// No leaves everything as it is.
func (q *Question) No() {
	back := q.back
	*q = Question{app: q.app}
	q.app.platform.Focus(back)
}

// Agree has it done.
func (q *Question) Agree() {
	do := q.do
	*q = Question{app: q.app}
	if do != nil {
		do()
	}
}

// askErase asks whether an account's mail is to be taken off this device, if there is any.
func (a *App) askErase(id api.AccountID, back string, do func()) {
	acc := a.AccountOf(id)
	all, own, unsent := 0, 0, 0
	for _, f := range acc.Folders {
		all += f.Total
		switch f.ID { // POP3 knows no folders: what is in these was never on the server
		case api.Sent, api.Drafts:
			own += f.Total
		case api.Outbox:
			own += f.Total
			unsent = f.Total
		}
	}
	if all == 0 {
		do()
		return
	}
	a.Question.ask("Erase "+Label(acc)+" from this device?", eraseWords(all, own, unsent, acc.Sync.OnServer), "Erase "+Count(all, "message"), back, do)
}

// eraseWords say what is lost. own is how many of all messages were written here, and onServer how many of them the server has
// too, nil when that is not known.
func eraseWords(all, own, unsent int, onServer *int) string {
	words := Count(all, "message") + " will be gone from this device."
	lost := all
	if onServer != nil {
		lost -= min(*onServer, all-own)
	}
	switch received := all - own; {
	case lost == 0 && all == 1:
		words += " The server had it too at the last look, and keeps it."
	case lost == 0:
		words += " The server had all of them too at the last look, and keeps them."
	case onServer == nil && received > 0:
		words += unknownWords(own, received)
	case lost == all && all == 1:
		words += " It is nowhere else."
	case lost == all:
		words += " They are nowhere else."
	case lost == 1:
		words += " 1 of them is nowhere else."
	default:
		words += " " + Number(lost) + " of them are nowhere else."
	}
	if unsent > 0 {
		words += " What waits in the Outbox is not sent: " + Count(unsent, "message") + "."
	}
	return words
}

// unknownWords say what is lost while it is not known what the server has.
func unknownWords(own, received int) (words string) {
	switch own {
	case 0:
	case 1:
		words = " The one written here is nowhere else."
	default:
		words = " The " + Number(own) + " written here are nowhere else."
	}
	others := "the others"
	switch {
	case own == 0 && received == 1:
		others = "it"
	case own == 0:
		others = "them"
	case received == 1:
		others = "the other"
	}
	return words + " Whether the server still has " + others + " is not known until mail is fetched again."
}
