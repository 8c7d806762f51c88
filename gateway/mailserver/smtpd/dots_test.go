package smtpd

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"testing"
)

// through runs text through dots in pieces and reads what comes out as a server
// would that knows no more than RFC 5321.
func through(t testing.TB, in []byte, piece, room int) (out []byte, d dots, used int) {
	t.Helper()
	dst := make([]byte, room)
	for used < len(in) && !d.ended {
		n, m := d.filter(dst, in[used:min(len(in), used+piece)])
		if n == 0 && m == 0 {
			t.Fatalf("no progress at %d of %q", used, in)
		}
		used += n
		out = append(out, dst[:m]...)
	}
	return out, d, used
}

func TestDots(t *testing.T) {
	for _, c := range []struct {
		in, out string
		found   newlines
	}{
		{"a\r\n.\r\n", "a\r\n.\r\n", newlines{}},
		{".\r\n", ".\r\n", newlines{}},
		{"..\r\n.\r\n", "..\r\n.\r\n", newlines{}},
		{".x\r\n.\r\n", ".x\r\n.\r\n", newlines{}},
		{"a\nb\r\n.\r\n", "a\r\nb\r\n.\r\n", newlines{lf: true}},
		{"a\rb\r\n.\r\n", "a\r\nb\r\n.\r\n", newlines{cr: true}},
		{"a\n.\n\r\n.\r\n", "a\r\n..\r\n\r\n.\r\n", newlines{lf: true, period: true}},
		{"a\n.\r\n.\r\n", "a\r\n..\r\n.\r\n", newlines{lf: true, period: true}},
		{"a\r.\r\n.\r\n", "a\r\n..\r\n.\r\n", newlines{cr: true, period: true}},
		{"a\r\n.\nb\r\n.\r\n", "a\r\n..\r\nb\r\n.\r\n", newlines{lf: true, period: true}},
		{"a\r\n.\rb\r\n.\r\n", "a\r\n..\r\nb\r\n.\r\n", newlines{cr: true, period: true}},
		{"a\r\r\n.\r\n", "a\r\n\r\n.\r\n", newlines{cr: true}},
		{".\r.\r\n.\r\n", "..\r\n..\r\n.\r\n", newlines{cr: true, period: true}},
		{"abc\r\n.\r.\r\n.\r\n", "abc\r\n..\r\n..\r\n.\r\n", newlines{cr: true, period: true}},
		{"\r\n.\r\r\n.\r\n", "\r\n..\r\n\r\n.\r\n", newlines{cr: true, period: true}},
	} {
		for piece := 1; piece <= len(c.in); piece++ {
			for _, room := range []int{dotRoom, 7, 8, 9, 10, 11, 12, 100} {
				out, d, used := through(t, []byte(c.in), piece, room)
				if string(out) != c.out || d.found != c.found || !d.ended || used != len(c.in) {
					t.Errorf("%q in pieces of %d: %q %+v ended %v after %d; want %q %+v", c.in, piece, out, d.found, d.ended, used, c.out, c.found)
				}
			}
		}
	}
}

// FuzzDots asserts, for any text in any pieces: the end is the first CRLF "."
// CRLF and nothing else; what is passed on ends where a plain reader (that of
// net/textproto, which takes bare LF for an end of line) sees its end, too; it
// has no bare CR or LF; and well-formed text passes unchanged.
func FuzzDots(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\nrest", "\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\r.\r\n", ".\r\r\n.\r\n", "..\r\n.\r\n", "\r\n\r\n.\n\r\n.\r\n"} {
		f.Add([]byte(s), byte(1), byte(0))
		f.Add([]byte(s), byte(99), byte(200))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece, room byte) {
		out, d, used := through(t, in, int(piece)+1, int(room)+dotRoom)
		end := bytes.Index(append([]byte("\r\n"), in...), []byte("\r\n.\r\n"))
		if d.ended != (end >= 0) || d.ended && used != end+3 {
			t.Fatalf("%q: ended %v after %d octets, the end is at %d", in, d.ended, used, end)
		}
		clean := bytes.ReplaceAll(out, []byte("\r\n"), nil)
		if bytes.ContainsAny(clean, "\r\n") {
			t.Fatalf("%q: bare CR or LF in %q", in, out)
		}
		if d.found == (newlines{}) && d.ended && !bytes.Equal(out, in[:used]) {
			t.Fatalf("%q was changed to %q", in[:used], out)
		}
		if d.ended {
			r := bufio.NewReader(bytes.NewReader(append(out, "NEXT\r\n"...)))
			io.Copy(io.Discard, textproto.NewReader(r).DotReader())
			if rest, _ := io.ReadAll(r); string(rest) != "NEXT\r\n" {
				t.Fatalf("%q: another reader sees the end of %q elsewhere, and then %q", in, out, rest)
			}
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\nc\rd\r\r\n.\r"), byte(3))
	f.Fuzz(func(t *testing.T, in []byte, piece byte) {
		var b bytes.Buffer
		l := newLines(func(p []byte) error { b.Write(p); return nil })
		for rest := in; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			l.Write(rest[:n])
			rest = rest[n:]
		}
		l.end()
		want := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(in))
		if len(want) > 0 && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if b.String() != want {
			t.Fatalf("%q became %q, want %q", in, b.String(), want)
		}
		bare := strings.ReplaceAll(string(in), "\r\n", "")
		if l.found.cr != strings.Contains(bare, "\r") || l.found.lf != strings.Contains(bare, "\n") {
			// "\r" + "\r\n" leaves "\r": the count by removal agrees.
			t.Fatalf("%q: found %+v", in, l.found)
		}
	})
}

func BenchmarkDots(b *testing.B) {
	in := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1000))
	dst := make([]byte, 4096)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		var d dots
		for used := 0; used < len(in); {
			n, _ := d.filter(dst, in[used:])
			used += n
		}
	}
}
