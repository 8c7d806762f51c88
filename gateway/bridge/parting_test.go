package bridge

import (
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/wire"
)

// A client that has broken the protocol and goes on all the same is not listened to.
func TestFloodAfterTheEnd(t *testing.T) {
	g := start(t, Config{})
	ws, _, err := g.webSocket(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	sent, message := 0, make([]byte, wire.MaxMessage)
	message[0] = 9 // no version of yamux
	for began := time.Now(); ; sent += len(message) {
		if err := ws.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			break
		}
		if sent > 32<<20 || time.Since(began) > 20*time.Second {
			t.Fatalf("%d octets are taken of who is to be gone", sent)
		}
	}
	eventually(t, "its session stays", func() bool { return g.Stats().Sessions == 0 && g.Stats().Broken == 1 })
}
