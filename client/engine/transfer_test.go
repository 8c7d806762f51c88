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
func TestUploadOverACut(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(50<<20, 3)
		p := w.newPage()
		defer p.close()
		w.cutAfter(27<<20, time.Minute)
		u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("big", data)}, data)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if u := w.transfer(u.ID); u.State != api.TransferWaiting || u.Done < 26<<20 {
			t.Errorf("after the cut: %+v, %v", u, u.Problem)
		}
		if _, there := w.ftp.Files.Get("/big"); there {
			t.Error("a part of the file has its name")
		}
		moved := w.moved(func() { u = w.until(u.ID, api.TransferDone, api.TransferFailed) })
		if u.State != api.TransferDone || u.Anew || u.URL != "ftp://ftp.example.org/big" {
			t.Fatalf("%+v, %v", u, u.Problem)
		}
		if got, _ := w.ftp.Files.Get("/big"); !bytes.Equal(got, data) {
			t.Error("the server has another file")
		}
		if moved > 25<<20 {
			t.Errorf("%d octets were sent after the cut", moved)
		}
	})
}

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
func TestUploadNeedsItsFile(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(30<<20, 6)
		file := localFile("up", data)
		p := w.newPage()
		gone := make(chan struct{})
		w.gateway.data.holdAfter(9<<20, func() { p.close(); close(gone) })
		u, err := p.upload(api.UploadFile{Folder: "/", File: file}, data)
		if err != nil {
			t.Fatal(err)
		}
		<-gone
		time.Sleep(time.Minute)
		if u = w.transfer(u.ID); u.State != api.TransferNeedsFile || u.Problem != nil || u.File == nil || *u.File != file {
			t.Fatalf("%+v, %v", u, u.Problem)
		}
		other := file
		other.Size++
		if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: u.ID, File: &other}); code(err) != api.CodeOtherFile {
			t.Errorf("%v", err)
		}
		if got, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: u.ID}); err != nil || got.State != api.TransferNeedsFile {
			t.Errorf("%+v, %v", got, err)
		}
		p = w.newPage()
		p.files["up"] = data
		w.gateway.data.after(9<<20, func() { go w.stop() })
		if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: u.ID, File: &file}); err != nil {
			t.Fatal(err)
		}
		w.run.Wait()
		w.restart()
		if u = w.transfer(u.ID); u.State != api.TransferNeedsFile {
			t.Fatalf("after the restart: %+v", u)
		}
		p.attach()
		defer p.close()
		moved := w.moved(func() {
			if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: u.ID, File: &file}); err != nil {
				t.Fatal(err)
			}
			u = w.until(u.ID, api.TransferDone, api.TransferFailed)
		})
		if got, _ := w.ftp.Files.Get("/up"); u.State != api.TransferDone || u.Anew || !bytes.Equal(got, data) || moved > 16<<20 {
			t.Errorf("%+v, %v, after %d octets", u, u.Problem, moved)
		}
	})
}

// A page that is silent for too long is as good as gone; pieces that are not wanted are dropped.
func TestPutChunk(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(3<<20, 7)
		u, err := w.UploadFile(t.Context(), api.UploadFile{Site: w.site.ID, Folder: "/", File: localFile("up", data)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		put := func(offset int64, piece []byte) api.Wanted {
			t.Helper()
			want, err := w.PutChunk(t.Context(), api.PutChunk{ID: u.ID, Offset: offset}, piece)
			if err != nil {
				t.Fatal(err)
			}
			return want
		}
		if want := put(0, nil); want != (api.Wanted{Length: api.MaxChunk}) {
			t.Errorf("%+v", want)
		}
		if want := put(5, data[:7]); want != (api.Wanted{Length: api.MaxChunk}) {
			t.Errorf("%+v", want)
		}
		if want := put(0, data[:10]); want != (api.Wanted{Offset: 10, Length: api.MaxChunk}) {
			t.Errorf("%+v", want)
		}
		if want := put(0, data[:10]); want != (api.Wanted{Offset: 10, Length: api.MaxChunk}) {
			t.Errorf("the same again: %+v", want)
		}
		if _, err := w.PutChunk(t.Context(), api.PutChunk{ID: u.ID, Offset: 10}, make([]byte, api.MaxChunk+1)); code(err) != api.CodeTooLarge {
			t.Errorf("%v", err)
		}
		time.Sleep(api.FeedPatience - time.Second)
		put(0, nil)
		time.Sleep(api.FeedPatience - time.Second)
		if x := w.transfer(u.ID); x.State != api.TransferRunning {
			t.Errorf("%+v, %v", x, x.Problem)
		}
		time.Sleep(3 * time.Second)
		if x := w.transfer(u.ID); x.State != api.TransferNeedsFile {
			t.Errorf("%+v, %v", x, x.Problem)
		}
		if want := put(10, data[10:20]); !want.Over {
			t.Errorf("%+v", want)
		}
		if _, err := w.PutChunk(t.Context(), api.PutChunk{ID: 1}, nil); code(err) != api.CodeNoSuchTransfer {
			t.Errorf("%v", err)
		}
	})
}

func TestUploadWhereThereIsOne(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		old, fresh := []byte("old"), noise(2<<20, 8)
		w.ftp.Files.Put("/a.txt", old)
		p := w.newPage()
		defer p.close()
		r := api.UploadFile{Folder: "/", File: localFile("a.txt", fresh)}
		if _, err := p.upload(r, fresh); code(err) != api.CodeFileExists || api.AsProblem(err).Detail != "a.txt" {
			t.Errorf("%v", err)
		}
		r.Exists = api.ExistsBoth
		u, err := p.upload(r, fresh)
		if err != nil || w.until(u.ID, api.TransferDone).Path != "/a (2).txt" {
			t.Fatalf("%+v, %v", u, err)
		}
		r.Exists = api.ExistsReplace
		w.gateway.data.after(1<<20, func() {
			if got, _ := w.ftp.Files.Get("/a.txt"); !bytes.Equal(got, old) {
				t.Error("the old one is gone before the new one is whole")
			}
		})
		if u, err = p.upload(r, fresh); err != nil {
			t.Fatal(err)
		}
		w.until(u.ID, api.TransferDone)
		if got, _ := w.ftp.Files.Get("/a.txt"); !bytes.Equal(got, fresh) {
			t.Error("the old one is there")
		}
		// One that appears while the other is being sent is not replaced.
		w.gateway.data.after(1<<20, func() { w.ftp.Files.Put("/b.txt", old) })
		u, err = p.upload(api.UploadFile{Folder: "/", File: localFile("b.txt", fresh)}, fresh)
		if err != nil {
			t.Fatal(err)
		}
		u = w.until(u.ID, api.TransferDone)
		if got, _ := w.ftp.Files.Get("/b.txt"); !bytes.Equal(got, old) || u.Path != "/b (2).txt" {
			t.Errorf("%+v", u)
		}
		if n := len(namesOf(w.list("/"))); n != 4 {
			t.Errorf("%v", namesOf(w.list("/")))
		}
	})
}

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
func TestUploadIsVerified(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(stage string, nth int) *mailtest.FTPFault
		state api.TransferState
		code  api.Code
	}{
		"the rename is done and nobody says so": {func(stage string, nth int) *mailtest.FTPFault {
			if stage == "RNTO" && nth == 1 {
				return &mailtest.FTPFault{Accept: true, Cut: true, Reply: "2"}
			}
			return nil
		}, api.TransferDone, ""},
		"it is cut after the file": {func(stage string, nth int) *mailtest.FTPFault {
			if stage == "RNFR" && nth == 1 {
				return &mailtest.FTPFault{Cut: true}
			}
			return nil
		}, api.TransferDone, ""},
		"no room": {func(stage string, nth int) *mailtest.FTPFault {
			if stage == "STOR" {
				return &mailtest.FTPFault{Reply: "552 quota exceeded\r\n"}
			}
			return nil
		}, api.TransferFailed, api.CodeServerFull},
		"the server has less than it said": {func(stage string, nth int) *mailtest.FTPFault {
			if stage == "SIZE" {
				return &mailtest.FTPFault{Reply: "213 5\r\n"}
			}
			return nil
		}, api.TransferFailed, api.CodeTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			inFiles(t, func(t *testing.T, w *filesWorld) {
				p := w.newPage()
				defer p.close()
				data := noise(100_000, 13)
				u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", data)}, data)
				if err != nil {
					t.Fatal(err)
				}
				spent := map[string]bool{}
				w.fault(func(stage string, nth int) *mailtest.FTPFault { // a cut happens once
					f := c.fault(stage, nth)
					if f != nil && f.Cut && spent[stage] {
						return nil
					}
					spent[stage] = spent[stage] || f != nil
					return f
				})
				u = w.until(u.ID, api.TransferDone, api.TransferFailed)
				got, there := w.ftp.Files.Get("/up")
				if u.State != c.state || problemCode(u.Problem) != c.code || there != (c.state == api.TransferDone) || there && !bytes.Equal(got, data) {
					t.Errorf("%+v, %v, there: %v", u, u.Problem, there)
				}
				time.Sleep(time.Second)
				if w.fault(nil); c.state == api.TransferDone && len(w.list("/").Files) != 1 {
					t.Errorf("%v", namesOf(w.list("/")))
				}
			})
		})
	}
}

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
		lies.Store(1 << 30)
		d = w.until(w.download("/down").ID, api.TransferFailed)
		if problemCode(d.Problem) != api.CodeFileChanged {
			t.Errorf("%+v", d.Problem)
		}
	})
}

// A server that tells neither sizes nor what is at a path: everything is slower, and nothing is lost.
func TestUploadToAnOldServer(t *testing.T) {
	server := mailtest.NewFTP()
	server.NoMLST, server.NoSize, server.NoFEAT, server.NoEPSV = true, true, true, true
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		data := noise(2<<20, 15)
		w.ftp.Files.Put("/a", []byte("old"))
		p := w.newPage()
		defer p.close()
		r := api.UploadFile{Folder: "/", File: localFile("a", data)}
		if _, err := p.upload(r, data); code(err) != api.CodeFileExists {
			t.Errorf("%v", err)
		}
		for _, exists := range []api.Exists{api.ExistsBoth, api.ExistsReplace} {
			r.Exists = exists
			w.cutAfter(1<<20, time.Minute)
			u, err := p.upload(r, data)
			if err != nil {
				t.Fatal(err)
			}
			if u = w.until(u.ID, api.TransferDone, api.TransferFailed); u.State != api.TransferDone || !u.Anew {
				t.Errorf("%+v, %v", u, u.Problem)
			}
			if got, _ := w.ftp.Files.Get(string(u.Path)); !bytes.Equal(got, data) {
				t.Errorf("%s has %d octets", u.Path, len(got))
			}
		}
		p1, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/", Fresh: true})
		if got := namesOf(p1); err != nil || len(got) != 2 || got[1] != "a (2)" {
			t.Errorf("%v, %v", got, err)
		}
		w.cutAfter(1<<20, time.Minute)
		d := w.until(w.download("/a").ID, api.TransferDone)
		if !bytes.Equal(w.read(d.ID), data) || !d.Anew {
			t.Errorf("%+v", d)
		}
	})
}
