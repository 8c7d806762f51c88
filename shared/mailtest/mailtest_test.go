package mailtest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/mail"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPipe(t *testing.T) {
	a, b := mailtest.Pipe(nil)
	want := bytes.Repeat([]byte("0123456789"), 100_000) // more than is buffered
	go func() {
		b.Write(want)
		b.Close()
	}()
	got, err := io.ReadAll(a)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write to a closed peer: %v", err)
	}
	a.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

// Deadlines work, whether they are set before or during the wait, and can be taken back.
func TestPipeDeadlines(t *testing.T) {
	a, b := mailtest.Pipe(nil)
	defer a.Close()
	defer b.Close()
	p := make([]byte, 1)
	a.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := a.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past: %v", err)
	}
	a.SetDeadline(time.Time{})
	waiting := make(chan error)
	go func() {
		_, err := a.Read(p)
		waiting <- err
	}()
	a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("set while waiting: %v", err)
	}
	a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := a.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write to a peer that does not read: %v", err)
	}
}

func TestFaults(t *testing.T) {
	const said = "0123456789"
	for _, c := range []struct {
		name   string
		faults mailtest.Faults
		want   []string
		err    error
	}{
		{"none", mailtest.Faults{}, []string{said}, io.EOF},
		{"cut", mailtest.Faults{CutAfter: 3}, []string{"012"}, io.EOF},
		{"cut at once", mailtest.Faults{CutAfter: -1}, nil, io.EOF},
		{"stall", mailtest.Faults{StallAfter: 4}, []string{"0123"}, os.ErrDeadlineExceeded},
		{"stall at once", mailtest.Faults{StallAfter: -1}, nil, os.ErrDeadlineExceeded},
		{"packets", mailtest.Faults{Packet: 4}, []string{"0123", "4567", "89"}, io.EOF},
		{"split", mailtest.Faults{SplitAt: []int64{1, 7}}, []string{"0", "123456", "789"}, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := mailtest.Pipe(&c.faults)
			defer a.Close()
			io.WriteString(b, said)
			b.Close()
			a.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			for _, want := range c.want {
				p := make([]byte, 100)
				n, err := a.Read(p)
				if err != nil || string(p[:n]) != want {
					t.Errorf("%q, %v, want %q", p[:n], err, want)
				}
			}
			if n, err := a.Read(make([]byte, 1)); n != 0 || !errors.Is(err, c.err) {
				t.Errorf("then %d, %v, want %v", n, err, c.err)
			}
		})
	}
	t.Run("gather", func(t *testing.T) {
		a, b := mailtest.Pipe(&mailtest.Faults{Gather: 10})
		defer a.Close()
		defer b.Close()
		go func() {
			io.WriteString(b, said[:5])
			io.WriteString(b, said[5:])
		}()
		p := make([]byte, 100)
		if n, err := a.Read(p); err != nil || string(p[:n]) != said {
			t.Errorf("%q, %v", p[:n], err)
		}
	})
}

// Listen serves several connections, and ends those that are open at the end of the test.
func TestListen(t *testing.T) {
	t.Run("served", func(t *testing.T) {
		address := mailtest.Listen(t, mailtest.NewPOP3())
		for range 2 {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p := make([]byte, 3)
			if _, err := io.ReadFull(c, p); err != nil || string(p) != "+OK" {
				t.Errorf("%q, %v", p, err)
			}
		}
	})
}

// Messages are the same at every run, differ from each other, and can be read.
func TestGenerator(t *testing.T) {
	g := mailtest.Generator{Seed: 7, Attachments: 0.1, Attachment: 10_000}
	var small, large, dots int
	for i := range 300 {
		m := g.Message(i)
		if !bytes.Equal(m, g.Message(i)) {
			t.Fatalf("message %d is not the same twice", i)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(m))
		if err != nil || parsed.Header.Get("Message-ID") != g.MessageID(i) {
			t.Errorf("message %d: %v", i, err)
		}
		if bytes.Contains(bytes.ReplaceAll(m, []byte("\r\n"), nil), []byte("\n")) {
			t.Errorf("message %d has a lone LF", i)
		}
		if bytes.Contains(m, []byte("\r\n.")) {
			dots++
		}
		if len(m) < 4096 {
			small++
		} else {
			large++
		}
	}
	if small < 50 || large < 50 || dots < 10 {
		t.Errorf("%d small, %d large, %d with dots", small, large, dots)
	}
	if bytes.Equal(g.Message(1), mailtest.Generator{Seed: 8}.Message(1)) {
		t.Error("seeds make no difference")
	}
}
