package bridge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
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

// A client that is gone without a word, or stays on purpose, does not keep the gateway: one that has said nothing yet, and one with
// a stream that says nothing any more.
func TestShutdownDoesNotWaitForTheDeaf(t *testing.T) {
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo))})
	silent, _, err := g.webSocket(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.CloseNow()
	ws, _, err := g.webSocket(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	deaf := &deafConn{MessageConn: wsconn.New(ws), until: make(chan struct{})}
	s, err := tunnel.Client(t.Context(), deaf, wire.Hello{Version: wire.Version}, &tunnel.Options{Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	openStream(t, s)
	deaf.is.Store(true)
	defer func() { close(deaf.until); _ = s.Close() }()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := g.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if took := time.Since(began); took > farewell+2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// deafConn neither hears nor says anything once it is.
type deafConn struct {
	tunnel.MessageConn
	is    atomic.Bool
	until chan struct{}
}

func (d *deafConn) Read(ctx context.Context) ([]byte, error) {
	p, err := d.MessageConn.Read(ctx)
	if d.is.Load() {
		<-d.until
		return nil, io.EOF
	}
	return p, err
}

func (d *deafConn) Write(ctx context.Context, p []byte) error {
	if d.is.Load() {
		return nil
	}
	return d.MessageConn.Write(ctx, p)
}
