package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
)

// partsThere are the files at the server that are parts of others.
func (w *filesWorld) partsThere() (parts []string) {
	for _, name := range w.ftp.Files.Names() {
		if strings.HasSuffix(name, ".part") {
			parts = append(parts, name)
		}
	}
	return parts
}

// cutUpload leaves an upload offline, in the middle.
func (w *filesWorld) cutUpload(p *page, name string) api.Transfer {
	w.t.Helper()
	w.gateway.data.holdAfter(5<<20, func() { w.gateway.setTo(tunnel.Offline, errCut) })
	data := noise(20<<20, 5)
	u, err := p.upload(api.UploadFile{Folder: "/", File: localFile(name, data)}, data)
	if err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	if len(w.partsThere()) == 0 {
		w.t.Fatal("nothing is at the server")
	}
	return u
}

// An upload that is canceled without the gateway leaves nothing at the server in the end: not even if the engine dies before that.
func TestCancelWithoutTheGateway(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inFiles(t, func(t *testing.T, w *filesWorld) {
			p := w.newPage()
			defer p.close()
			u := w.cutUpload(p, "up")
			if err := w.CancelTransfer(t.Context(), u.ID); err != nil || len(w.transferList()) != 0 {
				t.Fatal(err)
			}
			if restart {
				w.restart()
			}
			time.Sleep(time.Minute)
			if l := w.transferList(); len(l) != 0 || len(w.partsThere()) != 1 {
				t.Fatalf("%+v, at the server %v", l, w.partsThere())
			}
			w.gateway.set(tunnel.Online)
			time.Sleep(time.Minute)
			if parts := w.partsThere(); len(parts) != 0 || len(w.transfers.log.records()) != 0 {
				t.Errorf("restart %v: at the server %v, in the journal %v", restart, parts, w.transfers.log.records())
			}
		})
	}
}

// Cancelled while it runs, and the engine is killed at once: neither the transfer comes back, nor stays what was sent.
func TestCancelAndDie(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		data := noise(20<<20, 5)
		p := w.newPage()
		defer p.close()
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			if stage == "ABOR" || stage == "DELE" {
				return &mailtest.FTPFault{Stall: true}
			}
			return nil
		})
		w.ftp.Files.Put("/down", data)
		w.gateway.data.holdAfter(9<<20, func() { time.Sleep(time.Second) })
		d := w.download("/down")
		u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", data)}, data)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		for _, id := range []api.TransferID{d.ID, u.ID} {
			if x := w.transfer(id); x.State != api.TransferRunning {
				t.Errorf("%+v", x)
			}
			if err := w.CancelTransfer(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		w.fs.CutPower(0)
		w.halt()
		w.fault(nil)
		w.restart()
		if l := w.transferList(); len(l) != 0 {
			t.Errorf("it is back: %+v", l)
		}
		time.Sleep(time.Minute)
		if parts := w.partsThere(); len(parts) != 0 {
			t.Errorf("%v", parts)
		}
	})
}

// What the server does not let go is asked for once; without a way to the server it is remembered, but not without end.
func TestLeftoversAreBounded(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		p := w.newPage()
		defer p.close()
		u := w.cutUpload(p, "up")
		var asked atomic.Int32
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			if stage == "DELE" {
				asked.Add(1)
				return &mailtest.FTPFault{Reply: "550 permission denied\r\n"}
			}
			return nil
		})
		if err := w.CancelTransfer(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.gateway.set(tunnel.Online)
			time.Sleep(time.Minute)
			w.gateway.setTo(tunnel.Offline, errCut)
		}
		if asked.Load() != 1 || len(w.transfers.log.records()) != 0 {
			t.Errorf("asked %d times, %v", asked.Load(), w.transfers.log.records())
		}
		s, err := w.Engine.site(w.site.ID)
		if err != nil {
			t.Fatal(err)
		}
		for i := range mostLeftovers + 20 {
			x, err := w.transfers.add(s, transferRecord{Direction: api.Uploading, Part: &api.PartRef{}, Begun: true, Path: "/up", Temp: api.FilePath(fmt.Sprintf("/up.%d.part", i))})
			if err != nil {
				t.Fatal(err)
			}
			w.transfers.forget(x)
		}
		l := w.transfers.log.records()
		if len(l) != mostLeftovers || l[0].Temp != "/up.20.part" {
			t.Errorf("%d are remembered", len(l))
		}
		time.Sleep(leftoverAge / 2)
		w.restart()
		if n := len(w.transfers.log.records()); n != mostLeftovers {
			t.Errorf("%d are remembered", n)
		}
		time.Sleep(leftoverAge)
		w.restart()
		if n := len(w.transfers.log.records()); n != 0 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// With the site goes what it has left.
func TestLeftoversGoWithTheirSite(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		p := w.newPage()
		defer p.close()
		u, other := w.cutUpload(p, "up"), api.Transfer{}
		if err := w.CancelTransfer(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		w.gateway.set(tunnel.Connecting)
		w.ftp.Files.Put("/down", noise(100, 1))
		other = w.download("/down")
		if err := w.RemoveSite(t.Context(), w.site.ID); err != nil {
			t.Fatal(err)
		}
		if l := w.transfers.log.records(); len(l) != 0 || slices.ContainsFunc(w.transferList(), func(x api.Transfer) bool { return x.ID == other.ID }) {
			t.Errorf("%v", l)
		}
		w.gateway.set(tunnel.Online)
		time.Sleep(time.Minute)
	})
}

// An upload is canceled when the file that it replaces is put aside already: that one has its name again.
func TestCancelBetweenTwoNames(t *testing.T) {
	server := mailtest.NewFTP()
	server.Jealous = true
	inFilesOf(t, server, func(t *testing.T, w *filesWorld) {
		p := w.newPage()
		defer p.close()
		old := noise(1000, 1)
		w.ftp.Files.Put("/up", old)
		var named atomic.Int32
		w.fault(func(stage string, _ int) *mailtest.FTPFault {
			if stage == "RNTO" {
				if named.Add(1) == 3 {
					return &mailtest.FTPFault{Stall: true}
				}
			}
			return nil
		})
		data := noise(2000, 2)
		u, err := p.upload(api.UploadFile{Folder: "/", File: localFile("up", data), Exists: api.ExistsReplace}, data)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, there := w.ftp.Files.Get("/up"); there || named.Load() != 3 {
			t.Fatalf("%v", w.ftp.Files.Names())
		}
		if err := w.CancelTransfer(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, _ := w.ftp.Files.Get("/up"); string(got) != string(old) || len(w.ftp.Files.Names()) != 1 {
			t.Errorf("%v", w.ftp.Files.Names())
		}
	})
}
