package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/control"
)

// said is a JavaScript expression for the text of the first element with a hook, "" where there is none.
func said(id string) string { return `(` + q(id) + `?.innerText ?? "")` }

// queued is a JavaScript expression for the row of the administrator's page for a recipient.
func queued(to string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-testid="admin-row"]')].find(r => r.innerText.includes(%q))`, to)
}

// clickIn clicks the first element with a hook whose text has these words.
func (b *browser) clickIn(id, words string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll('[data-testid=%q]')].find(e => e.innerText.includes(%q))`, id, words)
	b.Until(words+" can be clicked", find+` !== undefined`)
	b.Eval(find+`.click()`, nil)
}

// The administrator's page: a message to a server that is down waits there, with reason, next try and transcript; it is tried, held,
// released, and returned to its sender. The faults and the clock are the page's own.
func TestAdministratorsPage(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Until("the first fetch is over", q("sync-state")+`.dataset.state === "idle"`)
	b.Click("account-menu")
	b.Until("the menu offers the mail server", q("admin-open")+` !== null`)
	b.shot("admin-menu")
	b.Click("admin-open")
	b.Until("nothing waits", said("admin-empty")+`.includes("Nothing is waiting")`)
	b.shot("admin-empty")

	openWorld := func() { // it is asked for beside the queue
		b.Until("the demo world is there", q("admin-world")+` !== null`)
		b.Eval(q("admin-world")+`.open = true`, nil)
	}
	openWorld()
	b.Choose("admin-way", "elsewhere.test")
	b.Choose("admin-fault", "down")
	b.Click("admin-fault-start")
	b.Until("it is down", said("admin-fault-lasts")+`.includes("elsewhere.test: Down, until you end it")`)
	b.shot("admin-world")
	b.Eval(q("admin-world")+`.open = false`, nil)

	world := g.world()
	b.Press("\x1b")
	b.Until("back at the mail", q("admin-view")+` === null`)
	b.Compose("carol@elsewhere.test", "Is anybody there", "Dear Carol")
	b.Click("account-menu")
	b.Click("admin-open")
	b.Until("it waits", queued("carol@elsewhere.test")+`?.innerText.includes("Next try in")`)
	b.Until("counted", said("admin-count")+` === "1 message"`)
	b.shot("admin-waiting")
	b.Click("admin-row")
	b.Until("why", said("admin-why")+`.length > 20`)
	b.Until("the transcript", said("admin-transcript")+`.includes("elsewhere.test")`)
	b.Until("the whole address", said("admin-title")+` === "To carol@elsewhere.test"`)
	b.shot("admin-item")
	b.Dark(true)
	b.shot("admin-item-dark")
	b.Phone()
	b.Until("it does not scroll sideways", `document.documentElement.scrollWidth <= innerWidth`)
	b.shot("admin-item-phone-dark")
	b.Click("admin-close")
	b.Until("the list", q("admin-item")+` === null`)
	b.Until("nor does the list", `document.documentElement.scrollWidth <= innerWidth`)
	b.shot("admin-phone-dark")
	b.Dark(false)
	b.shot("admin-phone")
	b.Desktop()

	attempts := func() int {
		rows, err := world.ListQueue(t.Context(), control.QueueFilter{})
		if err != nil || len(rows) == 0 {
			return -1
		}
		return rows[0].Attempts
	}
	first := attempts()
	b.Click("admin-row")
	b.Click("admin-retry")
	g.await("it is tried again", func() bool { return attempts() > first })
	b.Until("the page says so by itself", said("admin-item")+`.includes("Tried `+fmt.Sprint(first+1)+` times")`)
	b.Click("admin-hold")
	b.Until("it is held", said("admin-why")+`.includes("Held until you release it")`)
	b.shot("admin-held")
	b.Click("admin-release")
	b.Until("it waits again", said("admin-why")+`.includes("Next try in") || `+said("admin-why")+`.includes("Due now")`)

	b.Click("admin-drop")
	b.Until("it is asked first", said("question")+`.includes("This cannot be undone")`)
	b.shot("admin-question")
	b.Click("question-no")
	b.Until("nothing is asked", q("question")+` === null`)
	b.Click("admin-return")
	b.Until("it is asked first", said("question")+`.includes("Return this message?")`)
	b.Click("question-yes")
	b.Until("it has left", said("admin-gone")+`.includes("left the queue")`)
	b.Until("nothing waits", said("admin-count")+` === "0 messages"`)
	b.Press("\x1b")
	b.Until("the list", q("admin-item")+` === null`)
	b.Press("\x1b")
	b.Open("Not delivered: Is anybody there")
	b.Until("the report says what happened", body+`.includes("carol@elsewhere.test")`)
	b.shot("admin-bounce")

	// When the server is back, what was sent meanwhile arrives: the clock is put forward.
	b.Compose("carol@elsewhere.test", "Once more", "Dear Carol")
	b.Click("account-menu")
	b.Click("admin-open")
	b.Until("it waits", queued("carol@elsewhere.test")+` !== undefined`)
	openWorld()
	b.clickIn("admin-fault-lasts", "elsewhere.test")
	b.Eval(`[...document.querySelectorAll('[data-testid="admin-fault-lasts"] button')][0].click()`, nil)
	b.Until("it is up", q("admin-fault-lasts")+` === null`)
	b.clickIn("admin-jump", "4 h")
	b.Until("it has gone", said("admin-count")+` === "0 messages"`)
	arrived := strings.Join(g.maildrop("carol", "carol@elsewhere.test"), "\n")
	if !strings.Contains(arrived, "Subject: Once more") || strings.Contains(arrived, "Subject: Is anybody there") {
		t.Errorf("Carol has %.500s", arrived)
	}

	// Who is no administrator sees nothing of it.
	bob := startBrowser(t, "bob")
	bob.Go(g.URL())
	bob.SignInDemo("bob")
	bob.Until("the first fetch is over", q("sync-state")+`.dataset.state === "idle"`)
	bob.Click("account-menu")
	bob.Until("the menu is open", q("account-settings")+` !== null`)
	bob.Until("without the mail server", q("admin-open")+` === null`)
	bob.Go(g.URL() + "/server")
	bob.Until("refused in words", said("admin-problem")+`.includes("does not look after the mail server")`)
	bob.shot("admin-refused")
}
