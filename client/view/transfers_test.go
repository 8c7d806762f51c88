package view_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// The page hands an upload over piece by piece, through a cut, a pause and another engine, and each piece once.
func TestUploadIsFed(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		const text = "the quick brown fox"
		p.act(func() { p.Upload(site, "/home", []view.LocalFile{viewtest.File("fox.txt", text)}) })
		id := p.Transfers.Shown()[0].ID
		equal(t, "all of it", string(p.svc.Fed(id)), text)
		equal(t, "the page is needed", p.Transfers.NeedsPage(), true)
		equal(t, "the tray is open", p.Transfers.Open, true)
		p.svc.Transfer(id, func(x *api.Transfer) { x.State, x.Done = api.TransferDone, x.Size })
		p.pass(time.Second)
		equal(t, "not any more", p.Transfers.NeedsPage(), false)
		equal(t, "said once", strings.TrimSpace(p.Voice.Polite), "fox.txt is on the server")

		release := p.svc.Hold("PutChunk")
		p.act(func() { p.Upload(site, "/home", []view.LocalFile{viewtest.File("wolf.txt", text)}) })
		id = p.Transfers.Shown()[0].ID
		p.act(func() { p.Transfers.Pause(id) })
		release()
		p.pass(time.Second)
		equal(t, "a pause ends it", string(p.svc.Fed(id)), "")
		p.act(func() { p.Transfers.Resume(id) })
		p.pass(time.Second)
		equal(t, "and it goes on", string(p.svc.Fed(id)), text)
	})
}

// A small file is sent along, and not handed over again.
func TestSmallUpload(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		p.svc.TakeSmall()
		p.act(func() { p.Upload(site, "/home", []view.LocalFile{viewtest.File("fox.txt", "the quick brown fox")}) })
		p.pass(time.Second)
		id := p.Transfers.Shown()[0].ID
		equal(t, "all of it", string(p.svc.Fed(id)), "the quick brown fox")
		equal(t, "the page is needed still", p.Transfers.NeedsPage(), true)
	})
}

// Of many transfers the tray draws some: what moves and what failed before what waits.
func TestCrowdedTray(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		add := func(n int, s api.TransferState) {
			for range n {
				p.svc.Transfer(0, func(x *api.Transfer) { x.Site, x.Direction, x.State = site, api.Uploading, s })
			}
		}
		add(2, api.TransferRunning)
		add(1, api.TransferFailed)
		add(47, api.TransferWaiting)
		p.pass(time.Second)
		list, more := p.Transfers.Tray()
		equal(t, "all", len(list), 50)
		equal(t, "what runs is first", list[0].State, api.TransferRunning)
		equal(t, "no more", more, 0)
		add(1950, api.TransferWaiting)
		p.pass(time.Second)
		list, more = p.Transfers.Tray()
		equal(t, "what moves and what failed", len(list), 3)
		equal(t, "more", more, 1997)
		words, _ := p.Transfers.Summary()
		equal(t, "all are counted", words, "1,999 files on the way")
		for _, x := range list {
			if x.State == api.TransferRunning {
				p.svc.Transfer(x.ID, func(x *api.Transfer) { x.State = api.TransferPaused })
			}
		}
		p.pass(time.Second)
		list, more = p.Transfers.Tray()
		equal(t, "nothing moves: as many as may be", len(list), 50)
		equal(t, "more", more, 1950)
		equal(t, "what somebody has to see to comes first", list[2].State, api.TransferPaused)
		equal(t, "the newest of what waits", list[3].ID > list[4].ID && list[3].State == api.TransferWaiting, true)
	})
}

// Another engine, of a tab that took over, does not have the file: the page that holds it says so by itself.
func TestUploadOverAnotherEngine(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		file := viewtest.File("fox.txt", "the quick brown fox")
		p.act(func() { p.Upload(site, "/home", []view.LocalFile{file}) })
		other := viewtest.NewService(map[string]string{alice: "secret"})
		other.SignedIn(alice, "Alice")
		other.Site(api.Site{ID: site, HasPassword: true, Home: "/home"})
		other.Folder(site, "/home")
		id := p.Transfers.Shown()[0].ID
		other.Transfer(id, func(x *api.Transfer) {
			x.Site, x.Direction, x.State, x.Name, x.Size, x.File = site, api.Uploading, api.TransferNeedsFile, "fox.txt", file.Of.Size, &file.Of
		})
		other.OnEvent(p.Receive)
		p.act(func() { p.Attach(other) })
		p.pass(time.Second)
		equal(t, "fed", string(other.Fed(id)), "the quick brown fox")
	})
}

// After the page was left, the file is chosen again; another one is not taken.
func TestUploadNeedsItsFile(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		file := viewtest.File("fox.txt", "the quick brown fox")
		x := p.svc.Transfer(0, func(x *api.Transfer) {
			x.Site, x.Direction, x.State, x.Name, x.Size, x.Done, x.File = site, api.Uploading, api.TransferNeedsFile, "fox.txt", file.Of.Size, 4, &file.Of
		})
		p.pass(time.Second)
		equal(t, "words", p.Transfers.WordsOf(x).Text, "Needs its file again")
		p.act(func() { p.Transfers.Choose(x.ID, viewtest.File("wolf.txt", "x")) })
		equal(t, "another file", p.Toasts.Shown[0].Problem.Code, api.CodeOtherFile)
		p.act(func() { p.Transfers.Choose(x.ID, file) })
		p.pass(time.Second)
		equal(t, "fed", string(p.svc.Fed(x.ID)), "the quick brown fox")

		gone := viewtest.File("gone.txt", "abc")
		gone.Gone = true
		p.act(func() { p.Upload(site, "/home", []view.LocalFile{gone}) })
		p.pass(time.Second)
		last := p.Toasts.Shown[len(p.Toasts.Shown)-1]
		equal(t, "a file that cannot be read", last.Text, "gone.txt cannot be read any more.")
		equal(t, "does not keep the page", p.Transfers.NeedsPage(), true) // of fox.txt, which is not done
		p.svc.Transfer(x.ID, func(x *api.Transfer) { x.State = api.TransferDone })
		equal(t, "then it does not", p.Transfers.NeedsPage(), false)
	})
}

func TestDownloadIsHandedOver(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		p.act(func() { p.Files.OpenFile(2) })
		id := p.Transfers.Shown()[0].ID
		p.svc.Transfer(id, func(x *api.Transfer) {
			x.State, x.Done, x.Device = api.TransferDone, x.Size, "postern/files/7"
		})
		p.pass(time.Second)
		equal(t, "the browser has it", strings.Join(p.Browser.Devices, ","), "postern/files/7 as apple.txt")
		x, _ := p.svc.TransferOf(id)
		equal(t, "and the engine knows", x.Saved, true)
		equal(t, "once", len(p.Browser.Devices), 1)

		p.Browser.NoDevice = true
		p.act(func() { p.Transfers.Save(id) })
		p.pass(time.Second)
		equal(t, "read through the engine where the browser cannot", len(p.Browser.Saved[0].Data), 300)

		y := p.svc.Transfer(0, func(x *api.Transfer) {
			x.Site, x.Direction, x.Name, x.State, x.Device = site, api.Downloading, "other.txt", api.TransferDone, "postern/files/8"
		})
		p.pass(time.Second)
		equal(t, "what another tab began is not handed over here", len(p.Browser.Devices), 2)
		p.act(func() { p.Transfers.Clear(y.ID) })
		equal(t, "cleared", len(p.Transfers.Shown()), 1)
	})
}

// Many downloads are handed over one after the other, slower than the browser begins to drop them.
func TestDownloadsInTurn(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		const many = 30
		var files []api.File
		for range many {
			files = append(files, api.File{Path: "/home/apple.txt", Name: "apple.txt", Kind: api.KindFile, Usable: true})
		}
		p.act(func() { p.Download(site, files) })
		p.pass(time.Second)
		equal(t, "all are begun", len(p.Transfers.Shown()), many)
		for _, x := range p.Transfers.Shown() {
			p.svc.Transfer(x.ID, func(x *api.Transfer) { x.State, x.Done, x.Device = api.TransferDone, x.Size, "postern/files/7" })
		}
		for range 3 {
			before := len(p.Browser.Devices)
			p.pass(time.Second)
			if n := len(p.Browser.Devices) - before; n < 5 || n > 10 {
				t.Errorf("%d in a second", n)
			}
		}
		equal(t, "the page is needed for the others", p.Transfers.NeedsPage(), true)
		p.pass(3 * time.Second)
		equal(t, "all", len(p.Browser.Devices), many)
		equal(t, "not any more", p.Transfers.NeedsPage(), false)
	})
}

// A name that is there already is asked about before anything of the file is sent.
func TestClash(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		p.act(func() {
			p.Upload(site, "/home", viewtest.Files("apple.txt", "new.txt", "avocado.txt", "Banana.txt"))
		})
		name, more := p.Transfers.Clash()
		equal(t, "the first", name, "apple.txt")
		equal(t, "others", more, 2)
		equal(t, "what is new goes", len(p.Transfers.Shown()), 1)
		if p.Key(view.Key{Name: "Delete"}); p.Files.Total != 5 {
			t.Error("a key went past the question")
		}
		p.act(func() { p.Transfers.Settle(api.ExistsReplace, false) })
		equal(t, "replaced", p.Transfers.Shown()[0].Name, "apple.txt")
		p.act(func() { p.Transfers.Settle(api.ExistsAsk, true) })
		name, _ = p.Transfers.Clash()
		equal(t, "all skipped", name, "")
		equal(t, "nothing more was sent", len(p.Transfers.Shown()), 2)
	})
}

func TestTransferWords(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		retry := time.Date(2000, 1, 1, 0, 0, 30, 0, time.UTC)
		for _, c := range []struct {
			x    api.Transfer
			want string
		}{
			{api.Transfer{Direction: api.Downloading, State: api.TransferRunning, Size: 50_000_000, Done: 12_000_000, Rate: 3_000_000}, "12.0 of 50.0 MB, 3.0 MB/s, 12 s left"},
			{api.Transfer{Direction: api.Downloading, State: api.TransferRunning, Size: -1, Done: 400_000, Rate: 1000}, "400 KB, 1 KB/s"},
			{api.Transfer{Direction: api.Uploading, State: api.TransferRunning, Size: 7_200_000_000, Done: 900_000, Rate: 1_000_000}, "900 KB of 7.2 GB, 1.0 MB/s, 1 h 59 min left"},
			{api.Transfer{Direction: api.Uploading, State: api.TransferRunning, Size: 100}, "Beginning…"},
			{api.Transfer{Direction: api.Deleting, State: api.TransferRunning, Size: 40, Done: 12}, "Deleting, 12 so far"},
			{api.Transfer{State: api.TransferWaiting, Size: 100}, "Waits for its turn"},
			{api.Transfer{State: api.TransferWaiting, Size: 100, Done: 50, Problem: &api.Problem{Code: api.CodeServerClosed}, RetryAt: retry}, "The file server hung up, tried again at 00:00:30, 50 of 100 B so far"},
			{api.Transfer{State: api.TransferPaused, Size: 2000, Done: 1000}, "Paused at 1 of 2 KB"},
			{api.Transfer{State: api.TransferFailed, Problem: &api.Problem{Code: api.CodeServerFull, Detail: "552 Quota"}}, "The server is full"},
			{api.Transfer{Direction: api.Downloading, State: api.TransferDone, Size: 1000}, "Downloaded, 1 KB"},
		} {
			equal(t, string(c.x.State), p.Transfers.WordsOf(c.x).Text, c.want)
		}
		equal(t, "what to do", p.Transfers.WordsOf(api.Transfer{State: api.TransferFailed, Problem: &api.Problem{Code: api.CodeServerFull, Detail: "552 Quota"}}).More, "It said: 552 Quota. Delete something there, then try again.")
		p.svc.Tell(api.Event{Gateway: &api.Gateway{State: api.Offline}})
		equal(t, "offline", p.Transfers.WordsOf(api.Transfer{State: api.TransferWaiting}).Text, "Waits for the connection")
	})
}

func TestAttachFromFiles(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(p.Composer.FromFiles)
		equal(t, "at home", names(&p.Picker.Folder), "Music,?? what,apple.txt,avocado.txt,Banana.txt")
		p.act(func() { p.Picker.Press(1) })
		equal(t, "what cannot be used is not chosen", p.Picker.Ready(), false)
		p.act(func() { p.Picker.Press(2); p.Picker.Press(3); p.Picker.Press(3) })
		p.act(p.Picker.Done)
		p.pass(time.Second)
		equal(t, "attached", len(p.Composer.Attachments), 1)
		equal(t, "it is here", p.Composer.Attachments[0].Uploading, false)
		equal(t, "that file", p.svc.Attached()[0].Path, "/home/apple.txt")

		p.svc.Fail("AttachFile", &api.Problem{Code: api.CodeTooLarge, Detail: "25 MB"})
		p.act(func() {
			p.OpenFiles(site, "/home")
			p.AttachToNew(site, []api.File{{Name: "big", Path: "/home/apple.txt", Kind: api.KindFile, Usable: true}})
		})
		p.pass(time.Second)
		equal(t, "too large", p.Composer.Attachments[1].Problem.Code, api.CodeTooLarge)
	})
}

func TestSaveToFiles(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		p.svc.Add(api.Message{Row: api.Row{ID: 77, Folder: api.Inbox, Subject: "Plans"}, Text: "x", Parts: []api.Part{{Index: 2, Name: "apple.txt", Size: 10}}})
		p.act(func() { p.OpenMessage(api.MessageRef{Account: alice, ID: 77}) })
		p.act(func() { p.Reader.SaveToFiles(2) })
		p.act(p.Picker.Done)
		name, _ := p.Transfers.Clash()
		equal(t, "there is one of that name", name, "apple.txt")
		p.act(func() { p.Transfers.Settle(api.ExistsBoth, false) })
		parts := p.svc.SavedParts()
		last := parts[len(parts)-1]
		equal(t, "saved there", string(last.Folder)+" "+string(last.Exists), "/home both")
		equal(t, "that part", last.Part, api.PartRef{MessageRef: api.MessageRef{Account: alice, ID: 77}, Index: 2})
	})
}

// What is too large for mail is put on a server, and the message has the link: above what is quoted and the signature.
func TestUploadInstead(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(func() {
			p.Composer.SetTo("bob@postern.test")
			p.Composer.SetText("Here it is.\n\n-- \nAlice\n")
			p.Composer.TooLarge("film.mp4", "video/mp4", 51_000_000, viewtest.File("film.mp4", "moving pictures"))
		})
		equal(t, "offered", p.Composer.CanLink(p.Composer.Attachments[0]), true)
		p.act(func() { p.Composer.UploadInstead(0) })
		p.act(p.Picker.Done)
		p.pass(time.Second)
		equal(t, "not to be sent yet", p.Composer.Attachments[0].Uploading, true)
		p.act(p.Composer.Send)
		equal(t, "not sent", p.Composer.Open, true)
		id := p.Composer.Attachments[0].Transfer
		p.svc.Transfer(id, func(x *api.Transfer) {
			x.State, x.Size, x.URL = api.TransferDone, 51_000_000, "ftp://ftp.example.org/home/film.mp4"
		})
		p.pass(time.Second)
		equal(t, "no attachment any more", len(p.Composer.Attachments), 0)
		equal(t, "the link", p.Composer.Text, "Here it is.\n\nfilm.mp4 (51.0 MB): ftp://ftp.example.org/home/film.mp4\n\n-- \nAlice\n")

		p.act(func() {
			p.Composer.TooLarge("film.mp4", "video/mp4", 51_000_000, viewtest.File("b.mp4", "moving pictures"))
		})
		p.act(func() { p.Composer.UploadInstead(0) })
		p.act(p.Picker.Done)
		p.pass(time.Second)
		p.act(func() { p.Transfers.Cancel(p.Composer.Attachments[0].Transfer) })
		p.pass(time.Second)
		equal(t, "canceled: it is offered again", p.Composer.CanLink(p.Composer.Attachments[0]), true)
	})
}

// What is attached already, and with which the message is more than its mail server takes, is put on a file server from where it is.
func TestUploadInsteadOfAttachments(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(func() {
			p.Composer.SetTo("bob@postern.test")
			p.Composer.Attach("a.bin", "", make([]byte, 700_000))
			p.Composer.Attach("b.bin", "", make([]byte, 900_000))
		})
		p.pass(time.Second)
		offered := func(when string, want bool) {
			t.Helper()
			for _, x := range p.Composer.Attachments {
				equal(t, when, p.Composer.CanLink(x), want)
			}
		}
		offered("nothing is known of a limit", false)
		limit := func(octets int64) {
			p.svc.Change(func(st *api.Status) { st.Accounts[0].LargestMail = octets })
			p.pass(time.Second)
		}
		limit(1_700_000)
		offered("together they are more", true)
		equal(t, "it is said", p.Composer.SizeNote(), "1.6 MB in all, too much for a mail of at most 1.7 MB")

		p.act(func() { p.Composer.UploadInstead(1) })
		p.act(p.Picker.Done)
		p.pass(time.Second)
		parts := p.svc.SavedParts()
		saved := parts[len(parts)-1]
		equal(t, "what is sent", *saved.Attachment, p.Composer.Attachments[1].DraftAttachment)
		equal(t, "whose", saved.Part.Account, alice)
		equal(t, "the other need not be", p.Composer.CanLink(p.Composer.Attachments[0]), false)
		p.act(func() { p.Transfers.Cancel(p.Composer.Attachments[1].Transfer) })
		p.pass(time.Second)
		offered("canceled: they are attached as before", true)

		p.act(func() { p.Composer.UploadInstead(1) })
		p.act(p.Picker.Done)
		p.pass(time.Second)
		p.svc.Transfer(p.Composer.Attachments[1].Transfer, func(x *api.Transfer) {
			x.State, x.URL = api.TransferDone, "ftp://ftp.example.org/home/b.bin"
		})
		p.pass(time.Second)
		equal(t, "one is left", len(p.Composer.Attachments), 1)
		equal(t, "the link", strings.Contains(p.Composer.Text, "b.bin (900 KB): ftp://ftp.example.org/home/b.bin"), true)
		offered("it fits", false)
		limit(0)
		p.act(func() { p.Composer.Attach("c.bin", "", make([]byte, view.LargestFile-600_000)) })
		p.pass(time.Second)
		offered("together they are more than any mail may be", true)
	})
}

// A file that is canceled in the tray while it is fetched for the message is not in the message.
func TestAttachingCanceled(t *testing.T) {
	cabinet(t, "/inbox", func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.svc.Fail("AttachFile", &api.Problem{Code: api.CodeCanceled})
		p.act(func() {
			p.AttachToNew(site, []api.File{{Path: "/home/a", Name: "a", Kind: api.KindFile, Usable: true}})
		})
		p.pass(time.Second)
		equal(t, "none", len(p.Composer.Attachments), 0)
	})
}

func TestSiteForm(t *testing.T) {
	cabinet(t, "/files/new", func(t *testing.T, p *page) {
		f := &p.SiteForm
		field := func(id string) view.Field {
			for _, s := range f.Sections() {
				for _, x := range s.Fields {
					if x.ID == id {
						return x
					}
				}
			}
			t.Fatalf("no %s", id)
			return view.Field{}
		}
		set := func(id, v string) {
			x := field(id)
			p.act(func() { x.Set(v) })
		}
		p.act(f.Save)
		equal(t, "what is missing", field("site-host").Hint, "Enter the name of the server")
		set("site-host", "ftp://FTP.example.net:2121/pub/")
		set("site-security", string(api.TLS))
		equal(t, "the port follows", *field("site-port").Value, "990")
		set("site-security", string(api.Plain))
		equal(t, "what plain means, in red", field("site-security").Loud && strings.HasPrefix(field("site-security").Hint, "Everybody on the way can read the password"), true)
		set("site-security", string(api.STARTTLS))
		set("site-user", "al")
		p.act(f.Save)
		equal(t, "the password", field("site-password").Hint, "Enter the password")
		equal(t, "the port that was pasted", *field("site-port").Value, "2121")
		set("site-port", "21")
		set("site-password", "secret")

		p.svc.Fail("AddSite", &api.Problem{Code: api.CodeCertificate, Certificate: &api.Certificate{Protocol: api.FTP, Host: "ftp.example.net", Reason: "self-signed", Fingerprint: "ab12"}})
		p.act(f.Save)
		equal(t, "the certificate is asked about", p.Trust.Certificate != nil, true)
		p.svc.Fail("AddSite", nil)
		p.act(p.Trust.Believe)
		p.pass(time.Second)
		r := p.svc.Added()[0]
		equal(t, "added", r.Server, api.Server{Host: "ftp.example.net", Port: 21, Security: api.STARTTLS, User: "al", Pin: "ab12"})
		equal(t, "its files are shown", p.Browser.Location(), "/files/ftp:b/")

		p.act(func() { p.EditServer("ftp:b") })
		equal(t, "the password is kept if nothing else says so", field("site-password").Example, "the one it has")
		set("site-label", "Work")
		p.act(f.Save)
		p.pass(time.Second)
		equal(t, "label", view.SiteLabel(p.Site("ftp:b")), "Work")
		p.act(func() { p.EditServer("ftp:b") })
		set("site-host", "elsewhere.example")
		p.act(f.Save)
		equal(t, "another server has another password", field("site-password").Hint, "Enter the password")
		p.svc.Fail("AddSite", &api.Problem{Code: api.CodeWrongPassword})
		set("site-password", "no")
		p.act(f.Save)
		equal(t, "refused", f.Problem.Code, api.CodeWrongPassword)
		p.act(func() { p.Key(view.Key{Name: "Escape"}) })
		equal(t, "Esc leads back to the files", p.Browser.Location(), "/files/ftp:b/")
	})
}

// The files beside a mail account are a click away, and then they are a site and are not offered any more.
func TestOfferedFiles(t *testing.T) {
	in(t, "/inbox", 3, func(t *testing.T, p *page) {
		p.svc.Change(func(st *api.Status) { st.Accounts[0].Files = true })
		equal(t, "offered", view.OfferLabel(p.Offered()[0]), "Files on postern.test")
		p.svc.Folder("ftp:a", "/", entry("x", 1, 1))
		p.act(func() { p.TakeOffer(alice) })
		p.pass(time.Second)
		equal(t, "by the account", p.svc.Added()[0].Account, alice)
		equal(t, "shown", p.Browser.Location(), "/files/ftp:a/")
		equal(t, "listed", names(&p.Files.Folder), "x")
		equal(t, "not offered any more", len(p.Offered()), 0)
	})
}

// What runs is on top of the tray, however much was added since.
func TestTrayOrder(t *testing.T) {
	cabinet(t, "/files/ftp:a/", func(t *testing.T, p *page) {
		for id, state := range []api.TransferState{api.TransferDone, api.TransferRunning, api.TransferWaiting, api.TransferFailed} {
			p.svc.Tell(api.Event{Transfer: &api.Transfer{ID: api.TransferID(id + 1), Site: site, Direction: api.Downloading, State: state}})
		}
		p.pass(time.Second)
		var got []api.TransferID
		for _, x := range p.Transfers.Shown() {
			got = append(got, x.ID)
		}
		if !slices.Equal(got, []api.TransferID{2, 4, 3, 1}) {
			t.Errorf("%v", got)
		}
	})
}
