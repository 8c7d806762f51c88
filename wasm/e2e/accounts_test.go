package e2e

import "testing"

// Two accounts live in one browser: each shows its own mail, mail goes from one to the other, and signing out of one
// leaves the other alone, with its mail kept or erased as the person said.
func TestTwoAccounts(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "both")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Compose("bob@postern.test", "From the other account", "to the same browser")
	b.Click("account-menu")
	b.menu("Add an account")
	b.Click("demo-bob")
	b.Open("From the other account")
	b.shot("two-accounts-bob")
	b.Reload()
	b.Until("the message of Bob is open again", `(`+q("message-subject")+`?.textContent || "").includes("From the other account")`)
	b.Click("account-menu")
	b.shot("two-accounts-menu")
	b.menu("alice@postern.test")
	b.Until("Alice's mail", row("Welcome to Postern")+` !== undefined && `+row("From the other account")+` === undefined`)
	b.Eval(`history.back()`, nil)
	b.Until("Back leads to Bob's", `(`+q("message-subject")+`?.textContent || "").includes("From the other account")`)
	b.Eval(`history.forward()`, nil)
	b.Until("Forward to Alice's", q("message-subject")+` === null && `+row("From the other account")+` === undefined && `+row("Welcome to Postern")+` !== undefined`)

	b.Click("account-menu")
	b.Click("sign-out")
	b.Until("Bob's mail is there still", row("From the other account")+` !== undefined`)
	b.Click("account-menu")
	b.Click("sign-out-erase")
	b.Until("it asks first, and Enter does nothing", `document.activeElement === `+q("question-no"))
	b.shot("erase")
	b.Press(enter)
	b.Until("nothing was erased", q("question")+` === null && `+row("From the other account")+` !== undefined`)
	b.Click("account-menu")
	b.Click("sign-out-erase")
	b.Click("question-yes")
	b.Until("nobody is signed in", q("signin-form")+` !== null`)
	b.shot("signed-out")
	b.Reload()
	b.Until("and after a reload", q("signin-form")+` !== null`)
	b.SignInDemo("bob")
	b.Until("what the server keeps comes again", row("From the other account")+` !== undefined`)
}

// menu clicks the item of the open menu with some words.
func (b *browser) menu(words string) {
	b.t.Helper()
	item := `[...document.querySelectorAll('.menu button')].find(e => e.textContent.includes(` + js(words) + `))`
	b.Until("the item "+words, item+` !== undefined`)
	b.Eval(item+`.click()`, nil)
}
