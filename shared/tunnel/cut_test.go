package tunnel_test

import (
	"io"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
)

// Who neither reads nor writes is told of a cut, once, and of no proper end.
func TestAfterCut(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(c *tunnel.Session, client *tunnel.Conn)
		late bool // AfterCut is called when it has happened
		stop bool // and taken back before
		want int
	}{
		"the peer's Abort":           {end: func(_ *tunnel.Session, client *tunnel.Conn) { client.Abort() }, want: 1},
		"the session's end":          {end: func(c *tunnel.Session, _ *tunnel.Conn) { _ = c.Close() }, want: 1},
		"an Abort, and then the end": {end: func(c *tunnel.Session, client *tunnel.Conn) { client.Abort(); _ = c.Close() }, want: 1},
		"it has been cut":            {end: func(_ *tunnel.Session, client *tunnel.Conn) { client.Abort() }, late: true, want: 1},
		"taken back":                 {end: func(c *tunnel.Session, _ *tunnel.Conn) { _ = c.Close() }, stop: true},
		"the peer's Close":           {end: func(_ *tunnel.Session, client *tunnel.Conn) { _ = client.Close() }},
		"the peer's CloseWrite":      {end: func(_ *tunnel.Session, client *tunnel.Conn) { _ = client.CloseWrite() }},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
			c, s := sessions(t, a, b, quick)
			client, server := conns(t, c, s)
			cut := make(chan struct{}, 2)
			after := func() func() { return server.(*tunnel.Conn).AfterCut(func() { cut <- struct{}{} }) }
			if !test.late {
				if stop := after(); test.stop {
					stop()
				}
			}
			test.end(c, client.(*tunnel.Conn))
			_, _ = io.ReadAll(server) // until it has come
			if test.late {
				after()
			}
			got := 0
			for { // one more would have come by then
				select {
				case <-cut:
					got++
					continue
				case <-time.After(5 * quick.Linger):
				}
				break
			}
			if got != test.want {
				t.Errorf("it was told %d times, want %d", got, test.want)
			}
		})
	}
}
