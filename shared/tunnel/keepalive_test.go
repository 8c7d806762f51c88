package tunnel_test

import (
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
)

// Who is taken for dead has been asked before, however soon that is.
func TestSilentPeerIsAskedFirst(t *testing.T) {
	for _, o := range []*tunnel.Options{{DeadAfter: 3 * time.Second}, {DeadAfter: 3 * time.Second, KeepAlive: time.Hour}} {
		a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
		c, s := sessions(t, a, b, o)
		before := b.Sent() // and nothing more but pings and their answers
		for end := time.Now().Add(10 * time.Second); b.Sent() == before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%+v: nothing is asked", o)
			}
		}
		if c.Err() != nil || s.Err() != nil {
			t.Errorf("%+v: %v; %v", o, c.Err(), s.Err())
		}
	}
}
