package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
)

// act is one thing that happens to transfers.
type act struct {
	What string
	N, M int
}

var acts = []string{"download", "upload", "cut", "sever", "pause", "resume", "cancel", "restart", "power", "leave", "change", "wait", "wait"}

// Whatever happens to transfers, none is lost and none is there twice; and what is called whole is whole, here and there.
func TestTransfersUnderFire(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) act {
		return act{rapid.SampledFrom(acts).Draw(t, "what"), rapid.IntRange(0, 9).Draw(t, "n"), rapid.IntRange(0, 9).Draw(t, "m")}
	})
	tries := 0
	rapid.Check(t, func(rt *rapid.T) {
		script := rapid.SliceOfN(one, 1, 25).Draw(rt, "script")
		bare := rapid.Bool().Draw(rt, "bare")
		tries++
		if !t.Run(fmt.Sprint(tries), func(t *testing.T) {
			server := mailtest.NewFTP()
			server.NoMLST = bare
			inFilesOf(t, server, func(t *testing.T, w *filesWorld) { newFire(w).run(script) })
		}) {
			rt.Fatalf("%v", script)
		}
	})
}

// fire is what a test knows of what ought to be.
type fire struct {
	*filesWorld
	page     *page
	versions map[api.FilePath][][]byte // of the files that are fetched
	uploads  map[api.TransferID][]byte
	known    []api.TransferID // in order of their beginning
	r        *rand.Rand
}

func newFire(w *filesWorld) *fire {
	f := &fire{filesWorld: w, versions: map[api.FilePath][][]byte{}, uploads: map[api.TransferID][]byte{}, r: rand.New(rand.NewPCG(1, 2))}
	for i := range 3 {
		f.change(i)
	}
	f.page = w.newPage()
	return f
}

func (f *fire) change(i int) {
	path := fmt.Sprintf("/file-%d", i)
	list := f.versions[api.FilePath(path)]
	data := noise([]int{0, 5_000, 700_000}[i]+len(list), uint64(10*i+len(list)))
	f.ftp.Files.Put(path, data)
	f.versions[api.FilePath(path)] = append(list, data)
}

func (f *fire) pick(n int) (api.TransferID, bool) {
	if len(f.known) == 0 {
		return 0, false
	}
	return f.known[n%len(f.known)], true
}

func (f *fire) run(script []act) {
	t := f.t
	for _, a := range script {
		id, any := f.pick(a.N)
		switch a.What {
		case "download":
			f.known = append(f.known, f.download(api.FilePath(fmt.Sprintf("/file-%d", a.N%3))).ID)
		case "upload":
			data := noise([]int{0, 3_000, 400_000, 1_300_000}[a.N%4], uint64(1000+len(f.known)))
			u, err := f.page.upload(api.UploadFile{Folder: "/", File: localFile(fmt.Sprintf("up-%d", a.M), data), Exists: api.ExistsBoth}, data)
			if err != nil {
				break // the gateway is away: nothing has begun
			}
			f.page.mu.Lock()
			f.page.byID[u.ID] = data
			f.page.mu.Unlock()
			f.uploads[u.ID] = data
			f.known = append(f.known, u.ID)
		case "cut":
			f.cutAfter(int64(1+a.N*150_000), time.Duration(a.M)*5*time.Second)
		case "sever": // the data connections alone
			f.gateway.data.holdAfter(int64(1+a.N*150_000), f.gateway.severData)
		case "pause":
			if any {
				_ = f.PauseTransfer(t.Context(), id)
			}
		case "resume":
			f.resume(id)
		case "cancel":
			if any && a.M < 3 {
				if err := f.CancelTransfer(t.Context(), id); err != nil && code(err) != api.CodeNoSuchTransfer {
					t.Fatal(err)
				}
				for _, x := range f.transferList() {
					if x.ID == id && x.State != api.TransferDone {
						t.Fatal("it is still there")
					}
				}
			}
		case "restart":
			f.again(nil)
		case "power":
			f.fs.CutPower(int64(a.N * 40_000))
			time.Sleep(time.Duration(a.M) * time.Second)
			f.again(f.r)
		case "leave":
			f.page.close()
			old := f.page
			f.page = f.newPage()
			f.page.files, f.page.byID = old.files, old.byID
		case "change":
			f.change(a.N % 3)
		case "wait":
			time.Sleep(time.Duration(a.N*a.M) * 100 * time.Millisecond)
		}
		synctest.Wait()
		f.check()
	}
	f.settleAll()
}

// resume has a transfer go on, with its file if it wants it.
func (f *fire) resume(id api.TransferID) {
	for _, t := range f.transferList() {
		if t.ID == id {
			_, _ = f.ResumeTransfer(f.t.Context(), api.ResumeTransfer{ID: id, File: t.File})
		}
	}
}

// again ends the engine and starts another; with r after a power cut.
func (f *fire) again(r *rand.Rand) {
	f.page.cancel()
	f.halt()
	f.gateway.set(tunnel.Online)
	f.fs = f.fs.Restart(r)
	f.start()
	f.page.attach()
}

// check holds at any time: what is said to be whole is whole.
func (f *fire) check() {
	t := f.t
	t.Helper()
	seen := map[api.FilePath]bool{}
	for _, x := range f.transferList() {
		if x.State != api.TransferDone {
			continue
		}
		if x.Direction == api.Downloading {
			got := f.read(x.ID)
			if !slices.ContainsFunc(f.versions[x.Path], func(v []byte) bool { return bytes.Equal(v, got) }) {
				t.Fatalf("transfer %d is said to be whole, and is nothing that there was: %+v", x.ID, x)
			}
			continue
		}
		if got, there := f.ftp.Files.Get(string(x.Path)); !there || !bytes.Equal(got, f.uploads[x.ID]) {
			t.Fatalf("transfer %d is said to be whole, there: %v, %d octets: %+v", x.ID, there, len(got), x)
		}
		if seen[x.Path] {
			t.Fatalf("two uploads at %s", x.Path)
		}
		seen[x.Path] = true
	}
}

// settleAll has everything be well again, and checks that then everything comes to its end.
func (f *fire) settleAll() {
	t := f.t
	defer func() { f.page.close() }()
	f.gateway.data.after(0, nil)
	time.Sleep(2 * time.Minute)
	f.gateway.set(tunnel.Online)
	for range 20 {
		for _, x := range f.transferList() {
			if x.State != api.TransferDone {
				f.resume(x.ID)
			}
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
	}
	f.check()
	list := f.transferList()
	done := map[string]bool{}
	for _, x := range list {
		if x.State != api.TransferDone {
			t.Errorf("it never came to its end: %+v, %v", x, x.Problem)
		}
		if x.Direction == api.Uploading {
			done[string(x.Path)] = true
		}
	}
	for i, x := range list {
		if i > 0 && list[i-1].ID >= x.ID {
			t.Errorf("out of order: %+v", list)
		}
	}
	p, err := f.ListFiles(t.Context(), api.FilesQuery{Site: f.site.ID, Path: "/", Fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range p.Files {
		if !done[string(file.Path)] && !strings.HasPrefix(file.Name, "file-") {
			t.Errorf("%s is at the server, and nobody has sent it", file.Path)
		}
	}
}
