//go:build js

// The page of Postern as a program: it draws what client/view says with the components of client/ui, and talks to the
// engine, which runs in a worker of this tab or of another one.
package main

import (
	"context"
	"runtime/debug"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/platform"
	"github.com/postern-mail/postern/client/render"
	"github.com/postern-mail/postern/client/ui"
	"github.com/postern-mail/postern/client/view"
	"github.com/vugu/vugu"
	vjs "github.com/vugu/vugu/js"
)

// gcPercent is how much the page's heap, a few megabytes, may grow between two collections: at Go's default of 100 these take a
// quarter of the page's time while a thousand things happen.
const gcPercent = 300

func main() {
	debug.SetGCPercent(gcPercent)
	ctx := context.Background()
	var page *platform.Page
	var app *view.App
	var screen *render.Renderer
	screen = render.New("#app", &render.Options{
		Rooted:   platform.Rooted,
		OnRender: func(time.Duration) { page.Rendered() },
		OnPanic: func(e *render.PanicError) {
			platform.LogError(e.Error(), e.Stack)
			screen.Update(func() { app.Toasts.Trouble("Something went wrong in the page", fault(e)) })
		},
	})
	page = platform.NewPage(screen)
	app = view.New(nil, page, screen)

	page.OnNavigate(app.Navigated)
	page.OnKey(func(k platform.Key) bool { return app.Key(view.Key(k)) })
	page.OnDrop(func() bool { return app.Composer.Open }, view.LargestFile, func(f platform.File) {
		if f.Data == nil {
			app.Composer.TooLarge(f.Name, f.Type, f.Size, ui.LocalFile(vjs.Value(f.Value)))
			return
		}
		app.Composer.Attach(f.Name, f.Type, f.Data)
	})

	host := &platform.Host{
		Worker: meta("postern-worker"), Engine: meta("postern-engine"),
		Attach: func(ctx context.Context, conn api.Conn) {
			engine := api.NewClient(conn, func(e api.Event) {
				if e.Account != nil {
					page.KeepStorage() // there is mail to keep from now on
				}
				app.Receive(e)
			})
			screen.Update(func() { app.Attach(engine) })
			engine.Run(ctx)
		},
		Notice: func(p *api.Problem) { screen.Update(func() { app.Toasts.Trouble(p.Detail, p) }) },
	}
	go host.Run(ctx)

	env, err := vugu.NewBuildEnv(screen.EventEnv())
	if err != nil {
		panic(err)
	}
	app.Start(ctx)
	if err := screen.Run(ctx, env, &ui.Root{App: app, Frame: page.Frame()}); err != nil {
		panic(err) // the shell says that the page has stopped
	}
}

// fault is a panic as the page tells of it.
func fault(e *render.PanicError) *api.Problem {
	return &api.Problem{Code: api.CodeInternal, Technical: e.Error()}
}

// meta reads what the build wrote into the page: where the other files are.
func meta(name string) string {
	return js.Global().Get("document").Call("querySelector", `meta[name="`+name+`"]`).Get("content").String()
}
