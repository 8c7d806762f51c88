package view

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

// clash is a file that was to be sent to where there is one of its name. Nothing of it is sent before somebody decides.
type clash struct {
	name string
	send func(api.Exists)
}

// mostBegun is how many of many transfers are begun at a time: one alone waits for the page, the engine and the server in turn, and
// all at once are more calls than the engine takes.
const mostBegun = 6

// Upload sends files of this device to a folder, in about their order: the first, which may raise a question, before all others.
func (a *App) Upload(site api.AccountID, folder api.FilePath, files []LocalFile) {
	fewAtATime(len(files), func(i int, after func()) { a.Transfers.upload(site, folder, files[i], nil, after) })
}

// fewAtATime calls do for 0 to n-1, with what is to be called when that has begun: for the first, and then for some at a time.
func fewAtATime(n int, do func(i int, after func())) {
	next, begun, most := 0, 0, 1
	var begin func()
	begin = func() {
		for begun < most && next < n {
			begun++
			next++
			do(next-1, func() {
				begun--
				most = min(most+1, mostBegun)
				begin()
			})
		}
	}
	begin()
}

func (t *Transfers) upload(site api.AccountID, folder api.FilePath, f LocalFile, then func(api.Transfer), after func()) {
	r := api.UploadFile{Site: site, Folder: folder, File: f.About()}
	t.send(r.File.Name, func(ctx context.Context, svc api.Service, exists api.Exists) (api.Transfer, error) {
		r.Exists = exists
		var data []byte
		if r.File.Size <= api.MaxSmall { // else, and where it cannot be read now, it is handed over when it is its turn
			data, _ = f.Read(ctx, 0, int(r.File.Size))
		}
		return svc.UploadFile(ctx, r, data)
	}, api.ExistsAsk, func(x api.Transfer) {
		t.held[x.ID] = &upload{file: f}
		if then != nil {
			then(x)
		}
	}, after)
}

// send begins a transfer to a server. If there is a file of that name, it is asked what is to become of it.
func (t *Transfers) send(name string, call func(ctx context.Context, svc api.Service, exists api.Exists) (api.Transfer, error), exists api.Exists, then func(api.Transfer), after func()) {
	var x api.Transfer
	t.app.askThen(t.app.sched.Later, func(ctx context.Context, svc api.Service) (err error) {
		x, err = call(ctx, svc, exists)
		return err
	}, func(p *api.Problem) {
		switch {
		case p != nil && p.Code == api.CodeFileExists && exists == api.ExistsAsk:
			t.clash(clash{name, func(e api.Exists) { t.send(name, call, e, then, nil) }})
		case p != nil:
			t.app.Toasts.FileTrouble(name+" could not be sent", p)
		default:
			then(x)
			t.began(x)
		}
		if after != nil {
			after()
		}
	})
}

func (t *Transfers) clash(c clash) {
	t.clashes = append(t.clashes, c)
	if len(t.clashes) == 1 {
		t.askClash()
	}
}

func (t *Transfers) askClash() {
	t.app.Voice.Cry("There is a file called " + t.clashes[0].name + " already. Replace it, keep both, or skip?")
	t.app.platform.Focus(`[data-testid="clash-both"]`)
}

// Clash is the name that is there already, "" if there is nothing to decide, and how many more there are.
func (t *Transfers) Clash() (name string, more int) {
	if len(t.clashes) == 0 {
		return "", 0
	}
	return t.clashes[0].name, len(t.clashes) - 1
}

// Settle decides about the file that is asked about, or about all of them. ExistsAsk skips it.
func (t *Transfers) Settle(e api.Exists, all bool) {
	n := 1
	if all {
		n = len(t.clashes)
	}
	now := t.clashes[:min(n, len(t.clashes))]
	t.clashes = append([]clash(nil), t.clashes[len(now):]...)
	for _, c := range now {
		if e != api.ExistsAsk {
			c.send(e)
		}
	}
	if len(t.clashes) > 0 {
		t.askClash()
		return
	}
	if t.app.Route.Page == PageFiles {
		t.app.Files.FocusCursor()
	}
}
