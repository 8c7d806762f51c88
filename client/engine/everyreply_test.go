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
		p.byID = map[api.TransferID][]byte{}
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
