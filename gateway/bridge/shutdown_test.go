package bridge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

func TestShutdown(t *testing.T) {
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo))})
	idle, busy := g.session(t), g.session(t)
	c := openStream(t, busy)
	ended := make(chan error, 1)
	go func() { ended <- g.Shutdown(t.Context()) }()
	<-busy.Draining()
	<-idle.Done() // without streams there is nothing to wait for
	if !errors.Is(idle.Err(), tunnel.ErrSessionClosed) {
		t.Errorf("the idle session: %v", idle.Err())
	}
	if _, err := busy.Open(t.Context(), embedded); reason(err) != wire.Draining {
		t.Errorf("a new stream: %v", err)
	}
	if _, resp, err := g.webSocket(t, nil); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new session: %v", err)
	}
	_, _ = c.Write([]byte("bye")) // what is open goes on
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	_ = c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-busy.Done()
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo))})
	s := g.session(t)
	c := openStream(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.Draining(); cancel() }()
	if err := g.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := io.ReadAll(c); !errors.Is(err, tunnel.ErrSessionClosed) && !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("the stream: %v", err)
	}
	if st := g.Stats(); st.Sessions != 0 || st.Streams != 0 {
		t.Errorf("%+v", st)
	}
}
