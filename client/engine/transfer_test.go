package engine

import (
	"bytes"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
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
		w.gateway.data.after(27<<20, w.cutFor(time.Minute))
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
		w.gateway.data.after(27<<20, w.cutFor(time.Minute))
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
