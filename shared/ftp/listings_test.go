package ftp_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
)

// read lists what a server gives for a listing, by MLSD or by LIST, on the first of March 2024 at noon.
func read(t *testing.T, mlsd bool, listing string, o ftp.Options) (all []ftp.Entry) {
	t.Helper()
	server := mailtest.NewFTP()
	server.NoMLST = !mlsd
	server.Listing = func(w io.Writer, _ bool) { io.WriteString(w, listing) }
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	c := open(t, server, o)
	for e, err := range c.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

var noon = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

// shown is the essence of an entry: "file 12 2024-02-29T12:34 name".
func shown(e ftp.Entry) string {
	if e.Kind == ftp.Unknown {
		return "unknown: " + e.Line
	}
	when := "-"
	switch e.Precision {
	case time.Second:
		when = e.Modified.UTC().Format("2006-01-02T15:04:05")
	case time.Minute:
		when = e.Modified.UTC().Format("2006-01-02T15:04")
	case 24 * time.Hour:
		when = e.Modified.UTC().Format("2006-01-02")
	}
	s := fmt.Sprintf("%v %d %s %s", e.Kind, e.Size, when, e.Name)
	if e.Target != "" {
		s += " => " + e.Target
	}
	return s
}

// check wants each line to be read as what stands beside it; "" for a line that is passed over.
func check(t *testing.T, mlsd bool, lines [][2]string) {
	t.Helper()
	var listing strings.Builder
	var want []string
	for _, l := range lines {
		listing.WriteString(l[0] + "\r\n")
		if l[1] != "" {
			want = append(want, l[1])
		}
	}
	got := read(t, mlsd, listing.String(), ftp.Options{})
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	for i, e := range got {
		if shown(e) != want[i] {
			t.Errorf("got  %q\nwant %q", shown(e), want[i])
		}
	}
}

func TestUnixListings(t *testing.T) {
	check(t, false, [][2]string{
		{"total 12", ""},
		{"total 1.5K", ""},
		{"", ""},
		{"drwxr-xr-x   2 ftp      ftp          4096 Jan  1 12:00 .", ""},
		{"drwxr-xr-x   2 ftp      ftp          4096 Jan  1 12:00 ..", ""},
		{"-rw-r--r--   1 ftp      ftp          1234 Feb 29 12:34 name", "file 1234 2024-02-29T12:34 name"},
		{"-rw-r--r--   1 ftp      ftp          1234 Feb 29  2020 name", "file 1234 2020-02-29 name"},
		{"-rw-r--r--   1 ftp      ftp          1234 Mar  1 23:00 ahead", "file 1234 2024-03-01T23:00 ahead"},             // the server's clock is
		{"-rw-r--r--   1 ftp      ftp          1234 Mar  3 00:00 last year's", "file 1234 2023-03-03T00:00 last year's"}, // not two days
		{"-rw-r--r--   1 ftp      ftp          1234 Dec 31 23:59 last year's", "file 1234 2023-12-31T23:59 last year's"},
		{"drwxr-xr-x   2 ftp      ftp          4096 Jan  1  2020 folder", "folder -1 2020-01-01 folder"},
		{"drwxrwsr-t+  2 ftp      ftp          4096 Jan  1  2020 folder", "folder -1 2020-01-01 folder"}, // POSIX ACLs
		{"-rw-r--r--.  1 ftp      ftp             1 Jan  1  2020 selinux", "file 1 2020-01-01 selinux"},
		{"-rw-r--r--@  1 ftp      ftp             1 Jan  1  2020 mac", "file 1 2020-01-01 mac"},
		{"lrwxrwxrwx   1 ftp      ftp             6 Jan  1  2020 link -> target", "link -1 2020-01-01 link => target"},
		{"lrwxrwxrwx   1 ftp      ftp             6 Jan  1  2020 a -> b -> target", "link -1 2020-01-01 a -> b => target"}, // by the size
		{"lrwxrwxrwx   1 ftp      ftp            11 Jan  1  2020 a -> b -> target", "link -1 2020-01-01 a => b -> target"},
		{"lrwxrwxrwx   1 ftp      ftp             0 Jan  1  2020 a -> b -> target", "link -1 2020-01-01 a => b -> target"}, // or by the first arrow
		{"lrwxrwxrwx   1 ftp      ftp             0 Jan  1  2020 nowhere", "link -1 2020-01-01 nowhere"},
		{"crw-rw-rw-   1 root     root       1,   3 Jan  1  2020 null", "other -1 2020-01-01 null"},
		{"brw-rw----   1 root     disk     8,     0 Jan  1  2020 sda", "other -1 2020-01-01 sda"},
		{"srw-rw----   1 root     disk            0 Jan  1  2020 socket", "other -1 2020-01-01 socket"},
		{"-rw-r--r--   1 Domain Users with blanks  7 Jan  1  2020 name", "file 7 2020-01-01 name"},
		{"-rw-r--r--   1 ftp             7 Jan  1  2020 no group", "file 7 2020-01-01 no group"},
		{"-rw-r--r--     ftp      ftp    7 Jan  1  2020 no links", "file 7 2020-01-01 no links"},
		{"-rw-r--r--   1 1000     1000   7 Jan  1  2020 numbers", "file 7 2020-01-01 numbers"},
		{"-rw-r--r--   1 Jan      2      7 Jan  1  2020 Jan  2  2020 x", "file 7 2020-01-01 Jan  2  2020 x"},
		{"-rw-r--r--   1 ftp      ftp    7 Jan  1  2020  leading and trailing ", "file 7 2020-01-01  leading and trailing "},
		{"-rw-r--r--   1 ftp      ftp    7 2020-01-02 03:04 long-iso", "file 7 2020-01-02T03:04 long-iso"},
		{"-rw-r--r--   1 ftp      ftp    7 2020-01-02 03:04:05.123456789 +0000 full", "file 7 2020-01-02T03:04 full"},
		{"-rw-r--r--   1 ftp      ftp    7  1 Jan  2020 day first", "file 7 2020-01-01 day first"},
		{"-rw-r--r--   1 ftp      ftp    7 1. Jan 12:00 day first", "file 7 2024-01-01T12:00 day first"},
		{"-rw-r--r--   1 ftp      ftp    7 January 1 2020 in full", "file 7 2020-01-01 in full"},
		{"-rw-r--r--   1 ftp      ftp    7 Mär  1 12:00 German", "file 7 - German"},
		{"-rw-r--r--   1 ftp      ftp    7 févr.  1 2020 French", "file 7 - French"},
		{"-rw-r--r--   1 ftp      ftp    7  2月  1 12:00 Japanese", "file 7 - Japanese"},
		{"drwxrwxrwx               folder        2 May 10  1996 network", "folder -1 1996-05-10 network"}, // NetPresenz
		{"-------r--         326  1391972  1392298 Nov 22  1995 MegaPhone.sit", "file 1392298 1995-11-22 MegaPhone.sit"},
		{"d [R----F--] supervisor            512       Jan 16 18:53    login", "folder -1 2024-01-16T18:53    login"}, // NetWare
		{"-rw-r--r--   1 ftp      ftp    1125899906842625 Jan  1  2020 too large", "file -1 2020-01-01 too large"},
		{"-rw-r--r--   1 ftp      ftp    99999999999999999999 Jan  1  2020 too large", "file -1 2020-01-01 too large"},
		{"-rw-r--r--   1 ftp      ftp    7 Jan  1  2020", "unknown: -rw-r--r--   1 ftp      ftp    7 Jan  1  2020"}, // no name
		{"-rw-r--r--   1 ftp      ftp    7 Jan 32  2020 x", "unknown: -rw-r--r--   1 ftp      ftp    7 Jan 32  2020 x"},
		{"-rw-r--r--   1 ftp      ftp    x Jan  1  2020 x", "unknown: -rw-r--r--   1 ftp      ftp    x Jan  1  2020 x"},
		{"-rw-r--r-- what?", "unknown: -rw-r--r-- what?"},
		{"ls: cannot open directory '.': Permission denied", "unknown: ls: cannot open directory '.': Permission denied"},
	})
}

func TestWindowsListings(t *testing.T) {
	check(t, false, [][2]string{
		{"01-16-02  11:14AM       <DIR>          epsgroup", "folder -1 2002-01-16T11:14 epsgroup"},
		{"06-05-03  03:19PM                 1973 readme.txt", "file 1973 2003-06-05T15:19 readme.txt"},
		{"06-05-2003  03:19PM                 1973 readme.txt", "file 1973 2003-06-05T15:19 readme.txt"},
		{"06-05-03  12:00AM                    0 midnight", "file 0 2003-06-05T00:00 midnight"},
		{"02-29-20  15:19                  1,973 with blanks  in it ", "file 1973 2020-02-29T15:19 with blanks  in it "},
		{"06-05-03  03:19PM                    7  leading", "file 7 2003-06-05T15:19  leading"},
		{"2020-02-29  15:19       <DIR>          iso", "folder -1 2020-02-29T15:19 iso"},
		{"02/29/2020  03:19 PM    <DIR>          slashes", "folder -1 2020-02-29T15:19 slashes"},
		{"29.02.2020  15:19    <DIR>          dots", "folder -1 2020-02-29T15:19 dots"},
		{"02-29-20  03:19PM       <JUNCTION>     old [C:\\new]", "link -1 2020-02-29T15:19 old => C:\\new"},
		{"02-29-20  03:19PM       <SYMLINKD>     old [elsewhere]", "link -1 2020-02-29T15:19 old => elsewhere"},
		{"02-29-20  03:19PM       <DIR>          .", ""},
		{"13-29-20  03:19PM       <DIR>          x", "unknown: 13-29-20  03:19PM       <DIR>          x"},
		{"02-29-20  03:19PM       <WHAT>         x", "unknown: 02-29-20  03:19PM       <WHAT>         x"},
		{"02-29-20  03:19PM       <DIR>          ", "unknown: 02-29-20  03:19PM       <DIR>          "},
		{"02-29-20  03:19PM", "unknown: 02-29-20  03:19PM"},
	})
}

func TestFacts(t *testing.T) {
	check(t, true, [][2]string{
		{"type=cdir;modify=20200101000000; /where/one/is", ""},
		{"type=pdir;modify=20200101000000; ..", ""},
		{"Type=OS.unix=cdir; weird", "other -1 - weird"},
		{"type=file;size=12;modify=20240229123456; name", "file 12 2024-02-29T12:34:56 name"},
		{"TYPE=FILE;SIZE=12;MODIFY=20240229123456.5; NAME", "file 12 2024-02-29T12:34:56 NAME"},
		{"modify=20240229123456;type=dir;size=4096; folder", "folder -1 2024-02-29T12:34:56 folder"},
		{"type=OS.unix=slink:/target;size=7; link", "link -1 - link => /target"},
		{"type=OS.unix=symlink; link", "link -1 - link"},
		{"type=OS.unix=chr-1/3; null", "other -1 - null"},
		{"size=12; no type", "file 12 - no type"},
		{" no facts at all", "file -1 - no facts at all"},
		{"type=file;x.unknown=a=b;lang=en;;novalue; a; b=c ", "file -1 - a; b=c "},
		{"type=file;size=-1;modify=yesterday; lies", "file -1 - lies"},
		{"type=file;size=1125899906842625; too large", "file -1 - too large"},
		{"type=file; ", "unknown: type=file; "},
		{"type=file;", "unknown: type=file;"},
		{"type=file name", "unknown: type=file name"},
		{"-rw-r--r-- 1 a b 1 Jan  1  2020 name", "unknown: -rw-r--r-- 1 a b 1 Jan  1  2020 name"},
	})
	all := read(t, true, "type=file;perm=adfr;unique=10U4;UNIX.mode=0644;UNIX.owner=1000;UNIX.ownername=bob; a\n", ftp.Options{})
	if len(all) != 1 || all[0].Perm != "adfr" || all[0].Unique != "10U4" || all[0].Mode != "0644" || all[0].Owner != "bob" {
		t.Errorf("%+v", all)
	}
}

// A name with line breaks in it is torn: its parts are names of their own or none at all, and none leads out of the folder.
func TestTornNames(t *testing.T) {
	for _, mlsd := range []bool{true, false} {
		first, forged := "-rw-r--r-- 1 a b 1 Jan  1  2020 torn\nDELE other\r\n", "-rw-r--r-- 1 a b 1 Jan  1  2020 x\n-rw-r--r-- 1 a b 1 Jan  1  2020 ../forged\r\n"
		if mlsd {
			first, forged = "type=file; torn\nDELE\r\n", "type=file; x\ntype=file; ../forged\r\n"
		}
		all := read(t, mlsd, first+forged, ftp.Options{})
		if len(all) != 4 || all[0].Name != "torn" || all[1].Kind != ftp.Unknown || all[1].Usable() || all[2].Name != "x" || all[3].Usable() {
			t.Errorf("%+v", all)
		}
	}
}

// LIST's times are in the server's zone; the others' are not.
func TestZones(t *testing.T) {
	tokyo := time.FixedZone("JST", 9*60*60)
	for _, c := range []struct {
		line string
		mlsd bool
		want time.Time
	}{
		{"-rw-r--r-- 1 a b 1 Mar  1 20:00 a\n", false, noon.Add(-time.Hour)},
		{"-rw-r--r-- 1 a b 1 Jan  1  2020 a\n", false, time.Date(2019, 12, 31, 15, 0, 0, 0, time.UTC)},
		{"03-01-24  08:00PM 1 a\n", false, noon.Add(-time.Hour)},
		{"type=file;modify=20240301120000; a\n", true, noon},
	} {
		all := read(t, c.mlsd, c.line, ftp.Options{Location: tokyo})
		if len(all) != 1 || !all[0].Modified.Equal(c.want) {
			t.Errorf("%q: %+v", c.line, all)
		}
	}
}

// names are any names that a line can hold and that are of an entry of the folder.
func names() *rapid.Generator[string] {
	// What parsers look at comes often.
	octet := rapid.OneOf(rapid.SampledFrom([]byte("; =->[]<>.,/\\\r\t0aJ:\xff")), rapid.ByteMin(1))
	return rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(octet, 1, 40).Draw(t, "name")) }).Filter(func(s string) bool {
		return !strings.Contains(s, "\n") && !strings.HasSuffix(s, "\r") && s != "." && s != ".." && strings.TrimSpace(s) != ""
	})
}

// Whatever files there are: written as servers write them, they are read as they are.
func TestListingsReadBack(t *testing.T) {
	kinds := rapid.SampledFrom([]ftp.Kind{ftp.File, ftp.Folder})
	for style, write := range map[string]func(e ftp.Entry) string{
		"facts": func(e ftp.Entry) string {
			return fmt.Sprintf("type=%s;size=%d;modify=%s; %s", map[ftp.Kind]string{ftp.File: "file", ftp.Folder: "dir"}[e.Kind], max(e.Size, 4096), e.Modified.Format("20060102150405"), e.Name)
		},
		"ls": func(e ftp.Entry) string {
			return fmt.Sprintf("%srw-r--r-- 1 %8s group %8d %s %s", map[ftp.Kind]string{ftp.File: "-", ftp.Folder: "d"}[e.Kind], "owner", max(e.Size, 4096), e.Modified.Format("Jan _2 15:04"), e.Name)
		},
		"ls of the old": func(e ftp.Entry) string {
			return fmt.Sprintf("%srw-r--r-- 1 %8s group %8d %s %s", map[ftp.Kind]string{ftp.File: "-", ftp.Folder: "d"}[e.Kind], "owner", max(e.Size, 4096), e.Modified.Format("Jan _2  2006"), e.Name)
		},
		"dir": func(e ftp.Entry) string {
			what := fmt.Sprintf("%20d", max(e.Size, 4096))
			if e.Kind == ftp.Folder {
				what = "       <DIR>         "
				e.Name = strings.TrimLeft(e.Name, " ") // which cannot be told
			}
			return e.Modified.Format("01-02-06  03:04PM") + what + " " + e.Name
		},
	} {
		server := mailtest.NewFTP()
		server.NoMLST = style != "facts"
		var listing strings.Builder
		server.Listing = func(w io.Writer, _ bool) { io.WriteString(w, listing.String()) }
		c := open(t, server, ftp.Options{Now: func() time.Time { return noon }})
		t.Run(style, rapid.MakeCheck(func(t *rapid.T) {
			listing.Reset()
			var want []ftp.Entry
			for range rapid.IntRange(0, 5).Draw(t, "count") {
				e := ftp.Entry{Name: names().Draw(t, "name"), Kind: kinds.Draw(t, "kind"), Size: -1}
				if e.Kind == ftp.File {
					e.Size = rapid.Int64Range(4096, 1<<50).Draw(t, "size")
				}
				e.Modified = noon.Add(-time.Duration(rapid.IntRange(0, 180*24*60).Draw(t, "age")) * time.Minute)
				e.Precision = map[string]time.Duration{"facts": time.Second, "ls": time.Minute, "ls of the old": 24 * time.Hour, "dir": time.Minute}[style]
				listing.WriteString(write(e) + "\r\n")
				if style == "dir" && e.Kind == ftp.Folder {
					e.Name = strings.TrimLeft(e.Name, " ")
				}
				want = append(want, e)
			}
			i := 0
			for e, err := range c.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				if i == len(want) || shown(e) != shown(want[i]) {
					t.Fatalf("entry %d: got %q, listing %q", i, shown(e), listing.String())
				}
				i++
			}
			if i != len(want) {
				t.Fatalf("%d of %d entries", i, len(want))
			}
		}))
	}
}
