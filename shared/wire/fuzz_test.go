package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/postern-mail/postern/shared/wire"
)

// fuzz checks a reader against its writer: what is read can be written, and then reads and writes the same again. The
// reader takes no byte that is not its frame's.
func fuzz[T any](f *testing.F, seeds []T, write func(io.Writer, T) error, read func(io.Reader) (T, error)) {
	for _, v := range seeds {
		var b bytes.Buffer
		if err := write(&b, v); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()/2])
	}
	f.Add(frame(`{"later":{}}`))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		v, err := read(r)
		if taken := len(in) - r.Len(); taken > 4+wire.MaxFrame {
			t.Fatalf("took %d bytes", taken)
		}
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := write(&first, v); err != nil {
			t.Fatalf("what was read cannot be written: %+v: %v", v, err)
		}
		again, err := read(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("what was written cannot be read: %s: %v", first.Bytes(), err)
		}
		if err := write(&second, again); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("%s\n%s\n%v", first.Bytes(), second.Bytes(), err)
		}
	})
}

func FuzzReadHello(f *testing.F) {
	fuzz(f, []wire.Hello{hello, {Version: 2}}, wire.WriteHello, wire.ReadHello)
}

func FuzzReadOpen(f *testing.F) { fuzz(f, opens, wire.WriteOpen, wire.ReadOpen) }

// The answers are read together with the refusal that may come in their place.
func FuzzReadWelcome(f *testing.F) {
	type answer struct {
		w  wire.Welcome
		no *wire.RefusedError
	}
	fuzz(f, []answer{{w: welcome}, {w: two}, {no: refused}}, func(w io.Writer, a answer) error {
		if a.no != nil {
			return wire.WriteRefused(w, a.no)
		}
		return wire.WriteWelcome(w, a.w)
	}, func(r io.Reader) (a answer, err error) {
		a.w, err = wire.ReadWelcome(r)
		if errors.As(err, &a.no) {
			err = nil
		}
		return a, err
	})
}

func FuzzReadOpened(f *testing.F) {
	fuzz(f, []*wire.RefusedError{nil, refused}, func(w io.Writer, no *wire.RefusedError) error {
		if no != nil {
			return wire.WriteRefused(w, no)
		}
		return wire.WriteOpened(w)
	}, func(r io.Reader) (no *wire.RefusedError, err error) {
		err = wire.ReadOpened(r)
		if errors.As(err, &no) {
			err = nil
		}
		return no, err
	})
}

func FuzzReadNotice(f *testing.F) {
	fuzz(f, []wire.Notice{notice, {Kind: "x"}, {Kind: wire.NoticeRefused, Stream: 1<<32 - 1, Reason: "later"}}, func(w io.Writer, n wire.Notice) error {
		if n == (wire.Notice{}) {
			_, err := w.Write(frame(`{}`))
			return err
		}
		return wire.WriteNotice(w, n)
	}, wire.ReadNotice)
}

// FuzzCheckHost: what passes is a name in letters, digits, hyphens, underscores and dots, or an address in plain form.
func FuzzCheckHost(f *testing.F) {
	for _, s := range []string{"pop.example.com", "127.1", "::1", "0x7f.1", "a.", "fe80::1%1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if wire.CheckHost(host) != nil {
			return
		}
		for _, c := range []byte(host) {
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == ':':
			default:
				t.Fatalf("%q", host)
			}
		}
		if err := (&wire.Open{Service: wire.SMTP, Host: host, Port: 25}).Validate(); err != nil {
			t.Fatal(err)
		}
	})
}
