package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is done in whichever order, with uploads beside each other that end well, are cut, or are refused: what is counted is what
// is there, it is never more than the quota but by what is to be replaced, and every file has what was put there, and nothing else.
func TestQuotaModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const quota, most = 150, 3
		parent, err := os.MkdirTemp("", "model")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(parent)
		f, err := New(parent, nil).Folder("1-a", Quota{Octets: quota, Files: most})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		dir := filepath.Join(parent, "1-a")
		names := rapid.SampledFrom([]string{"/a", "/b", "/d", "/d/a"})
		type open struct {
			*Upload
			name, said string
			from       From
			began      bool
		}
		var uploads []*open
		files := map[string]string{} // what is there, of names that nobody uploads to
		end := func(t *rapid.T, cut bool) {
			if len(uploads) == 0 {
				return
			}
			i := rapid.IntRange(0, len(uploads)-1).Draw(t, "upload")
			u := uploads[i]
			uploads = append(uploads[:i], uploads[i+1:]...)
			if cut {
				u.Cut(io.ErrUnexpectedEOF)
			}
			err := u.Close()
			got, readErr := os.ReadFile(filepath.Join(dir, u.name))
			before, there := files[u.name]
			base := before
			if u.from >= 0 {
				base = before[:min(int(u.from), len(before))]
			}
			switch {
			case err == nil, IsCut(err) && u.began:
				if string(got) != base+u.said || readErr != nil {
					t.Fatalf("%s from %d: %q %v, want %q and %q", u.name, u.from, got, readErr, base, u.said)
				}
				files[u.name] = string(got)
			case errors.Is(err, ErrQuota) && u.began && u.from > 0: // what was behind the octet is given up with the first that comes
				if string(got) != base {
					t.Fatalf("%s: %q, want %q", u.name, got, base)
				}
				files[u.name] = base
			default:
				if string(got) != before || (readErr == nil) != there {
					t.Fatalf("%s: %v has changed %q to %q", u.name, err, before, got)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				var octets, n, replaced int64
				err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
					if err != nil || p == dir {
						return err
					}
					info, err := e.Info()
					if err != nil {
						return err
					}
					if !e.IsDir() {
						octets += info.Size()
					}
					if !strings.HasPrefix(e.Name(), temporary) {
						n++
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range uploads {
					replaced += u.credit
				}
				if o, have := f.Used(); o != octets || have != n {
					t.Fatalf("%d octets in %d files are counted, %d in %d are there", o, have, octets, n)
				}
				if octets-replaced > quota || n > most {
					t.Fatalf("%d octets, of which %d are to be replaced, in %d files", octets, replaced, n)
				}
			},
			"upload": func(t *rapid.T) {
				name := names.Draw(t, "name")
				from := From(rapid.SampledFrom([]int{0, 0, -1, -1, 3, 20}).Draw(t, "from"))
				u, err := f.Upload(name, from, func() {})
				if err == nil {
					uploads = append(uploads, &open{Upload: u, name: name, from: from})
				}
			},
			"write": func(t *rapid.T) {
				if len(uploads) == 0 {
					return
				}
				u := uploads[rapid.IntRange(0, len(uploads)-1).Draw(t, "upload")]
				p := strings.Repeat(rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "octet"), rapid.IntRange(1, 90).Draw(t, "octets"))
				n, err := u.Write([]byte(p))
				if n != 0 && n != len(p) || (err == nil) != (n == len(p)) {
					t.Fatalf("%d octets of %d: %v", n, len(p), err)
				}
				u.said, u.began = u.said+p[:n], u.began || u.file != nil
			},
			"end": func(t *rapid.T) { end(t, false) },
			"cut": func(t *rapid.T) { end(t, true) },
			"mkdir": func(t *rapid.T) {
				f.Mkdir(rapid.SampledFrom([]string{"/d", "/e"}).Draw(t, "name"))
			},
			"remove": func(t *rapid.T) {
				name := names.Draw(t, "name")
				if f.Remove(name) == nil {
					delete(files, name)
				}
				f.RemoveFolder(name)
			},
			"rename": func(t *rapid.T) {
				from, to := names.Draw(t, "from"), names.Draw(t, "to")
				if f.Rename(from, to) != nil || from == to {
					return
				}
				for name, content := range files {
					if rest, in := strings.CutPrefix(name+"/", from+"/"); in {
						delete(files, name)
						files[strings.TrimSuffix(to+"/"+rest, "/")] = content
					}
				}
			},
		})
		for len(uploads) > 0 {
			end(t, false)
		}
	})
}
