package engine

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

func TestDownload(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(3<<20+17, 1)
		w.ftp.Files.Put("/pub/big", data)
		w.ftp.Files.Put("/pub/empty", nil)
		d := w.until(w.download("/pub/big").ID, api.TransferDone)
		if d.Done != int64(len(data)) || d.Size != d.Done || d.Name != "big" || d.Folder != "/pub" || d.Session == 0 || d.Anew {
			t.Errorf("%+v", d)
		}
		if !bytes.Equal(w.read(d.ID), data) {
			t.Error("it is another file")
		}
		empty := w.until(w.download("/pub/empty").ID, api.TransferDone)
		if len(w.read(empty.ID)) != 0 {
			t.Error("there is something in it")
		}
		if err := w.TakenOver(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(takenFor + time.Second)
		if l := w.transferList(); len(l) != 1 || l[0].ID != empty.ID {
			t.Errorf("transfers %+v", l)
		}
		w.restart()
		if len(w.read(empty.ID)) != 0 {
			t.Error("there is something in it")
		}
		failed := w.until(w.download("/pub/nothing").ID, api.TransferFailed)
		if err := w.ClearTransfers(t.Context(), nil); err != nil || len(w.transferList()) != 1 || w.transferList()[0].ID != failed.ID {
			t.Errorf("what has failed stays while there is something that is done: %v, %+v", err, w.transferList())
		}
		if err := w.ClearTransfers(t.Context(), nil); err != nil || len(w.transferList()) != 0 {
			t.Errorf("%v, %+v", err, w.transferList())
		}
	})
}

// 50 MB down, cut in the middle: it goes on by itself from what is safe, and is what it was.
func TestDownloadOverACut(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(50<<20, 2)
		w.ftp.Files.Put("/big", data)
		w.cutAfter(27<<20, time.Minute)
		d := w.download("/big")
		w.until(d.ID, api.TransferWaiting)
		time.Sleep(2 * time.Second)
		waiting := w.transfer(d.ID)
		if waiting.State != api.TransferWaiting || waiting.Done < 26<<20 || problemCode(waiting.Problem) != api.CodeGatewayOffline {
			t.Errorf("after the cut: %+v, %v", waiting, waiting.Problem)
		}
		moved := w.moved(func() { d = w.until(d.ID, api.TransferDone, api.TransferFailed) })
		if d.State != api.TransferDone || d.Anew || !bytes.Equal(w.read(d.ID), data) {
			t.Fatalf("%+v, %v", d, d.Problem)
		}
		if moved > 25<<20 {
			t.Errorf("%d octets came after the cut", moved)
		}
	})
}

// 50 MB up, cut in the middle.
// moved is how many octets go through data connections while fn runs.
func (w *filesWorld) moved(fn func()) int64 {
	const all = 1 << 50
	w.gateway.data.after(all, func() {})
	fn()
	w.gateway.data.mu.Lock()
	defer w.gateway.data.mu.Unlock()
	return all - w.gateway.data.budget
}

func TestPauseAndResume(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(20<<20, 4)
		w.ftp.Files.Put("/down", data)
		p := w.newPage()
		defer p.close()
		for _, begin := range []func() api.Transfer{
			func() api.Transfer { return w.download("/down") },
			func() api.Transfer {
				u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", data)}, data)
				if err != nil {
					t.Fatal(err)
				}
				return u
			},
		} {
			begun, paused := make(chan api.TransferID, 1), make(chan struct{})
			w.gateway.data.holdAfter(9<<20, func() {
				defer close(paused)
				if err := w.PauseTransfer(t.Context(), <-begun); err != nil {
					t.Error(err)
				}
			})
			id := begin().ID
			begun <- id
			<-paused
			time.Sleep(10 * time.Second)
			x := w.transfer(id)
			if x.State != api.TransferPaused || x.Problem != nil || x.Done < 8<<20 || x.Done > 19<<20 {
				t.Fatalf("%+v, %v", x, x.Problem)
			}
			x0 := x
			moved := w.moved(func() {
				if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: id}); err != nil {
					t.Fatal(err)
				}
				x = w.until(id, api.TransferDone, api.TransferFailed)
			})
			if x.State != api.TransferDone || x.Anew || moved > 20<<20-x0.Done+1<<20 {
				t.Fatalf("%+v, %v, after %d octets", x, x.Problem, moved)
			}
			if x.Direction == api.Downloading && !bytes.Equal(w.read(id), data) {
				t.Error("another file")
			}
			if err := w.PauseTransfer(t.Context(), id); err != nil || w.transfer(id).State != api.TransferDone {
				t.Errorf("%v, %+v", err, w.transfer(id))
			}
		}
		if got, _ := w.ftp.Files.Get("/up"); !bytes.Equal(got, data) {
			t.Error("the server has another file")
		}
	})
}

func TestCancel(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(20<<20, 5)
		w.ftp.Files.Put("/down", data)
		p := w.newPage()
		defer p.close()
		w.cutAfter(5<<20, time.Minute)
		d := w.download("/down")
		time.Sleep(time.Second)
		if w.transfer(d.ID).Done < 4<<20 {
			t.Errorf("%+v", w.transfer(d.ID))
		}
		if err := w.CancelTransfer(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		begun, canceled := make(chan api.TransferID, 1), make(chan struct{})
		w.gateway.data.holdAfter(5<<20, func() {
			defer close(canceled)
			if err := w.CancelTransfer(t.Context(), <-begun); err != nil {
				t.Error(err)
			}
		})
		u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", data)}, data)
		if err != nil {
			t.Fatal(err)
		}
		begun <- u.ID
		<-canceled
		time.Sleep(time.Minute)
		if l, files := w.transferList(), namesOf(w.list("/")); len(l) != 0 || len(files) != 1 {
			t.Errorf("%+v, and at the server %v", l, files)
		}
		w.wantClean()
		if err := w.CancelTransfer(t.Context(), u.ID); code(err) != api.CodeNoSuchTransfer {
			t.Errorf("%v", err)
		}
	})
}

// The page with the file goes, and comes again; then another engine does.
// A page that is silent for too long is as good as gone; pieces that are not wanted are dropped.
// A file that is another one when the download goes on is fetched from the start, and that is said.
func TestDownloadOfAFileThatChanges(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(20<<20, 9)
		w.ftp.Files.Put("/down", data)
		w.cutAfter(9<<20, time.Minute)
		d := w.download("/down")
		time.Sleep(time.Second)
		changed := noise(21<<20, 10)
		w.ftp.Files.Put("/down", changed)
		d = w.until(d.ID, api.TransferDone)
		if !d.Anew || !bytes.Equal(w.read(d.ID), changed) {
			t.Errorf("%+v", d)
		}
		// One that the server no longer has.
		w.cutAfter(9<<20, time.Minute)
		d = w.download("/down")
		time.Sleep(time.Second)
		w.delete("/down")
		if d = w.until(d.ID, api.TransferDone, api.TransferFailed); d.State != api.TransferDone && problemCode(d.Problem) != api.CodeNoSuchFile {
			t.Errorf("%+v, %v", d, d.Problem)
		}
	})
}

// The device has no room: that is said, and what came does not take the room of the mail.
func TestDownloadWithoutRoom(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(5<<20, 11)
		w.ftp.Files.Put("/down", data)
		w.fs.SetRoom(2 << 20)
		d := w.until(w.download("/down").ID, api.TransferFailed)
		if problemCode(d.Problem) != api.CodeStorageFull || d.Done != 0 {
			t.Errorf("%+v, %v", d, d.Problem)
		}
		w.fs.SetRoom(-1)
		if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: d.ID}); err != nil {
			t.Fatal(err)
		}
		if d = w.until(d.ID, api.TransferDone); !bytes.Equal(w.read(d.ID), data) || d.Anew {
			t.Errorf("%+v", d)
		}
		w.room = func(context.Context) (int64, bool) { return leftForMail + 4<<20, true }
		w.restart()
		moved := w.moved(func() { d = w.until(w.download("/down").ID, api.TransferFailed) })
		if problemCode(d.Problem) != api.CodeStorageFull || moved != 0 {
			t.Errorf("%+v, %v, after %d octets", d, d.Problem, moved)
		}
	})
}

// At most two of a site run, and nobody is told of progress more than twice a second.
func TestTwoAtATime(t *testing.T) {
	server := mailtest.NewFTP()
	server.DataFaults = &mailtest.Faults{Packet: 16 << 10}
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/down", noise(1<<20, 12))
		var ids []api.TransferID
		w.gateway.data.gate = make(chan struct{})
		for range 6 {
			ids = append(ids, w.download("/down").ID)
		}
		synctest.Wait()
		states := map[api.TransferState]int{}
		for _, x := range w.transferList() {
			states[x.State]++
		}
		if states[api.TransferRunning] != mostRunning || states[api.TransferWaiting] != 4 {
			t.Errorf("%v", states)
		}
		close(w.gateway.data.gate)
		for _, id := range ids {
			w.until(id, api.TransferDone)
		}
		last := map[api.TransferID]int{}
		for _, e := range w.seen.all() {
			if e.Transfer != nil && e.Transfer.State == api.TransferRunning {
				last[e.Transfer.ID]++
			}
		}
		for id, n := range last {
			if n > 2 { // it began, and time stands still
				t.Errorf("transfer %d was told of %d times", id, n)
			}
		}
		if n := w.gateway.streams(wire.FTP); n > mostRunning {
			t.Errorf("%d sessions", n)
		}
	})
}

// What the server says of an upload is checked, and the name is given once.
// A file that grows while it is fetched is fetched again, and one that never ends growing is given up.
func TestDownloadOfAFileThatGrows(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/down", noise(1000, 14))
		var lies atomic.Int64
		lies.Store(1)
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			if stage != "MLST" || lies.Add(-1) < 0 {
				return nil
			}
			return &mailtest.FTPFault{Reply: "250-listing\r\n type=file;size=10;modify=20240229123456; /down\r\n250 end\r\n"}
		})
		d := w.until(w.download("/down").ID, api.TransferDone)
		if !d.Anew || len(w.read(d.ID)) != 1000 || d.Size != 1000 {
			t.Errorf("%+v", d)
		}
		// A server that says little and sends much: no more is taken than it said.
		w.ftp.Files.Put("/down", noise(20<<20, 14))
		lies.Store(1 << 30)
		if moved := w.moved(func() { w.until(w.download("/down").ID, api.TransferFailed) }); moved > 2<<20 {
			t.Errorf("%d octets were taken", moved)
		}
		d = w.until(w.download("/down").ID, api.TransferFailed)
		if problemCode(d.Problem) != api.CodeFileChanged {
			t.Errorf("%+v", d.Problem)
		}
	})
}

// A server that tells neither sizes nor what is at a path: everything is slower, and nothing is lost.

// A server that takes REST and begins at the first octet all the same: the file is whole in the end, and was begun again.
func TestServerDoesNotHeedREST(t *testing.T) {
	server := mailtest.NewFTP()
	server.Heedless = true
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		data := noise(20<<20, 15)
		w.ftp.Files.Put("/down", data)
		p := w.newPage()
		defer p.close()
		w.cutAfter(9<<20, time.Minute)
		d := w.download("/down")
		time.Sleep(time.Second)
		// The second cut comes where the octets that are here and those that come would make the size that is wanted.
		w.gateway.data.after(0, nil)
		left := int64(len(data)) - w.transfer(d.ID).Done
		time.Sleep(58 * time.Second)
		w.gateway.data.holdAfter(left, w.gateway.severData)
		d = w.until(d.ID, api.TransferDone, api.TransferFailed)
		if d.State != api.TransferDone || !d.Anew || !bytes.Equal(w.read(d.ID), data) {
			t.Errorf("%+v, %v", d, d.Problem)
		}
		w.cutAfter(9<<20, 5*time.Second)
		d = w.download("/down")
		for range mostHurried + 1 { // and it comes to its end over a bad line
			w.until(d.ID, api.TransferWaiting, api.TransferFailed)
			w.cutAfter(9<<20, 5*time.Second)
			time.Sleep(6 * time.Second)
		}
		w.gateway.data.after(0, nil)
		if d = w.until(d.ID, api.TransferDone, api.TransferFailed); d.State != api.TransferDone || !bytes.Equal(w.read(d.ID), data) {
			t.Errorf("%+v, %v", d, d.Problem)
		}
		w.cutAfter(9<<20, time.Minute)
		u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", data)}, data)
		if err != nil {
			t.Fatal(err)
		}
		u = w.until(u.ID, api.TransferDone, api.TransferFailed)
		if got, _ := w.ftp.Files.Get("/up"); u.State != api.TransferDone || !u.Anew || !bytes.Equal(got, data) {
			t.Errorf("%+v, %v", u, u.Problem)
		}
	})
}

// A server that tells neither size nor time has a file replaced between a cut and what follows: two versions are not mixed.
func TestAnotherFileOfThatSize(t *testing.T) {
	for _, noSize := range []bool{true, false} {
		server := mailtest.NewFTP()
		server.NoMLST, server.NoSize = true, noSize
		inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
			w.ftp.Files.Put("/down", noise(20<<20, 16))
			w.cutAfter(9<<20, time.Minute)
			d := w.download("/down")
			time.Sleep(time.Second)
			changed := noise(20<<20, 17) // of the same time, too
			w.ftp.Files.Put("/down", changed)
			d = w.until(d.ID, api.TransferDone, api.TransferFailed)
			if d.State != api.TransferDone || !d.Anew || !bytes.Equal(w.read(d.ID), changed) {
				t.Errorf("%+v, %v", d, d.Problem)
			}
		})
	}
}

// A file of which nobody knows the size, and the room on the device comes to its end: the mail's room is left.
func TestDownloadWithoutSizeOrRoom(t *testing.T) {
	server := mailtest.NewFTP()
	server.NoMLST, server.NoSize = true, true
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/down", noise(40<<20, 18))
		asked := int64(0)
		w.room = func(context.Context) (int64, bool) { // what others take
			asked++
			return leftForMail + (2-asked)<<20, true
		}
		w.restart()
		var d api.Transfer
		moved := w.moved(func() { d = w.until(w.download("/down").ID, api.TransferFailed) })
		if problemCode(d.Problem) != api.CodeStorageFull || d.Done != 0 || moved > 30<<20 {
			t.Errorf("%+v, %v, after %d octets", d, d.Problem, moved)
		}
	})
}

// A folder is no file, and that is said: at once where it is known, or when the server says so.
func TestAFolderIsNoFile(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		a := w.signIn(alice)
		w.ftp.Files.Put("/dir/file", nil)
		ref := api.FileRef{Site: w.site.ID, Path: "/dir"}
		if d := w.until(w.download("/dir").ID, api.TransferFailed); problemCode(d.Problem) != api.CodeIsFolder {
			t.Errorf("%v", d.Problem)
		}
		if _, err := w.AttachFile(t.Context(), api.AttachFile{FileRef: ref, Account: a.ID}); code(err) != api.CodeIsFolder {
			t.Errorf("%v", err)
		}
		w.list("/")
		if _, err := w.DownloadFile(t.Context(), ref); code(err) != api.CodeIsFolder {
			t.Errorf("%v", err)
		}
		if _, err := w.AttachFile(t.Context(), api.AttachFile{FileRef: ref, Account: a.ID}); code(err) != api.CodeIsFolder {
			t.Errorf("%v", err)
		}
		ref.Path = "/"
		if _, err := w.DownloadFile(t.Context(), ref); code(err) != api.CodeIsFolder {
			t.Errorf("%v", err)
		}
	})
}

// Without any room on the device, a download that is canceled is gone all the same: its own file makes room for the journal.
func TestCancelWithoutRoom(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		w.ftp.Files.Put("/down", noise(20<<20, 5))
		w.cutAfter(9<<20, time.Hour)
		d := w.download("/down")
		time.Sleep(time.Second)
		w.fs.SetRoom(0)
		if err := w.CancelTransfer(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		w.restart()
		if l := w.transferList(); len(l) != 0 {
			t.Errorf("it is back: %+v", l)
		}
	})
}
