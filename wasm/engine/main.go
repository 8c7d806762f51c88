//go:build js

// The engine of Postern as a program: it runs in a Web Worker, keeps the mail in the browser's private file system, and
// answers the pages. See client/engine; what the browser gives it is client/platform.
package main

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine"
	"github.com/postern-mail/postern/client/engine/rehearsal"
	"github.com/postern-mail/postern/client/platform"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// version is set by the build (-ldflags -X).
var version = "dev"

// window is how much of a stream may be on its way to us. It carries 80 MB/s at a round trip of 100 ms, more than we can
// read; the tunnel's own would carry ten. It costs the gateway nothing, whose queue is bounded by itself, and us as much
// for each stream that we do not read as fast as it comes: there are two for an account.
const window = 8 << 20

// folder is where the engine keeps everything, in the private file system of the browser.
const folder = "postern"

func main() {
	tendMemory()
	if err := run(context.Background()); err != nil {
		js.Global().Get("console").Call("error", "postern: "+err.Error())
		platform.Fail(api.AsProblem(err))
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	device := folder + "/"
	fs, err := store.OpenOPFS(ctx, folder)
	if err != nil && !errors.Is(err, store.ErrNoOPFS) {
		return &api.Problem{Code: api.CodeStorage, Technical: err.Error()}
	}
	if err != nil { // a private window: the mail lives as long as the page does, and the page says so
		fs, device = store.NewMemFS(), ""
		platform.Tell(&api.Problem{Code: api.CodeStorage, Detail: "This window keeps nothing: what is not on the server is gone when it closes", Technical: err.Error()})
	}
	dialer := &tunnel.Dialer{
		Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
			s, err := platform.DialSocket(ctx, platform.GatewayURL(wire.Path), wire.Subprotocol, wire.MaxMessage)
			if err != nil {
				return nil, err // not s: a nil *Socket is no nil MessageConn
			}
			return s, nil
		},
		Hello:   wire.Hello{Version: wire.Version, Client: "postern/" + version},
		Options: &tunnel.Options{Window: window},
	}
	reader := mail.Reader{Charsets: platform.DecodeText}
	var room func(context.Context) (int64, bool)
	if device != "" {
		room = platform.Room
	}
	e, err := engine.New(engine.Config{
		FS: fs, Device: device, Room: room, Gateway: dialer, Vault: platform.NewVault("postern-vault"), Mail: reader, Prepare: func(ctx context.Context) { rehearsal.Play(ctx, reader) },
		Version: version, Logf: logf,
	})
	if err != nil {
		return &api.Problem{Code: api.CodeStorage, Technical: err.Error()}
	}
	go dialer.Run(ctx)
	go platform.ServeTabs(ctx, e, e)
	return e.Run(ctx)
}

func logf(format string, args ...any) {
	js.Global().Get("console").Call("info", fmt.Sprintf("postern: "+format, args...))
}
