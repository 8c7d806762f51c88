package engine

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
)

func TestMakeFolderAndRename(t *testing.T) {
	for _, bare := range []bool{false, true} { // of MLST and SIZE
		server := mailtest.NewFTP()
		server.NoMLST, server.NoSize = bare, bare
		inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
			w.ftp.Files.Put("/pub/a", []byte("a"))
			w.ftp.Files.Put("/pub/b", []byte("b"))
			w.list("/pub")
			asked := len(w.ftp.Dialed())
			f, err := w.MakeFolder(t.Context(), api.MakeFolder{Site: w.site.ID, Folder: "/pub", Name: "größe"})
			if err != nil || f.Path != "/pub/größe" || f.Kind != api.KindFolder || !f.Usable {
				t.Errorf("%+v, %v", f, err)
			}
			if got := strings.Join(namesOf(w.list("/pub")), " "); got != "größe a b" || len(w.ftp.Dialed()) != asked {
				t.Errorf("%s after %d listings", got, len(w.ftp.Dialed())-asked)
			}
			for name, want := range map[string]api.Code{"größe": api.CodeFileExists, "a": api.CodeFileExists, "..": api.CodeBadName, "x/y": api.CodeBadName} {
				if _, err := w.MakeFolder(t.Context(), api.MakeFolder{Site: w.site.ID, Folder: "/pub", Name: name}); code(err) != want {
					t.Errorf("%s: %v", name, err)
				}
			}
			if _, err := w.RenameFile(t.Context(), api.RenameFile{Site: w.site.ID, Path: "/pub/a", Name: "b"}); code(err) != api.CodeFileExists {
				t.Errorf("%v", err)
			}
			if got, _ := w.ftp.Files.Get("/pub/b"); string(got) != "b" {
				t.Errorf("%q", got)
			}
			f, err = w.RenameFile(t.Context(), api.RenameFile{Site: w.site.ID, Path: "/pub/a", Folder: "/pub/größe", Name: "c"})
			if got, _ := w.ftp.Files.Get("/pub/größe/c"); err != nil || string(got) != "a" || f.Path != "/pub/größe/c" || f.Size != 1 {
				t.Errorf("%+v, %v, %q", f, err, got)
			}
			if got := strings.Join(namesOf(w.list("/pub")), " "); got != "größe b" {
				t.Errorf("%s", got)
			}
			if _, err = w.RenameFile(t.Context(), api.RenameFile{Site: w.site.ID, Path: "/pub/größe", Folder: "/"}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(namesOf(w.list("/größe")), " "); got != "c" {
				t.Errorf("%s", got)
			}
			if _, err = w.RenameFile(t.Context(), api.RenameFile{Site: w.site.ID, Path: "/nothing", Name: "x"}); code(err) != api.CodeNoSuchFile {
				t.Errorf("%v", err)
			}
		})
	}
}

func (w *filesWorld) delete(paths ...api.FilePath) api.Transfer {
	w.t.Helper()
	d, err := w.DeleteFiles(w.t.Context(), api.DeleteFiles{Site: w.site.ID, Paths: paths})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func TestDeletion(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		for _, name := range []string{"/a", "/b", "/dir/1", "/dir/2/3", "/dir/2/4/5", "/keep"} {
			w.ftp.Files.Put(name, nil)
		}
		w.list("/")
		d := w.delete("/a", "/dir")
		if d.State != api.TransferWaiting || time.Until(d.Until) != api.UndoTime || d.Count != 2 || d.Direction != api.Deleting {
			t.Errorf("%+v", d)
		}
		if got := strings.Join(namesOf(w.list("/")), " "); got != "b keep" {
			t.Errorf("%s", got)
		}
		time.Sleep(api.UndoTime - time.Second)
		if _, there := w.ftp.Files.Get("/a"); !there {
			t.Error("it is gone already")
		}
		if err := w.UndoDelete(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(namesOf(w.list("/")), " "); got != "dir a b keep" || len(w.transferList()) != 0 {
			t.Errorf("%s, %v", got, w.transferList())
		}
		time.Sleep(time.Minute)
		if _, there := w.ftp.Files.Get("/dir/2/4/5"); !there {
			t.Error("it is gone all the same")
		}
		d = w.delete("/a", "/dir", "/a")
		time.Sleep(api.UndoTime + time.Second)
		synctest.Wait()
		if err := w.UndoDelete(t.Context(), d.ID); code(err) != api.CodeNoSuchTransfer {
			t.Errorf("%v", err)
		}
		p, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/", Fresh: true})
		if got := strings.Join(namesOf(p), " "); err != nil || got != "b keep" || len(w.transferList()) != 0 {
			t.Errorf("%s, %v, %+v", got, err, w.transferList())
		}
		gone := slices.ContainsFunc(w.seen.all(), func(e api.Event) bool { return e.TransferGone == d.ID })
		if !gone {
			t.Error("nobody was told that it is over")
		}
		// An engine that dies meanwhile has deleted nothing.
		w.delete("/b")
		w.restart()
		time.Sleep(time.Minute)
		if got := strings.Join(namesOf(w.list("/")), " "); got != "b keep" {
			t.Errorf("%s", got)
		}
		for _, bad := range []api.FilePath{"/", "", "/a/..", "/a%0A"} {
			if _, err := w.DeleteFiles(t.Context(), api.DeleteFiles{Site: w.site.ID, Paths: []api.FilePath{bad}}); code(err) != api.CodeBadRequest {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// What the server refuses to delete is seen again, and the rest is gone.
func TestDeletionThatIsRefused(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/a", nil)
		w.ftp.Files.Put("/b", nil)
		w.fault(func(stage string, nth int) *mailtest.FTPFault {
			if (stage == "DELE" || stage == "RMD") && nth == 1 {
				return &mailtest.FTPFault{Reply: "550 permission denied\r\n"}
			}
			return nil
		})
		w.list("/")
		d := w.until(w.delete("/a", "/b").ID, api.TransferFailed)
		if problemCode(d.Problem) != api.CodeFileNotAllowed || d.Problem.Detail != "permission denied" {
			t.Errorf("%+v", d.Problem)
		}
		if got := strings.Join(namesOf(w.list("/")), " "); got != "a" {
			t.Errorf("%s", got)
		}
		w.fault(nil)
		if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: d.ID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := strings.Join(namesOf(w.list("/")), " "); got != "" || len(w.transferList()) != 0 {
			t.Errorf("%s, %+v", got, w.transferList())
		}
		// Without the gateway it waits, and can be taken back.
		w.ftp.Files.Put("/c", nil)
		w.gateway.setTo(tunnel.Offline, errCut)
		d = w.delete("/c")
		time.Sleep(time.Minute)
		if err := w.UndoDelete(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
		w.gateway.set(tunnel.Online)
		time.Sleep(time.Minute)
		if _, there := w.ftp.Files.Get("/c"); !there {
			t.Error("it is gone")
		}
	})
}

func TestAttachAndSave(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		a := w.signIn(alice)
		data := noise(5<<20, 1)
		w.ftp.Files.Put("/report.pdf", data)
		w.cutAfter(3<<20, 2*time.Second) // and somebody waits
		at, err := w.AttachFile(t.Context(), api.AttachFile{FileRef: api.FileRef{Site: w.site.ID, Path: "/report.pdf"}, Account: a.ID})
		if err != nil || at.Name != "report.pdf" || at.Size != int64(len(data)) {
			t.Fatalf("%+v, %v", at, err)
		}
		time.Sleep(time.Minute)
		d, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, To: to(bob), Subject: "the report", Attachments: []api.DraftAttachment{at}})
		if err != nil {
			t.Fatal(err)
		}
		part := api.PartRef{MessageRef: api.MessageRef{Account: a.ID, ID: d.ID}}
		if _, got, err := w.Attachment(t.Context(), part); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("another file, %v", err)
		}
		if _, err := w.SavePart(t.Context(), api.SavePart{Part: part, Site: w.site.ID, Folder: "/"}); code(err) != api.CodeFileExists {
			t.Errorf("%v", err)
		}
		w.cutAfter(2<<20, time.Minute)
		s, err := w.SavePart(t.Context(), api.SavePart{Part: part, Site: w.site.ID, Folder: "/", Exists: api.ExistsBoth})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.restart() // what it is sent from is in the store
		time.Sleep(time.Minute)
		w.gateway.set(tunnel.Online)
		if s = w.until(s.ID, api.TransferDone, api.TransferFailed); s.State != api.TransferDone || s.Path != "/report (2).pdf" {
			t.Fatalf("%+v, %v", s, s.Problem)
		}
		if got, _ := w.ftp.Files.Get("/report (2).pdf"); !bytes.Equal(got, data) {
			t.Error("the server has another file")
		}
		w.ftp.Files.Put("/huge", make([]byte, 26<<20))
		big := api.AttachFile{FileRef: api.FileRef{Site: w.site.ID, Path: "/huge"}, Account: a.ID}
		moved := w.moved(func() {
			if _, err := w.AttachFile(t.Context(), big); code(err) != api.CodeTooLarge {
				t.Errorf("%v", err)
			}
		})
		if moved != 0 {
			t.Errorf("%d octets were fetched", moved)
		}
		big.Path = "/none"
		if _, err := w.AttachFile(t.Context(), big); code(err) != api.CodeNoSuchFile {
			t.Errorf("%v", err)
		}
	})
}

// A server with folders in folders without end is not followed for ever, and what was hidden is seen again.
func TestDeletionOfABottomlessFolder(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put(strings.Repeat("/d", deepest+20)+"/f", nil)
		w.ftp.Files.Put("/e"+strings.Repeat("/d", deepest-20)+"/f", nil)
		w.list("/")
		d := w.until(w.delete("/d").ID, api.TransferFailed)
		if problemCode(d.Problem) != api.CodeServerProtocol {
			t.Errorf("%+v", d.Problem)
		}
		e := w.delete("/e")
		time.Sleep(api.UndoTime + time.Second)
		synctest.Wait()
		if got := strings.Join(namesOf(w.list("/")), " "); got != "d" {
			t.Errorf("%s, %+v", got, w.transferList())
		}
		if err := w.ClearTransfers(t.Context(), []api.TransferID{d.ID, e.ID}); err != nil || len(w.transferList()) != 0 {
			t.Errorf("%v, %+v", err, w.transferList())
		}
	})
}

// What a server puts into names has an end: in a folder that is shown, and in one that is deleted.
func TestEndlessNames(t *testing.T) {
	server := mailtest.NewFTP()
	name := strings.Repeat("n", 7000)
	server.Listing = func(w io.Writer, _ bool) {
		for i := range 5000 {
			if _, err := fmt.Fprintf(w, "type=file; %d%s\r\n", i, name); err != nil {
				return
			}
		}
	}
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		w.limits.Names = 1 << 20
		w.restart()
		p := w.list("/")
		if !p.Cut || p.Total != 1<<20/7000-1 && p.Total != 1<<20/7000 {
			t.Errorf("%d entries, cut %v", p.Total, p.Cut)
		}
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			switch stage {
			case "RMD":
				return &mailtest.FTPFault{Reply: "550 not empty\r\n"}
			case "DELE":
				return &mailtest.FTPFault{Reply: "550 is a directory\r\n"}
			}
			return nil
		})
		w.ftp.Files.Put("/dir/file", nil)
		if d := w.until(w.delete("/dir").ID, api.TransferFailed); problemCode(d.Problem) != api.CodeServerProtocol {
			t.Errorf("%+v", d.Problem)
		}
	})
}
