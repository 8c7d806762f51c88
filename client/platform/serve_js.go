package platform

import (
	"context"
	"sync"
	"syscall/js"

	"github.com/postern-mail/postern/client/api"
	json "github.com/postern-mail/postern/client/internal/wirejson"
)

// ServeTabs answers calls of the page that started this worker, and of the other tabs, until ctx ends.
func ServeTabs(ctx context.Context, svc api.Service, src api.Source) {
	own := api.Port(js.Global())
	var work sync.WaitGroup
	work.Go(func() { api.Serve(ctx, own, svc, src) })
	js.Global().Call("postMessage", []any{wordReady})
	api.ServeBroadcast(ctx, engineChannel, randomName(), tabGone, func(c api.Conn) { api.Serve(ctx, c, svc, src) })
	own.Close()
	work.Wait()
}

// Tell gives a problem that no call can tell to the page that started this worker.
func Tell(p *api.Problem) { tell(wordNotice, p) }

// Fail says why this worker is about to end.
func Fail(p *api.Problem) { tell(wordFatal, p) }

func tell(word string, p *api.Problem) {
	text, err := json.Marshal(p)
	if err != nil {
		return // a Problem is a code and two strings
	}
	js.Global().Call("postMessage", []any{word, string(text)})
}

// tabGone waits until a tab has gone: it holds its lock as long as it is there.
func tabGone(ctx context.Context, tab string) {
	if release, err := lock(ctx, tabLock(tab), false); err == nil {
		release()
	}
}

// GatewayURL is the address of the tunnel on the gateway that this page came from.
func GatewayURL(path string) string {
	at := js.Global().Get("location")
	scheme := "ws://"
	if at.Get("protocol").String() == "https:" {
		scheme = "wss://"
	}
	return scheme + at.Get("host").String() + Rooted(path)
}
