package engine

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
)

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

func TestPutChunk(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(3<<20, 7)
		u, err := w.UploadFile(t.Context(), api.UploadFile{Site: w.site.ID, Folder: "/", File: localFile("up", data)}, nil)
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

// A small file that is sent along goes up without a page, over a cut too; what there is no room for is asked for as ever.
func TestSmallFileIsSentAlong(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(api.MaxSmall, 11)
		send := func(name string, data, along []byte) api.Transfer {
			t.Helper()
			u, err := w.UploadFile(t.Context(), api.UploadFile{Site: w.site.ID, Folder: "/", File: localFile(name, data), Exists: api.ExistsReplace}, along)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		w.cutAfter(1000, time.Minute)
		for name, content := range map[string][]byte{"small": data, "empty": nil} {
			u := send(name, content, content)
			if !u.Fed {
				t.Errorf("%s is asked for: %+v", name, u)
			}
			u = w.until(u.ID, api.TransferDone, api.TransferFailed, api.TransferNeedsFile)
			if got, _ := w.ftp.Files.Get("/" + name); u.State != api.TransferDone || !bytes.Equal(got, content) {
				t.Errorf("%s: %+v, %v", name, u, u.Problem)
			}
		}
		large := noise(api.MaxSmall+1, 12)
		for what, u := range map[string]api.Transfer{
			"too large":         send("a", large, large),
			"only a part of it": send("b", data, data[1:]),
		} {
			if u.Fed {
				t.Errorf("%s: %+v", what, u)
			}
			if err := w.CancelTransfer(t.Context(), u.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.gateway.setTo(tunnel.Offline, errCut)
		var held []api.Transfer
		for i := range mostHeld / api.MaxSmall {
			held = append(held, send(fmt.Sprint(i), data, data))
		}
		if last := held[len(held)-1]; !last.Fed {
			t.Errorf("there is room: %+v", last)
		}
		if u := send("more", data, data); u.Fed {
			t.Errorf("there is no room: %+v", u)
		}
		if err := w.CancelTransfer(t.Context(), held[0].ID); err != nil {
			t.Fatal(err)
		}
		if u := send("again", data, data); !u.Fed {
			t.Errorf("there is room again: %+v", u)
		}
	})
}

// A file has the time there that it has here, where the server can, and the listing says so.
func TestUploadKeepsItsTime(t *testing.T) {
	for _, can := range []bool{true, false} {
		server := mailtest.NewFTP()
		server.NoMFMT = !can
		inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
			p := w.newPage()
			defer p.close()
			w.list("/")
			data := noise(1000, 1)
			file := localFile("up", data)
			u, err := p.upload(api.UploadFile{Folder: "/", File: file}, data)
			if err != nil {
				t.Fatal(err)
			}
			w.until(u.ID, api.TransferDone)
			for _, fresh := range []bool{false, true} {
				l, err := w.ListFiles(t.Context(), api.FilesQuery{Site: w.site.ID, Path: "/", Fresh: fresh})
				if err != nil || len(l.Files) != 1 {
					t.Fatalf("%+v, %v", l, err)
				}
				if kept := l.Files[0].Modified.Equal(file.Modified.Truncate(time.Second)); kept != can {
					t.Errorf("fresh %v: it is of %v", fresh, l.Files[0].Modified)
				}
			}
		})
	}
}

// The address of a file is the same for everybody, wherever their login leads them.
func TestAddressOfAnUpload(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		s, err := w.Engine.site(w.site.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			home, path api.FilePath
			want       string
		}{
			{"/", "/a", "ftp://ftp.example.org/a"},
			{"/", "/pub/größe #1?%FF\u202e", "ftp://ftp.example.org/pub/gr%C3%B6%C3%9Fe%20%231%3F%FF%E2%80%AE"},
			{"/home/bob", "/home/bob/a b", "ftp://ftp.example.org/%2Fhome/bob/a%20b"},
			{"/home/bob", "/srv/a", "ftp://ftp.example.org/%2Fsrv/a"},
			{"", "/a", "ftp://ftp.example.org/a"},
		} {
			s.mu.Lock()
			s.rec.Home = c.home
			s.mu.Unlock()
			if got := (&transfer{e: w.Engine, site: s, rec: transferRecord{Path: c.path}}).address(); got != c.want {
				t.Errorf("%s: %s, want %s", c.path, got, c.want)
			}
		}
	})
}
