package ftpsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
)

// octets are n octets of every value, the same at every run.
func octets(n int) string {
	p := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(n)})
	random.Read(p[:min(n, 1<<20)])
	for have := 1 << 20; have < n; have *= 2 {
		copy(p[have:], p[:have])
		p[have] ^= byte(have >> 20) // no two megabytes are the same
	}
	return string(p)
}

// large is more than what the systems of both ends hold for a connection that nobody reads.
const large = 12_000_000

func (s *suite) content(t *testing.T) {
	c := s.folder(t, nil)
	for _, n := range []int{0, 1, 1000, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3_000_001} {
		name := fmt.Sprintf("file of %d", n)
		store(t, c, name, octets(n))
		same(t, c, name, octets(n))
		if size, err := c.Size(c.ctx, name); err != nil || size != int64(n) {
			t.Errorf("SIZE of %d octets: %d, %v", n, size, err)
		}
	}
	for name, content := range map[string]string{
		"lines": "a\r\nb\nc\rd\r\n.\r\n", "Telnet": "\xff\xf4\xff\xf2\xff\xff", "replies": "226 done\r\n",
	} {
		store(t, c, name, content)
		same(t, c, name, content)
	}
	store(t, c, "lines", "shorter")
	same(t, c, "lines", "shorter")
	var got bytes.Buffer
	if _, err := c.Retr(c.ctx, "lines", 0, 8, &got); !errors.Is(err, ftp.ErrTruncated) || got.String() != "shorter" {
		t.Errorf("a file of 7 octets that should have 8: %v", err)
	}
	c.alive(t)
}

func (s *suite) resume(t *testing.T) {
	c := s.folder(t, nil)
	whole := octets(300_000)
	store(t, c, "file", whole[:100_000])
	n, err := c.Stor(c.ctx, "file", 100_000, strings.NewReader(whole[100_000:]))
	must(t, err)
	if n != 200_000 {
		t.Errorf("%d octets", n)
	}
	same(t, c, "file", whole)
	for _, from := range []int{1, 65_536, 299_999, 300_000} {
		var got bytes.Buffer
		n, err := c.Retr(c.ctx, "file", int64(from), 300_000, &got)
		must(t, err)
		if got.String() != whole[from:] || n != int64(300_000-from) {
			t.Errorf("from %d: %d octets", from, n)
		}
	}
	same(t, c, "file", whole) // the last REST counts no more
	var restarts []int64
	for _, e := range c.transcript() {
		switch {
		case e.Sent && e.Line == "RETR file":
			restarts = append(restarts, e.State.Restart)
		case !e.Sent && strings.HasPrefix(e.Line, "226") && e.State.Restart != 0:
			t.Errorf("at %q the next transfer still starts at %d", e.Line, e.State.Restart)
		}
	}
	if !slices.Equal(restarts, []int64{0, 1, 65_536, 299_999, 300_000, 0}) {
		t.Errorf("the state showed transfers from %v", restarts)
	}
	c.alive(t)
}

func (s *suite) appending(t *testing.T) {
	c := s.folder(t, nil)
	for i, part := range []string{"one ", "two ", "three"} {
		if n, err := c.Appe(c.ctx, "file", strings.NewReader(part)); err != nil || n != int64(len(part)) {
			t.Errorf("part %d: %d octets, %v", i, n, err)
		}
	}
	same(t, c, "file", "one two three")
}

// full is a writer that has no room for more.
type full struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no room here")

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room-f.Len())
	f.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (s *suite) brokenDownload(t *testing.T) {
	for _, synch := range []bool{false, true} {
		t.Run(fmt.Sprintf("Telnet signals %v", synch), func(t *testing.T) {
			c := s.folder(t, func(o *ftp.Options) { o.Synch = synch })
			large, small := octets(large), octets(300_000)
			store(t, c, "large", large)
			store(t, c, "small", small)
			for _, f := range []struct {
				name, whole string
				room        int
			}{{"small", small, 0}, {"small", small, 1}, {"large", large, 1_000_000}} {
				w := &full{room: f.room}
				n, err := c.Retr(c.ctx, f.name, 0, -1, w)
				if !errors.Is(err, errFull) || !errors.Is(err, ftp.ErrAborted) || n != int64(f.room) {
					t.Fatalf("room for %d: %d octets, %v", f.room, n, err)
				}
				c.alive(t)
				w.room = len(f.whole)
				if _, err := c.Retr(c.ctx, f.name, n, int64(len(f.whole)), w); err != nil || w.String() != f.whole {
					t.Errorf("resumed from %d: %d octets, %v", n, w.Len(), err)
				}
			}
			// Broken off after the server has sent it all.
			store(t, c, "small", "12345")
			if _, err := c.Retr(c.ctx, "small", 0, -1, &full{room: 2}); !errors.Is(err, errFull) {
				t.Errorf("%v", err)
			}
			c.alive(t)
		})
	}
}

func (s *suite) brokenUpload(t *testing.T) {
	c := s.folder(t, nil)
	whole := octets(3_000_000)
	for _, have := range []int{0, 1, 2_000_000} {
		name := fmt.Sprintf("file %d", have)
		n, err := c.Stor(c.ctx, name, 0, io.MultiReader(strings.NewReader(whole[:have]), broken{}))
		if !errors.Is(err, errFull) || !errors.Is(err, ftp.ErrAborted) || n != int64(have) {
			t.Fatalf("%d octets of %d, %v", n, have, err)
		}
		c.alive(t)
		size, err := c.Size(c.ctx, name) // what is there is a part of it, or nothing
		if errors.Is(err, ftp.ErrNoFile) {
			size, err = 0, nil
		}
		if err != nil || size > n {
			t.Fatalf("SIZE %d, %v", size, err)
		}
		if _, err := c.Stor(c.ctx, name, size, strings.NewReader(whole[size:])); err != nil {
			t.Error(err)
		}
		same(t, c, name, whole)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errFull }

// ending ends a context after some octets have passed.
type ending struct {
	cancel func()
	left   int
}

func (e *ending) pass(p []byte) (int, error) {
	if e.left -= len(p); e.left <= 0 {
		e.cancel()
	}
	return len(p), nil
}

func (e *ending) Write(p []byte) (int, error) { return e.pass(p) }
func (e *ending) Read(p []byte) (int, error)  { return e.pass(p) }

func (s *suite) contextEnds(t *testing.T) {
	c := s.folder(t, nil)
	store(t, c, "file", octets(large))
	for name, do := range map[string]func(context.Context, *ending) error{
		"RETR": func(ctx context.Context, e *ending) error { _, err := c.Retr(ctx, "file", 0, -1, e); return err },
		"STOR": func(ctx context.Context, e *ending) error { _, err := c.Stor(ctx, "endless", 0, e); return err },
	} {
		ctx, cancel := context.WithCancel(c.ctx)
		err := do(ctx, &ending{cancel, 1_000_000})
		cancel()
		if !errors.Is(err, context.Canceled) || !errors.Is(err, ftp.ErrAborted) {
			t.Errorf("%s: %v", name, err)
		}
		c.alive(t)
		if err := do(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a context that has ended: %v", name, err)
		}
		c.alive(t)
	}
}

// A port that does not answer EPSV's way is tried by PASV, and so are those after it.
func (s *suite) pasv(t *testing.T) {
	dials := 0
	c := s.folder(t, func(o *ftp.Options) {
		data := o.Dial
		o.Dial = func(ctx context.Context, port int) (net.Conn, error) {
			if dials++; dials == 1 {
				return nil, errors.New("nobody there")
			}
			return data(ctx, port)
		}
	})
	store(t, c, "file", "by PASV")
	same(t, c, "file", "by PASV")
	if epsv, pasv := c.count("EPSV"), c.count("PASV"); epsv != 1 || pasv != 2 {
		t.Errorf("EPSV %d times, PASV %d times", epsv, pasv)
	}
}

// NOOP is said during transfers that take their time, and whatever the server makes of it, the next command has its own reply.
func (s *suite) keepAlive(t *testing.T) {
	c := s.folder(t, func(o *ftp.Options) { o.KeepAlive = 10 * time.Millisecond })
	whole := octets(2_000_000)
	if _, err := c.Stor(c.ctx, "file", 0, &slow{r: strings.NewReader(whole)}); err != nil {
		t.Fatal(err)
	}
	if c.count("NOOP") == 0 {
		t.Error("no NOOP during an upload")
	}
	c.alive(t)
	same(t, c, "file", whole)
	before := c.count("NOOP")
	var got bytes.Buffer
	_, err := c.Retr(c.ctx, "file", 0, int64(len(whole)), &slow{w: &got})
	must(t, err)
	if got.String() != whole {
		t.Errorf("%d octets", got.Len())
	}
	c.alive(t)
	t.Logf("%d NOOP in all, %d of them in the download", c.count("NOOP"), c.count("NOOP")-before)
}

// slow takes 15 ms for each of its first parts.
type slow struct {
	r     io.Reader
	w     io.Writer
	parts int
}

func (s *slow) tarry() {
	if s.parts++; s.parts < 10 {
		<-time.After(15 * time.Millisecond)
	}
}

func (s *slow) Read(p []byte) (int, error)  { s.tarry(); return s.r.Read(p) }
func (s *slow) Write(p []byte) (int, error) { s.tarry(); return s.w.Write(p) }
