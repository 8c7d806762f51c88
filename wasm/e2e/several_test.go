package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// Two accounts in one list: what is opened, deleted and answered is the right one's, though both number their messages
// from 1; and what was said on the wire is shown as it is said.
func TestAllInboxes(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "all")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Until("alice's mail", row("Welcome to Postern")+` !== undefined`)
	b.Click("account-menu")
	b.menu("Add an account")
	b.Click("demo-bob")
	b.Until("bob's inbox", `document.querySelectorAll('[data-testid="account-tree"]').length === 2`)
	b.Compose("alice@postern.test", "From bob to alice", "hello")
	b.Key("g")
	b.Key("a")
	b.Until("all inboxes", `location.pathname === "/all" && `+q("folder-unified")+`.getAttribute("aria-current") === "page"`)
	b.Until("both accounts are listed", `new Set([...document.querySelectorAll('[data-testid="message-row"]')].map(e => e.dataset.account)).size === 2`)
	b.Until("the new one", row("From bob to alice")+` !== undefined`)
	b.shot("all")
	b.Open("From bob to alice")
	b.Until("the focus is in the list or message", `document.activeElement !== document.body`)
	b.Click("reply")
	b.Until("from alice", q("compose-from")+`?.selectedOptions[0].textContent.includes("alice@postern.test")`)
	b.Choose("compose-from", "1")
	b.Until("from bob", q("compose-from")+`?.selectedOptions[0].textContent.includes("bob@postern.test")`)
	b.Choose("compose-from", "0")
	b.Click("compose-receipt")
	b.shot("all-reply")
	b.Type("compose-body", "Gladly. ")
	b.Click("compose-send")
	b.Until("sent and there", row("Re: From bob to alice")+` !== undefined`)
	b.Until("it is bob's", row("Re: From bob to alice")+`.dataset.account !== `+row("From bob to alice")+`.dataset.account`)
	b.Click("sync-now")
	b.Until("the receipt is there", row("Delivered")+` !== undefined`) // before messages are counted
	var n int
	b.Eval(`+`+q("message-list")+`.dataset.total`, &n)
	b.Key("#")
	b.Key("#")
	b.Until("two are gone", `+`+q("message-list")+`.dataset.total === `+strconv.Itoa(n-2))
	b.Until("one note", q("toast")+`.textContent.includes("2 messages moved to Trash")`)
	b.Key("z")
	b.Until("both are back", `+`+q("message-list")+`.dataset.total === `+strconv.Itoa(n))
	b.Phone()
	b.shot("all-phone")
	b.Desktop()

	b.Click("account-menu")
	b.Click("wire-open")
	b.Until("something was said", `document.querySelectorAll('[data-testid="wire-line"]').length > 3`)
	b.Until("the focus is in the lines", `document.activeElement === `+q("wire-lines"))
	var text string
	b.Eval(q("wire-view")+`.innerText`, &text)
	if strings.Contains(text, g.password("alice")) || strings.Contains(text, g.password("bob")) {
		t.Error("a password is shown")
	}
	b.shot("wire")
	b.Eval(`(e => e.focus())(`+q("folder-unified")+`)`, nil)
	b.Press(kb.Tab)
	b.Until("the Tab key goes on in the order of the page", `document.activeElement.dataset.testid === "account-tree" && document.activeElement.textContent.includes("alice")`)
	b.Phone()
	b.shot("wire-phone")
	b.Press(kb.Escape)
	b.Until("back at the mail", `location.pathname.startsWith("/all")`)
}
