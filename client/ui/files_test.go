package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// What tests from outside rely on in the files.
func TestFileHooks(t *testing.T) {
	for _, c := range []struct {
		name, at string
		setup    func(*viewtest.Service)
		do       func(*screen)
		want     map[string]string // hook → role; "" any
	}{
		{"folder", "/files/" + siteID + "/", cabinet, nil, map[string]string{"files-nav": "region", "site-row": "link", "site-add": "link", "files-pane": "region", "file-list": "rowgroup", "file-row": "row", "file-more": "button",
			"files-upload": "", "files-new-folder": "button", "files-refresh": "button", "files-filter": "searchbox", "files-sort": "combobox", "files-column": "button", "crumb": "link", "files-more": "button"}},
		{"plain text", "/files/ftp:b/", cabinet, nil, map[string]string{"site-seal": "", "files-pane": "region"}},
		{"new folder", "/files/" + siteID + "/", cabinet, func(s *screen) { s.click("files-new-folder") }, map[string]string{"file-new": "form", "file-name": "textbox", "file-name-save": "button"}},
		{"menu", "/files/" + siteID + "/", cabinet, func(s *screen) { s.Do(func() { s.Files.OpenActs(4, 1, 1) }) }, map[string]string{"file-menu": "menu", "file-download": "menuitem", "file-attach": "menuitem", "file-rename": "menuitem", "file-move": "menuitem", "file-copy-path": "menuitem", "file-delete": "menuitem"}},
		{"several", "/files/" + siteID + "/", cabinet, func(s *screen) { s.Do(func() { s.Files.Pick(4); s.Files.Toggle(6, true) }) }, map[string]string{"files-chosen": "toolbar", "file-download-chosen": "button", "file-delete-chosen": "button"}},
		{"offer", "/inbox", func(s *viewtest.Service) {
			mailbox(s)
			s.Change(func(st *api.Status) { st.Accounts[0].Files = true })
		}, nil, map[string]string{"site-offer": "button"}},
		{"transfers", "/inbox", busy, func(s *screen) { s.Do(func() { s.Transfers.Open = true }) }, map[string]string{"transfers": "", "transfers-toggle": "button", "transfers-clear": "button", "transfer": "", "transfer-pause": "button", "transfer-resume": "button",
			"transfer-cancel": "button", "transfer-clear": "button", "transfer-said": "button", "transfer-choose": "", "transfer-save": "button"}},
		{"form", "/files/new", cabinet, nil, map[string]string{"site-form": "form", "site-host": "textbox", "site-security": "combobox", "site-port": "textbox", "site-user": "textbox", "site-password": "", "site-keep": "checkbox", "site-save": "button"}},
		{"composer", "/inbox", cabinet, func(s *screen) { s.click("compose") }, map[string]string{"attach-from-files": "button"}},
		{"picker", "/inbox", cabinet, func(s *screen) { s.click("compose"); s.click("attach-from-files") }, map[string]string{"picker": "dialog", "picker-list": "listbox", "picker-row": "option", "picker-site": "combobox", "picker-done": "button", "picker-cancel": "button"}},
		{"too large", "/inbox", cabinet, func(s *screen) {
			s.click("compose")
			s.Do(func() { s.Composer.TooLarge("talk.mp4", "video/mp4", 51_000_000, viewtest.File("talk.mp4", "x")) })
		}, map[string]string{"upload-instead": "button"}},
		{"attachment", "/inbox/2", cabinet, nil, map[string]string{"save-to-files": "button"}},
		{"wire", "/wire?site=" + siteID, fileTalk, nil, map[string]string{"wire-view": "region", "wire-server-state": "", "wire-line": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			show(t, c.at, c.setup, func(t *testing.T, s *screen) {
				if c.do != nil {
					c.do(s)
				}
				doc := s.draw()
				for id, want := range c.want {
					n := s.hook(doc, id)
					if got := role(n); want != "" && got != want {
						t.Errorf("%s: role %q, want %q", id, got, want)
					}
				}
				everyControlHasAName(t, doc)
			})
		})
	}
}

// The grid: one row is a stop of the Tab key, the columns say how it is sorted, a row what it is.
func TestFileGrid(t *testing.T) {
	show(t, "/files/"+siteID+"/", cabinet, func(t *testing.T, s *screen) {
		s.Do(func() { s.Files.MoveTo(4) })
		doc := s.draw()
		rows := hooks(doc, "file-row")
		stops := 0
		for _, r := range rows {
			if attr(r, "tabindex") == "0" {
				stops++
				equal(t, "the cursor's", attr(r, "data-name"), "Contract with the printers, third draft.pdf")
				equal(t, "what is said", attr(r, "aria-label"), "Contract with the printers, third draft.pdf, file, 1.2 MB, modified Thursday")
				equal(t, "where", attr(r, "aria-rowindex"), "6")
			}
		}
		equal(t, "stops", stops, 1)
		equal(t, "kind", attr(rows[0], "data-kind"), "folder")
		s.fire("files-column", "click", nil)
		var ways []string
		for _, h := range all(s.draw(), func(n *html.Node) bool { return attr(n, "role") == "columnheader" }) {
			ways = append(ways, attr(h, "aria-sort"))
		}
		equal(t, "sorted", strings.Join(ways, ","), "descending,none,none")
	})
}

// Of 200,000 rows some forty are drawn.
func TestFileRowsDrawn(t *testing.T) {
	show(t, "/files/"+siteID+"/", crowd, func(t *testing.T, s *screen) {
		s.Do(func() { s.Files.SetWindow(100_000, 20) })
		synctest.Wait()
		n := len(hooks(s.draw(), "file-row"))
		if n < 20 || n > 60 {
			t.Errorf("%d rows are drawn", n)
		}
	})
}

// The markup of the pieces, to be read when it changes: go test -update writes it anew.
func TestFileMarkup(t *testing.T) {
	for _, c := range []struct {
		name, hook, at string
		setup          func(*viewtest.Service)
		do             func(*screen)
	}{
		{"file-row", "file-row", "/files/" + siteID + "/", cabinet, nil},
		{"file-new", "file-new", "/files/" + siteID + "/", cabinet, func(s *screen) { s.click("files-new-folder") }},
		{"files-nav", "files-nav", "/inbox", cabinet, nil},
		{"transfer", "transfer", "/inbox", busy, func(s *screen) { s.Do(func() { s.Transfers.Open = true }) }},
		{"clash", "clash", "/files/" + siteID + "/", cabinet, func(s *screen) {
			s.Do(func() { s.Upload(siteID, "/", viewtest.Files("numbers.csv")) })
		}},
		{"wire-held", "wire-server-state", "/wire?site=" + siteID, fileTalk, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			show(t, c.at, c.setup, func(t *testing.T, s *screen) {
				if c.do != nil {
					c.do(s)
				}
				s.Do(func() {})
				synctest.Wait()
				var b strings.Builder
				html.Render(&b, s.hook(s.draw(), c.hook))
				got := strings.ReplaceAll(b.String(), "><", ">\n<") + "\n"
				path := filepath.Join("testdata", c.name+".html")
				if *update {
					os.WriteFile(path, []byte(got), 0o644)
				}
				equal(t, c.name, got, read(t, path))
			})
		})
	}
}
