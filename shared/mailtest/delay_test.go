package mailtest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

func TestDistant(t *testing.T) {
	const roundTrip = 40 * time.Millisecond
	echo := mailtest.Listen(t, mailtest.ServerFunc(func(c net.Conn) { _, _ = io.Copy(c, c) }))
	c, err := net.Dial("tcp", mailtest.Distant(t, echo, roundTrip))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begun := time.Now()
	sent := bytes.Repeat([]byte("0123456789"), 300_000)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got := make([]byte, 1)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < roundTrip {
		t.Errorf("the first octet took %v", took)
	}
	rest, err := io.ReadAll(c)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d octets of %d, %v", len(got), len(sent), err)
	}
}

// A reader that takes nothing holds up the writer, and not all that it writes.
func TestDistantIsBounded(t *testing.T) {
	stalled := make(chan struct{})
	server := mailtest.Listen(t, mailtest.ServerFunc(func(c net.Conn) { <-stalled }))
	defer close(stalled)
	c, err := net.Dial("tcp", mailtest.Distant(t, server, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	n, err := io.Copy(c, io.LimitReader(zeros{}, 1<<30))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n > 64<<20 {
		t.Errorf("%d octets were taken, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
