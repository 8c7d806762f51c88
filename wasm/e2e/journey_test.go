package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A message travels from one browser to another, is answered, and both find everything again without a network.
func TestJourney(t *testing.T) {
	g := startGateway(t)
	alice, bob := startBrowser(t, "alice"), startBrowser(t, "bob")

	alice.Go(g.URL())
	alice.shot("signin")
	alice.SignInDemo("alice")
	bob.Go(g.URL())
	bob.SignInDemo("bob")

	alice.Compose("bob@postern.test", "Lunch on Thursday?", "Dear Bob,\n\nshall we try the new place at noon? 一緒に行きましょう。\n\nAlice")
	// Nobody reloads Bob's page.
	bob.Open("Lunch on Thursday?")
	bob.Until("the text arrived whole", body+`.includes("一緒に行きましょう。")`)
	bob.Until("the sender is shown", q("message-from")+`.textContent.includes("alice@postern.test")`)
	bob.Until("the row is read now", row("Lunch on Thursday?")+`.dataset.unread === "false"`)
	bob.shot("journey-bob-reads")

	bob.Click("reply")
	bob.Until("the reply is addressed", q("compose-form")+`.textContent.includes("alice@postern.test") || `+q("compose-to")+`.value.includes("alice@postern.test")`)
	bob.Type("compose-body", "Gladly. ")
	bob.Click("compose-send")
	alice.Open("Re: Lunch on Thursday?")
	alice.Until("the answer is there", body+`.includes("Gladly.")`)
	alice.Until("and quotes the question", body+`.includes("shall we try the new place")`)

	alice.Click("folder-sent")
	alice.Open("Lunch on Thursday?")
	alice.shot("journey-alice-sent")

	// Offline: the gateway is gone, the page is loaded anew, the mail is there.
	bob.Until("the page can start offline", `navigator.serviceWorker.ready.then(r => !!r.active)`)
	g.Kill()
	bob.Reload()
	bob.Until("the page says offline", q("connection-state")+`.dataset.state !== "online"`)
	bob.Click("folder-inbox")
	bob.Open("Lunch on Thursday?")
	bob.Until("the text is read offline", body+`.includes("一緒に行きましょう。")`)
	bob.shot("journey-bob-offline")
}

// A message written while the gateway is away waits in the outbox and leaves when the gateway is back.
func TestOutboxOutlivesTheGateway(t *testing.T) {
	g := startGateway(t)
	alice := startBrowser(t, "alice")
	alice.Go(g.URL())
	alice.SignInDemo("alice")
	alice.Until("online", q("connection-state")+`.dataset.state === "online"`)

	g.Kill()
	alice.Until("not online any more", q("connection-state")+`.dataset.state !== "online"`)
	alice.Compose("bob@postern.test", "Written in the tunnel", "It waits.")
	alice.Click("folder-outbox")
	alice.Until("it waits in the outbox", `[...document.querySelectorAll('[data-testid="outbox-row"]')].some(r => r.dataset.state === "queued")`)
	alice.shot("outbox-waits")

	// The page too may go away meanwhile: the message is on this device.
	alice.KillAndRestart()
	g.Start()
	alice.Go(g.URL())
	alice.Click("folder-sent")
	alice.Until("it has been sent", row("Written in the tunnel")+` !== undefined`)
	alice.Click("folder-outbox")
	alice.Until("the outbox is empty", `document.querySelectorAll('[data-testid="outbox-row"]').length === 0`)

	bob := startBrowser(t, "bob")
	bob.Go(g.URL())
	bob.SignInDemo("bob")
	bob.Open("Written in the tunnel")
	bob.Eval(`new Promise(r => setTimeout(r, 300))`, nil) // a second copy would arrive with the next fetch
	bob.Click("sync-now")
	bob.Until("the fetch is over", q("sync-state")+`.dataset.state === "idle"`)
	bob.Until("it arrived once", `[...document.querySelectorAll('[data-testid="message-row"]')].filter(r => r.dataset.subject === "Written in the tunnel").length === 1`)
}

// The browser dies while it fetches 300 messages: afterwards each is there once.
func TestBrowserKilledWhileSyncing(t *testing.T) {
	g := startGateway(t)
	const n = 300
	deliver(t, g.Addr("submission"), "alice@postern.test", g.password("alice"), "bob@postern.test", n)
	bob := startBrowser(t, "bob")
	bob.Go(g.URL())
	bob.Click("demo-bob")
	bob.Until("some messages have arrived", `+(`+q("message-list")+`?.dataset.total || 0) > 0`)
	bob.KillAndRestart()
	bob.Go(g.URL())
	welcome := 1
	bob.Until("all are there, once", fmt.Sprintf(`+%s.dataset.total === %d`, q("message-list"), n+welcome))
	bob.Click("sync-now")
	bob.Until("the fetch is over", q("sync-state")+`.dataset.state === "idle"`)
	bob.Until("and still once", fmt.Sprintf(`+%s.dataset.total === %d`, q("message-list"), n+welcome))
}

// A wrong password says so and keeps the form.
func TestWrongPassword(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "eve")
	b.Go(g.URL())
	b.Type("signin-email", "alice@postern.test")
	b.Type("signin-password", "not it")
	b.Press(enter)
	b.Until("the error is said", q("signin-error")+`?.textContent.trim().length > 0`)
	b.Until("in an alert", q("signin-error")+`.getAttribute("role") === "alert"`)
	b.Until("the form is kept", q("signin-email")+`.value === "alice@postern.test"`)
	b.shot("wrong-password")
	b.Eval(`(e => { e.focus(); e.select() })(`+q("signin-password")+`)`, nil)
	b.Type("signin-password", g.password("alice"))
	b.Click("signin-submit")
	b.Until("then it works", q("folder-inbox")+` !== null`)
}

// A second tab shows the same mail, harms nothing, and goes on when the first is closed.
func TestSecondTab(t *testing.T) {
	g := startGateway(t)
	first := startBrowser(t, "first tab")
	first.Go(g.URL())
	first.SignInDemo("alice")
	first.Until("the welcome is there", `+`+q("message-list")+`.dataset.total === 1`)
	second := first.Tab("second tab")
	second.Go(g.URL())
	second.Until("the same inbox", `+`+q("message-list")+`.dataset.total === 1`)
	second.Compose("alice@postern.test", "From the second tab", "to the first")
	first.Until("the first tab shows it", row("From the second tab")+` !== undefined`)
	first.CloseTab()
	second.Open("From the second tab")
	second.Compose("alice@postern.test", "All alone now", "and still working")
	second.Open("All alone now")
}

// Deleting acts at once, offers to undo, and the rest of the mail stays where it is.
func TestDeleteAndUndo(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Until("the welcome is there", `+`+q("message-list")+`.dataset.total === 1`)
	var subject string
	b.Eval(`document.querySelector('[data-testid="message-row"]').dataset.subject`, &subject)
	b.Open(subject)
	b.Click("delete")
	b.Until("it is gone", `+`+q("message-list")+`.dataset.total === 0`)
	b.shot("inbox-empty")
	b.Until("undo is offered", `[...document.querySelectorAll('[role="status"] button')].some(e => /undo/i.test(e.textContent))`)
	b.Eval(`[...document.querySelectorAll('[role="status"] button')].find(e => /undo/i.test(e.textContent)).click()`, nil)
	b.Until("it is back", `+`+q("message-list")+`.dataset.total === 1`)
	b.Open(subject)
	b.Click("delete")
	b.Click("folder-trash")
	b.Until("it is in the trash", row(subject)+` !== undefined`)
	b.Reload()
	b.Click("folder-trash")
	b.Until("and still after a reload", row(subject)+` !== undefined`)
}

// password reads a demo account's password off what the gateway printed, as a newcomer does.
func (g *gateway) password(who string) string {
	g.t.Helper()
	for _, line := range g.log.Lines() {
		if strings.Contains(line, "Sign in as") && strings.Contains(line, who+"@") {
			words := strings.Fields(line)
			return words[len(words)-1]
		}
	}
	g.t.Fatalf("the gateway printed no password for %s:\n%s", who, g.log)
	return ""
}
