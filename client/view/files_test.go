package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const site = "ftp:a"

func entry(name string, size int64, day int) api.File {
	kind := api.KindFile
	if size < 0 {
		kind = api.KindFolder
	}
	return api.File{Name: name, Kind: kind, Size: size, Modified: time.Date(1999, 12, day, 12, 0, 0, 0, time.UTC)}
}

// cabinet runs fn with a page at a location, signed in as Alice, with a file server.
func cabinet(t *testing.T, location string, fn func(t *testing.T, p *page)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret"})
		svc.SignedIn(alice, "Alice")
		svc.Add(inbox(3)...)
		svc.Site(api.Site{ID: site, Server: api.Server{Host: "ftp.example.org", Port: 21, Security: api.STARTTLS, User: "al"}, HasPassword: true, Sealed: true, Home: "/home"})
		svc.Folder(site, "/", entry("home", -1, 1))
		svc.Folder(site, "/home", entry("Music", -1, 2), entry("apple.txt", 300, 5), entry("Banana.txt", 20, 9), entry("avocado.txt", 1000, 1),
			api.File{Name: "?? what", Kind: api.KindUnknown, Size: -1})
		svc.Folder(site, "/home/Music", entry("song.ogg", 5_000_000, 1))
		run(t, svc, location, fn)
	})
}

func names(f *view.Folder) string {
	var list []string
	for i := range f.Total {
		if x, ok := f.Row(i); ok {
			list = append(list, x.Name)
		}
	}
	return strings.Join(list, ",")
}

func cursorOf(p *page) string {
	x, _ := p.Files.Here()
	return x.Name
}

func chosenOf(p *page) string {
	var list []string
	for _, x := range p.Files.Selected {
		list = append(list, x.Name)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

func TestFileRoutes(t *testing.T) {
	for _, c := range []struct {
		at   string
		want view.Route
	}{
		{"/files/ftp:1f/", view.Route{Page: view.PageFiles, Site: "ftp:1f"}},
		{"/files/ftp:1f//", view.Route{Page: view.PageFiles, Site: "ftp:1f", Path: "/"}},
		{"/files/ftp:1f/pub/v1.2/", view.Route{Page: view.PageFiles, Site: "ftp:1f", Path: "/pub/v1.2"}},
		{"/files/ftp:1f/a%20b%2Bc%25FF/%E6%97%A5/", view.Route{Page: view.PageFiles, Site: "ftp:1f", Path: "/a b+c%FF/日"}},
		{"/files/ftp:1f/~/C:/docs/", view.Route{Page: view.PageFiles, Site: "ftp:1f", Path: "C:/docs"}},
		{"/files/new", view.Route{Page: view.PageSite}},
		{"/files/settings?site=ftp:1f", view.Route{Page: view.PageSite, Site: "ftp:1f"}},
		{"/wire?site=ftp:1f&session=3", view.Route{Page: view.PageWire, Site: "ftp:1f", Session: 3}},
	} {
		c.want.Folder = api.Inbox
		got := view.ParseRoute(c.at)
		equal(t, c.at, got, c.want)
		equal(t, c.at+" written", got.String(), c.at)
	}
	equal(t, "no slash at the end", view.ParseRoute("/files/ftp:1f/pub").Path, "/pub")
}

func TestFilesPane(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		f := &p.Files
		key := func(name string, k view.Key) bool {
			k.Name, k.InList = name, true
			meant := false
			p.act(func() { meant = p.Key(k) })
			return meant
		}
		equal(t, "home", f.Path, "/home")
		equal(t, "sorted by name", names(&f.Folder), "Music,?? what,apple.txt,avocado.txt,Banana.txt")
		equal(t, "title", p.Browser.Title, "home – Postern")
		equal(t, "crumbs", len(f.Crumbs), 2)

		p.act(func() { f.SortBy(api.SortSize) })
		equal(t, "the largest first", names(&f.Folder), "Music,avocado.txt,apple.txt,Banana.txt,?? what")
		p.act(func() { f.SortBy(api.SortSize) })
		equal(t, "the other way round", names(&f.Folder), "Music,?? what,Banana.txt,apple.txt,avocado.txt")
		p.act(func() { f.SortBy(api.SortName) })

		p.act(func() { f.SetFilter("AP") })
		p.pass(time.Second)
		equal(t, "filtered", names(&f.Folder), "apple.txt")
		p.act(func() { p.Key(view.Key{Name: "Escape"}) })
		p.pass(time.Second)
		equal(t, "Esc shows all", f.Total, 5)

		key("a", view.Key{})
		equal(t, "type ahead", cursorOf(p), "apple.txt")
		key("v", view.Key{})
		equal(t, "two letters", cursorOf(p), "avocado.txt")
		p.pass(time.Second)
		key("a", view.Key{})
		equal(t, "the same letter later: the next", cursorOf(p), "apple.txt")
		equal(t, "focus", p.Browser.Focused, `[data-testid="file-list"] [data-row="2"]`)

		key(" ", view.Key{})
		equal(t, "Space selects", chosenOf(p), "apple.txt")
		key("ArrowDown", view.Key{Shift: true})
		key("ArrowDown", view.Key{Shift: true})
		equal(t, "Shift extends", chosenOf(p), "Banana.txt,apple.txt,avocado.txt")
		equal(t, "in words", f.SelectedWords(), "3 selected, 1 KB")
		key("ArrowUp", view.Key{Shift: true})
		equal(t, "and back", chosenOf(p), "apple.txt,avocado.txt")
		key("ArrowUp", view.Key{Ctrl: true})
		equal(t, "Ctrl moves alone", cursorOf(p)+": "+chosenOf(p), "apple.txt: apple.txt,avocado.txt")
		key("a", view.Key{Ctrl: true})
		equal(t, "all that can be used", chosenOf(p), "Banana.txt,Music,apple.txt,avocado.txt")
		key("Escape", view.Key{})
		equal(t, "Esc selects nothing", chosenOf(p), "")

		key("Home", view.Key{})
		key("Enter", view.Key{})
		equal(t, "into the folder", f.Path, "/home/Music")
		equal(t, "address", p.Browser.Location(), "/files/ftp:a/home/Music/")
		key("Backspace", view.Key{})
		equal(t, "up, to where one came from", string(f.Path)+" "+cursorOf(p), "/home Music")
		p.act(p.Browser.Back)
		equal(t, "Back", f.Path, "/home/Music")
		key("ArrowUp", view.Key{Alt: true})
		key("ArrowUp", view.Key{Alt: true})
		equal(t, "to the top", string(f.Path)+" "+cursorOf(p), "/ home")
		equal(t, "and no further", key("Backspace", view.Key{}) && f.Path == "/", true)
		if p.Key(view.Key{Name: "c", InList: true}); p.Composer.Open {
			t.Error("a letter of the mail's was heard in the pane")
		}
	})
}

// A folder with 200,000 files: a few questions, and few rows kept.
func TestFilesWindow(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		list := make([]api.File, 200_000)
		for i := range list {
			list[i] = entry(fmt.Sprintf("photo-%06d.jpg", i), int64(i), 1)
		}
		p.svc.Folder(site, "/home", list...)
		p.act(func() { p.OpenFiles(site, "") })
		equal(t, "total", p.Files.Total, 200_000)
		p.act(func() { p.Files.SetWindow(150_000, 20) })
		x, _ := p.Files.Row(150_010)
		equal(t, "far row", x.Name, "photo-150010.jpg")
		if _, ok := p.Files.Row(10); ok {
			t.Error("far rows are kept")
		}
		release := p.svc.Hold("ListFiles")
		before := len(p.svc.Calls())
		for i := 0; i < 190_000; i += 100 {
			p.Do(func() { p.Files.SetWindow(i, 20) })
		}
		synctest.Wait()
		if n := len(p.svc.Calls()) - before; n > 2 {
			t.Errorf("%d questions at once", n)
		}
		release()
		p.pass(time.Second)
		x, _ = p.Files.Row(189_905)
		equal(t, "where it stopped", x.Name, "photo-189905.jpg")
		p.act(func() { p.Files.MoveTo(199_999) })
		p.pass(time.Second)
		equal(t, "the end", cursorOf(p), "photo-199999.jpg")
		equal(t, "has the focus", p.Browser.Focused, `[data-testid="file-list"] [data-row="199999"]`)
		p.act(p.Files.SelectAll)
		equal(t, "as many as one action takes", len(p.Files.Selected), api.MaxDelete)
	})
}

// What changes on the server changes here, and the cursor stays on its file.
func TestFilesFollow(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		p.act(func() { p.Files.SetCursor(3) })
		equal(t, "cursor", cursorOf(p), "avocado.txt")
		_, err := p.svc.MakeFolder(t.Context(), api.MakeFolder{Site: site, Folder: "/home", Name: "Aaa"})
		if err != nil {
			t.Fatal(err)
		}
		p.pass(time.Second)
		equal(t, "it is there", names(&p.Files.Folder), "Aaa,Music,?? what,apple.txt,avocado.txt,Banana.txt")
		equal(t, "the cursor stayed", cursorOf(p), "avocado.txt")
	})
}

func TestFileNames(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		f := &p.Files
		p.act(func() { f.MakeFolder() })
		for name, want := range map[string]string{" ": "Enter a name", "a/b": "Nothing can be called that: a name has no “/” in it", "..": "Nothing can be called that: a name has no “/” in it"} {
			p.act(func() { f.SetName(name); f.CommitEdit() })
			equal(t, name, f.Edit.Wrong, want)
		}
		p.act(func() { f.SetName("Music"); f.CommitEdit() })
		equal(t, "there is one", f.Edit.Wrong, "That name is taken. “Music” is there already.")
		p.act(func() { f.SetName("Films"); f.CommitEdit() })
		equal(t, "made", names(&f.Folder), "Films,Music,?? what,apple.txt,avocado.txt,Banana.txt")
		equal(t, "the cursor is on it", cursorOf(p), "Films")

		p.act(func() { f.MoveTo(3); f.Rename() })
		equal(t, "begins with the name", f.Edit.Name, "apple.txt")
		p.act(func() { f.SetName("zebra.txt"); f.LeaveEdit() })
		equal(t, "renamed", names(&f.Folder), "Films,Music,?? what,avocado.txt,Banana.txt,zebra.txt")
		equal(t, "the cursor goes with it", cursorOf(p), "zebra.txt")
		p.act(func() { f.Rename(); f.SetName("x") })
		p.act(func() { p.Key(view.Key{Name: "Escape", Typing: true}) })
		equal(t, "Esc leaves it", names(&f.Folder), "Films,Music,?? what,avocado.txt,Banana.txt,zebra.txt")

		p.act(func() { f.MoveTo(2); f.Rename() })
		equal(t, "what cannot be used has no other name", f.Edit.Path, "")
	})
}

func TestDeleteFiles(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		f := &p.Files
		p.act(func() { f.Toggle(2, false); f.Toggle(3, false); f.Delete() })
		p.pass(time.Second)
		equal(t, "gone at once", names(&f.Folder), "Music,?? what,Banana.txt")
		equal(t, "said", p.Toasts.Shown[0].Text, "2 items deleted")
		equal(t, "the next has the focus", cursorOf(p), "Banana.txt")
		equal(t, "nothing in the tray", len(p.Transfers.Shown()), 0)
		p.act(p.UndoLast)
		p.pass(time.Second)
		equal(t, "back", f.Total, 5)

		p.act(func() { f.MoveTo(4); f.Delete() })
		undo := p.Toasts.Shown[0].Do
		p.pass(9 * time.Second)
		equal(t, "the note is gone when it is too late", len(p.Toasts.Shown), 0)
		p.act(undo)
		equal(t, "too late", p.Toasts.Shown[0].Problem.Code, api.CodeTooLate)
	})
}

func TestMoveFiles(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		p.act(func() { p.Files.Pick(2); p.Files.Move() })
		equal(t, "asked", p.Picker.Title, "Move apple.txt")
		p.act(func() { p.Picker.Press(0) })
		equal(t, "in the folder", p.Picker.Path, "/home/Music")
		p.act(p.Picker.Done)
		p.pass(time.Second)
		equal(t, "gone here", names(&p.Files.Folder), "Music,?? what,avocado.txt,Banana.txt")
		p.act(func() { p.OpenFiles(site, "/home/Music") })
		equal(t, "and there", names(&p.Files.Folder), "apple.txt,song.ogg")
	})
}

func TestFilesTrouble(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		p.svc.Fail("ListFiles", &api.Problem{Code: api.CodeGatewayOffline})
		p.act(func() { p.OpenFiles(site, "/home/Music") })
		p.pass(time.Second)
		equal(t, "said", p.Files.Problem.Code, api.CodeGatewayOffline)
		p.svc.Fail("ListFiles", nil)
		p.svc.Tell(api.Event{Gateway: &api.Gateway{State: api.Offline}})
		p.svc.Tell(api.Event{Gateway: &api.Gateway{State: api.Online}})
		p.pass(time.Second)
		equal(t, "asked again when the gateway is back", names(&p.Files.Folder), "song.ogg")

		p.svc.Fail("ListFiles", &api.Problem{Code: api.CodeCertificate, Certificate: &api.Certificate{Protocol: api.FTP, Host: "ftp.example.org", Reason: "self-signed", Fingerprint: "ab12"}})
		p.act(p.Files.Reload)
		p.act(func() { p.LookAt(site, p.Files.Problem.Certificate) })
		p.svc.Fail("ListFiles", nil)
		p.act(p.Trust.Believe)
		equal(t, "listed once it is trusted", p.Files.Problem == nil, true)

		p.act(func() { p.RemoveSite(site, "") })
		p.act(p.Question.Agree)
		p.pass(time.Second)
		equal(t, "the mail is shown when the server is gone", p.Browser.Location(), "/inbox")
		equal(t, "none left", len(p.Sites), 0)
		p.act(func() { p.Navigated("/files/ftp:a/") })
		equal(t, "its address leads to the mail", p.Browser.Location(), "/inbox")
	})
}

// No words about files speak of mail servers.
func TestFileWords(t *testing.T) {
	for _, code := range []api.Code{api.CodeGatewayOffline, api.CodeTargetRefused, api.CodeServerUnreachable, api.CodeServerTimeout, api.CodeServerClosed, api.CodeServerProtocol, api.CodeServerRefused,
		api.CodeWrongPassword, api.CodeCertificate, api.CodePasswordNeeded, api.CodeTooLarge, api.CodeStorage, api.CodeStorageFull, api.CodeBadRequest, api.CodeNoTLS, api.CodeLocked, api.CodeNoSuchFile, api.CodeFileExists,
		api.CodeFileNotAllowed, api.CodeServerFull, api.CodeServerWantsTLS, api.CodeTLSReuse, api.CodeNoData, api.CodeDataElsewhere, api.CodeServerBusy, api.CodeServerCannot, api.CodeTruncated, api.CodeFileChanged,
		api.CodeOtherFile, api.CodeBadName, api.CodeNoSuchTransfer, api.CodeTooLate, api.CodeCanceled, api.CodeInternal} {
		for _, detail := range []string{"", "550 No"} {
			w := view.FileWords(&api.Problem{Code: code, Detail: detail})
			if w.Title == "" || w.Means+w.Do == "" || strings.Contains(w.Title+w.Means, "mail server") || strings.Contains(w.Means, "%s") {
				t.Errorf("%s: %+v", code, w)
			}
			if code != api.CodeInternal && w.Title == "Something broke" {
				t.Errorf("%s has no words", code)
			}
		}
	}
}
