package view_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// Who has file servers and no mail account is not kept from them by the form for mail.
func TestFilesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret"})
		svc.Site(api.Site{ID: site, Server: api.Server{Host: "ftp.example.org", Port: 21, Security: api.STARTTLS, User: "al"}, HasPassword: true, Sealed: true, Home: "/"})
		svc.Folder(site, "/", entry("Music", -1, 2), entry("song.ogg", 300, 5))
		svc.Folder(site, "/Music")
		run(t, svc, "/files/ftp:a/", func(t *testing.T, p *page) {
			equal(t, "no form", p.Session.Shown(), false)
			equal(t, "listed", names(&p.Files.Folder), "Music,song.ogg")
			p.act(func() { p.Key(view.Key{Name: "Enter", InList: true}) })
			equal(t, "by keys", p.Browser.Location(), "/files/ftp:a/Music/")
			p.act(func() { p.Navigated("/files/ftp:a/") })
			equal(t, "Back", names(&p.Files.Folder), "Music,song.ogg")
			p.act(func() { p.Files.Pick(1) })
			for _, a := range p.Files.ActList() {
				if a.ID == "file-attach" {
					t.Error("there is no message that a file could be attached to")
				}
			}
			p.act(p.Home)
			equal(t, "the form for mail", p.Session.Shown(), true)
			equal(t, "with the focus", p.Browser.Focused, `[data-testid="signin-email"]`)
			p.act(p.AddServer)
			equal(t, "a file server can be added", p.Session.Shown(), false)
			p.act(func() { p.Key(view.Key{Name: "Escape", Typing: true}) })
			p.pass(time.Second)
			equal(t, "and left alone", p.Session.Shown(), true)

			p.act(func() { p.Session.Email, p.Session.Password = alice, "secret"; p.Session.Submit() })
			p.pass(time.Second)
			equal(t, "signed in", p.Session.Phase, view.SignedIn)
			p.act(func() { p.OpenFiles(site, "") })
			p.act(func() { p.Session.SignOut(false) })
			p.pass(time.Second)
			equal(t, "signing out leads to the form, from the files too", p.Session.Shown(), true)
		})
	})
}

// Nothing that is selected is out of sight, and what the keys do can be undone by one.
func TestFilesByKeys(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		f := &p.Files
		p.act(func() { f.Pick(2); f.SetFilter("ban") })
		p.pass(time.Second)
		equal(t, "let through", names(&f.Folder), "Banana.txt")
		equal(t, "and what is not is not selected", len(f.Selected), 0)
		p.act(func() { p.Key(view.Key{Name: "Escape", Typing: true}) })
		p.pass(time.Second)
		equal(t, "Esc shows all", f.Total, 5)
		p.act(func() { f.SetFilter("zzz") })
		p.pass(time.Second)
		p.act(f.MakeFolder)
		p.pass(time.Second)
		equal(t, "a new folder is seen", f.Total, 5)
		p.act(f.StopEdit)

		p.act(func() { f.MoveTo(2); p.Key(view.Key{Name: "Delete", InList: true}) })
		p.pass(time.Second)
		equal(t, "deleted", f.Total, 4)
		p.act(func() { p.Key(view.Key{Name: "z", Ctrl: true, InList: true}) })
		p.pass(time.Second)
		equal(t, "and back", f.Total, 5)

		p.act(func() { f.Pick(2); f.Move() })
		equal(t, "it is here already", p.Picker.Ready(), false)
		p.act(func() { p.Picker.Press(0) })
		equal(t, "and can go there", p.Picker.Ready(), true)
		p.act(p.Picker.Cancel)

		p.svc.Fail("ListFiles", &api.Problem{Code: api.CodeNoSuchFile, Detail: "No such directory"})
		p.act(func() { p.OpenFiles(site, "/home/Music") })
		p.pass(time.Second)
		equal(t, "what can be done has the focus", p.Browser.Focused, ".cab-acts button")
		equal(t, "the server's words are its own", view.FileWords(f.Problem).Means, "It said: No such directory")
		p.svc.Fail("ListFiles", nil)
		p.act(f.Reload)
		p.pass(time.Second)
		equal(t, "and then the list", p.Browser.Focused, `[data-testid="file-list"] [data-row="0"]`)

		p.Browser.OnePane = true
		p.act(func() { p.OpenFiles(site, "") })
		p.act(func() { f.OpenActs(2, 0, 0) })
		equal(t, "about the one", f.Targets()[0].Name, "apple.txt")
		p.act(f.CloseActs)
		equal(t, "on a phone the next touch is about another", len(f.Selected), 0)
	})
}
