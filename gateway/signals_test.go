package main

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// The first signal lets what is open end, the second one ends the program at once.
func TestSecondSignal(t *testing.T) {
	l := live(t, t.TempDir(), "--drain", "10m")
	s, err := dial(t, l.find(`Page +(http://localhost:\d+)`))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(t.Context(), wire.Open{Service: wire.POP3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := l.Process.Signal(syscall.SIGHUP); err != nil { // which many programs end by
		t.Fatal(err)
	}
	l.await("an answer to the hangup", func() bool { return strings.Contains(l.program.stderr.String(), "there is none") })
	if err := l.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.Draining()
	began := time.Now()
	if err := l.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = l.Wait()
	if took := time.Since(began); took > 10*time.Second || err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("after %v it ended with %v", took, err)
	}
}
