package delivery

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestConverted(t *testing.T) {
	const mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	dashes := strings.Repeat("x", 72) + "--b"
	for name, c := range map[string]struct {
		in, want string
		err      error
	}{
		"no MIME":               {"A: b\r\n\r\nGrüße, Anna\r\n", "A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe, Anna\r\n", nil},
		"no MIME, not UTF-8":    {"\r\nGr\xfc\xdfe!", "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe!", nil},
		"LF and CR":             {"A: b\nMIME-Version: 1.0\nContent-Type: text/plain\n\nabcdé\rabcdé\r\n", "A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nabcd=C3=A9\r\nabcd=C3=A9\r\n", nil},
		"blanks at line ends":   {"MIME-Version: 1\r\nContent-Type: text/html\r\n\r\né \r\n\t\r\na b", "MIME-Version: 1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9=20\r\n=09\r\na b", nil},
		"mostly octets":         {"MIME-Version: 1\r\nContent-Type: text/plain\r\n\r\né", "MIME-Version: 1\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=", nil},
		"a label alone":         {"Content-Type: text/plain\r\nMIME-Version: 1\r\nContent-Transfer-Encoding:\r\n 8bit\r\nX: y\r\n\r\na\r\n", "Content-Type: text/plain\r\nMIME-Version: 1\r\nX: y\r\nContent-Transfer-Encoding: 7bit\r\n\r\na\r\n", nil},
		"two labels":            {"MIME-Version: 1\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\n\r\né", "MIME-Version: 1\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=", nil},
		"around parts":          {mixed + "-ü-\r\n--b\r\n\r\na\r\n--b--\r\nü", mixed + "??" + "?-\r\n--b\r\n\r\na\r\n--b--\r\n??", nil},
		"base64 that is broken": {mixed + "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nQU\xff\r\n--b--\r\n", mixed + "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nQU*\r\n--b--\r\n", nil},
		"a digest": {
			"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\nContent-Type: text/plain\r\n\r\naé\r\n--b--\r\n",
			"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYcOp\r\n--b--\r\n", nil,
		},
		// A line that is broken does not become a boundary.
		"dashes in a text": {
			mixed + "--b\r\nContent-Type: text/plain\r\n\r\n" + dashes + "\r\né\r\n--b--\r\n",
			mixed + "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + dashes[:72] + "=\r\n=2D-b\r\n=C3=A9\r\n--b--\r\n", nil,
		},
		"dashes in quoted-printable": {
			mixed + "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + dashes + "\r\né   =20  \r\n--b--\r\n",
			mixed + "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + dashes[:72] + "=\r\n=2D-b\r\n=C3=A9   =20  \r\n--b--\r\n", nil,
		},
		"what is no code": {
			"Content-Transfer-Encoding: quoted-printable\r\n\r\né" + strings.Repeat("=", 100) + "=e9",
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9" + strings.Repeat("=", 66) + "=\r\n" + strings.Repeat("=", 34) + "=e9", nil,
		},
		"blanks that mean nothing": { // a soft line break behind them would make them count
			"Content-Transfer-Encoding: quoted-printable\r\n\r\né" + strings.Repeat("x", 66) + strings.Repeat(" ", 20) + "\r\né" + strings.Repeat("x", 66) + " \ty",
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9" + strings.Repeat("x", 66) + strings.Repeat(" ", 20) + "\r\n=C3=A9" + strings.Repeat("x", 66) + " \t=\r\ny", nil,
		},
		"dashes around parts": {
			mixed + strings.Repeat("x", 998) + "--b\r\n--b\r\n\r\na\r\n--b--\r\n",
			mixed + strings.Repeat("x", 998) + "\r\n --b\r\n--b\r\n\r\na\r\n--b--\r\n", nil,
		},
		"blanks behind a boundary": {mixed + "--b" + strings.Repeat(" ", 1000) + "\r\n\r\na\r\n--b--\t\r\n", mixed + "--b\r\n\r\na\r\n--b--\r\n", nil},
		"base64 in one line": {
			"Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", 500),
			"Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", 249) + "QU\r\nJD" + strings.Repeat("QUJD", 249) + "\r\nQUJD", nil,
		},

		"signed":              {"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n", "", errSealed},
		"signed, within":      {mixed + "--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\né\r\n--c--\r\n--b--\r\n", "", errSealed},
		"an unknown encoding": {"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\né", "", errSealed},
		"no boundary":         {"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\né\r\n", "", errSealed},
		"another boundary":    {mixed + "--c\r\n\r\né\r\n--c--\r\n", "", errUnopened},
		"another, within":     {mixed + "--b\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--c\r\n\r\né\r\n--b--\r\n", "", errUnopened},
		"UTF-8 in a part":     {mixed + "--b\r\nContent-Description: é\r\n\r\na\r\n--b--\r\n", "", errHeaders},
		"UTF-8 in a message":  {mixed + "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: é\r\n\r\na\r\n--b--\r\n", "", errHeaders},
		"UTF-8 in a boundary": {"Content-Type: multipart/mixed; boundary*=utf-8''%C3%A9\r\n\r\n--é\r\n\r\na\r\n--é--\r\n", "", errHeaders},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := examine(strings.NewReader(c.in), 100)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.sevenBit(); !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			if got := string(convert(t, f, []byte(c.in), conversion{eight: true, long: true})); got != c.want {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
}

func TestBoundsOfShape(t *testing.T) {
	parts := func(n int) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\na\r\n", n) + "--b--\r\n"
	}
	if _, err := examine(strings.NewReader(parts(99)), 100); err != nil {
		t.Errorf("100 entities: %v", err)
	}
	if _, err := examine(strings.NewReader(parts(100)), 100); !errors.Is(err, errShape) {
		t.Errorf("101 entities: %v", err)
	}
	deep := func(n int) string {
		return strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n)
	}
	if _, err := examine(strings.NewReader(deep(maxDepth)), 10_000); err != nil {
		t.Errorf("%d levels: %v", maxDepth, err)
	}
	if _, err := examine(strings.NewReader(deep(maxDepth+1)), 10_000); !errors.Is(err, errShape) {
		t.Errorf("%d levels: %v", maxDepth+1, err)
	}
	// What is sent is what was examined.
	f, err := examine(strings.NewReader(parts(3)), 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(f.converted(strings.NewReader(parts(4)), conversion{eight: true})); err == nil {
		t.Error("another message is converted as if it were this one")
	}
}

// endless answers a message with a line of so many octets.
func endless(octets int64) io.Reader {
	return io.MultiReader(strings.NewReader("A: b\r\n\r\n"), io.LimitReader(same('\xe9'), octets))
}

type same byte

func (s same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

// TestMemory: a message that is one line of 16 MB costs what a short one does.
func TestMemory(t *testing.T) {
	const size = 16 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := examine(endless(size), 100)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, f.converted(endless(size), conversion{eight: true, long: true}))
	runtime.ReadMemStats(&after)
	if err != nil || n < size*4/3 {
		t.Fatalf("%d octets, %v", n, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
		t.Errorf("%d octets of memory", used)
	}
}

func FuzzSevenBit(f *testing.F) {
	for _, s := range []string{
		"A: b\r\n\r\nGrüße\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nü\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\né \r\n--b--\r\nü",
		"Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\né\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: binary\n\nX: y\n--b--",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\né=\r\n=C3é =\t\r\n" + strings.Repeat("-", 80),
		"Content-Transfer-Encoding: base64\r\n\r\nQUé=\rQQ==\n" + strings.Repeat("Q", 1000),
		"Content-Type: message/global\r\n\r\nSubject: ü\r\n\r\n",
		"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=0\r--a ",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		found, err := examine(bytes.NewReader(raw), 100)
		if err != nil || found.sevenBit() != nil {
			return
		}
		c := conversion{eight: true, long: true}
		out := convert(t, found, raw, c)
		// The header of the message itself is a matter of SMTPUTF8, and stays.
		if _, body, _ := bytes.Cut(append([]byte("\r\n"), out...), []byte("\r\n\r\n")); !isASCII(body) {
			t.Fatalf("not ASCII: %q\nof %q", out, raw)
		}
		again, err := examine(bytes.NewReader(out), 100)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if twice := convert(t, again, out, c); !bytes.Equal(twice, out) {
			t.Fatalf("converted again: %q\nonce %q\nof %q", twice, out, raw)
		}
	})
}
