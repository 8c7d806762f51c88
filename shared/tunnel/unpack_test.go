package tunnel_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
)

// byHand is a client whose frames are made by hand. Its session has the streams 3, 5 and so on, whose other ends are answered.
func byHand(t rapid.TB, streams int) (mine *tunneltest.Conn, s *tunnel.ServerSession, conns []*tunnel.Conn) {
	ctx := context.Background()
	mine, theirs := tunneltest.Pipe(tunneltest.Faults{Buffer: -1}, tunneltest.Faults{Buffer: -1})
	_ = mine.Write(ctx, packed(syn, 1, helloBytes()))
	s, err := tunnel.Serve(ctx, theirs, greet, &tunnel.Options{Linger: time.Millisecond}) // for mine says no goodbye
	if err != nil {
		t.Fatal(err)
	}
	go drain(mine)
	for i := range streams {
		_ = mine.Write(ctx, packed(syn, uint32(3+2*i), openBytes()))
		r, err := s.Accept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c.(*tunnel.Conn))
	}
	return mine, s, conns
}

// pieces is a Taker of all that comes.
type pieces struct {
	written bytes.Buffer
	taken   [][]byte
}

func (p *pieces) Write(b []byte) (int, error) { return p.written.Write(b) }

func (p *pieces) Take(b []byte) int {
	p.taken = append(p.taken, bytes.Clone(b))
	return len(b)
}

// A message brings a stream one piece, for which its target is written to once: also when frames go on from one message to the
// next, as those of long writes do, and with others between them.
func TestAMessageIsOnePiece(t *testing.T) {
	sent := random(90_000)
	a, b, c := packed(0, 3, sent[:60_000]), packed(0, 3, sent[60_000:60_030]), sent[60_030:]
	messages := []struct{ message, brings []byte }{
		{a[:20_012], sent[:20_000]},
		{append(a[20_012:], b...), sent[20_000:60_030]},
		{bytes.Join([][]byte{packed(0, 3, c[:3]), yamuxFrame(windowUpdate, 0, 3, 7), packed(0, 3, c[3:4]), packed(0, 3, c[4:])}, nil), c},
	}
	synctest.Test(t, func(t *testing.T) {
		mine, s, conns := byHand(t, 1)
		defer s.Close()
		var got pieces
		ended := make(chan error, 1)
		go func() {
			_, err := conns[0].WriteTo(&got)
			ended <- err
		}()
		synctest.Wait()
		for i, m := range messages {
			_ = mine.Write(t.Context(), m.message)
			synctest.Wait()
			if len(got.taken) != i+1 || !bytes.Equal(got.taken[i], m.brings) {
				t.Fatalf("message %d of %d bytes came in %d pieces, the last of %d", i, len(m.brings), len(got.taken)-i, len(got.taken[len(got.taken)-1]))
			}
		}
		_ = mine.Write(t.Context(), yamuxFrame(windowUpdate, fin, 3, 0))
		if err := <-ended; err != nil || got.written.Len() > 0 {
			t.Errorf("%v; %d bytes went another way", err, got.written.Len())
		}
	})
}

// However a client cuts its streams into frames, mixes these and cuts them into messages, each stream gets its own in order.
func TestFramesAndMessagesCutAnywhere(t *testing.T) {
	sent := [][]byte{random(2000), random(2000), random(2000)}
	rapid.Check(t, func(t *rapid.T) {
		mine, s, conns := byHand(t, len(sent))
		defer s.Close()
		var line []byte
		for left := slices.Clone(sent); ; {
			i := rapid.IntRange(0, len(sent)-1).Draw(t, "stream")
			if left[i] == nil {
				if i = slices.IndexFunc(left, func(p []byte) bool { return p != nil }); i < 0 {
					break
				}
			}
			n := min(rapid.SampledFrom([]int{0, 1, 12, 13, 100, 1000}).Draw(t, "frame"), len(left[i]))
			flags := uint16(0)
			if n == len(left[i]) {
				flags = fin
			}
			line = append(line, packed(flags, uint32(3+2*i), left[i][:n])...)
			if left[i] = left[i][n:]; flags == fin {
				left[i] = nil
			}
		}
		got := make([]chan []byte, len(conns))
		for i, c := range conns {
			got[i] = make(chan []byte, 1)
			read := io.ReadAll
			if rapid.Bool().Draw(t, "taken") {
				read = func(io.Reader) ([]byte, error) {
					var w taker
					_, err := c.WriteTo(&w)
					return w.Bytes(), err
				}
			}
			go func() {
				p, _ := read(c)
				got[i] <- p
			}()
		}
		for len(line) > 0 {
			n := min(rapid.SampledFrom([]int{1, 12, 30, 400, 8000}).Draw(t, "message"), len(line))
			_ = mine.Write(context.Background(), line[:n])
			line = line[n:]
		}
		for i, p := range sent {
			if !bytes.Equal(<-got[i], p) {
				t.Errorf("stream %d is not what was sent", 3+2*i)
			}
		}
	})
}
