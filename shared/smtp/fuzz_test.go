package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
)

// FuzzReplies reads what a server says in pieces and at once: it is the same, it is bounded, and no more replies come of it
// than are owed.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("220-a\r\n220 b\r\n"), uint8(1), uint8(1))
	f.Add([]byte("454 4.7.0 no\n\n"), uint8(9), uint8(2))
	f.Add([]byte("250 a\r\n250-5.1.1 b\r\n250 5.1.1 c\r\n354\r\n421 x"), uint8(3), uint8(3))
	f.Fuzz(func(t *testing.T, said []byte, packet, owed uint8) {
		read := func(packet int) (r replies, lines int) {
			r = replies{owed: make([]string, owed), keep: true}
			for p := said; len(p) > 0; {
				n := min(len(p), packet)
				r.read(p[:n], func(_, _ string) { lines++ })
				p = p[n:]
			}
			return r, lines
		}
		r, lines := read(int(packet) + 1)
		whole, _ := read(max(1, len(said)))
		if !slices.Equal(r.done, whole.done) || r.unasked != whole.unasked || r.broken != whole.broken || r.long != whole.long || r.last != whole.last {
			t.Errorf("in pieces %+v, at once %+v", r, whole)
		}
		if len(r.line) > maxReplyLine || len(r.done) > int(owed) || len(r.done)+len(r.owed) != int(owed) && !r.broken || lines != bytes.Count(said, []byte("\n")) {
			t.Errorf("%+v of %d lines", r, lines)
		}
		for _, reply := range r.done {
			if reply.code < 200 && !r.broken || reply.code > 599 || len(reply.text) > len(said) {
				t.Errorf("%+v", reply)
			}
		}
	})
}

// deaf is a connection whose other end says what it was given, and takes what it hears.
type deaf struct {
	said  []byte
	heard bytes.Buffer
}

func (d *deaf) Read(p []byte) (int, error) {
	if len(d.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+int(d.said[0])%7)], d.said)
	d.said = d.said[n:]
	return n, nil
}

func (d *deaf) Write(p []byte) (int, error)      { return d.heard.Write(p) }
func (d *deaf) Close() error                     { return nil }
func (d *deaf) LocalAddr() net.Addr              { return nil }
func (d *deaf) RemoteAddr() net.Addr             { return nil }
func (d *deaf) SetDeadline(time.Time) error      { return nil }
func (d *deaf) SetReadDeadline(time.Time) error  { return nil }
func (d *deaf) SetWriteDeadline(time.Time) error { return nil }

// FuzzServer has a session with a server that says anything: it ends, in an error that can be told apart if in one, a
// message's fate is unknown only when its last word was said, and it is sent only when it was.
func FuzzServer(f *testing.F) {
	const ehlo = "220 hi\r\n250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n"
	f.Add([]byte(ehlo + "334 eA==\r\n235 ok\r\n250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 done\r\n221 bye\r\n"))
	f.Add([]byte("220 hi\r\n250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n450 no\r\n354 go\r\n250 done\r\n221 bye\r\n"))
	f.Add([]byte("220 hi\r\n502 what\r\n250 x\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		conn := &deaf{said: said}
		var lines int
		c := New(conn, &Options{AllowPlaintextAuth: true, Trace: func(e Exchange) {
			lines++
			if strings.ContainsAny(e.Line, "\r\n\x00") || e.Stage == "" {
				t.Errorf("%+v", e)
			}
		}})
		defer c.Close()
		ctx := context.Background()
		if _, err := c.Auth(ctx, sasl.Credentials{User: "bob", Password: "bob-pw"}, ""); err != nil && c.closed.Load() {
			return
		}
		content := "Subject: x\n\n" + strings.Repeat("x", 999)
		receipt, err := c.Send(ctx, Envelope{From: "bob@example.test", To: []string{"a@example.test", "b@example.test"}, DSN: &DSN{Notify: []string{"NEVER"}}}, strings.NewReader(content))
		ended := bytes.HasSuffix(conn.heard.Bytes(), []byte("x\r\n.\r\n")) || bytes.HasSuffix(conn.heard.Bytes(), []byte("BDAT 2 LAST\r\n\r\n"))
		if err == nil && !ended || errors.Is(err, ErrUnknown) && !ended {
			t.Errorf("%+v, %v, after %q", receipt, err, conn.heard.String())
		}
		var refused *Error
		var all *RecipientsError
		if err != nil && !errors.As(err, &refused) && !errors.As(err, &all) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrTooLong) &&
			!errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrState) {
			t.Errorf("%v", err)
		}
		if refused != nil {
			refused.Explain()
		}
		c.Quit(ctx)
		if lines > 2*len(said)+100 {
			t.Errorf("%d lines", lines)
		}
	})
}

// FuzzSend sends anything to a strict server, by every road. It gets that one message, as it is but for its line ends, from
// and to those who were named; or the client refuses before it sends anything. So nothing can be smuggled: not by content,
// not by an address, not by a parameter.
func FuzzSend(f *testing.F) {
	f.Add([]byte("Subject: x\n.\n..\r.\r\n.\r\nMAIL FROM:<x@y>\r\n"), "bob@example.test", "alice@example.test", "id", uint8(3))
	f.Add([]byte("end\n.\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\nforged\r\n.\r\n"), "b@x> SIZE=1", "ü@例え.テスト", "a=b+", uint8(255))
	f.Add([]byte("\r.\r\n"), "\"a b\"@x", "a@ü", "", uint8(0))
	f.Add(bytes.Repeat([]byte("."), 3000), "", "x@[127.0.0.1]", " ", uint8(7))
	f.Add([]byte("\xe2"), "", "0@ü", "", uint8(21))
	f.Fuzz(func(t *testing.T, content []byte, from, to, id string, road uint8) {
		server := mailtest.NewSMTP()
		server.OpenMail, server.Anybody, server.Size = true, true, 0
		server.Pipelining, server.Chunking, server.DSN, server.NoUTF8, server.No8Bit = road&1 != 0, road&2 != 0, road&4 != 0, road&8 != 0, road&16 != 0
		client, peer := mailtest.Pipe(nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer peer.Close()
			server.ServeConn(peer)
		}()
		c := New(client, nil)
		e := Envelope{From: from, To: []string{to, "other@example.test"}, DSN: &DSN{EnvelopeID: id, Notify: []string{"DELAY"}}}
		var r io.Reader = bytes.NewReader(content)
		if road&32 != 0 {
			r = io.MultiReader(r)
		}
		_, err := c.Send(t.Context(), e, r)
		if err == nil {
			err = c.Quit(t.Context())
		} else if !errors.Is(err, ErrArgument) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v", err)
		}
		c.Close()
		<-done
		got := server.Received()
		if v := server.Violations(); v != nil && (err == nil || !errors.Is(err, ErrUnsupported)) && !(len(v) == 1 && road&32 != 0 && v[0] == "a header in UTF-8 without SMTPUTF8") {
			t.Fatalf("violations: %q", v)
		}
		if err != nil {
			if len(got) > 0 {
				t.Errorf("%v, and it has %+v", err, got)
			}
			return
		}
		want := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(content))
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		wireFrom, _ := wirePath(from)
		wireTo, _ := wirePath(to)
		if len(got) != 1 || string(got[0].Content) != want || got[0].From != wireFrom || fmt.Sprint(got[0].To) != fmt.Sprint([]string{wireTo, "other@example.test"}) {
			t.Errorf("%+v, want %q", got, want)
		}
	})
}
