package smtp

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// Whatever goes in, in whatever pieces, there is no lone CR and no lone LF in what comes out, and nothing else is
// changed.
func TestCopyLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		octet := rapid.OneOf(rapid.SampledFrom([]byte("\r\n\r\n.a")), rapid.Byte())
		in := rapid.SliceOfN(octet, 0, 200).Draw(t, "content")
		var r io.Reader = bytes.NewReader(in)
		if rapid.Bool().Draw(t, "octet by octet") {
			r = iotest.OneByteReader(r)
		}
		var out bytes.Buffer
		n, err := copyLines(&out, r, nil)
		if err != nil || n != int64(out.Len()) {
			t.Fatalf("%d of %d octets, %v", n, out.Len(), err)
		}
		want := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(in))
		if out.String() != want {
			t.Fatalf("%q, want %q", out.String(), want)
		}
	})
}

func TestCopyLinesErrors(t *testing.T) {
	if _, err := copyLines(io.Discard, iotest.ErrReader(io.ErrClosedPipe), nil); err != io.ErrClosedPipe {
		t.Error(err)
	}
	if _, err := copyLines(io.Discard, lazy{}, nil); err != io.ErrNoProgress {
		t.Error(err)
	}
	if n, err := copyLines(io.Discard, iotest.DataErrReader(strings.NewReader("a\n")), nil); n != 3 || err != nil {
		t.Error(n, err)
	}
}

type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func FuzzReplies(f *testing.F) {
	f.Add([]byte("220-a\r\n220 b\r\n"), uint8(1))
	f.Add([]byte("454 4.7.0 no\n\n"), uint8(9))
	f.Fuzz(func(t *testing.T, said []byte, packet uint8) {
		var r replies
		for p := said; len(p) > 0; {
			n := min(len(p), int(packet)+1)
			r.read(p[:n], func(string) {})
			p = p[n:]
		}
		if r.octets != len(said) || len(r.line) > maxReplyLine {
			t.Errorf("%d octets, %d kept", r.octets, len(r.line))
		}
		if r.count > 0 && r.unasked != (bytes.IndexByte(said, '\n') < len(said)-1 && more(said)) {
			t.Errorf("unasked %v", r.unasked)
		}
		if err := r.expect("X", 220); err == nil && !strings.HasPrefix(r.first, "220") {
			t.Errorf("accepted %q", r.first)
		}
	})
}

// more reports whether there is anything behind the first reply.
func more(said []byte) bool {
	for line := range bytes.Lines(said) {
		said = said[len(line):]
		line = bytes.TrimRight(line, "\r\n")
		if len(line) < 4 || line[3] != '-' {
			return len(said) > 0
		}
	}
	return false
}
