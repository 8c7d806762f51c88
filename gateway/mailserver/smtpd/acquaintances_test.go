package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

// Who is known is known after a restart: who came through, and since when who waits.
func TestGreylistOutlivesARestart(t *testing.T) {
	g, c := newGreylist(0)
	ask := func(from string) time.Duration {
		return g.wait(netip.MustParseAddr("192.0.2.1"), authenticity.SPF{}, from, "b@y.test")
	}
	ask("known@x.test")
	c.pass(5 * time.Minute)
	ask("known@x.test")
	ask("waits@x.test")
	c.pass(time.Minute)
	var file bytes.Buffer
	if err := g.Save(&file); err != nil || file.Len() != 2*33 {
		t.Fatal(file.Len(), err)
	}
	saved := file.Bytes()
	restart := func(b []byte) error {
		g = NewGreylist(GreylistOptions{Now: c.now})
		return g.Load(bytes.NewReader(b))
	}
	if err := restart(saved); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]time.Duration{"known@x.test": 0, "waits@x.test": 4 * time.Minute, "new@x.test": 5 * time.Minute} {
		if got := ask(from); got != want {
			t.Errorf("%s waits %v, want %v", from, got, want)
		}
	}
	if err := restart(saved[:len(saved)-1]); !errors.Is(err, io.ErrUnexpectedEOF) || len(g.known) != 1 {
		t.Errorf("of a file that was cut: %v, %d", err, len(g.known))
	}
	c.pass(-time.Hour)
	if err := restart(saved); err != nil || len(g.known) != 0 {
		t.Errorf("with a clock that was set back: %v, %d", err, len(g.known))
	}
	c.pass(40 * 24 * time.Hour)
	if err := restart(saved); err != nil || len(g.known) != 0 {
		t.Errorf("long after: %v, %d", err, len(g.known))
	}
}
