package view

import (
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Toasts are the short notes at the foot of the page, the newest last.
type Toasts struct {
	Shown []Toast
	app   *App
	last  int
}

// Toast is one note. It goes by itself after its time, unless it tells of trouble: that stays until it is dismissed.
type Toast struct {
	ID      int
	Text    string
	Action  string // what the button says, "Undo"; "" for none
	Do      func() // what the button does; the toast goes
	Gone    func() // what happens when the time is over, or it was dismissed, and Do was not called
	Problem *api.Problem
	files   bool           // Problem is about files, not mail
	about   api.MessageRef // the message on its way that it tells of, if it tells of one
	timer   *time.Timer
}

const (
	toastTime  = 8 * time.Second // long enough to see that it was the wrong message, and to get there by keyboard
	noticeTime = 4 * time.Second // without a choice to make
	toastsMost = 3               // more at once cover the mail; the oldest goes
)

// Show shows a note and answers its number.
func (t *Toasts) Show(n Toast) int {
	t.last++
	n.ID = t.last
	if n.Problem == nil {
		d := noticeTime
		if n.Action != "" {
			d = toastTime
		}
		id := n.ID
		n.timer = time.AfterFunc(d, func() { t.app.sched.Update(func() { t.Dismiss(id) }) })
	}
	t.Shown = append(t.Shown, n)
	for len(t.Shown) > toastsMost {
		t.Dismiss(t.Shown[0].ID)
	}
	return n.ID
}

func (t *Toasts) has(id int) bool {
	return slices.ContainsFunc(t.Shown, func(n Toast) bool { return n.ID == id })
}

// Reword changes what a note says, and gives it its time anew.
func (t *Toasts) Reword(id int, text string) {
	for i := range t.Shown {
		if n := &t.Shown[i]; n.ID == id {
			n.Text = text
			if n.timer != nil {
				n.timer.Reset(toastTime)
			}
		}
	}
}

// Say shows a note without a choice.
func (t *Toasts) Say(text string) int { return t.Show(Toast{Text: text}) }

// Trouble says that something was not done, and why.
func (t *Toasts) Trouble(what string, p *api.Problem) int {
	if p.Code == api.CodeCanceled {
		return 0
	}
	return t.Show(Toast{Text: what + ".", Problem: p})
}

// FileTrouble is Trouble with files.
func (t *Toasts) FileTrouble(what string, p *api.Problem) {
	if p.Code != api.CodeCanceled {
		t.Show(Toast{Text: what + ".", Problem: p, files: true})
	}
}

// Words put the note's problem into words.
func (n Toast) Words() Words {
	if n.files {
		return FileWords(n.Problem)
	}
	return WordsFor(n.Problem)
}

// Act does what the note's button says.
func (t *Toasts) Act(id int) {
	if n, ok := t.take(id); ok && n.Do != nil {
		n.Do()
	}
}

// Dismiss takes a note away.
func (t *Toasts) Dismiss(id int) {
	if n, ok := t.take(id); ok && n.Gone != nil {
		n.Gone()
	}
}

// forget takes away what was said about a message on its way: the person is at it now, or it has changed since.
func (t *Toasts) forget(about api.MessageRef) {
	for _, n := range slices.Clone(t.Shown) {
		if about.ID != 0 && n.about == about {
			t.Dismiss(n.ID)
		}
	}
}

// Hold keeps the notes while the pointer or the focus is on them; Release lets them go again.
func (t *Toasts) Hold() {
	for _, n := range t.Shown {
		if n.timer != nil {
			n.timer.Stop()
		}
	}
}

// Release gives held notes their time again.
func (t *Toasts) Release() {
	for _, n := range t.Shown {
		if n.timer != nil {
			n.timer.Reset(noticeTime)
		}
	}
}

func (t *Toasts) take(id int) (Toast, bool) {
	i := slices.IndexFunc(t.Shown, func(n Toast) bool { return n.ID == id })
	if i < 0 {
		return Toast{}, false
	}
	n := t.Shown[i]
	t.Shown = slices.Delete(t.Shown, i, i+1)
	if n.timer != nil {
		n.timer.Stop()
	}
	return n, true
}

// Voice is what the live regions say to a screen reader, each thing once.
type Voice struct {
	Polite string
	Urgent string
	app    *App
	even   bool
}

// Say announces when the reader comes to it.
func (v *Voice) Say(text string) { v.Polite = v.again(text) }

// Cry announces at once.
func (v *Voice) Cry(text string) { v.Urgent = v.again(text) }

// again makes the same words twice in a row differ by a trailing space, or the second would not be spoken.
func (v *Voice) again(text string) string {
	v.even = !v.even
	if v.even {
		return text + "\u00a0"
	}
	return text
}
