package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// A file goes from Alice's disk to Bob's, and forwarded from Bob's mail back to Alice's disk, octet for octet and under
// its own name.
func TestAttachmentRoundTrip(t *testing.T) {
	const name = "Résumé 日本 (1).bin"
	data := octets(300_000)
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}

	g := startGateway(t)
	alice := startBrowser(t, "alice")
	alice.Go(g.URL())
	alice.SignInDemo("alice")
	alice.Click("compose")
	alice.Type("compose-to", "bob@postern.test")
	alice.Type("compose-subject", "The file")
	alice.run(chromedp.SetUploadFiles(tid("compose-attach"), []string{path}, chromedp.ByQuery))
	alice.Until("the file is attached", `[...document.querySelectorAll('[aria-label="Attachments"] [aria-busy="false"]')].length === 1`)
	alice.shot("compose-attached")
	alice.Click("compose-send")

	bob := startBrowser(t, "bob")
	bob.Go(g.URL())
	bob.SignInDemo("bob")
	bob.Open("The file")
	bob.saves(name, data)
	bob.Click("forward")
	bob.Until("the file is taken along", `[...document.querySelectorAll('[aria-label="Attachments"] [aria-busy="false"]')].length === 1`)
	bob.Type("compose-to", "alice@postern.test")
	bob.shot("forward")
	bob.Click("compose-send")

	alice.Open("Fwd: The file")
	alice.saves(name, data)
}

// octets is data that no encoding leaves alone by chance.
func octets(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// saves clicks the attachment with a name and compares the file that reaches Chromium's downloads.
func (b *browser) saves(name string, want []byte) {
	b.t.Helper()
	dir := b.t.TempDir()
	begun := make(chan string, 1)
	done := make(chan struct{}, 1)
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	chromedp.ListenTarget(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *cdpbrowser.EventDownloadWillBegin:
			begun <- ev.SuggestedFilename
		case *cdpbrowser.EventDownloadProgress:
			if ev.State == cdpbrowser.DownloadProgressStateCompleted {
				done <- struct{}{}
			}
		}
	})
	b.run(cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir).WithEventsEnabled(true))
	attachment := fmt.Sprintf(`[...document.querySelectorAll('[data-testid="attachment"]')].find(e => e.dataset.name === %s)`, js(name))
	b.Until("the attachment is there", fmt.Sprintf(`%s?.dataset.size === "%d"`, attachment, len(want)))
	b.Eval(attachment+`.click()`, nil)
	select {
	case got := <-begun:
		if got != name {
			b.t.Errorf("%s: saved as %q, want %q", b.name, got, name)
		}
	case <-ctx.Done():
		b.t.Fatalf("%s: no download began", b.name)
	}
	select {
	case <-done:
	case <-ctx.Done():
		b.t.Fatalf("%s: the download did not end", b.name)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		b.t.Fatalf("%s: downloads hold %q, %v", b.name, files, err)
	}
	got, err := os.ReadFile(files[0])
	if err != nil {
		b.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		b.t.Errorf("%s: %d octets saved, differing from the %d sent", b.name, len(got), len(want))
	}
}
