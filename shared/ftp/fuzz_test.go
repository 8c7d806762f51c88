package ftp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/ftp"
)

// segments is a server that says one piece at each thing it hears, whatever that is, in packets of some size.
type segments struct {
	mu     sync.Mutex
	pieces [][]byte
	packet int
	now    []byte
}

func (s *segments) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(s.now), s.packet)
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

// fit reports whether a text is fit to be shown in a line.
func fit(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// typed reports whether an error is one of those that the package promises.
func typed(err error) bool {
	var refused *ftp.Error
	if errors.As(err, &refused) {
		return refused.Code >= 300 && refused.Code < 600 && len(refused.Lines) > 0 && fit(err.Error())
	}
	for _, kind := range []error{ftp.ErrProtocol, ftp.ErrState, ftp.ErrTooLong, ftp.ErrUnsupported, ftp.ErrTruncated, ftp.ErrNoData, ftp.ErrAborted, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return err == nil
}

// Whatever a server says on the control connection and gives on those for data, in whatever packets: every error is one of ours, what
// is shown is fit to be shown, the state goes with the errors, the password is masked, and nothing panics or hangs. NUL separates what
// is said at one command from what is said at the next.
func FuzzSession(f *testing.F) {
	login := "220 hi\r\n\x00331 who?\r\n\x00230 in\r\n\x00211-\r\n UTF8\r\n MLST type*;\r\n SIZE\r\n MDTM\r\n MFMT\r\n211 end\r\n\x00200 ok\r\n\x00257 \"/\"\r\n"
	data := "\x00200 I\r\n\x00229 (|||2000|)\r\n\x00150 here\r\n226 done\r\n"
	f.Add([]byte(login+data+"\x00229 (|||2000|)\r\n\x00350 ok\r\n\x00150 here\r\n226 done\r\n\x00229 (|||2|)\r\n\x00150 here\r\n226 done\r\n\x00257 \"/x\" made\r\n\x00250 ok\r\n\x00257 \"/x\"\r\n\x00213 5\r\n\x00213 20200101000000\r\n\x00250-\r\n type=file; a\r\n250 end\r\n\x00350 ok\r\n\x00250 ok\r\n\x00221 bye\r\n"), []byte("type=file;size=1; a\r\n"), uint8(255))
	f.Add([]byte("220 hi\n\x00230 in\n\x00500 what\n\x00257 /\n\x00200 ok\n\x00500 what\n\x00227 1,2,3,4,5,6\n\x00125 ok\n451 no\n\x00421 bye\n"), []byte("-rw-r--r-- 1 a b 1 Jan  1  2020 a\n"), uint8(3))
	f.Add([]byte("120 wait\r\n220-hi\r\n220 there\r\n\x00332 account\r\n"), []byte{}, uint8(1))
	f.Add([]byte(login+data+"\x00229 (|||1|)\r\n\x00553-no\r\n553 no\r\n\x00229 (|||1|)\r\n\x00425 no\r\n"), []byte("x"), uint8(7))
	f.Fuzz(func(t *testing.T, said, content []byte, packet uint8) {
		pieces := bytes.Split(said, []byte{0})
		conn := &segments{now: pieces[0], pieces: pieces[1:], packet: int(packet) + 1}
		dialled := 0
		c := ftp.New(conn, &ftp.Options{MaxLine: 128, MaxReply: 1000, MaxEntries: 20, AllowPlaintextAuth: true,
			Dial: func(_ context.Context, port int) (net.Conn, error) {
				if dialled++; port < 1 || port > 65535 {
					t.Errorf("port %d", port)
				}
				return &segments{now: content, packet: int(packet) + 1}, nil
			},
			Trace: func(e ftp.Exchange) {
				if !fit(e.Line) || e.Sent && strings.Contains(e.Line, "hunter2") {
					t.Errorf("in the trace: %q", e.Line)
				}
			}})
		ctx := t.Context()
		check := func(what string, err error) {
			s := c.State()
			if !typed(err) || s.RenameFrom != "" || s.Transfer != "" || s.Restart != 0 || s.Phase != ftp.Opening && s.Phase != ftp.Ready && s.Phase != ftp.Closed {
				t.Errorf("%s: %T %v, state %+v", what, err, err, s)
			}
			if (errors.Is(err, ftp.ErrProtocol) || errors.Is(err, io.ErrUnexpectedEOF)) && s.Phase != ftp.Closed {
				t.Errorf("%s: %v, and the session goes on", what, err)
			}
		}
		check("login", c.Login(ctx, "bob", "hunter2"))
		count := 0
		for e, err := range c.List(ctx, "") {
			if err != nil {
				check("list", err)
				continue
			}
			if count++; count > 20 || !fit(e.Shown()) || strings.Contains(e.Name, "\n") {
				t.Errorf("entry %d: %+v", count, e)
			}
		}
		var got bytes.Buffer
		n, err := c.Retr(ctx, "a", 1, -1, &got)
		check("RETR", err)
		if int64(got.Len()) != n || err == nil && !bytes.Equal(got.Bytes(), content) {
			t.Errorf("RETR: %d octets, counted %d", got.Len(), n)
		}
		_, err = c.Stor(ctx, "a", 0, strings.NewReader("abc"))
		check("STOR", err)
		_, err = c.Mkd(ctx, "x")
		check("MKD", err)
		_, err = c.Cwd(ctx, "x")
		check("CWD", err)
		size, err := c.Size(ctx, "a")
		check("SIZE", err)
		if size < 0 || size > 1<<50 {
			t.Errorf("SIZE %d", size)
		}
		_, err = c.Mdtm(ctx, "a")
		if err == nil || !strings.Contains(err.Error(), "which is no time") {
			check("MDTM", err)
		}
		e, err := c.Stat(ctx, "a")
		check("MLST", err)
		if !fit(e.Shown()) {
			t.Errorf("MLST: %q", e.Shown())
		}
		check("rename", c.Rename(ctx, "a", "b"))
		check("QUIT", c.Quit(ctx))
		if c.State().Phase != ftp.Closed {
			t.Errorf("state %v after QUIT", c.State().Phase)
		}
	})
}

// Whatever is said in a listing: each line is an entry, or is left out, or is unknown; a usable name makes a path that is one
// line, is in the folder, and can be told from an option.
func FuzzListing(f *testing.F) {
	for _, l := range []string{
		"total 5\r\ndrwxr-xr-x 2 a b 4096 Jan  1 12:00 name\r\nlrwxrwxrwx 1 a b 6 Jan 1 2020 l -> ../t\n",
		"01-16-02  11:14AM       <DIR>          x\r\n06-05-03  03:19PM 1,973 y\r\n", "29.02.2020  15:19 1 ..\\x\n",
		"type=OS.unix=slink:/x;size=1;modify=191240229123456; a\r\ntype=cdir; .\r\n; b\n c\n", "-rw-r--r-- 1 a b 1 Jan  1  2020 -rf\n",
		"-r--r--r-- 1 a b 7 2020-01-02 03:04:05.1 +0000 x\n", "d [R----F--] s 512 Jan 16 18:53 l\r\n", "crw-rw-rw- 1 r r 1, 3 Mär 1 2020 n",
	} {
		f.Add([]byte(l), true, uint8(255))
		f.Add([]byte(l), false, uint8(2))
	}
	f.Fuzz(func(t *testing.T, listing []byte, mlsd bool, packet uint8) {
		features := "502 no\r\n"
		if mlsd {
			features = "211-\r\n MLST type*;\r\n211 end\r\n"
		}
		conn := &segments{now: []byte("220 hi\r\n"), packet: 1 << 16, pieces: [][]byte{[]byte("230 in\r\n"), []byte(features), []byte("257 \"/\"\r\n"),
			[]byte("200 I\r\n"), []byte("229 (|||2000|)\r\n"), []byte("150 here\r\n226 done\r\n"), []byte("221 bye\r\n")}}
		c := ftp.New(conn, &ftp.Options{AllowPlaintextAuth: true, Now: func() time.Time { return noon }, Dial: func(context.Context, int) (net.Conn, error) {
			return &segments{now: listing, packet: int(packet) + 1}, nil
		}})
		if err := c.Login(t.Context(), "bob", "x"); err != nil {
			t.Fatal(err)
		}
		count := 0
		for e, err := range c.List(t.Context(), "") {
			if err != nil {
				if !errors.Is(err, ftp.ErrTooLong) || len(listing) < 8000 {
					t.Error(err)
				}
				return
			}
			count++
			path, err := e.Path("/dir")
			switch {
			case e.Kind == ftp.Unknown:
				if e.Name != "" || err == nil || !fit(e.Line) {
					t.Errorf("%+v: %v", e, err)
				}
			case e.Name == "" || strings.Contains(e.Name, "\n") || e.Size < -1 || e.Size > 1<<50 || e.Kind != ftp.File && e.Size != -1 || !fit(e.Shown()):
				t.Errorf("%+v", e)
			case (err == nil) != e.Usable() || err != nil && !errors.Is(err, ftp.ErrName):
				t.Errorf("%+v: %q, %v", e, path, err)
			case err == nil:
				name, ok := strings.CutPrefix(path, "/dir/")
				if !ok || name != e.Name || name == "." || strings.ContainsAny(name, "/\r\n\x00") || strings.HasPrefix(name, "..\\") || name == ".." {
					t.Errorf("%q makes %q", e.Name, path)
				}
				if here, err := e.Path(""); err != nil || here[0] == '-' {
					t.Errorf("%q makes %q, %v", e.Name, here, err)
				}
			}
			if e.Modified.IsZero() != (e.Precision == 0) {
				t.Errorf("%v, to %v", e.Modified, e.Precision)
			}
		}
		if most := bytes.Count(listing, []byte("\n")) + 1; count > most {
			t.Errorf("%d entries of %d lines", count, most)
		}
		if err := c.Quit(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
