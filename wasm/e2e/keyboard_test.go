package e2e

import (
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A person who never touches a mouse reads, answers, deletes and searches; the focus is never lost.
func TestKeyboardAlone(t *testing.T) {
	g := startGateway(t)
	deliverSamples(t, g)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.Until("the form has the focus", `document.activeElement === `+q("signin-email"))
	b.Press("alice@postern.test")
	b.Press(kb.Tab)
	b.Press(g.password("alice"))
	b.Press(enter)
	b.Until("the samples are there", `+(`+q("message-list")+`?.dataset.total || 0) >= 12`)
	b.Until("the fetch is over", q("sync-state")+`.dataset.state === "idle"`)

	focused := func(where, js string) {
		t.Helper()
		b.Until("the focus is on "+where, `(e => e !== document.body && e.getClientRects().length > 0 && `+js+`)(document.activeElement)`)
	}
	const aRow = `e.dataset.testid === "message-row"`
	focused("a row", aRow)
	b.Key("j")
	b.Key("j")
	focused("a row", aRow)
	b.Until("its message is open", `document.activeElement.dataset.subject === `+q("message-subject")+`?.textContent`)
	b.shot("keyboard-row")
	b.Key("o")
	focused("the message", `e.dataset.testid === "message-subject"`)
	b.Until("it has been read", `document.querySelector('.row-open')?.dataset.unread === "false"`)
	b.Key("u")
	b.Until("it is unread again", `document.querySelector('.row-open')?.dataset.unread === "true"`)

	b.Key("r")
	focused("the text of the answer", `e.dataset.testid === "compose-body"`)
	b.Press("By keyboard alone. ")
	b.Until("it holds what was typed and no more", `document.activeElement.value.startsWith("By keyboard alone. \n")`)
	b.Press(kb.Escape)
	b.Until("it is put away", q("compose-form")+` === null`)
	focused("the list or the message", aRow+` || e.dataset.testid === "message-subject"`)
	b.Key("c")
	focused("the recipients", `e.dataset.testid === "compose-to"`)
	b.Press("alice@postern.test")
	b.Until("the key that opened it is not in it", `document.activeElement.value === "alice@postern.test"`)
	b.Press(kb.Tab)
	b.Press(kb.Tab)
	b.Press(kb.Tab)
	focused("the subject", `e.dataset.testid === "compose-subject"`)
	b.Press("To myself")
	b.Press(kb.Tab)
	focused("the text", `e.dataset.testid === "compose-body"`)
	b.Press("by keyboard")
	b.Press(enter, chromedp.KeyModifiers(2)) // Ctrl+Enter
	b.Until("it is sent", q("compose-form")+` === null`)
	focused("the list or the message", aRow+` || e.dataset.testid === "message-subject"`)
	b.Until("it arrived", row("To myself")+` !== undefined`)

	var total int
	b.Eval(`+`+q("message-list")+`.dataset.total`, &total)
	b.Key("/")
	focused("the search", `e.dataset.testid === "search-input"`)
	b.Press("打ち合わせ")
	b.Until("it is found", q("message-list")+`.dataset.total === "1"`)
	b.Press(enter)
	focused("what was found", aRow)
	b.Press(kb.Escape)
	b.Until("the whole folder is back", q("message-list")+`.dataset.total === "`+strconv.Itoa(total)+`"`)
	focused("a row", aRow)
	b.Key("#")
	b.Until("one is gone", q("message-list")+`.dataset.total === "`+strconv.Itoa(total-1)+`"`)
	focused("the next row", aRow)
	b.Key("z")
	b.Until("it is back", q("message-list")+`.dataset.total === "`+strconv.Itoa(total)+`"`)
	focused("a row", aRow)
	b.Key("x")
	b.Press(kb.ArrowDown, chromedp.KeyModifiers(8)) // Shift
	b.Until("two are selected", `document.querySelectorAll('[data-testid="message-row"][aria-selected="true"]').length === 2`)
	b.Key("#")
	b.Until("two are gone", q("message-list")+`.dataset.total === "`+strconv.Itoa(total-2)+`"`)
	focused("the next row", aRow)

	b.Key("g")
	b.Key("t")
	b.Until("the trash", `location.pathname === "/trash" && `+q("message-list")+`.dataset.total === "2"`)
	focused("a row", aRow)
	b.Key("?")
	focused("the list of keys", `e.closest('[role="dialog"]') !== null`)
	b.Press(kb.Escape)
	focused("a row", aRow)
	b.Key("g")
	b.Key("i")
	b.Until("the inbox", `location.pathname === "/inbox"`)
	focused("a row", aRow)
}

// Key presses a letter as a keyboard does: what the page makes a shortcut of is not typed besides. (Press sends the
// letter itself even so.)
func (b *browser) Key(letter string) {
	b.t.Helper()
	b.run(input.DispatchKeyEvent(input.KeyDown).WithKey(letter).WithText(letter).WithUnmodifiedText(letter),
		input.DispatchKeyEvent(input.KeyUp).WithKey(letter))
}
