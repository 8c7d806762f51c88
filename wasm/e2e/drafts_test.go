package e2e

import "testing"

// What is written is never lost: a message put away is in Drafts, opens there as it was, and is sent from there; and one
// that nobody put away is back after a reload.
func TestDrafts(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")

	b.Click("compose")
	b.Type("compose-to", "bob@postern.test")
	b.Type("compose-cc", "Alice <alice@postern.test>")
	b.Type("compose-subject", "Put away")
	b.Type("compose-body", "one\ntwo 三")
	b.Click("compose-close")
	b.Until("the composer has closed", q("compose-form")+` === null`)
	b.Click("folder-drafts")
	b.Until("the draft is there", row("Put away")+` !== undefined`)
	b.shot("drafts")
	b.Eval(row("Put away")+`.click()`, nil)
	b.Until("it opens as it was", q("compose-subject")+`?.value === "Put away" && `+q("compose-to")+`.value === "bob@postern.test" && `+
		q("compose-cc")+`.value.includes("alice@postern.test") && `+q("compose-body")+`.value === "one\ntwo 三"`)
	b.Type("compose-body", "zero ")
	b.Click("compose-send")
	b.Until("the composer has closed", q("compose-form")+` === null`)
	b.Until("the draft is gone", row("Put away")+` === undefined`)
	b.Click("folder-inbox")
	b.Open("Put away")
	b.Until("it arrived as it was changed", body+`.includes("zero one")`)

	b.Click("compose")
	b.Type("compose-subject", "Nobody put it away")
	b.Type("compose-body", "still here")
	b.Until("it is saved", `document.querySelector(".composer-saved").textContent.includes("Saved")`)
	b.Reload()
	b.Until("it is back after a reload", q("compose-subject")+`?.value === "Nobody put it away" && `+q("compose-body")+`.value === "still here"`)
	b.shot("draft-after-reload")
}
