package ui

import (
	"fmt"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const siteID = "ftp:a"

// cabinet is the mailbox and two file servers, one of them readable on the way.
func cabinet(s *viewtest.Service) {
	mailbox(s)
	s.Site(api.Site{ID: siteID, Server: api.Server{User: alice}, HasPassword: true, Sealed: true})
	s.Site(api.Site{ID: "ftp:b", Server: api.Server{Host: "ftp.example.org", Port: 21, Security: api.Plain, User: "alice"}, HasPassword: true})
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	file := func(name string, size int64, days int) api.File {
		return api.File{Name: name, Kind: api.KindFile, Size: size, Modified: at.Add(-time.Duration(days) * 25 * time.Hour), Exact: true}
	}
	folder := func(name string, days int) api.File {
		return api.File{Name: name, Kind: api.KindFolder, Size: -1, Modified: at.Add(-time.Duration(days) * 25 * time.Hour)}
	}
	s.Folder(siteID, "/", folder("Pictures", 3), folder("Invoices", 0), file("Contract with the printers, third draft.pdf", 1_240_000, 1), file("press-photo.jpg", 8_400_000, 2),
		file("numbers.csv", 18_200, 9), file("backup-1999.tar.gz", 1_900_000_000, 140), file("talk.mp4", 51_000_000, 400), api.File{Name: "latest", Kind: api.KindLink, Size: -1, Target: "numbers.csv", Modified: at},
		api.File{Name: "-rw-r--r-- 1 ../../etc/passwd", Kind: api.KindUnknown, Size: -1}, file("日本語のファイル名.txt", 312, 0))
	s.Folder(siteID, "/Pictures")
	s.Folder(siteID, "/Invoices", file("1999-12.pdf", 88_000, 5))
	s.Folder("ftp:b", "/", folder("pub", 1))
	deep := api.FilePath("")
	for _, name := range []string{"pub", "releases", "stable", "architecture-independent", "documentation", "translations"} {
		deep += api.FilePath("/" + name)
		s.Folder("ftp:b", deep, file("README", 2_000, 20), file("CHANGES.txt", 120_000, 20))
	}
}

// busy are transfers in each state.
func busy(s *viewtest.Service) {
	cabinet(s)
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, x := range []api.Transfer{
		{Direction: api.Downloading, Name: "numbers.csv", State: api.TransferDone, Size: 18_200, Done: 18_200, Saved: true, Session: 1},
		{Direction: api.Uploading, Name: "Holiday pictures, all of them.zip", State: api.TransferNeedsFile, Size: 480_000_000, Done: 122_000_000, File: &api.LocalFile{Name: "x"}},
		{Direction: api.Uploading, Name: "letter.odt", State: api.TransferFailed, Size: 40_000, Problem: &api.Problem{Code: api.CodeServerFull, Detail: "552 Quota exceeded", Technical: "STOR: 552 Quota exceeded", Session: 1}, Session: 1},
		{Direction: api.Downloading, Name: "backup-1999.tar.gz", State: api.TransferPaused, Size: 1_900_000_000, Done: 700_000_000, Session: 1},
		{Direction: api.Downloading, Name: "press-photo.jpg", State: api.TransferWaiting, Size: 8_400_000, RetryAt: at.Add(time.Minute), Problem: &api.Problem{Code: api.CodeServerClosed}},
		{Direction: api.Downloading, Name: "talk.mp4", State: api.TransferRunning, Size: 51_000_000, Done: 12_000_000, Rate: 3_100_000, Session: 1},
	} {
		s.Transfer(api.TransferID(i+1), func(y *api.Transfer) {
			x.ID, x.Site = y.ID, siteID
			*y = x
		})
	}
}

// fileTalk is what was said to fetch a file from its middle on, and to rename another.
func fileTalk(s *viewtest.Service) {
	cabinet(s)
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Minute)
	c, v, n := api.ClientSays, api.ServerSays, api.Remark
	say := func(who api.Speaker, state, text string, data int) api.WireLine {
		at = at.Add(37 * time.Millisecond)
		return api.WireLine{At: at, Who: who, State: state, Text: text, Data: data}
	}
	s.Say(siteID, api.WireSession{ID: 1, Protocol: api.FTP, Server: "postern.test:2121", Began: at, TLS: "TLS 1.3, TLS_AES_128_GCM_SHA256"},
		say(n, "OPENING", "Connected through the gateway", 0), say(v, "OPENING", "220 Postern", 0), say(c, "OPENING", "AUTH TLS", 0), say(v, "OPENING", "234 Go on", 0), say(c, "OPENING", "PASS ****", 0), say(v, "READY in /", "230 Welcome", 0),
		say(c, "READY in /", "CWD /Pictures", 0), say(v, "READY in /Pictures", "250 Now in /Pictures", 0), say(c, "READY in /Pictures", "EPSV", 0), say(v, "READY in /Pictures", "229 Entering Extended Passive Mode (|||50012|)", 0), say(n, "READY in /Pictures", "Connected to port 50012 through the gateway; TLS 1.3, the control connection's session resumed", 1),
		say(c, "READY in /Pictures at 12000000", "REST 12000000", 0), say(v, "READY in /Pictures at 12000000", "350 Ready", 0), say(c, "TRANSFERRING in /Pictures RETR talk.mp4", "RETR talk.mp4", 0), say(v, "TRANSFERRING in /Pictures RETR talk.mp4", "150 Opening", 0), say(v, "TRANSFERRING in /Pictures RETR talk.mp4", "... 39000000 octets", 1), say(n, "TRANSFERRING in /Pictures RETR talk.mp4", "The server closed it: that is the end of the file", 1), say(v, "READY in /Pictures", "226 Done", 0),
		say(c, "READY in /Pictures", "RNFR a.txt", 0), say(v, "RENAMING in /Pictures from a.txt", "350 And to what?", 0), say(c, "RENAMING in /Pictures from a.txt", "RNTO b.txt", 0), say(v, "READY in /Pictures", "250 Done", 0))
}

// crowd is a folder with 200,000 files.
func crowd(s *viewtest.Service) {
	cabinet(s)
	list := make([]api.File, 200_000)
	for i := range list {
		list[i] = api.File{Name: fmt.Sprintf("photo-%06d.jpg", i), Kind: api.KindFile, Size: int64(i) * 37, Modified: time.Date(1999, 1, 1, 0, i, 0, 0, time.UTC)}
	}
	s.Folder(siteID, "/", list...)
}

var fileScenes = []scene{
	{"files", "/files/" + siteID + "/", cabinet, func(s *screen) {
		s.Do(func() { s.Files.SetCursor(3) })
	}},
	{"files-one", "/files/" + siteID + "/", cabinet, func(s *screen) { s.Do(func() { s.Files.Pick(4) }) }},
	{"files-several", "/files/" + siteID + "/", cabinet, func(s *screen) { s.Do(func() { s.Files.Pick(2); s.Files.Toggle(5, true) }) }},
	{"files-menu", "/files/" + siteID + "/", cabinet, func(s *screen) { s.Do(func() { s.Files.OpenActs(4, 900, 260) }) }},
	{"files-rename", "/files/" + siteID + "/", cabinet, func(s *screen) {
		s.Do(func() { s.Files.Pick(4); s.Files.Rename() })
	}},
	{"files-new-folder", "/files/" + siteID + "/", cabinet, func(s *screen) { s.click("files-new-folder") }},
	{"files-empty", "/files/" + siteID + "/Pictures/", cabinet, nil},
	{"files-drop", "/files/" + siteID + "/", cabinet, func(s *screen) { s.Do(func() { s.Files.Over = true }) }},
	{"files-deep", "/files/ftp:b/pub/releases/stable/architecture-independent/documentation/translations/", cabinet, nil},
	{"files-deep-menu", "/files/ftp:b/pub/releases/stable/architecture-independent/documentation/translations/", cabinet, func(s *screen) { s.Do(func() { s.Menu.Toggle("crumbs") }) }},
	{"files-problem", "/files/" + siteID + "/", func(s *viewtest.Service) {
		cabinet(s)
		s.Fail("ListFiles", &api.Problem{Code: api.CodeNoData, Technical: "LIST: 425 Can't open data connection", Session: 1})
	}, nil},
	{"files-certificate", "/files/" + siteID + "/", func(s *viewtest.Service) {
		cabinet(s)
		s.Fail("ListFiles", &api.Problem{Code: api.CodeCertificate, Certificate: &api.Certificate{Protocol: api.FTP, Host: "ftp.example.org", Reason: "self-signed", Fingerprint: "ab12"}})
	}, nil},
	{"files-crowd", "/files/" + siteID + "/", crowd, nil},
	{"transfers", "/files/" + siteID + "/", busy, func(s *screen) { s.Do(func() { s.Transfers.Open = true }) }},
	{"transfers-line", "/inbox/1", busy, func(s *screen) { s.Do(func() { s.Transfers.Open = false }) }},
	{"transfers-compose", "/inbox/1", busy, func(s *screen) { s.click("compose") }},
	{"site-new", "/files/new", cabinet, nil},
	{"site-plain", "/files/settings?site=ftp:b", cabinet, nil},
	{"site-wrong", "/files/new", cabinet, func(s *screen) {
		s.typeIn("site-host", "ftp.example.org")
		s.typeIn("site-user", "alice")
		s.typeIn("site-password", "x")
		s.svc.Fail("AddSite", &api.Problem{Code: api.CodeWrongPassword, Detail: "alice"})
		s.fire("site-form", "submit", nil)
	}},
	{"picker-attach", "/inbox/2", cabinet, func(s *screen) {
		s.click("compose")
		s.click("attach-from-files")
		s.Do(func() { s.Picker.Press(6) })
	}},
	{"picker-save", "/inbox/2", cabinet, func(s *screen) { s.click("save-to-files") }},
	{"message-files", "/inbox/2", cabinet, nil},
	{"compose-too-large", "/inbox/1", cabinet, func(s *screen) {
		s.click("compose")
		s.Do(func() { s.Composer.TooLarge("talk.mp4", "video/mp4", 51_000_000, viewtest.File("talk.mp4", "x")) })
	}},
	{"clash", "/files/" + siteID + "/", cabinet, func(s *screen) {
		s.Do(func() { s.Upload(siteID, "/", viewtest.Files("numbers.csv", "press-photo.jpg", "talk.mp4")) })
		synctest.Wait()
	}},
	{"files-wire", "/wire?site=" + siteID, fileTalk, nil},
	{"files-offer", "/inbox/1", func(s *viewtest.Service) {
		mailbox(s)
		s.Change(func(st *api.Status) { st.Accounts[0].Files = true })
	}, nil},
	{"accounts-files", "/accounts", cabinet, nil},
}
