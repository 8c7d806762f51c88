package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A name that is a file at one moment and something else at the next, in one step (RENAME_EXCHANGE), is opened as the file or
// not at all: not as a link to another file of the user's, nor as a pipe.
func TestExchanges(t *testing.T) {
	for name, make := range map[string]func(dir string) (one, other string){
		"a file and a link": func(dir string) (string, string) {
			must(t, os.Symlink("secret", filepath.Join(dir, "folder", "link")))
			return "folder/file", "folder/link"
		},
		"a file and a pipe": func(dir string) (string, string) {
			must(t, unix.Mkfifo(filepath.Join(dir, "folder", "pipe"), 0o600))
			return "folder/file", "folder/pipe"
		},
		"a folder and a link": func(dir string) (string, string) {
			must(t, os.Symlink("another", filepath.Join(dir, "link")))
			return "folder", "link"
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, dir := opened(t, Quota{}, nil)
			for name, content := range map[string]string{"folder/file": "mine", "folder/secret": "secret", "another/file": "secret"} {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
			}
			a, b := make(dir)
			a, b = filepath.Join(dir, a), filepath.Join(dir, b)
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Skip("this file system does not exchange: ", err)
			}
			stop, done := newStop()
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
						unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
					}
				}
			}()
			seen := 0
			for until := time.Now().Add(700 * time.Millisecond); time.Now().Before(until) || seen == 0 && time.Now().Before(until.Add(20*time.Second)); {
				if got, err := read(f, "/folder/file"); err == nil {
					seen++
					if strings.Contains(got, "s") {
						t.Fatalf("read %q", got)
					}
				}
				if err := put(f, "/folder/file", "w", End); err == nil {
					seen++
				}
			}
			close(stop)
			<-done
			if seen == 0 {
				t.Error("nothing was ever read or written: this says nothing")
			}
			for _, name := range []string{"another/file", "folder/secret", "link/secret"} {
				if got, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(got) != "secret" {
					t.Errorf("%s is changed: %.20q", name, got)
				}
			}
		})
	}
}

func newStop() (stop, done chan struct{}) { return make(chan struct{}), make(chan struct{}) }
