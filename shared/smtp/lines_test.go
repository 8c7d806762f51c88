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
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
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
