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

// eraseWords say what is lost. onServer is how many messages the server had at the last look, nil when that is not known;
// they may be others than those here, so that what is lost is so much at least.
func eraseWords(all, own, unsent int, onServer *int) string {
	words := Count(all, "message") + " will be gone from this device."
	lost, received := own, all-own
	if onServer != nil {
		lost += max(received-*onServer, 0)
	}
	are := " of them are nowhere else"
	if lost == 1 {
		are = " of them is nowhere else"
	}
	switch unknown := onServer == nil && received > 0; {
	case lost == all && all == 1:
		words += " It is nowhere else."
	case lost == all:
		words += " They are nowhere else."
	case unknown && lost > 0:
		words += " At least " + Number(lost) + are + ". Whether the server has the others is not known now."
	case unknown:
		words += " Whether the server still has a copy is not known now."
	case lost > 0:
		words += " At least " + Number(lost) + are + "."
	default:
		words += " The server had " + Count(*onServer, "message") + " at the last look; what is there stays there."
	}
	if unsent > 0 {
		words += " What waits in the Outbox is not sent: " + Count(unsent, "message") + "."
	}
	return words
}
