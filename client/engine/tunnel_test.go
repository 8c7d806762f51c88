package engine

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// The engine over the tunnel as it is in the field, with a gateway that goes and comes.
func TestOverTheRealTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pop.NoWait = false
		servers := map[wire.ServiceName]mailtest.Server{wire.POP3S: w.pop, wire.Submissions: w.post}
		g := &tunneltest.Gateway{
			Welcome: w.gateway.welcome,
			Handle: func(o wire.Open) (func(net.Conn), *wire.RefusedError) {
				s, ok := servers[o.Service]
				if !ok || o.Host != "" || o.Port != 0 {
					return nil, &wire.RefusedError{Reason: wire.Denied}
				}
				return func(c net.Conn) {
					sealed := tls.Server(c, w.gateway.tls)
					s.ServeConn(sealed)
					sealed.Close()
				}, nil
			},
		}
		dialer := &tunnel.Dialer{Connect: g.Connect, Hello: wire.Hello{Version: wire.Version, Client: "test"}}
		c := w.config()
		c.Gateway = dialer
		engine, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var dialing sync.WaitGroup
		dialing.Go(func() { _ = dialer.Run(ctx) })
		w.runEngine(engine)
		defer func() {
			w.halt()
			stop()
			dialing.Wait()
			g.Cut()
			synctest.Wait()
		}()

		gen := mailtest.Generator{Seed: 6}
		const n = 120
		for i := range n {
			w.pop.Maildrop[alice].Deliver(gen.Message(i))
		}
		a := w.signIn(alice)
		time.Sleep(time.Second)
		synctest.Wait()
		wantMailbox(t, w, a.ID, gen, n)

		g.SetDown(true)
		time.Sleep(time.Minute)
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "while it was down"})
		w.pop.Maildrop[alice].Deliver(gen.Message(n))
		time.Sleep(10 * time.Minute)
		if s, _ := w.Status(t.Context()); s.Gateway.State == api.Online || len(s.Gateway.Demo) != 1 {
			t.Errorf("gateway %+v", s.Gateway)
		}
		if r := w.row(a.ID, id); r.State != api.StateQueued {
			t.Errorf("row %+v", r)
		}
		g.SetDown(false)
		if err := w.Reconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateSent {
			t.Errorf("row %+v", r)
		}
		if l := w.post.letters(); len(l) != 1 || !strings.Contains(l[0].content, "while it was down") {
			t.Errorf("sent %v", l)
		}
		wantMailbox(t, w, a.ID, gen, n+1)
	})
}
