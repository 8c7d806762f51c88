package pop3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

// segments is a server that says one piece at each thing it hears, whatever that is, in packets of some size.
type segments struct {
	mu      sync.Mutex
	pieces  [][]byte
	packets []int // sizes of the first ones
	packet  int   // size of the others
	now     []byte
	endless []byte // said again and again when there are no more pieces
}

func (s *segments) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) == 0 && len(s.pieces) == 0 && s.endless != nil {
		s.now = s.endless
	}
	if len(s.now) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(s.now), s.packet)
	if len(s.packets) > 0 {
		n = min(n, s.packets[0])
		s.packets = s.packets[1:]
	}
	copy(p, s.now[:n])
	s.now = s.now[n:]
	return n, nil
}

func (s *segments) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pieces) > 0 {
		s.now = append(s.now, s.pieces[0]...)
		s.pieces = s.pieces[1:]
	}
	return len(p), nil
}

func (s *segments) Close() error                     { return nil }
func (s *segments) LocalAddr() net.Addr              { return nil }
func (s *segments) RemoteAddr() net.Addr             { return nil }
func (s *segments) SetDeadline(time.Time) error      { return nil }
func (s *segments) SetReadDeadline(time.Time) error  { return nil }
func (s *segments) SetWriteDeadline(time.Time) error { return nil }

// Whatever a server says, in whatever packets: every error is one of ours, memory stays within the limits, and nothing
// panics or hangs. NUL separates what is said at one command from what is said at the next.
func FuzzSession(f *testing.F) {
	f.Add([]byte("+OK hi\r\n\x00+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n\x00+OK\r\n\x00+OK\r\n\x00+OK 1 5\r\n\x00+OK\r\n1 5\r\n.\r\n\x00+OK\r\n1 u\r\n.\r\n\x00+OK\r\n..x\r\n.\r\n\x00+OK\r\nm\r\n.\r\n\x00+OK\r\n"), uint8(255))
	f.Add([]byte("-ERR [IN-USE] no\n"), uint8(1))
	f.Add([]byte("+OK\n\x00-ERR\n\x00+OK\n\x00+OK\n\x00+OK 9 9\n\x00+OK\n1 9\n.\n\x00-ERR [X/Y] no\n\x00+OK\n.\r.\r\n.\n"), uint8(3))
	f.Fuzz(func(t *testing.T, said []byte, packet uint8) {
		pieces := bytes.Split(said, []byte{0})
		conn := &segments{now: pieces[0], pieces: pieces[1:], packet: int(packet) + 1}
		c := pop3.New(conn, &pop3.Options{MaxLine: 128, MaxListing: 20, MaxMessage: 1000, Trace: func(e pop3.Exchange) {
			for _, b := range []byte(e.Line) {
				if b < ' ' {
					t.Errorf("control character in the trace: %q", e.Line)
				}
			}
		}})
		ctx := t.Context()
		check := func(err error) {
			var refused *pop3.Error
			if err == nil || errors.As(err, &refused) || errors.Is(err, pop3.ErrProtocol) || errors.Is(err, pop3.ErrState) ||
				errors.Is(err, pop3.ErrTooLong) || errors.Is(err, pop3.ErrUnsupported) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			t.Errorf("%T %v", err, err)
		}
		_, err := c.Capa(ctx)
		check(err)
		check(c.Login(ctx, "bob", "secret"))
		_, _, err = c.Stat(ctx)
		check(err)
		list, err := c.List(ctx)
		check(err)
		if len(list) > 20 {
			t.Errorf("%d listings", len(list))
		}
		_, err = c.UIDL(ctx)
		check(err)
		var got bytes.Buffer
		n, err := c.Retr(ctx, 1, &got)
		check(err)
		if n > 1000 || int64(got.Len()) != n {
			t.Errorf("%d octets, counted %d", got.Len(), n)
		}
		check(c.RetrAll(ctx, list, func(_ int, r io.Reader) error {
			part := make([]byte, 3)
			_, err := r.Read(part)
			if err == io.EOF {
				return nil
			}
			return err
		}))
		check(c.TopAll(ctx, list, 1, func(_ int, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }))
		check(c.DeleAll(ctx, []int{1, 2, 3}, func(_ int, err error) { check(err) }))
		langs, err := c.Langs(ctx)
		check(err)
		if len(langs) > 20 {
			t.Errorf("%d languages", len(langs))
		}
		check(c.Quit(ctx))
		if c.State() != pop3.Closed {
			t.Errorf("state %v after QUIT", c.State())
		}
	})
}

// retrieve gives stuffed as the answer to RETR, in these packets, and returns what comes out, read in pieces of that size.
func retrieve(t rapid.TB, stuffed []byte, packets []int, size int) []byte {
	conn := &segments{packets: packets, packet: 1 << 20, now: []byte("+OK\r\n"),
		pieces: [][]byte{[]byte("+OK\r\n"), []byte("+OK\r\n"), []byte("-ERR\r\n"), append([]byte("+OK\r\n"), stuffed...), []byte("+OK\r\n")}}
	c := pop3.New(conn, nil)
	if err := c.Login(context.Background(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	var got []byte
	err := c.RetrAll(context.Background(), []pop3.Listing{{Number: 1}}, func(_ int, r io.Reader) error {
		p := make([]byte, size)
		for {
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err == nil {
		err = c.Noop(context.Background()) // the answer was read to its end and no further
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Stuffing and unstuffing is the identity, for content of any octets whose last line is ended, in any packets.
func TestUnstuff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Octets that matter come often.
		octet := rapid.OneOf(rapid.SampledFrom([]byte("..\r\n\r\nab")), rapid.Byte())
		content := append(rapid.SliceOfN(octet, 0, 300).Draw(t, "content"), "\r\n"...)
		packets := rapid.SliceOfN(rapid.IntRange(1, 40), 0, 30).Draw(t, "packets")
		size := rapid.IntRange(1, 64).Draw(t, "read size")
		if got := retrieve(t, mailtest.Stuff(content), packets, size); !bytes.Equal(got, content) {
			t.Fatalf("got %q", got)
		}
	})
}

func FuzzUnstuff(f *testing.F) {
	f.Add([]byte(".\r\n..\r\n\n.\n.\r.\r\n"), uint8(1), uint8(1))
	f.Add([]byte("\r\n.\r\n"), uint8(3), uint8(200))
	f.Fuzz(func(t *testing.T, content []byte, packet, size uint8) {
		content = append(content, "\r\n"...)
		packets := slices.Repeat([]int{int(packet)%16 + 1}, 600)
		if got := retrieve(t, mailtest.Stuff(content), packets, int(size)+1); !bytes.Equal(got, content) {
			t.Errorf("got %q, want %q", got, content)
		}
	})
}

// Whatever a server says to an attempt to log in by any way, in whatever packets: every error is one of ours, the client is in
// TRANSACTION if and only if there is none, no server is believed to have proved itself by SCRAM, and nothing of the
// password is in the trace. NUL separates as in FuzzSession.
func FuzzAuth(f *testing.F) {
	ways := []string{"", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "APOP", "USER"}
	for i := range ways {
		f.Add([]byte("+OK <1@x>\r\n\x00+OK\r\nSASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 OAUTHBEARER XOAUTH2\r\nUSER\r\nUTF8\r\n.\r\n\x00+OK\r\n\x00+ QUJD\r\n\x00+ QUJD\r\n\x00+OK\r\n"), uint8(i), uint8(255))
		f.Add([]byte("+OK <1@x>\r\n\x00+OK\r\nSASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 OAUTHBEARER XOAUTH2\r\n.\r\n\x00+ \r\n\x00-ERR\r\n"), uint8(i), uint8(1))
	}
	f.Add([]byte("+OK <\xff@x> <1@[::1]>\n\x00-ERR\n\x00+OK\n\x00+OK\n"), uint8(7), uint8(2))
	f.Fuzz(func(t *testing.T, said []byte, way, packet uint8) {
		pieces := bytes.Split(said, []byte{0})
		conn := &segments{now: pieces[0], pieces: pieces[1:], packet: int(packet) + 1}
		only := ways[int(way)%len(ways)]
		c := pop3.New(conn, &pop3.Options{MaxLine: 512, MaxListing: 20, AllowPlaintextAuth: true, Trace: func(e pop3.Exchange) {
			if e.Sent && strings.Contains(e.Line, "hunter2") || strings.ContainsFunc(e.Line, unicode.IsControl) {
				t.Errorf("in the trace: %q", e.Line)
			}
		}})
		cr := sasl.Credentials{User: "bob", Password: "hunter2"}
		if only == "OAUTHBEARER" || only == "XOAUTH2" {
			cr.Token = "hunter2"
		}
		used, err := c.Auth(t.Context(), cr, only)
		if (err == nil) != (c.State() == pop3.Transaction) || err == nil && used == "SCRAM-SHA-256" {
			t.Errorf("by %s: %v, state %v", used, err, c.State())
		}
		if err != nil && !typed(err) && !errors.Is(err, pop3.ErrNoMechanism) && !errors.Is(err, pop3.ErrPlaintext) {
			t.Errorf("%T %v", err, err)
		}
	})
}
