package bridge

import (
	"testing"
	"time"
	"os"
	"runtime/pprof"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/wire"
)

func TestZZ(t *testing.T) {
	g := start(t, Config{})
	ws, _, err := g.webSocket(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	sent, message := 0, make([]byte, wire.MaxMessage)
	message[0] = 9 // no version of yamux
	time.AfterFunc(2*time.Second, func() { println(sent); pprof.Lookup("goroutine").WriteTo(os.Stderr, 1) })
	for  ; ; sent += len(message) {
		if err := ws.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			println(err.Error())
			break
		}
	}
	println(sent)
}
