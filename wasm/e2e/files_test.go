package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// fileRow is a JavaScript expression for the row of a file with a name.
func fileRow(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-testid="file-row"]')].find(r => r.dataset.name === %s)`, js(name))
}

// transfer is one for the newest transfer of a file with a name.
func transfer(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-testid="transfer"]')].find(r => r.dataset.name === %s)`, js(name))
}

// OpenOwnFiles opens the files beside the demo account's mail by the one click that it takes.
func (b *browser) OpenOwnFiles() {
	b.t.Helper()
	b.Click("site-offer")
	b.Until("the files are shown", q("file-list")+`?.dataset.loaded === "true"`)
}

// OpenFile opens a row with the keyboard.
func (b *browser) OpenFile(name string) {
	b.t.Helper()
	b.Until("the row "+name, fileRow(name)+` !== undefined`)
	b.Eval(fileRow(name)+`.focus()`, nil)
	b.Press(enter)
}

// kept is the file with a name in what the gateway keeps, nil if there is none.
func (g *gateway) kept(name string) (data []byte) {
	filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == name && d.Type().IsRegular() {
			data, _ = os.ReadFile(path)
		}
		return nil
	})
	return data
}

// downloads has Chromium save into a folder, and answers one that waits for the next file there.
func (b *browser) downloads() (next func() []byte) {
	b.t.Helper()
	dir := b.t.TempDir()
	done := make(chan struct{}, 16)
	chromedp.ListenTarget(b.ctx, func(ev any) {
		if e, ok := ev.(*cdpbrowser.EventDownloadProgress); ok && e.State == cdpbrowser.DownloadProgressStateCompleted {
			done <- struct{}{}
		}
	})
	b.run(cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir).WithEventsEnabled(true))
	return func() []byte {
		b.t.Helper()
		ctx, cancel := context.WithTimeout(b.ctx, 2*wait)
		defer cancel()
		select {
		case <-done:
		case <-ctx.Done():
			b.t.Fatalf("%s: nothing was saved", b.name)
		}
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(list) != 1 {
			b.t.Fatalf("%s: downloads hold %q, %v", b.name, list, err)
		}
		data, err := os.ReadFile(list[0])
		if err != nil {
			b.t.Fatal(err)
		}
		os.Remove(list[0])
		return data
	}
}

// A file of 50 MB goes up and down while the gateway is killed in the middle of each, and arrives as it was.
func TestFilesOverACut(t *testing.T) {
	const name = "Ferien 日本.bin"
	data := octets(50_000_000)
	sum := sha256.Sum256(data)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, "--limit-bytes-per-second", "16MB") // for there to be a middle
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.OpenOwnFiles()
	b.shot("files-empty")
	saved := b.downloads()

	cut := func(what string) {
		t.Helper()
		b.Until(what+" is in its middle", fmt.Sprintf(`(e => e && e.dataset.state === "running" && +e.dataset.done > 5e6)(%s)`, transfer(name)))
		g.Kill()
		b.Until(what+" waits", fmt.Sprintf(`(e => e && e.dataset.state === "waiting" && +e.dataset.done < 4.5e7)(%s)`, transfer(name)))
		b.shot("files-" + what + "-cut")
		g.Start()
		b.Until(what+" goes on from there", fmt.Sprintf(`(e => e && e.dataset.state === "running" && +e.dataset.done > 5e6 || e && e.dataset.state === "done")(%s)`, transfer(name)))
		b.within(2*wait, what+" is done", fmt.Sprintf(`%s?.dataset.state === "done"`, transfer(name)))
	}
	b.run(chromedp.SetUploadFiles(tid("files-upload"), []string{path}, chromedp.ByQuery))
	cut("upload")
	b.Until("the row", fmt.Sprintf(`%s?.dataset.size === "50000000"`, fileRow(name)))
	if got := sha256.Sum256(g.kept(name)); got != sum {
		t.Errorf("the server has %d octets that are not those sent", len(g.kept(name)))
	}
	b.shot("files-uploaded")
	b.Click("transfers-clear")
	b.Until("the tray is empty", q("transfers")+` === null`)

	b.OpenFile(name)
	cut("download")
	if got := saved(); sha256.Sum256(got) != sum {
		t.Errorf("%d octets were saved that are not those on the server", len(got))
	}
	b.shot("files-downloaded")
}

// What one does with files beside their bytes, by keyboard and mouse, in the browser and on the server.
func TestFilesPane(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, n := range []string{"a.txt", "b.txt", "photo.jpg"} {
		paths = append(paths, filepath.Join(dir, n))
		if err := os.WriteFile(paths[len(paths)-1], []byte("this is "+n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.OpenOwnFiles()
	b.run(chromedp.SetUploadFiles(tid("files-upload"), paths, chromedp.ByQuery))
	for _, n := range []string{"a.txt", "b.txt", "photo.jpg"} {
		b.Until(n+" is there", fileRow(n)+` !== undefined`)
	}
	b.Click("files-new-folder")
	b.Fill("file-name", "Old v1.2")
	b.Press(enter)
	b.Until("the folder is there, and has the focus", fileRow("Old v1.2")+` === document.activeElement`)
	b.Press(enter)
	b.Until("one is in the folder", q("files-pane")+`.dataset.path.endsWith("/Old v1.2")`)
	b.shot("files-folder")
	b.Reload()
	b.Until("still after a reload", q("files-pane")+`.dataset.path.endsWith("/Old v1.2") && `+q("file-list")+`.dataset.loaded === "true"`)
	b.Eval(`history.back()`, nil)
	b.Until("Back leads up", fileRow("a.txt")+` !== undefined`)

	// The same name again: nothing is sent before somebody decides.
	os.WriteFile(paths[0], []byte("this is another"), 0o600)
	b.run(chromedp.SetUploadFiles(tid("files-upload"), paths[:2], chromedp.ByQuery))
	b.Until("it is asked", q("clash")+`?.dataset.name === "a.txt"`)
	b.shot("files-clash")
	b.Click("clash-replace")
	b.Until("and of the other", q("clash")+`?.dataset.name === "b.txt"`)
	b.Click("clash-both")
	b.Until("both are there", fileRow("b (2).txt")+` !== undefined`)
	b.Until("the one was replaced", transfer("a.txt")+`?.dataset.state === "done"`)
	if got := string(g.kept("a.txt")); got != "this is another" {
		t.Errorf("a.txt: %q", got)
	}

	b.Eval(fileRow("photo.jpg")+`.focus()`, nil)
	b.Press(kb.F2)
	b.Until("the name can be changed", q("file-name")+` === document.activeElement`)
	b.run(chromedp.KeyEvent("harbour"))
	b.Press(enter)
	b.Until("the end of the name stayed", fileRow("harbour.jpg")+` !== undefined`)

	b.Eval(fileRow("b.txt")+`.focus()`, nil)
	b.Until("what can be done with it is a Tab away", fileRow("b.txt")+`.querySelector('[data-testid="file-more"]').tabIndex === 0`)
	b.Press(kb.Tab)
	b.Press(enter)
	b.Until("its menu", q("file-download")+` === document.activeElement`)
	b.Press(kb.ArrowUp)
	b.Until("the arrows go round in it", q("file-delete")+` === document.activeElement`)
	b.Press(kb.Escape)
	b.Until("back at the row", fileRow("b.txt")+` === document.activeElement`)
	b.Press(kb.Delete)
	b.Until("it is gone from the list", fileRow("b.txt")+` === undefined`)
	b.shot("files-deleted")
	b.Eval(`[...document.querySelectorAll('[data-testid="toast"] .toast-action')].at(-1).click()`, nil)
	b.Until("it is back", fileRow("b.txt")+` !== undefined`)
	b.Eval(fileRow("b (2).txt")+`.focus()`, nil)
	b.Press(kb.Delete)
	b.Until("that is gone", fileRow("b (2).txt")+` === undefined`)
	for range 200 {
		if g.kept("b (2).txt") == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if g.kept("b (2).txt") != nil || g.kept("b.txt") == nil {
		t.Error("what was deleted is still on the server, or what was brought back is not")
	}

	// Files are dropped anywhere in the pane, and it says so while they are over it.
	drag := func(kind string) string {
		return q("files-pane") + `.dispatchEvent(new DragEvent("` + kind + `", {bubbles: true, cancelable: true, dataTransfer: (d => { d.items.add(new File(["dropped"], "dropped.txt")); return d })(new DataTransfer())}))`
	}
	b.Eval(drag("dragenter"), nil)
	b.Until("the target is shown", `document.querySelector(".cab-target")?.innerText.includes("Drop to upload to Files on postern.test")`)
	b.shot("files-drop")
	b.Eval(drag("drop"), nil)
	b.Until("it is sent", transfer("dropped.txt")+`?.dataset.state === "done" && document.querySelector(".cab-target") === null`)
	if got := string(g.kept("dropped.txt")); got != "dropped" {
		t.Errorf("dropped: %q", got)
	}
	b.Phone()
	b.Until("the phone has the pane", q("files-pane")+`.getClientRects().length > 0`)
	b.shot("files-phone")
	b.Dark(true)
	b.shot("files-phone-dark")
	b.Desktop()
	b.shot("files-dark")
}

// A file from the server goes out by mail, and an attachment of a mail to the server.
func TestFilesAndMail(t *testing.T) {
	data := octets(300_000)
	path := filepath.Join(t.TempDir(), "plan.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t)
	alice := startBrowser(t, "alice")
	alice.Go(g.URL())
	alice.SignInDemo("alice")
	alice.OpenOwnFiles()
	alice.run(chromedp.SetUploadFiles(tid("files-upload"), []string{path}, chromedp.ByQuery))
	alice.Until("it is there", fileRow("plan.bin")+` !== undefined`)
	alice.Click("folder-inbox")
	alice.Click("compose")
	alice.Type("compose-to", "bob@postern.test")
	alice.Type("compose-subject", "The plan")
	alice.Click("attach-from-files")
	pick := `[...document.querySelectorAll('[data-testid="picker-row"]')].find(r => r.dataset.name === "plan.bin")`
	alice.Until("the sheet lists it", pick+` !== undefined`)
	alice.Eval(pick+`.click()`, nil)
	alice.shot("picker")
	alice.Click("picker-done")
	alice.Until("the file is attached", `[...document.querySelectorAll('[aria-label="Attachments"] [aria-busy="false"]')].length === 1`)
	alice.Click("compose-send")

	bob := startBrowser(t, "bob")
	bob.Go(g.URL())
	bob.SignInDemo("bob")
	bob.Open("The plan")
	bob.saves("plan.bin", data)
	bob.Click("save-to-files") // there is no site yet: the click makes one
	bob.Until("the sheet is there", q("picker-list")+`?.getAttribute("aria-busy") === "false"`)
	bob.Click("picker-done")
	bob.Until("it is on the server", fmt.Sprintf(`%s?.dataset.state === "done"`, transfer("plan.bin")))
	n := 0
	filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "plan.bin" {
			if got, _ := os.ReadFile(path); bytes.Equal(got, data) {
				n++
			}
		}
		return nil
	})
	if n != 2 {
		t.Errorf("%d copies on the server, want Alice's and Bob's", n)
	}

	// Too large to be mailed: it is put on the server, and the message links to it.
	big := filepath.Join(t.TempDir(), "film.bin")
	if err := os.WriteFile(big, octets(27_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	bob.Click("compose")
	bob.Type("compose-body", "Here is the film.")
	bob.run(chromedp.SetUploadFiles(tid("compose-attach"), []string{big}, chromedp.ByQuery))
	bob.Click("upload-instead")
	bob.Until("the sheet is there", q("picker-list")+`?.getAttribute("aria-busy") === "false"`)
	bob.Click("picker-done")
	bob.Until("the link is in the text", q("compose-body")+`.value.includes("ftp://")`)
	bob.shot("compose-linked")
	var text string
	bob.Eval(q("compose-body")+`.value`, &text)
	if !strings.HasPrefix(text, "Here is the film.\n\nfilm.bin (27.0 MB): ftp://") {
		t.Errorf("text: %q", text)
	}

	// Two that are too much together: one of them is put there from where it is kept, and the other is mailed.
	var two []string
	for _, name := range []string{"one.bin", "two.bin"} {
		two = append(two, filepath.Join(t.TempDir(), name))
		if err := os.WriteFile(two[len(two)-1], octets(14_000_000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bob.run(chromedp.SetUploadFiles(tid("compose-attach"), two, chromedp.ByQuery))
	bob.Until("both are offered", `document.querySelectorAll('[data-testid="upload-instead"]').length === 2`)
	bob.shot("compose-too-much")
	bob.Click("upload-instead")
	bob.Until("the sheet is there", q("picker-list")+`?.getAttribute("aria-busy") === "false"`)
	bob.Click("picker-done")
	bob.Until("the link is in the text", q("compose-body")+`.value.includes(".bin (14.0 MB): ftp://")`)
	bob.Until("the other is attached, and fits", `document.querySelectorAll('.files-edit > li').length === 1 && `+q("upload-instead")+` === null`)
}

// A file server elsewhere is added: what plain text means is said in red, its certificate is looked at and trusted, its files
// are listed, and what was said is shown with both connections.
func TestAddFileServer(t *testing.T) {
	other := startGateway(t)
	g := startGateway(t, "--allow", other.Addr("ftp"))
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.Click("site-add")
	b.Type("site-host", "127.0.0.1")
	b.Choose("site-security", "plain")
	b.Until("what that means is said", `document.body.innerText.includes("can read the password and every file")`)
	b.Fill("site-port", fmt.Sprint(other.ports["ftp"]))
	b.Type("site-user", "alice@postern.test")
	b.Type("site-password", "alice-postern")
	b.shot("site-plain")
	b.Click("site-save")
	b.Until("its files are listed, and that is said again", fileRow("Read me.txt")+` !== undefined && `+q("site-seal")+`.innerText.includes("Readable on the way")`)
	b.Click("files-more")
	b.Click("site-settings")
	b.Choose("site-security", "starttls")
	b.Click("site-save")
	b.Until("its certificate is shown", q("trust-certificate")+` !== null`)
	b.shot("site-certificate")
	b.Click("trust-certificate")
	b.Until("its files are listed", fileRow("Read me.txt")+` !== undefined && `+q("site-seal")+` === null`)
	b.Until("it has an entry", `document.querySelector('[data-testid="site-row"][aria-current]')?.innerText.includes("127.0.0.1")`)
	b.shot("site-files")
	b.OpenFile("Read me.txt")
	b.Until("a file is fetched", transfer("Read me.txt")+`?.dataset.state === "done"`)
	b.Click("transfer-said")
	b.Until("its control connection", `document.querySelector('[data-testid="wire-line"]:not([data-data]) code') !== null`)
	b.Until("its data connection", `document.querySelector('[data-testid="wire-line"][data-data="1"]') !== null`)
	b.Until("what the server holds", `document.querySelector('[data-testid="wire-server-state"]')?.innerText.length > 0`)
	b.shot("site-wire")
	b.Phone()
	b.shot("site-wire-phone")
	b.Desktop()
	b.Press(kb.Escape)
	b.Until("back at the files", q("files-pane")+` !== null`)
	b.Reload()
	b.Until("still there after a reload", fileRow("Read me.txt")+` !== undefined`)
}

// The browser asks before a page is left that an upload needs; if it is left all the same, the upload waits for its file, takes
// no other, and goes on from where it was.
func TestUploadGoesOnAfterAReload(t *testing.T) {
	data := octets(50_000_000)
	dir := t.TempDir()
	path, other := filepath.Join(dir, "film.bin"), filepath.Join(dir, "other.bin")
	for p, b := range map[string][]byte{path: data, other: data[:1000]} {
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := startGateway(t, "--limit-bytes-per-second", "16MB") // for there to be a middle
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.OpenOwnFiles()
	asked := make(chan struct{}, 4)
	chromedp.ListenTarget(b.ctx, func(ev any) {
		if _, ok := ev.(*page.EventJavascriptDialogOpening); ok {
			asked <- struct{}{}
			go chromedp.Run(b.ctx, page.HandleJavaScriptDialog(true))
		}
	})
	b.run(chromedp.SetUploadFiles(tid("files-upload"), []string{path}, chromedp.ByQuery))
	b.Until("it is in its middle", fmt.Sprintf(`(e => e && e.dataset.state === "running" && +e.dataset.done > 5e6)(%s)`, transfer("film.bin")))
	b.Reload()
	select {
	case <-asked:
	default:
		t.Error("the browser did not ask before the page was left")
	}
	b.Until("it is in the tray", q("transfers-toggle")+` !== null`)
	b.Eval(q("transfers-toggle")+`.ariaExpanded === "true" || `+q("transfers-toggle")+`.click()`, nil)
	b.Until("it needs its file", transfer("film.bin")+`?.dataset.state === "needs-file"`)
	b.shot("files-needs-file")
	b.run(chromedp.SetUploadFiles(tid("transfer-choose"), []string{other}, chromedp.ByQuery))
	b.Until("another is not taken", `[...document.querySelectorAll('[data-testid="toast"]')].some(e => e.innerText.includes("That is another file"))`)
	b.run(chromedp.SetUploadFiles(tid("transfer-choose"), []string{path}, chromedp.ByQuery))
	b.within(2*wait, "it is done", transfer("film.bin")+`?.dataset.state === "done"`)
	if got := g.kept("film.bin"); !bytes.Equal(got, data) {
		t.Errorf("the server has %d octets that are not those sent", len(got))
	}
}
