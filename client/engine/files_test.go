package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// dataWay is how data connections go through a fakeGateway.
type dataWay struct {
	mu     sync.Mutex
	live   map[net.Conn]bool
	gate   chan struct{} // nothing is read or written before it is closed; nil: at once
	budget int64         // octets, both ways, until spent is called; 0: no end
	spent  func()        // in the middle of a read or write
}

// pass waits at the gate.
func (d *dataWay) pass() {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// holdAfter closes the gate after so many octets, calls fn, which may wait, and opens it.
func (d *dataWay) holdAfter(octets int64, fn func()) {
	d.after(octets, func() {
		gate := make(chan struct{})
		d.gate = gate
		go func() {
			defer close(gate)
			fn()
		}()
	})
}

// spend counts octets, and calls spent when they are enough.
func (d *dataWay) spend(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.budget <= 0 {
		return
	}
	if d.budget -= int64(n); d.budget <= 0 {
		d.budget = 0
		d.spent()
	}
}

// severData closes the data connections.
func (g *fakeGateway) severData() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.data.live {
		c.Close()
	}
}

// after has fn called once so many octets more have gone through data connections. fn must not wait for them.
func (d *dataWay) after(octets int64, fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.budget, d.spent = octets, fn
}

// controlConn is a control connection, beside which data connections can be opened.
type controlConn struct {
	net.Conn
	g     *fakeGateway
	files *mailtest.FTP
}

func (c *controlConn) OpenData(ctx context.Context, port int) (net.Conn, error) {
	if c.g.State().Phase != tunnel.Online {
		return nil, tunnel.ErrOffline
	}
	conn, err := c.files.Dial(ctx, port)
	if err != nil {
		return nil, &wire.RefusedError{Reason: wire.Unreachable, Detail: err.Error()}
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.g.live[conn] = true
	if c.g.data.live == nil {
		c.g.data.live = map[net.Conn]bool{}
	}
	c.g.data.live[conn] = true
	return &dataConn{Conn: conn, g: c.g}, nil
}

type dataConn struct {
	net.Conn
	g *fakeGateway
}

func (c *dataConn) Read(p []byte) (int, error) {
	c.g.data.pass()
	n, err := c.Conn.Read(p)
	c.g.data.spend(n)
	return n, err
}

func (c *dataConn) Write(p []byte) (int, error) {
	c.g.data.pass()
	c.g.data.spend(len(p))
	return c.Conn.Write(p)
}

func (c *dataConn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

func (c *dataConn) Close() error {
	c.g.mu.Lock()
	delete(c.g.live, c.Conn)
	delete(c.g.data.live, c.Conn)
	c.g.mu.Unlock()
	return c.Conn.Close()
}

// filesWorld is a world with an FTP server at ftp.example.org, and a site for it.
type filesWorld struct {
	*world
	ftp  *mailtest.FTP
	site api.Site

	faulty atomic.Pointer[func(stage string, nth int) *mailtest.FTPFault]
}

// fault has the server do something wrong from now on; nil ends it.
func (w *filesWorld) fault(fn func(stage string, nth int) *mailtest.FTPFault) {
	if fn == nil {
		fn = func(string, int) *mailtest.FTPFault { return nil }
	}
	w.faulty.Store(&fn)
}

const bobFTP = "bob-pw"

// inFiles runs fn in a bubble with an engine that runs and has a site.
func inFiles(t *testing.T, fn func(t *testing.T, w *filesWorld)) {
	t.Helper()
	inFilesOf(t, mailtest.NewFTP(), fn)
}

func inFilesOf(t *testing.T, server *mailtest.FTP, fn func(t *testing.T, w *filesWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &filesWorld{world: newWorld(t), ftp: server}
		if w.fault(nil); server.Fault == nil {
			server.Fault = func(stage string, nth int) *mailtest.FTPFault { return (*w.faulty.Load())(stage, nth) }
		}
		w.gateway.serveAt("ftp.example.org:21", server, nil)
		w.start()
		defer func() { w.halt() }()
		w.addSite(api.AddSite{Server: api.Server{Host: "ftp.example.org", Security: api.Plain, User: "bob"}, Password: bobFTP, Keep: true})
		fn(t, w)
		w.wantClean()
	})
}

func (w *filesWorld) addSite(r api.AddSite) {
	w.t.Helper()
	s, err := w.AddSite(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.site = s
	synctest.Wait()
}

// restart ends the engine and starts another over the same disk.
func (w *filesWorld) restart() {
	w.t.Helper()
	w.halt()
	w.fs = w.fs.Restart(nil) // as after a cut of the power
	w.start()
}

// wantClean checks what holds at any time that nothing runs: the device has the files of downloads in the list, and no others.
func (w *filesWorld) wantClean() {
	w.t.Helper()
	synctest.Wait()
	fs, err := w.fs.Sub(transfersFolder)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := fs.List()
	if err != nil {
		w.t.Fatal(err)
	}
	known := map[string]bool{logNames[0]: true, logNames[1]: true}
	for _, t := range w.transferList() {
		known[deviceName(t.ID)] = t.Direction == api.Downloading
	}
	for _, name := range names {
		if !known[name] {
			w.t.Errorf("%s is on the device", name)
		}
	}
}

func (w *filesWorld) transferList() []api.Transfer {
	w.t.Helper()
	s, err := w.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Transfers
}

func (w *filesWorld) siteNow() api.Site {
	w.t.Helper()
	s, err := w.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(s.Sites, func(o api.Site) bool { return o.ID == w.site.ID })
	if i < 0 {
		w.t.Fatalf("no site %s", w.site.ID)
	}
	return s.Sites[i]
}

func (w *filesWorld) transfer(id api.TransferID) api.Transfer {
	w.t.Helper()
	for _, t := range w.transferList() {
		if t.ID == id {
			return t
		}
	}
	w.t.Fatalf("no transfer %d", id)
	return api.Transfer{}
}

// until waits until a transfer is in a state, for an hour.
func (w *filesWorld) until(id api.TransferID, states ...api.TransferState) api.Transfer {
	w.t.Helper()
	for end := time.Now().Add(time.Hour); ; time.Sleep(50 * time.Millisecond) {
		synctest.Wait()
		t := w.transfer(id)
		if slices.Contains(states, t.State) {
			return t
		}
		if time.Now().After(end) {
			w.t.Fatalf("transfer %+v, problem %v, never came to be %v", t, t.Problem, states)
		}
	}
}

func (w *filesWorld) list(path api.FilePath) api.FilesPage {
	w.t.Helper()
	p, err := w.ListFiles(w.t.Context(), api.FilesQuery{Site: w.site.ID, Path: path})
	if err != nil {
		w.t.Fatalf("listing %q: %v", path, err)
	}
	return p
}

func namesOf(p api.FilesPage) (names []string) {
	for _, f := range p.Files {
		names = append(names, f.Name)
	}
	return names
}

func (w *filesWorld) download(path api.FilePath) api.Transfer {
	w.t.Helper()
	t, err := w.DownloadFile(w.t.Context(), api.FileRef{Site: w.site.ID, Path: path})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// read reads a download that is done.
func (w *filesWorld) read(id api.TransferID) []byte {
	w.t.Helper()
	var all []byte
	for {
		p, err := w.ReadDownload(w.t.Context(), api.ReadDownload{ID: id, Offset: int64(len(all))})
		if err != nil {
			w.t.Fatal(err)
		}
		if all = append(all, p...); len(p) < api.MaxChunk {
			return all
		}
	}
}

// page is a page that hands over files, as one in a browser does.
type page struct {
	w     *filesWorld
	files map[string][]byte // by name
	byID  map[api.TransferID][]byte
	ctx   context.Context
	leave context.CancelFunc
	feeds sync.WaitGroup

	mu      sync.Mutex
	feeding map[api.TransferID]bool
	cancel  func()
}

func (w *filesWorld) newPage() *page {
	p := &page{w: w, files: make(map[string][]byte), byID: make(map[api.TransferID][]byte), feeding: make(map[api.TransferID]bool)}
	p.ctx, p.leave = context.WithCancel(w.t.Context())
	p.attach()
	return p
}

// attach follows the engine there is.
func (p *page) attach() {
	p.cancel = p.w.Subscribe(func(e api.Event) {
		if e.Transfer != nil && e.Transfer.State == api.TransferRunning {
			p.start(*e.Transfer)
		}
	})
}

func (p *page) start(t api.Transfer) {
	id := t.ID
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.File == nil {
		return
	}
	data, ok := p.byID[t.ID]
	if !ok {
		data, ok = p.files[t.File.Name]
		ok = ok && int64(len(data)) == t.File.Size
	}
	if !ok || p.feeding[id] || p.ctx.Err() != nil {
		return
	}
	p.feeding[id] = true
	engine := p.w.Engine
	p.feeds.Go(func() {
		defer func() {
			p.mu.Lock()
			delete(p.feeding, id)
			p.mu.Unlock()
		}()
		at, piece := int64(0), []byte(nil)
		for {
			want, err := engine.PutChunk(p.ctx, api.PutChunk{ID: id, Offset: at}, piece)
			if err != nil || want.Over {
				return
			}
			at, piece = want.Offset, bytes.Clone(data[want.Offset:want.Offset+int64(want.Length)])
		}
	})
}

// close is the end of the page.
func (p *page) close() {
	p.cancel()
	p.leave()
	p.feeds.Wait()
}

func (p *page) upload(r api.UploadFile, data []byte) (api.Transfer, error) {
	r.Site = p.w.site.ID
	if r.File.Name == "" {
		r.File = localFile("file", data)
	}
	p.mu.Lock()
	p.files[r.File.Name] = data
	p.mu.Unlock()
	return p.w.UploadFile(p.w.t.Context(), r, nil)
}

func localFile(name string, data []byte) api.LocalFile {
	return api.LocalFile{Name: name, Size: int64(len(data)), Modified: time.UnixMilli(1_700_000_000_123).UTC()}
}

// noise is content that shows when a part of it is missing, or there twice.
func noise(octets int, seed uint64) []byte {
	p := make([]byte, octets)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	if _, err := io.ReadFull(r, p); err != nil {
		panic(err)
	}
	return p
}

var errCut = errors.New("cut")

// cutAfter takes the gateway away once so many octets more have gone through data connections, and brings it back after a while.
func (w *filesWorld) cutAfter(octets int64, d time.Duration) {
	w.gateway.data.holdAfter(octets, func() {
		w.gateway.setTo(tunnel.Offline, errCut)
		go func() {
			select {
			case <-time.After(d):
				w.gateway.set(tunnel.Online)
			case <-w.t.Context().Done():
			}
		}()
	})
}
