package ftp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
)

// open logs in to a server in memory, in plain text.
func open(t *testing.T, server *mailtest.FTP, o ftp.Options) *ftp.Client {
	t.Helper()
	o.Dial, o.AllowPlaintextAuth = server.Dial, true
	c := ftp.New(mailtest.Connect(t, server, nil), &o)
	t.Cleanup(func() { c.Close() })
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	return c
}

// alive wants client and server to understand each other.
func alive(t *testing.T, c *ftp.Client) {
	t.Helper()
	if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" || c.State().Phase != ftp.Ready {
		t.Errorf("PWD: %q, %v, state %+v", dir, err, c.State())
	}
}

// PASV names another host: its port is dialled at the control connection's, and the transcript says so.
func TestPASVElsewhere(t *testing.T) {
	server := mailtest.NewFTP()
	server.NoEPSV, server.Host = true, "192,0,2,7"
	server.Files.Put("/a", []byte("content"))
	var notes []string
	c := open(t, server, ftp.Options{Trace: func(e ftp.Exchange) {
		if e.Note {
			notes = append(notes, e.Line)
		}
	}})
	var got strings.Builder
	if _, err := c.Retr(t.Context(), "a", 0, 7, &got); err != nil || got.String() != "content" {
		t.Errorf("%q, %v", got.String(), err)
	}
	if !slices.Contains(notes, "PASV names 192.0.2.7: its port is taken, and no host") {
		t.Errorf("the transcript notes %q", notes)
	}
	if ports := server.Dialed(); len(ports) != 1 {
		t.Errorf("dialled %v", ports)
	}
}

func TestAnswersOfPassiveMode(t *testing.T) {
	for _, c := range []struct {
		name, epsv, pasv string
		want             error
	}{
		{"EPSV without a port", "229 go (||||)\r\n", "", ftp.ErrProtocol},
		{"EPSV to port 0", "229 go (|||0|)\r\n", "", ftp.ErrProtocol},
		{"EPSV to port 65536", "229 go (|||65536|)\r\n", "", ftp.ErrProtocol},
		{"EPSV of another code", "200 go (|||21|)\r\n", "", ftp.ErrProtocol},
		{"EPSV in no brackets", "229 go |||21|\r\n", "", ftp.ErrProtocol},
		{"PASV of five numbers", "500 no\r\n", "227 (127,0,0,1,9)\r\n", ftp.ErrProtocol},
		{"PASV of 256", "500 no\r\n", "227 (127,0,0,1,256,1)\r\n", ftp.ErrProtocol},
		{"PASV to port 0", "500 no\r\n", "227 (127,0,0,1,0,0)\r\n", ftp.ErrProtocol},
		{"neither", "500 no\r\n", "502 no\r\n", ftp.ErrUnsupported},
		{"421", "421 bye\r\n", "", ftp.ErrBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewFTP()
			server.Fault = func(stage string, _ int) *mailtest.FTPFault {
				switch stage {
				case "EPSV":
					return &mailtest.FTPFault{Reply: c.epsv}
				case "PASV":
					return &mailtest.FTPFault{Reply: c.pasv}
				}
				return nil
			}
			client := open(t, server, ftp.Options{})
			if _, err := client.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			if closed := client.State().Phase == ftp.Closed; closed != (c.want != ftp.ErrUnsupported) {
				t.Errorf("closed: %v", closed)
			}
			if ports := server.Dialed(); len(ports) != 0 {
				t.Errorf("dialled %v", ports)
			}
		})
	}
}

// Listings that never end, in lines or in one line, are broken off; the session goes on.
func TestEndlessListing(t *testing.T) {
	forever := func(text string) func(io.Writer, bool) {
		block := []byte(strings.Repeat(text, 1+(32<<10)/len(text)))
		return func(w io.Writer, _ bool) {
			for {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}
	}
	for name, text := range map[string]string{
		"facts": "type=file; a\r\n", "ls": "-rw-r--r-- 1 a b 1 Jan  1  2020 a\r\n", "empty lines": "\n", "nonsense": "nonsense\r\n",
		"one line": "a", "NUL": "\x00", "CR": "\r",
	} {
		for _, mlst := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", mlst), func(t *testing.T) {
				server := mailtest.NewFTP()
				server.NoMLST, server.Listing = !mlst, forever(text)
				c := open(t, server, ftp.Options{MaxEntries: 10_000})
				var last error
				count, before, most := 0, held(), uint64(0)
				for _, err := range c.List(t.Context(), "") {
					if last = err; err == nil {
						if count++; count%5_000 == 0 {
							most = max(most, held())
						}
					}
				}
				if most = max(most, held()); !errors.Is(last, ftp.ErrTooLong) || count > 10_000 || most > before+2<<20 {
					t.Errorf("%d entries, %d octets held, %d before, then %v", count, most, before, last)
				}
				alive(t, c)
			})
		}
	}
}

// A million names, in memory that ten would take too (measured: what is held while they come, above what was held before), and a loop
// that ends early.
func TestMillion(t *testing.T) {
	const count = 1_000_000
	for _, mlsd := range []bool{true, false} {
		server := mailtest.NewFTP()
		server.NoMLST = !mlsd
		server.Listing = func(w io.Writer, mlsd bool) {
			format := "-rw-r--r--    1 bob      users        %4d Feb 29 12:34 this is file %d\r\n"
			if mlsd {
				format = "type=file;size=%d;modify=20240229123456; this is file %d\r\n"
			}
			var b bytes.Buffer
			for i := range count {
				fmt.Fprintf(&b, format, i%1000, i)
				if b.Len() > 16<<10 || i == count-1 {
					if _, err := w.Write(b.Bytes()); err != nil {
						return
					}
					b.Reset()
				}
			}
		}
		c := open(t, server, ftp.Options{})
		seen, before, most := 0, held(), uint64(0)
		for e, err := range c.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if e.Name != fmt.Sprint("this is file ", seen) || e.Size != int64(seen%1000) || e.Kind != ftp.File || e.Modified.IsZero() {
				t.Fatalf("%d: %+v", seen, e)
			}
			if seen++; seen%100_000 == 0 {
				most = max(most, held())
			}
		}
		more := int64(most) - int64(before)
		t.Logf("MLSD %v: %d names, %d octets more than before", mlsd, seen, more)
		if seen != count || more > 2<<20 {
			t.Errorf("%d names, %d octets more than before", seen, more)
		}
		alive(t, c)
		for range c.List(t.Context(), "") {
			break // what is left is more than anybody wants to read
		}
		alive(t, c)
	}
}

// held is what is on the heap and reachable, in octets.
func held() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Names that are no names, or ways out of the folder, are shown, and cannot be sent.
func TestHostileNames(t *testing.T) {
	names := map[string]bool{
		"plain": true, "..": false, "../up": false, "a/b": false, "/etc/passwd": false, "a\x00b": false, "a\rDELE b": false, `..\up`: false, `a\..\..\b`: false,
		`a\b`: true, "...": true, "..a": true, "esc\x1b[2J": true, "gro\u202e.exe": true, "\xff\xfe": true, "a -> b": true, "-rf": true, " ": true,
	}
	server := mailtest.NewFTP()
	server.Listing = func(w io.Writer, mlsd bool) {
		for name := range names {
			if mlsd {
				fmt.Fprintf(w, "type=file; %s\r\n", name)
			} else {
				fmt.Fprintf(w, "-rw-r--r-- 1 a b 1 Jan  1  2020 %s\r\n", name)
			}
		}
		io.WriteString(w, "what is this\x1b[31m\r\n")
	}
	for _, mlst := range []bool{true, false} {
		server.NoMLST = !mlst
		c := open(t, server, ftp.Options{})
		seen, unknown := 0, 0
		for e, err := range c.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if shown := e.Shown(); strings.ContainsAny(shown, "\r\n\x00\x1b\u202e") || shown == "" {
				t.Errorf("shown as %q", shown)
			}
			path, err := e.Path("/dir")
			if e.Kind == ftp.Unknown {
				if unknown++; !errors.Is(err, ftp.ErrName) || e.Line != "what is this [31m" {
					t.Errorf("%+v: %q, %v", e, path, err)
				}
				continue
			}
			seen++
			usable, listed := names[e.Name]
			if !listed || usable != (err == nil) || err != nil && !errors.Is(err, ftp.ErrName) || usable && path != "/dir/"+e.Name {
				t.Errorf("%q: %q, %v", e.Name, path, err)
			}
		}
		if seen != len(names)-1 || unknown != 1 { // ".." is left out
			t.Errorf("%d names and %d unknown lines", seen, unknown)
		}
	}
	if path, err := (ftp.Entry{Name: "-rf", Kind: ftp.File}).Path(""); path != "./-rf" || err != nil {
		t.Errorf("%q, %v", path, err)
	}
}

// An account is wanted beside the password: that is said, and nothing more.
func TestAccount(t *testing.T) {
	server := mailtest.NewFTP()
	server.Account = true
	c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true})
	defer c.Close()
	var refused *ftp.Error
	if err := c.Login(t.Context(), "bob", "bob-pw"); !errors.Is(err, ftp.ErrAccount) || !errors.As(err, &refused) || refused.Explain() == "" || c.State().Phase != ftp.Opening {
		t.Errorf("%v", err)
	}
	for _, bad := range [][2]string{{"", "x"}, {"a\r\nPASS x", "x"}, {"a", "x\r\nDELE y"}, {"a", "\x00"}} {
		if err := c.Login(t.Context(), bad[0], bad[1]); !errors.Is(err, ftp.ErrArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A greeting may be long, may ask for patience, and may refuse.
func TestGreetings(t *testing.T) {
	for greeting, want := range map[string]error{
		"220-hello\r\n220-\r\n 230 not this\r\n123 nor this\r\n220 done\r\n": nil,
		"120 in two minutes\r\n220 now\r\n":                                  nil,
		"220\r\n":                                                            nil,
		"220 bare LF\n":                                                      nil,
		"421 too many\r\n":                                                   ftp.ErrBusy,
		"530 not you\r\n":                                                    ftp.ErrNotLoggedIn,
		"hello\r\n":                                                          ftp.ErrProtocol,
		"150 at once\r\n":                                                    ftp.ErrProtocol,
		"120 in two minutes\r\n120 and two more\r\n":                         ftp.ErrProtocol,
		"331 who?\r\n":                                                       ftp.ErrProtocol,
		"220-" + strings.Repeat("a\r\n220-", 20_000):                         ftp.ErrTooLong,
		"220 " + strings.Repeat("a", 20_000):                                 ftp.ErrTooLong,
		"* OK IMAP4rev1\r\n":                                                 ftp.ErrProtocol,
	} {
		server := mailtest.NewFTP()
		server.Greeting = greeting
		c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true})
		err := c.Login(t.Context(), "bob", "bob-pw")
		if !errors.Is(err, want) || (err == nil) != (c.State().Phase == ftp.Ready) || err != nil && c.State().Phase != ftp.Closed {
			t.Errorf("%.40q: %v, state %v", greeting, err, c.State().Phase)
		}
		c.Close()
	}
}
