package view_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// gateway is an engine.Gateway to servers in memory.
type gateway struct {
	servers map[wire.ServiceName]mailtest.Server
	tls     *tls.Config

	mu    sync.Mutex
	state tunnel.State
	hear  []func(tunnel.State) // nil once canceled
}

func newGateway(t *testing.T, servers map[wire.ServiceName]mailtest.Server) *gateway {
	cert := mailtest.SelfSigned(t, "mail.postern.test")
	sum := sha256.Sum256(cert.Certificate[0])
	w := &wire.Welcome{Version: wire.Version, Embedded: &wire.Embedded{
		Hostname: "mail.postern.test", Domains: []string{"postern.test"}, Fingerprint: hex.EncodeToString(sum[:]),
		Demo: []wire.DemoAccount{{Name: "Alice", Email: alice, Password: "secret"}},
	}}
	for name := range servers {
		w.Embedded.Services = append(w.Embedded.Services, wire.Service{Name: name, Port: 1})
	}
	return &gateway{servers: servers, tls: &tls.Config{Certificates: []tls.Certificate{cert}}, state: tunnel.State{Phase: tunnel.Online, Welcome: w}}
}

func (g *gateway) Open(_ context.Context, o wire.Open) (net.Conn, error) {
	if g.State().Phase != tunnel.Online {
		return nil, tunnel.ErrOffline
	}
	near, far := mailtest.Pipe(nil)
	go func() {
		conn := tls.Server(far, g.tls)
		g.servers[o.Service].ServeConn(conn)
		conn.Close()
	}()
	return near, nil
}

func (g *gateway) State() tunnel.State { g.mu.Lock(); defer g.mu.Unlock(); return g.state }

func (g *gateway) Subscribe(fn func(tunnel.State)) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := len(g.hear)
	g.hear = append(g.hear, fn)
	return func() { g.mu.Lock(); g.hear[i] = nil; g.mu.Unlock() }
}

func (g *gateway) Present(string) {}

func (g *gateway) Kick() {}

func (g *gateway) set(p tunnel.Phase) {
	g.mu.Lock()
	g.state.Phase = p
	s, list := g.state, slices.Clone(g.hear)
	g.mu.Unlock()
	for _, fn := range list {
		if fn != nil {
			fn(s)
		}
	}
}

// The page over the real engine, joined by a pipe, with mail servers in memory: the journey of a message as the page
// sees it.
func TestOverTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drop := new(mailtest.Maildrop)
		letter := func(subject, text string) {
			drop.Deliver([]byte("From: Bob <bob@postern.test>\r\nTo: <" + alice + ">\r\nSubject: " + subject +
				"\r\nDate: Sat, 1 Jan 2000 00:00:00 +0000\r\nMessage-ID: <" + subject + "@postern.test>\r\n\r\n" + text + "\r\n"))
		}
		letter("Lunch", "Shall we?")
		pop := &mailtest.POP3{Password: map[string]string{alice: "secret"}, Maildrop: map[string]*mailtest.Maildrop{alice: drop}, NoWait: true}
		post := mailtest.NewSMTP()
		post.Password, post.Users = map[string]string{alice: "secret"}, []string{"bob@postern.test"}
		g := newGateway(t, map[wire.ServiceName]mailtest.Server{wire.POP3S: pop, wire.Submissions: post})
		eng, err := engine.New(engine.Config{FS: store.NewMemFS(), Gateway: g, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { eng.Run(ctx) })

		p := &page{Page: viewtest.NewPage(t, nil, "/")}
		connect := func() (cut func()) {
			here, there := api.Pipe()
			client := api.NewClient(here, p.Receive)
			running.Go(func() { client.Run(ctx) })
			running.Go(func() { api.Serve(ctx, there, eng, eng) })
			p.Do(func() { p.Attach(client) })
			return func() { client.Close() }
		}
		p.Start(ctx)
		cut := connect()
		p.pass(time.Second)
		equal(t, "phase", p.Session.Phase, view.SignedOut)
		equal(t, "demo", p.Gateway.Demo[0].Email, alice)

		p.act(func() { p.Session.Email, p.Session.Password = alice, "wrong"; p.Session.Submit() })
		p.pass(10 * time.Second)
		equal(t, "wrong password", p.Session.ErrorWords().Title, "The password was not accepted")
		p.act(func() { p.Session.Demo(p.Gateway.Demo[0]) })
		p.pass(10 * time.Second)
		equal(t, "ready", p.Ready(), true)
		equal(t, "inbox", strings.Join(p.subjects(0, 9), ","), "Lunch")

		letter("Dinner", "Or later? https://postern.test/menu")
		p.act(p.SyncNow)
		p.pass(time.Minute)
		equal(t, "new mail", p.List.Total, 2)
		i := 0
		if p.subjects(0, 1)[0] != "Dinner" {
			i = 1
		}
		row, _ := p.List.Row(i)
		p.act(func() { p.OpenMessage(view.RefOf(row)) })
		p.pass(time.Second)
		equal(t, "text", len(p.Reader.Body), 1)
		equal(t, "unread", p.folder(api.Inbox).Unread, 1)

		p.act(p.Reply)
		p.act(func() { p.Composer.SetText("Gladly.\n" + p.Composer.Text) })
		p.pass(5 * time.Second)
		equal(t, "draft", p.folder(api.Drafts).Total, 1)
		p.act(p.Composer.Send)
		p.pass(time.Minute)
		if n := len(post.Received()); n != 1 {
			t.Fatalf("%d messages reached the server; outbox %+v; %s", n, p.folder(api.Outbox), p.toasts())
		}
		equal(t, "sent", p.folder(api.Sent).Total, 1)
		equal(t, "draft gone", p.folder(api.Drafts).Total, 0)
		equal(t, "outbox", p.folder(api.Outbox).Total, 0)

		g.set(tunnel.Offline)
		p.pass(time.Second)
		equal(t, "offline", p.ConnectionWords(), "Offline")
		p.act(func() { p.ComposeTo("bob@postern.test") })
		p.act(func() { p.Composer.SetSubject("Later"); p.Composer.Send() })
		p.pass(time.Minute)
		equal(t, "waits", p.folder(api.Outbox).Total, 1)
		p.act(func() { p.OpenFolder(api.Outbox) })
		p.pass(time.Second)
		row, _ = p.List.Row(0)
		equal(t, "state", row.State, api.StateQueued)

		// The tab that held the engine goes; the page finds it again elsewhere.
		cut()
		p.pass(time.Second)
		connect()
		g.set(tunnel.Online)
		p.pass(time.Minute)
		equal(t, "left when online", len(post.Received()), 2)
		equal(t, "outbox empty", p.List.Total, 0)

		p.act(func() { p.OpenFolder(api.Inbox) })
		p.pass(time.Second)
		row, _ = p.List.Row(0)
		p.act(func() { p.Delete([]api.MessageRef{view.RefOf(row)}) })
		p.pass(time.Second)
		equal(t, "deleted", p.List.Total, 1)
		p.act(p.UndoLast)
		p.pass(time.Second)
		equal(t, "had back", p.List.Total, 2)
		p.act(func() { p.SetSearch("later"); p.SubmitSearch() })
		p.pass(time.Second)
		equal(t, "found", strings.Join(p.subjects(0, 9), ","), "Dinner")

		p.act(func() { p.Session.SignOut(false) })
		p.pass(time.Second)
		equal(t, "phase", p.Session.Phase, view.SignedOut)
		cancel()
		running.Wait()
		p.pass(time.Minute)
	})
}
