package e2e

import "testing"

// Mail to nobody fails in words that say what to do; it can be taken back, mended and sent.
func TestUnknownRecipient(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Compose("nobody@postern.test", "To nobody", "Is anybody there?")
	b.Until("it is said", `[...document.querySelectorAll('[role="alert"]')].some(e => e.textContent.includes("was not sent"))`)
	b.shot("refused-toast")
	b.Click("folder-outbox")
	b.Until("it is in the outbox", q("outbox-row")+`?.dataset.state === "failed"`)
	b.Eval(q("outbox-row")+`.click()`, nil)
	b.Until("the message says why", `(`+q("message-state")+`?.textContent || "").includes("nobody@postern.test")`)
	b.shot("refused-message")
	b.Click("outbox-retry")
	// While it is on the wire it cannot be taken back, and what is on the screen may be from before the second try: so a
	// person would click again.
	b.Until("the composer has it", `(edit => {
		if (`+q("compose-subject")+`?.value === "To nobody") return true;
		if (edit && `+q("outbox-row")+`?.dataset.state === "failed" && !(performance.now() - edit.asked < 1000)) {
			edit.asked = performance.now();
			edit.click();
		}
		return false;
	})(`+q("outbox-edit")+`)`)
	b.shot("refused-edit")
	b.Eval(`(e => { e.focus(); e.select() })(`+q("compose-to")+`)`, nil)
	b.Type("compose-to", "alice@postern.test")
	b.Click("compose-send")
	b.Click("folder-inbox")
	b.Until("mended, it arrives", row("To nobody")+` !== undefined`)
	b.Click("folder-outbox")
	b.Until("the outbox is empty", q("message-list")+`.dataset.total === "0"`)
}
