//go:build unix

package testbed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a yard has to move: one large file, and many small ones, each of which takes a data connection.
const (
	LargeFile  = 200 << 20
	SmallFiles = 2000
	SmallFile  = 4 << 10
)

// Yard is where files are moved between a folder of this machine, in memory, and a user's folder at a server, by programs that are
// measured. At both ends there are "large" and "small/0" and so on; at the server an empty folder "up", here "got" for what comes.
type Yard struct {
	Server *FTP
	User   User
	Here   string
	Secure bool // under explicit TLS
}

// NewYard starts pure-ftpd, and makes the files of both ends. It skips where a program is missing that files are to be moved with.
func NewYard(t testing.TB) *Yard {
	t.Helper()
	for _, name := range []string{"curl", "lftp"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: `task install` as root installs it", name)
		}
	}
	here, err := os.MkdirTemp("/dev/shm", "yard-")
	if err != nil {
		t.Skip("no memory for files: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(here) })
	server := StartPureFTPd(t)
	y := &Yard{Server: server, User: server.Users[1], Here: here}
	for _, dir := range []string{y.There(), y.Here} {
		y.write(t, dir, "large", octets(LargeFile))
		for _, name := range y.Names() {
			y.write(t, dir, name, octets(SmallFile))
		}
	}
	if err := os.Mkdir(filepath.Join(y.There(), "up"), 0o755); err != nil {
		t.Fatal(err)
	}
	server.Own(t, y.User.Name)
	return y
}

// There is the user's folder at the server, on this machine.
func (y *Yard) There() string { return y.Server.Folder(y.User.Name) }

func (y *Yard) write(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func octets(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 2654435761 >> 16)
	}
	return p
}

// Names are the small files.
func (y *Yard) Names() (names []string) {
	for i := range SmallFiles {
		names = append(names, fmt.Sprintf("small/%d", i))
	}
	return names
}

// URL is a file at the server.
func (y *Yard) URL(name string) string { return "ftp://" + y.Server.Address() + "/" + name }

// Curl runs curl with those arguments, under TLS as it is set when it runs.
func (y *Yard) Curl(args ...string) func(t testing.TB) {
	return func(t testing.TB) {
		t.Helper()
		all := append([]string{"-sS", "--fail", "-u", y.User.Name + ":" + y.User.Password}, args...)
		if y.Secure {
			all = append(all, "--ssl-reqd", "--cacert", y.Server.CAFile())
		}
		command(t, "curl", all...)
	}
}

// CurlEach moves the first n of the small files with one curl, down or up.
func (y *Yard) CurlEach(t testing.TB, n int, up bool) func(t testing.TB) {
	t.Helper()
	var list strings.Builder
	for _, name := range y.Names()[:n] {
		if up {
			fmt.Fprintf(&list, "url = %q\nupload-file = %q\n", y.URL("up/"+filepath.Base(name)), filepath.Join(y.Here, name))
		} else {
			fmt.Fprintf(&list, "url = %q\noutput = %q\n", y.URL(name), filepath.Join(y.Here, "got"))
		}
	}
	file := fmt.Sprintf("curl-%d-%v", n, up)
	y.write(t, y.Here, file, []byte(list.String()))
	return y.Curl("-K", filepath.Join(y.Here, file))
}

// Lftp runs a script of lftp, likewise.
func (y *Yard) Lftp(script string) func(t testing.TB) {
	return func(t testing.TB) {
		t.Helper()
		settings := "set cmd:fail-exit yes; set xfer:clobber yes; set net:max-retries 1; "
		if y.Secure {
			settings += "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:ca-file " + y.Server.CAFile() + "; "
		} else {
			settings += "set ftp:ssl-allow no; "
		}
		command(t, "lftp", "-c", settings+"open -u "+y.User.Name+","+y.User.Password+" "+y.URL("")+"; "+script+"; bye")
		for _, name := range y.Names() { // where lftp puts what it gets
			os.Remove(filepath.Join(y.Here, filepath.Base(name)))
		}
	}
}

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args[max(0, len(args)-3):], err, out)
	}
}
