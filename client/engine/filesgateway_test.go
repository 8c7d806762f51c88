package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/ftpserver"
	"github.com/postern-mail/postern/gateway/ftpserver/files"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// realGateway is an engine behind a bridge and a tunnel as they are in the field, over loopback, and a way to cut the tunnel.
type realGateway struct {
	t *testing.T
	*Engine
	cut     func()
	changed chan struct{}
}

func throughBridge(t *testing.T, c bridge.Config, roots *x509.CertPool) *realGateway {
	b, err := bridge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, b)
	server := httptest.NewServer(mux)
	var mu sync.Mutex
	var current *websocket.Conn
	dialer := &tunnel.Dialer{Hello: wire.Hello{Version: wire.Version, Client: "test"}, Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
		c, _, err := websocket.Dial(ctx, server.URL+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		current = c
		return wsconn.New(c), nil
	}}
	engine, err := New(Config{FS: store.NewMemFS(), Gateway: dialer, Roots: roots, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	g := &realGateway{t: t, Engine: engine, changed: make(chan struct{}, 1), cut: func() {
		mu.Lock()
		defer mu.Unlock()
		_ = current.CloseNow()
	}}
	engine.Subscribe(func(api.Event) { ask(g.changed) })
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = dialer.Run(ctx) })
	running.Go(func() { _ = engine.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = b.Shutdown(ctx)
		server.Close()
	})
	return g
}

func (g *realGateway) addSite(s api.Server, password string) api.Site {
	g.t.Helper()
	site, err := g.AddSite(g.t.Context(), api.AddSite{Server: s, Password: password})
	if err != nil {
		g.t.Fatal(err)
	}
	return site
}

// await waits for a transfer to be done, and calls half once it is half done.
func (g *realGateway) await(id api.TransferID, half func()) api.Transfer {
	g.t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		t, err := g.transfers.find(id)
		if err != nil {
			g.t.Fatal(err)
		}
		s := t.snapshot()
		if half != nil && s.Done > s.Size/2 {
			half()
			half = nil
		}
		if over(s.State) {
			if half != nil {
				g.t.Error("nobody has cut it in the middle")
			}
			return s
		}
		select {
		case <-g.changed:
		case <-time.After(5 * time.Millisecond):
		case <-limit:
			g.t.Fatalf("%+v, %v", s, s.Problem)
		}
	}
}

// upload hands a file over as a page does.
func (g *realGateway) upload(site api.AccountID, name string, data []byte, half func()) api.Transfer {
	g.t.Helper()
	return g.uploadAs(site, name, data, api.ExistsAsk, half)
}

func (g *realGateway) uploadAs(site api.AccountID, name string, data []byte, exists api.Exists, half func()) api.Transfer {
	g.t.Helper()
	u, err := g.UploadFile(g.t.Context(), api.UploadFile{Site: site, File: localFile(name, data), Exists: exists}, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(g.t.Context())
	var page sync.WaitGroup
	page.Go(func() {
		for ctx.Err() == nil {
			at, piece := int64(0), []byte(nil)
			for {
				want, err := g.PutChunk(ctx, api.PutChunk{ID: u.ID, Offset: at}, piece)
				if err != nil || want.Over {
					break
				}
				at, piece = want.Offset, bytes.Clone(data[want.Offset:want.Offset+int64(want.Length)])
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	defer page.Wait()
	defer stop()
	return g.await(u.ID, half)
}

// roundTrip sends a file and fetches it, each cut in the middle.
func (g *realGateway) roundTrip(site api.AccountID, data []byte) {
	t := g.t
	t.Helper()
	u := g.upload(site, "big.bin", data, g.cut)
	if u.State != api.TransferDone || u.Anew {
		t.Fatalf("up: %+v, %v", u, u.Problem)
	}
	p, err := g.ListFiles(t.Context(), api.FilesQuery{Site: site, Fresh: true})
	if err != nil || len(p.Files) != 1 || p.Files[0].Name != "big.bin" || p.Files[0].Size != int64(len(data)) {
		t.Fatalf("%+v, %v", p.Files, err)
	}
	d, err := g.DownloadFile(t.Context(), api.FileRef{Site: site, Path: p.Files[0].Path})
	if err != nil {
		t.Fatal(err)
	}
	if d = g.await(d.ID, g.cut); d.State != api.TransferDone || d.Anew {
		t.Fatalf("down: %+v, %v", d, d.Problem)
	}
	var got []byte
	for {
		piece, err := g.ReadDownload(t.Context(), api.ReadDownload{ID: d.ID, Offset: int64(len(got))})
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, piece...); len(piece) < api.MaxChunk {
			break
		}
	}
	if !bytes.Equal(got, data) {
		t.Error("it is another file")
	}
}

// 50 MB up and down through the tunnel and the bridge, both cut in the middle, from a server that demands that TLS sessions are resumed.
func TestFilesThroughARealGateway(t *testing.T) {
	server := mailtest.NewFTP()
	cert := mailtest.SelfSigned(t, "127.0.0.1")
	server.TLS, server.Reuse, server.TCP = &tls.Config{Certificates: []tls.Certificate{cert}}, true, true
	address := mailtest.Listen(t, server)
	rule, err := bridge.ParseRule(address)
	if err != nil {
		t.Fatal(err)
	}
	g := throughBridge(t, bridge.Config{Server: "test", Policy: bridge.Policy{Allow: []bridge.Rule{rule}}}, nil)
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	site := g.addSite(api.Server{Host: "127.0.0.1", Port: at.Port, Security: api.STARTTLS, User: "bob", Pin: trust.Fingerprint(cert.Certificate[0])}, bobFTP)
	g.roundTrip(site.ID, noise(50<<20, 21))
}

// oneUser is alice.
type oneUser struct{}

func (oneUser) Authenticate(_ context.Context, _ net.Addr, user, password string) (ftpserver.User, error) {
	if user != alice || password != alicePW {
		return ftpserver.User{}, ftpserver.ErrDenied
	}
	return ftpserver.User{ID: "a"}, nil
}

// The same with the gateway's own server, which is in the same process as the bridge.
func TestFilesOfARealGatewaysOwn(t *testing.T) {
	cert := mailtest.SelfSigned(t, "mail.postern.test")
	server := ftpserver.New(ftpserver.Config{
		Hostname: "mail.postern.test", Users: oneUser{}, Files: files.New(t.TempDir(), nil), TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
	})
	inside := ftpserver.NewInside()
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeInside(inside, false) })
	t.Cleanup(func() {
		inside.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Shutdown(ctx)
		serving.Wait()
	})
	g := throughBridge(t, bridge.Config{Server: "test", Embedded: []bridge.Embedded{{
		Info: wire.Embedded{
			Hostname: "mail.postern.test", Domains: []string{"postern.test"}, Fingerprint: trust.Fingerprint(cert.Certificate[0]),
			Services: []wire.Service{{Name: wire.FTP, Port: 2121}},
		},
		Inside: map[wire.ServiceName]func(context.Context) (net.Conn, error){wire.FTP: inside.Dial}, Data: server.OpenData,
	}}}, nil)
	site := g.addSite(api.Server{User: alice}, alicePW)
	if !site.Sealed {
		t.Error("it is not sealed")
	}
	g.roundTrip(site.ID, noise(20<<20, 22))
}
