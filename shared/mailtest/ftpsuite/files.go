package ftpsuite

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
)

// store makes a file.
func store(t *testing.T, c *session, name, content string) {
	t.Helper()
	n, err := c.Stor(c.ctx, name, 0, strings.NewReader(content))
	must(t, err)
	if n != int64(len(content)) {
		t.Fatalf("%d octets of %d were stored", n, len(content))
	}
}

// same wants a file to have this content.
func same(t *testing.T, c *session, name, content string) {
	t.Helper()
	var got bytes.Buffer
	n, err := c.Retr(c.ctx, name, 0, int64(len(content)), &got)
	must(t, err)
	if got.String() != content || n != int64(got.Len()) {
		t.Errorf("%s: %d octets, counted %d, want %d", name, got.Len(), n, len(content))
	}
}

func (s *suite) folders(t *testing.T) {
	c := s.folder(t, nil)
	top := c.State().Dir
	for _, name := range []string{"plain", "with blanks", "größe 会議", `quo"te`, "semi;colon=x", "star*[a]?", "%41", "-dash", `back\slash`} {
		made, err := c.Mkd(c.ctx, strings.Replace(name, "-", "./-", 1))
		if errors.Is(err, ftp.ErrNotAllowed) {
			t.Logf("MKD %s: %v", name, err)
			continue
		}
		must(t, err)
		dir, err := c.Cwd(c.ctx, top+"/"+name)
		if err != nil || dir != top+"/"+name || c.State().Dir != dir || made == "" {
			t.Errorf("MKD and CWD %s: at %q, made %q, %v", name, dir, made, err)
			continue
		}
		if dir, err = c.Cdup(c.ctx); err != nil || dir != top {
			t.Errorf("CDUP: at %q, %v", dir, err)
		}
	}
	if err := c.Rmd(c.ctx, "plain"); err != nil {
		t.Error(err)
	}
	if _, err := c.Cwd(c.ctx, "plain"); !errors.Is(err, ftp.ErrNoFile) {
		t.Errorf("CWD to what was removed: %v", err)
	}
	c.alive(t)
}

func (s *suite) refusals(t *testing.T) {
	c := s.folder(t, nil)
	for name, do := range map[string]func() error{
		"RETR": func() error { _, err := c.Retr(c.ctx, "none", 0, -1, io.Discard); return err },
		"DELE": func() error { return c.Dele(c.ctx, "none") },
		"RMD":  func() error { return c.Rmd(c.ctx, "none") },
		"RNFR": func() error { return c.Rename(c.ctx, "none", "other") },
		"SIZE": func() error { _, err := c.Size(c.ctx, "none"); return err },
		"MDTM": func() error { _, err := c.Mdtm(c.ctx, "none"); return err },
		"CWD":  func() error { _, err := c.Cwd(c.ctx, "none"); return err },
	} {
		err := do()
		var refused *ftp.Error
		if !errors.As(err, &refused) || refused.Command != name || refused.Code != 550 || refused.Text() == "" || refused.Explain() == "" || !errors.Is(err, ftp.ErrNoFile) {
			t.Errorf("%s of nothing: %v", name, err)
		}
		c.alive(t)
	}
	for name, do := range map[string]func(path string) error{
		"Stor":   func(p string) error { _, err := c.Stor(c.ctx, p, 0, strings.NewReader("x")); return err },
		"Dele":   func(p string) error { return c.Dele(c.ctx, p) },
		"Rename": func(p string) error { return c.Rename(c.ctx, "x", p) },
		"List": func(p string) (err error) {
			for _, err = range c.List(c.ctx, p) {
			}
			return err
		},
	} {
		for _, path := range []string{"a\r\nDELE b", "a\nb", "a\rb", "a\x00b"} {
			if err := do(path); !errors.Is(err, ftp.ErrArgument) {
				t.Errorf("%s %q: %v", name, path, err)
			}
		}
	}
	c.alive(t)
}

func (s *suite) about(t *testing.T) {
	c := s.folder(t, nil)
	store(t, c, "a file", "12345")
	n, err := c.Size(c.ctx, "a file")
	must(t, err)
	if n != 5 {
		t.Errorf("SIZE %d", n)
	}
	when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, c.Mfmt(c.ctx, "a file", when))
	got, err := c.Mdtm(c.ctx, "a file")
	must(t, err)
	if !got.Equal(when) {
		t.Errorf("MDTM %v, want %v", got, when)
	}
	f, err := c.Features(c.ctx)
	must(t, err)
	e, err := c.Stat(c.ctx, "a file")
	switch {
	case !f.MLST && !errors.Is(err, ftp.ErrUnsupported):
		t.Errorf("MLST where there is none: %v", err)
	case f.MLST && (err != nil || e.Name != "a file" || e.Kind != ftp.File || e.Size != 5 || !e.Modified.Equal(when)):
		t.Errorf("MLST: %+v, %v", e, err)
	}
	must(t, c.Dele(c.ctx, "a file"))
	if _, err := c.Size(c.ctx, "a file"); !errors.Is(err, ftp.ErrNoFile) {
		t.Errorf("SIZE of what was deleted: %v", err)
	}
}

func (s *suite) rename(t *testing.T) {
	c := s.folder(t, nil)
	store(t, c, "old name", "content")
	_, err := c.Mkd(c.ctx, "dir")
	must(t, err)
	must(t, c.Rename(c.ctx, "old name", "dir/new name"))
	same(t, c, "dir/new name", "content")
	if err := c.Rename(c.ctx, "dir/new name", "no such dir/x"); err == nil {
		t.Error("RNTO into nowhere was taken")
	}
	if got := c.State(); got.Phase != ftp.Ready || got.RenameFrom != "" {
		t.Errorf("state after it: %+v", got)
	}
	renaming := 0
	for _, e := range c.transcript() {
		if e.State.Phase == ftp.Renaming && e.State.RenameFrom != "" && strings.HasPrefix(e.Line, "RNTO ") {
			renaming++
		}
	}
	if renaming != 2 {
		t.Errorf("the state showed %d renamings, want 2", renaming)
	}
	must(t, c.Rename(c.ctx, "dir/new name", "back"))
	c.alive(t)
}
