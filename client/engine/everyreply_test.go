package engine

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
)

// At every reply in the course of a download and an upload, in turn, something goes wrong once: both come to their end by themselves, whole,
// and nothing else is left at the server.
func TestEveryReplyOfATransfer(t *testing.T) {
	faults := map[string]mailtest.FTPFault{
		"cut":                   {Cut: true},
		"cut in the reply":      {Reply: "2", Cut: true},
		"done and cut":          {Reply: "250-do", Accept: true, Cut: true},
		"421":                   {Reply: "421 4.3.2 going down\r\n", Cut: true},
		"done and 421":          {Reply: "421 going down\r\n", Accept: true, Cut: true},
		"not now":               {Reply: "450 not now\r\n"},
		"nonsense":              {Reply: "what?\r\n"},
		"silence":               {Stall: true},
		"twice":                 {Reply: "150 once\r\n150 twice\r\n", Accept: true},
		"another code":          {Reply: "299 yes\r\n", Accept: true},
		"a reply without end":   {Reply: "250-and\r\n250-so\r\n", Stall: true},
		"the data broke":        {Reply: "426 broken off\r\n"},
		"done and called cut":   {Reply: "426 broken off\r\n", Accept: true},
		"done and an error":     {Reply: "451 local error\r\n", Accept: true},
		"done and another word": {Reply: "150-well\r\n150 now\r\n", Accept: true},
	}
	for kind, server := range map[string]func(f *mailtest.FTP){
		"complete": func(*mailtest.FTP) {},
		"bare":     func(f *mailtest.FTP) { f.NoMLST, f.NoSize, f.NoMFMT = true, true, true },
		"jealous":  func(f *mailtest.FTP) { f.Jealous = true },
	} {
		replies := 0
		count := func(string, int) *mailtest.FTPFault { replies++; return nil }
		transfersWith(t, server, count)
		if replies < 15 {
			t.Fatalf("%d replies", replies)
		}
		for name, fault := range faults {
			for nth := range replies {
				stages := ""
				n := 0
				ok := t.Run(fmt.Sprint(kind, "/", name, "/", nth), func(t *testing.T) {
					transfersWith(t, server, func(stage string, _ int) *mailtest.FTPFault {
						if n++; n-1 == nth && !(fault.Reply == "299 yes\r\n" && (stage == "USER" || kind == "jealous" && stage == "RNTO")) { // by which it says what is not so
							stages = stage
							return &fault
						}
						return nil
					})
				})
				if !ok {
					t.Errorf("%s at reply %d, to %q", name, nth, stages)
				}
			}
		}
	}
}

// transfersWith fetches and sends a file, and wants both to come to their end.
func transfersWith(t *testing.T, kind func(*mailtest.FTP), fault func(string, int) *mailtest.FTPFault) {
	server := mailtest.NewFTP()
	kind(server)
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		down, up := noise(200_000, 1), noise(300_000, 2)
		w.ftp.Files.Put("/down", down)
		p := w.newPage()
		defer p.close()
		u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", up)}, up)
		if err != nil {
			t.Fatal(err)
		}
		w.until(u.ID, api.TransferDone) // there is one of that name, to be replaced
		w.fault(fault)
		time.Sleep(time.Minute) // the sessions are over
		up = noise(250_000, 3)
		d := w.download("/down")
		d = w.until(d.ID, api.TransferDone, api.TransferFailed)
		if d.State != api.TransferDone || !bytes.Equal(w.read(d.ID), down) {
			t.Fatalf("%+v, %v", d, d.Problem)
		}
		u, err = p.upload(api.UploadFile{Folder: "/", File: localFile("up", up), Exists: api.ExistsReplace}, up)
		if err != nil {
			t.Fatal(err)
		}
		u = w.until(u.ID, api.TransferDone, api.TransferFailed)
		if got, _ := w.ftp.Files.Get("/up"); u.State != api.TransferDone || !bytes.Equal(got, up) {
			t.Fatalf("%+v, %v", u, u.Problem)
		}
		synctest.Wait()
		if names := w.ftp.Files.Names(); len(names) != 2 {
			t.Errorf("at the server are %v", names)
		}
	})
}

// The engine dies at every reply in the course of an upload that replaces a file, and another takes it up: it comes to its end, whole, and
// nothing else is left. At no time is there neither the old file nor the new one under some name.
func TestDeathAtEveryReply(t *testing.T) {
	for _, jealous := range []bool{false, true} {
		for _, done := range []bool{false, true} { // what the reply is to
			for nth, more := 0, true; more; nth++ {
				t.Run(fmt.Sprint(jealous, done, nth), func(t *testing.T) { more = uploadOverDeath(t, jealous, done, nth) })
			}
		}
	}
}

// uploadOverDeath has the engine die at a reply, and answers whether there was one.
func uploadOverDeath(t *testing.T, jealous, done bool, nth int) (died bool) {
	server := mailtest.NewFTP()
	server.Jealous = jealous
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		old, data := noise(1000, 1), noise(300_000, 2)
		w.ftp.Files.Put("/up", old)
		time.Sleep(time.Minute) // the session is over
		stopped := make(chan struct{})
		replies := 0
		w.fault(func(string, int) *mailtest.FTPFault {
			if replies++; replies-1 != nth {
				return nil
			}
			died = true
			go func() {
				w.stop()
				close(stopped)
			}()
			return &mailtest.FTPFault{Accept: done, Cut: true}
		})
		p := w.newPage()
		defer func() { p.close() }()
		file := localFile("up", data)
		u, err := p.upload(api.UploadFile{Folder: "/", File: file, Exists: api.ExistsReplace}, data)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if died {
			<-stopped
			p.close()
			w.restart()
			there := 0
			for _, name := range w.ftp.Files.Names() {
				if got, _ := w.ftp.Files.Get(name); bytes.Equal(got, old) || bytes.Equal(got, data) {
					there++
				}
			}
			if there == 0 {
				t.Fatalf("neither is there: %v", w.ftp.Files.Names())
			}
			old := p
			p = w.newPage()
			p.files = old.files
			if len(w.transferList()) == 1 && w.transfer(u.ID).State == api.TransferNeedsFile {
				if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: u.ID, File: &file}); err != nil {
					t.Fatal(err)
				}
			}
		}
		u = w.until(u.ID, api.TransferDone, api.TransferFailed)
		if got, _ := w.ftp.Files.Get("/up"); u.State != api.TransferDone || !bytes.Equal(got, data) || len(w.ftp.Files.Names()) != 1 {
			t.Errorf("%+v, %v, at the server %v", u, u.Problem, w.ftp.Files.Names())
		}
	})
	return died
}
