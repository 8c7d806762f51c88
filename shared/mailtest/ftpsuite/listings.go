package ftpsuite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/ftp"
)

func (s *suite) listing(t *testing.T) {
	c := s.folder(t, nil)
	if all := c.list(t, ""); len(all) != 0 {
		t.Errorf("an empty folder has %v", all)
	}
	store(t, c, "file", "12345")
	when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, c.Mfmt(c.ctx, "file", when))
	store(t, c, "new", "")
	_, err := c.Mkd(c.ctx, "folder")
	must(t, err)
	store(t, c, "folder/inside", "1")
	all := c.list(t, "")
	if len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	for _, e := range all {
		switch e.Name {
		case "file":
			if e.Kind != ftp.File || e.Size != 5 || !e.Modified.Equal(when.Truncate(e.Precision)) || e.Precision == 0 {
				t.Errorf("%+v", e)
			}
		case "folder":
			if e.Kind != ftp.Folder || e.Size != -1 {
				t.Errorf("%+v", e)
			}
		case "new":
			if e.Kind != ftp.File || e.Size != 0 || e.Precision == 0 {
				t.Errorf("%+v", e)
			}
		default:
			t.Errorf("%+v", e)
		}
		if !e.Usable() {
			t.Errorf("%q is not usable", e.Name)
		}
	}
	dir := c.State().Dir
	for _, path := range []string{"folder", dir + "/folder"} {
		if all := c.list(t, path); len(all) != 1 || all[0].Name != "inside" {
			t.Errorf("%s: %+v", path, all)
		}
	}
	for _, err := range c.List(c.ctx, "none such") {
		if !errors.Is(err, ftp.ErrNoFile) {
			t.Errorf("a listing of nothing: %v", err)
		}
	}
	c.alive(t)
	if c.State().Dir != dir {
		t.Errorf("at %q, was at %q", c.State().Dir, dir)
	}
}

// Every name that can be made comes back in the listing as it is, and what it names can be had by it.
func (s *suite) names(t *testing.T) {
	c := s.folder(t, nil)
	names := []string{
		"a", "with blanks  inside", " leading", "größe 会議 😀", `quo"te`, "semi;colon; x=y", "star*", "[ab]", "que?", "{a,b}", "~tilde", "%41",
		"-rf", "arrow -> target", "2024-01-01 10:00 x", "Jan  1 12:00 y", "a\tb", "esc\x1b[31m", "total 5", `back\slash`, `c:\x`, "d;", "latin \xe9",
		strings.Repeat("long", 50),
	}
	var made []string
	strict := 0
	dir := c.State().Dir
	for i, name := range names {
		path, err := ftp.Entry{Name: name, Kind: ftp.File}.Path(dir)
		must(t, err)
		if _, err := c.Stor(c.ctx, path, 0, strings.NewReader(fmt.Sprint(i))); err != nil {
			t.Logf("%q cannot be made: %v", name, err)
			if s.Strict && odd(name) {
				strict++
			}
			continue
		}
		if s.Strict && odd(name) {
			t.Errorf("%q was made", name)
		}
		made = append(made, s.kept(name))
	}
	if len(made) < len(names)-2-strict {
		t.Errorf("%d names of %d were taken", len(made), len(names))
	}
	all := c.list(t, "")
	var listed []string
	for _, e := range all {
		listed = append(listed, e.Name)
	}
	slices.Sort(listed)
	slices.Sort(made)
	if !slices.Equal(listed, made) {
		t.Errorf("listed %q\nwant   %q", listed, made)
	}
	for _, e := range all {
		path, err := e.Path("")
		must(t, err)
		same(t, c, path, fmt.Sprint(slices.IndexFunc(names, func(n string) bool { return s.kept(n) == e.Name })))
	}
	c.alive(t)
}

// odd tells of a name that it is not text.
func odd(name string) bool {
	return !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl)
}

// A listing that ends early, by the loop or by its context, leaves the session as it was, and nothing of it is in the next.
func (s *suite) longListing(t *testing.T) {
	c := s.folder(t, nil)
	const count = 500
	for i := range count {
		store(t, c, fmt.Sprintf("%s %d", strings.Repeat("name", 40), i), "")
	}
	for range 3 {
		seen := 0
		for _, err := range c.List(c.ctx, "") {
			must(t, err)
			if seen++; seen == 2 {
				break
			}
		}
		c.alive(t)
	}
	if c.count("ABOR") != 0 {
		t.Error("a short rest was broken off")
	}
	for range 3 {
		ctx, cancel := context.WithCancel(c.ctx)
		for _, err := range c.List(ctx, "") {
			if ctx.Err() == nil {
				cancel()
				<-time.After(5 * time.Millisecond) // it is another goroutine that breaks off
			}
			if err != nil && (!errors.Is(err, context.Canceled) || !errors.Is(err, ftp.ErrAborted)) {
				t.Error(err)
			}
		}
		cancel()
		c.alive(t)
	}
	if c.count("ABOR") == 0 {
		t.Error("nothing was broken off")
	}
	if all := c.list(t, ""); len(all) != count {
		t.Errorf("%d names", len(all))
	}
}

// kept is what the server makes of a name.
func (s *suite) kept(name string) string {
	kept := []byte(name)
	for i, b := range kept {
		if b < ' ' && s.Underscores {
			kept[i] = '_'
		}
	}
	return string(kept)
}
