package view

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// LocalFile is a file of this device that the page holds.
type LocalFile interface {
	About() api.LocalFile
	// Read reads length octets from offset on. It may take a while; an error says that the file changed or went away.
	Read(ctx context.Context, offset int64, length int) ([]byte, error)
}

// Transfers are the files on their way, and the tray that shows them.
type Transfers struct {
	Open bool // the tray shows each; closed, it is a line

	app     *App
	list    []api.Transfer // the oldest first
	held    map[api.TransferID]*upload
	mine    map[api.TransferID]bool // downloads begun by this page: it hands them to the browser
	handed  map[api.TransferID]bool // and has, or is about to
	saves   []api.TransferID        // is about to; the first is being handed over
	linked  map[api.TransferID]link // uploads that become a link in a message
	seen    bool                    // the tray has been opened by itself
	pressed api.TransferID          // the one whose button was pressed, which another takes the place of
	clashes []clash
}

// upload is a file that this page holds for a transfer.
type upload struct {
	file    LocalFile
	feeding bool // pieces are handed over
	told    bool // and it was said since that the transfer runs
}

// mostInTray is how many transfers the tray draws: more than anybody looks through, and few enough to be drawn within a frame.
const mostInTray = 50

// Shown are the transfers in the order of the tray: what runs before the rest, and the newest first. A deletion is a note with
// an Undo until it begins.
func (t *Transfers) Shown() []api.Transfer {
	list := make([]api.Transfer, 0, len(t.list))
	for _, runs := range [...]bool{true, false} {
		for i := len(t.list) - 1; i >= 0; i-- {
			x := &t.list[i]
			if runs == (x.State == api.TransferRunning) && shown(x) {
				list = append(list, *x)
			}
		}
	}
	return list
}

// shown says of a deletion that it has begun: before that it is a note with an Undo.
func shown(x *api.Transfer) bool {
	return x.Direction != api.Deleting || x.State == api.TransferRunning || x.State == api.TransferFailed
}

// Any says whether there is anything in the tray.
func (t *Transfers) Any() bool {
	for i := range t.list {
		if shown(&t.list[i]) {
			return true
		}
	}
	return false
}

// Tray are those that the tray draws, and how many more there are. Of a crowd these are what moves or wants somebody, and only when
// nothing moves any more the newest of the others: rows that pass by cost more than what they tell of.
func (t *Transfers) Tray() (list []api.Transfer, more int) {
	all := t.Shown()
	if len(all) <= mostInTray {
		return all, 0
	}
	moves := false
	for i := range all {
		switch x := &all[i]; x.State {
		case api.TransferWaiting, api.TransferDone:
		default:
			moves = moves || x.State == api.TransferRunning
			if len(list) < mostInTray {
				list = append(list, *x)
			}
		}
	}
	for i := range all {
		if x := &all[i]; !moves && len(list) < mostInTray && (x.State == api.TransferWaiting || x.State == api.TransferDone) {
			list = append(list, *x)
		}
	}
	return list, len(all) - len(list)
}

// Of is a transfer.
func (t *Transfers) Of(id api.TransferID) (api.Transfer, bool) {
	if i := t.index(id); i >= 0 {
		return t.list[i], true
	}
	return api.Transfer{}, false
}

// index is where it is in the list, which is in the order of the numbers, or -1.
func (t *Transfers) index(id api.TransferID) int {
	from, to := 0, len(t.list)
	for from < to {
		switch i := (from + to) / 2; {
		case t.list[i].ID == id:
			return i
		case t.list[i].ID < id:
			from = i + 1
		default:
			to = i
		}
	}
	return -1
}

// set takes all transfers of an engine that has begun, or is another tab's now.
func (t *Transfers) set(list []api.Transfer) {
	t.list = slices.Clone(list)
	for id := range t.held {
		if t.index(id) < 0 {
			delete(t.held, id)
		}
	}
	for _, x := range list {
		t.follow(x)
	}
}

// anew has the files that are held handed over to a new engine: what waits for the former one is of no interest.
func (t *Transfers) anew() {
	for id, u := range t.held {
		t.held[id] = &upload{file: u.file}
	}
}

// put takes what the engine says of a transfer.
func (t *Transfers) put(x api.Transfer) {
	i := t.index(x.ID)
	var was api.TransferState
	if i < 0 {
		t.list = append(t.list, x)
		for j := len(t.list) - 1; j > 0 && t.list[j].ID < t.list[j-1].ID; j-- {
			t.list[j], t.list[j-1] = t.list[j-1], t.list[j]
		}
		if !t.seen && x.Direction != api.Deleting && !t.app.platform.Narrow() {
			t.seen, t.Open = true, true
		}
	} else {
		was = t.list[i].State
		t.list[i] = x
	}
	if was != x.State {
		t.announce(x)
		if x.ID == t.pressed {
			t.pressed = 0
			t.app.platform.Focus(`[data-id="` + strconv.FormatUint(uint64(x.ID), 10) + `"] .transfer-acts button`)
		}
	}
	t.follow(x)
}

// began takes the answer to a call that began a transfer. An event may have said more of it already.
func (t *Transfers) began(x api.Transfer) {
	if known, ok := t.Of(x.ID); ok {
		t.follow(known)
		return
	}
	t.put(x)
}

// announce says how a transfer ended, once.
func (t *Transfers) announce(x api.Transfer) {
	name := x.Name
	if x.Count > 1 {
		name = Count(x.Count, "item")
	}
	switch {
	case x.State == api.TransferFailed && x.Problem != nil:
		t.app.Voice.Cry(name + ": " + FileWords(x.Problem).Title)
	case x.State == api.TransferNeedsFile && t.held[x.ID] == nil:
		t.app.Voice.Say(name + ": choose the file again to go on")
	case x.State != api.TransferDone:
	case x.Direction == api.Uploading:
		t.app.Voice.Say(name + " is on the server")
	case x.Direction == api.Downloading:
		t.app.Voice.Say(name + " is here")
	}
}

// follow does what is the page's part: it hands over the pieces of an upload, and a download that is done to the browser.
func (t *Transfers) follow(x api.Transfer) {
	if u := t.held[x.ID]; u != nil {
		switch x.State {
		case api.TransferRunning:
			if !x.Fed {
				t.feed(x.ID, u)
			}
		case api.TransferNeedsFile: // the engine was another, or did not hear of it for too long
			if !u.feeding {
				t.resume(api.ResumeTransfer{ID: x.ID, File: about(u.file)})
			}
		case api.TransferDone:
			delete(t.held, x.ID)
		}
	}
	if x.State == api.TransferDone && t.mine[x.ID] && !x.Saved && !t.handed[x.ID] {
		t.handed[x.ID] = true
		if t.saves = append(t.saves, x.ID); len(t.saves) == 1 {
			t.saveNext()
		}
	}
	t.linkUp(x)
}

// savePause is between two downloads that are handed to the browser by themselves: Chromium takes ten a second of a page, and
// drops the others without a word.
const savePause = 125 * time.Millisecond

func (t *Transfers) saveNext() {
	t.Save(t.saves[0])
	time.AfterFunc(savePause, func() {
		t.app.sched.Later(func() {
			if t.saves = t.saves[1:]; len(t.saves) > 0 {
				t.saveNext()
			}
		})
	})
}

func about(f LocalFile) *api.LocalFile {
	x := f.About()
	return &x
}

// feed hands a file over piece by piece, as it is wanted: see api.PutChunk.
func (t *Transfers) feed(id api.TransferID, u *upload) {
	if u.feeding {
		u.told = true
		return
	}
	u.feeding, u.told = true, false
	var unread error
	r := reading{file: u.file, size: u.file.About().Size}
	t.app.askThen(t.app.sched.Later, func(ctx context.Context, svc api.Service) error {
		next, piece := int64(0), []byte(nil)
		for {
			want, err := svc.PutChunk(ctx, api.PutChunk{ID: id, Offset: next}, piece)
			if err != nil || want.Over {
				return err
			}
			if piece, err = r.read(ctx, want); err != nil {
				unread = err
				return nil
			}
			next = want.Offset
		}
	}, func(p *api.Problem) {
		if t.held[id] != u {
			return
		}
		u.feeding = false
		x, there := t.Of(id)
		switch {
		case unread != nil:
			delete(t.held, id)
			t.app.Toasts.FileTrouble(u.file.About().Name+" cannot be read any more", &api.Problem{Code: api.CodeFileChanged, Technical: unread.Error()})
		case !there || p != nil && p.Code == api.CodeNoSuchTransfer:
		case u.told && x.State == api.TransferRunning && p == nil:
			t.feed(id, u)
		case x.State == api.TransferNeedsFile:
			t.follow(x)
		}
	})
}

// reading reads a file piece by piece, the next one while the last is sent: a browser takes some milliseconds for each.
type reading struct {
	file  LocalFile
	size  int64
	next  api.Wanted
	ahead chan readPiece // nil, or next is on its way
}

type readPiece struct {
	data []byte
	err  error
}

func (r *reading) begin(ctx context.Context, w api.Wanted) chan readPiece {
	c := make(chan readPiece, 1)
	go func() {
		data, err := r.file.Read(ctx, w.Offset, w.Length)
		c <- readPiece{data, err}
	}()
	return c
}

func (r *reading) read(ctx context.Context, w api.Wanted) ([]byte, error) {
	now := r.ahead
	if now == nil || r.next.Offset != w.Offset || r.next.Length != w.Length {
		now = r.begin(ctx, w)
	}
	r.ahead = nil
	if at := w.Offset + int64(w.Length); at < r.size {
		r.next = api.Wanted{Offset: at, Length: int(min(api.MaxChunk, r.size-at))}
		r.ahead = r.begin(ctx, r.next)
	}
	p := <-now
	return p.data, p.err
}

// NeedsPage says that an upload would stop if the page were left, or a download would not be saved.
func (t *Transfers) NeedsPage() bool {
	if len(t.saves) > 1 {
		return true
	}
	for id := range t.held {
		if x, ok := t.Of(id); ok && (x.State == api.TransferRunning || x.State == api.TransferWaiting) {
			return true
		}
	}
	return false
}

// Save hands a download that is done to the browser's own downloads.
func (t *Transfers) Save(id api.TransferID) {
	x, ok := t.Of(id)
	if !ok || x.Direction != api.Downloading || x.State != api.TransferDone {
		return
	}
	t.handed[id] = true
	taken := func(saved bool) {
		if !saved {
			t.copyOut(x)
			return
		}
		t.taken(id)
	}
	if x.Device == "" {
		t.copyOut(x)
		return
	}
	t.app.platform.SaveDevice(x.Device, FileName(x.Name), taken)
}

// copyOut reads a download through the engine, where the browser cannot read it by itself.
func (t *Transfers) copyOut(x api.Transfer) {
	var data []byte
	t.app.ask(func(ctx context.Context, svc api.Service) error {
		data = make([]byte, 0, max(x.Size, 0))
		for int64(len(data)) < x.Size {
			piece, err := svc.ReadDownload(ctx, api.ReadDownload{ID: x.ID, Offset: int64(len(data))})
			if err != nil {
				return err
			}
			if data = append(data, piece...); len(piece) == 0 {
				break
			}
		}
		return nil
	}, func(p *api.Problem) {
		if p != nil {
			delete(t.handed, x.ID)
			t.app.Toasts.FileTrouble(x.Name+" could not be saved", p)
			return
		}
		t.app.platform.SaveFile(FileName(x.Name), "application/octet-stream", data)
		t.taken(x.ID)
	})
}

func (t *Transfers) taken(id api.TransferID) {
	t.app.askThen(t.app.sched.Later, func(ctx context.Context, svc api.Service) error { return svc.TakenOver(ctx, id) }, func(*api.Problem) {})
}

// Toggle opens the tray, or makes it a line.
func (t *Transfers) Toggle() { t.Open, t.seen = !t.Open, true }

// Pause has a transfer stand still.
func (t *Transfers) Pause(id api.TransferID) {
	t.pressed = id
	t.call(id, "could not be paused", func(ctx context.Context, svc api.Service) error { return svc.PauseTransfer(ctx, id) })
}

// Cancel ends a transfer. What there is of it goes.
func (t *Transfers) Cancel(id api.TransferID) {
	t.going(1)
	t.call(id, "could not be canceled", func(ctx context.Context, svc api.Service) error { return svc.CancelTransfer(ctx, id) })
}

// Resume has one go on that was paused, or has failed.
func (t *Transfers) Resume(id api.TransferID) {
	t.pressed = id
	r := api.ResumeTransfer{ID: id}
	if u := t.held[id]; u != nil {
		r.File = about(u.file)
	}
	t.resume(r)
}

func (t *Transfers) resume(r api.ResumeTransfer) {
	t.call(r.ID, "could not go on", func(ctx context.Context, svc api.Service) error {
		_, err := svc.ResumeTransfer(ctx, r)
		return err
	})
}

// Choose gives an upload its file again, after the page was left.
func (t *Transfers) Choose(id api.TransferID, f LocalFile) {
	x, _ := t.Of(id)
	t.app.ask(func(ctx context.Context, svc api.Service) error {
		_, err := svc.ResumeTransfer(ctx, api.ResumeTransfer{ID: id, File: about(f)})
		return err
	}, func(p *api.Problem) {
		if p != nil {
			t.app.Toasts.FileTrouble(x.Name+" could not go on", p)
			return
		}
		t.held[id] = &upload{file: f}
		if now, ok := t.Of(id); ok {
			t.follow(now)
		}
	})
}

// Clear takes what is over out of the tray: one, or with 0 all that are done, and where there are none all that have failed.
func (t *Transfers) Clear(id api.TransferID) {
	n := len(t.list)
	var ids []api.TransferID
	if id != 0 {
		n, ids = 1, []api.TransferID{id}
	}
	t.going(n)
	t.call(id, "could not be cleared", func(ctx context.Context, svc api.Service) error { return svc.ClearTransfers(ctx, ids) })
}

// going keeps the focus when some go out of the tray with the buttons that were pressed.
func (t *Transfers) going(n int) {
	if len(t.Shown()) > n {
		t.app.platform.Focus(`[data-testid="transfers-toggle"]`)
	} else if t.app.Route.Page == PageFiles {
		t.app.Files.FocusCursor()
	}
}

func (t *Transfers) call(id api.TransferID, trouble string, call func(ctx context.Context, svc api.Service) error) {
	x, _ := t.Of(id)
	t.app.ask(call, func(p *api.Problem) {
		if p != nil && p.Code != api.CodeNoSuchTransfer {
			t.app.Toasts.FileTrouble(x.Name+" "+trouble, p)
		}
	})
}

// gone takes a transfer out.
func (t *Transfers) gone(id api.TransferID) {
	x, ok := t.Of(id)
	if !ok {
		return
	}
	x.State = ""
	t.linkUp(x)
	t.list = slices.DeleteFunc(t.list, func(x api.Transfer) bool { return x.ID == id })
	delete(t.held, id)
	delete(t.mine, id)
	delete(t.handed, id)
}

func (t *Transfers) siteGone(site api.AccountID) {
	for _, x := range slices.Clone(t.list) {
		if x.Site == site {
			t.gone(x.ID)
		}
	}
}

// OpenSaid shows what was said to the server for a transfer.
func (t *Transfers) OpenSaid(x api.Transfer) { t.app.OpenSiteWire(x.Site, x.Session) }

// OpenSiteWire shows what was said to a file server: in one session, or with 0 in all.
func (a *App) OpenSiteWire(site api.AccountID, session uint64) {
	a.Go(Route{Page: PageWire, Site: site, Session: session})
}
