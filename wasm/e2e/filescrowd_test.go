package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// A folder with 40,000 files is listed, scrolled, gone through by keys and sorted; few of its rows are drawn at a time.
func TestFilesCrowd(t *testing.T) {
	const many = 40_000
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.SignInDemo("alice")
	b.OpenOwnFiles()
	b.Click("files-new-folder")
	b.Fill("file-name", "crowd")
	b.Press(enter)
	b.Until("the folder is there", fileRow("crowd")+` !== undefined`)
	dir := ""
	filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "crowd" {
			dir = path
		}
		return nil
	})
	for i := range many {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("photo-%06d.jpg", i)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	at := time.Now()
	took := func(what string) {
		t.Logf("%s: %d ms", what, time.Since(at).Milliseconds())
		at = time.Now()
	}
	b.OpenFile("crowd")
	b.Until("all are listed", fmt.Sprintf(`+%s.dataset.total === %d`, q("file-list"), many))
	took("listed")
	b.Eval(q("file-list")+`.scrollTop = 20000*40`, nil)
	b.Until("the middle", fileRow("photo-020000.jpg")+` !== undefined`)
	took("scrolled to the middle")
	b.Eval(fileRow("photo-020000.jpg")+`.focus()`, nil)
	b.Press(kb.End)
	b.Until("the end has the focus", fileRow(fmt.Sprintf("photo-%06d.jpg", many-1))+` === document.activeElement`)
	took("by End to the last")
	b.Until("few are drawn", `document.querySelectorAll('[data-testid="file-row"]').length < 80`)
	b.Eval(`document.querySelector('[data-testid="files-column"][data-sort=""]').click()`, nil)
	b.Until("the other way round", fileRow(fmt.Sprintf("photo-%06d.jpg", many-1))+`?.dataset.row === "0"`)
	took("sorted")
	var worst float64
	b.Eval(`new Promise(done => { const list = `+q("file-list")+`; let worst = 0, last = performance.now(), n = 0; const step = () => { const now = performance.now(); worst = Math.max(worst, now - last); last = now; list.scrollTop += 400; if (++n < 120) requestAnimationFrame(step); else done(worst) }; requestAnimationFrame(step) })`, &worst)
	t.Logf("the slowest of 120 frames of scrolling: %.0f ms", worst)
	b.shot("files-crowd")
}
