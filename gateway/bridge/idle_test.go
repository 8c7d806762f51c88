//go:build unix

package bridge

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
)

// A stream that has carried something and is quiet, as one that waits for mail is, holds no memory for what may come.
func TestQuietStreamHoldsLittle(t *testing.T) {
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo))})
	const sessions, streams = 2, 30
	var open []*tunnel.Conn
	carry := func(n int) {
		for _, c := range open {
			sent := make([]byte, n)
			if _, err := c.Write(sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, sent); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range sessions {
		s := g.session(t)
		for range streams {
			c := openStream(t, s)
			defer c.Close()
			open = append(open, c)
		}
	}
	carry(1) // buffers for a line are there
	before := heap()
	for range 3 {
		carry(5000)
	}
	var more int64
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // a relay reads on when its client has the answer
		runtime.GC() // and twice, what pools have is gone
		if more = heap() - before; more < sessions*streams*16<<10 {
			return
		}
	}
	t.Errorf("each holds %d octets more", more/(sessions*streams))
}
