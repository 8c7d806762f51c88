package wsconn_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a wsconn at one end and the plain WebSocket at the other.
func pair(t *testing.T) (tunnel.MessageConn, *websocket.Conn) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	t.Cleanup(srv.Close)
	c, resp, err := websocket.Dial(t.Context(), srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	peer := <-accepted
	t.Cleanup(func() { _ = c.CloseNow(); _ = peer.CloseNow() })
	return wsconn.New(c), peer
}

func TestMessages(t *testing.T) {
	mc, peer := pair(t)
	peer.SetReadLimit(wire.MaxMessage)
	for _, size := range []int{0, 1, 1000, wire.MaxMessage - 1, wire.MaxMessage} {
		sent := bytes.Repeat([]byte{byte(size)}, size)
		go func() { _ = peer.Write(context.Background(), websocket.MessageBinary, sent) }()
		if got, err := mc.Read(t.Context()); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("reading %d bytes: %d, %v", size, len(got), err)
		}
		go func() { _ = mc.Write(context.Background(), sent) }()
		kind, got, err := peer.Read(t.Context())
		if err != nil || !bytes.Equal(got, sent) || kind != websocket.MessageBinary {
			t.Errorf("writing %d bytes: %d, %v, %v", size, len(got), kind, err)
		}
	}
}

func TestRefusedMessages(t *testing.T) {
	for _, test := range []struct {
		name string
		kind websocket.MessageType
		size int
		code websocket.StatusCode
	}{
		{"too long", websocket.MessageBinary, wire.MaxMessage + 1, websocket.StatusMessageTooBig},
		{"much too long", websocket.MessageBinary, 10 * wire.MaxMessage, websocket.StatusMessageTooBig},
		{"text", websocket.MessageText, 5, websocket.StatusUnsupportedData},
	} {
		t.Run(test.name, func(t *testing.T) {
			mc, peer := pair(t)
			go func() { _ = peer.Write(context.Background(), test.kind, make([]byte, test.size)) }()
			closed := make(chan websocket.StatusCode, 1)
			go func() {
				_, _, err := peer.Read(context.Background())
				closed <- websocket.CloseStatus(err)
			}()
			if got, err := mc.Read(t.Context()); err == nil {
				t.Errorf("read %d bytes", len(got))
			}
			if code := <-closed; code != test.code {
				t.Errorf("closed with %v", code)
			}
		})
	}
}

func TestCloseUnblocksReadAndTellsThePeer(t *testing.T) {
	mc, peer := pair(t)
	read := make(chan error, 1)
	go func() {
		_, err := mc.Read(context.Background())
		read <- err
	}()
	told := make(chan error, 1)
	go func() {
		_, _, err := peer.Read(context.Background())
		told <- err
	}()
	if err := mc.Close("goodbye"); err != nil {
		t.Error(err)
	}
	if err := <-read; err == nil {
		t.Error("Read returned a message")
	}
	if err := <-told; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the peer got %v", err)
	}
}
