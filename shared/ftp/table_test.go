//go:build unix

package ftp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// What a round moves: one large file, and many small ones, each of which takes a data connection.
const (
	largeFile  = 200 << 20
	smallFiles = 2000
	smallFile  = 4 << 10
	curlFiles  = 5 // of the small ones for curl, which takes up to a second for each under TLS
	rounds     = 3 // of each, in turn; the fastest counts
)

// BenchmarkTable moves files from and to pure-ftpd, in plain text and under TLS, with this client, curl and lftp, in turn, each from login to
// QUIT and from and to files in memory; and prints a table.
func BenchmarkTable(b *testing.B) {
	for _, name := range []string{"curl", "lftp"} {
		if _, err := exec.LookPath(name); err != nil {
			b.Skipf("%s is not installed", name)
		}
	}
	here, err := os.MkdirTemp("/dev/shm", "table-")
	if err != nil {
		b.Skip("no memory for files: ", err)
	}
	defer os.RemoveAll(here)
	server := testbed.StartPureFTPd(b)
	y := yard{server: server, user: server.Users[1], here: here}
	y.fill(b)
	var table mailtest.Table
	for range b.N {
		for _, secure := range []bool{false, true} {
			y.secure = secure
			names, some, small := y.names(), "*", "2,000 small files"
			if secure { // lftp takes 50 ms for each
				names, some, small = names[100:200], "1??", "100 small files"
			}
			count := float64(len(names))
			for _, move := range []struct {
				what  string
				ours  func(*testing.B)
				curl  func(*testing.B)
				lftp  string
				moved float64 // MB, or files
				unit  string
			}{
				{"200 MB down", y.get("large"), y.curl("-o", here+"/got", y.url("large")), "get -O " + here + " large -o got", largeFile / 1e6, "MB/s"},
				{"200 MB up", y.put("large"), y.curl("-T", here+"/large", y.url("up/large")), "put -O up " + here + "/large", largeFile / 1e6, "MB/s"},
				{small + " down", y.get(names...), y.curl("-K", here+"/down.curl"), "mget -O " + here + " small/" + some, count, "files/s"},
				{small + " up", y.put(names...), y.curl("-K", here+"/up.curl"), "mput -O up " + here + "/small/" + some, count, "files/s"},
			} {
				what := move.what + ", in plain text"
				if secure {
					what = move.what + ", under TLS"
				}
				took := fastest(b, move.ours, y.lftp(move.lftp), move.curl)
				rate := func(d time.Duration) string { return fmt.Sprintf("%.0f %s", move.moved/d.Seconds(), move.unit) }
				table.Add(what, rate(took[0]), "", "")
				if move.unit == "files/s" { // as long as curl would have taken for all
					took[2] = time.Duration(float64(took[2]) * count / curlFiles)
				}
				for i, other := range []string{"lftp", "curl"} {
					table.Add("    "+other, rate(took[i+1]), fmt.Sprintf("%.2f", took[i+1].Seconds()/took[0].Seconds()), "its speed: ours")
				}
			}
		}
	}
	table.Print(os.Stdout)
}

// fastest runs each in turn, again and again, and answers the least that each took.
func fastest(b *testing.B, runs ...func(*testing.B)) []time.Duration {
	least := make([]time.Duration, len(runs))
	for range rounds {
		for i, run := range runs {
			start := time.Now()
			run(b)
			if took := time.Since(start); least[i] == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	return least
}

// yard is where files are moved.
type yard struct {
	server *testbed.FTP
	user   testbed.User
	here   string // files of this end: large, small/N; got for what comes
	secure bool
}

// fill makes the files of both ends, and curl's lists of what to move.
func (y *yard) fill(b *testing.B) {
	there := y.server.Folder(y.user.Name)
	for _, dir := range []string{there, y.here} {
		write(b, dir, "large", octets(largeFile))
		for _, name := range y.names() {
			write(b, dir, name, octets(smallFile))
		}
	}
	if err := os.Mkdir(filepath.Join(there, "up"), 0o755); err != nil {
		b.Fatal(err)
	}
	y.server.Own(b, y.user.Name)
	var down, up strings.Builder
	for _, name := range y.names()[:curlFiles] {
		fmt.Fprintf(&down, "url = %q\noutput = %q\n", y.url(name), filepath.Join(y.here, "got"))
		fmt.Fprintf(&up, "url = %q\nupload-file = %q\n", y.url("up/"+filepath.Base(name)), filepath.Join(y.here, name))
	}
	write(b, y.here, "down.curl", []byte(down.String()))
	write(b, y.here, "up.curl", []byte(up.String()))
}

func write(b *testing.B, dir, name string, content []byte) {
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		b.Fatal(err)
	}
}

func octets(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 2654435761 >> 16)
	}
	return p
}

func (y *yard) names() (names []string) {
	for i := range smallFiles {
		names = append(names, fmt.Sprintf("small/%d", i))
	}
	return names
}

func (y *yard) url(name string) string { return "ftp://" + y.server.Address() + "/" + name }

// curl runs curl, as it is set when it runs.
func (y *yard) curl(args ...string) func(*testing.B) {
	return func(b *testing.B) {
		all := append([]string{"-sS", "--fail", "-u", y.user.Name + ":" + y.user.Password}, args...)
		if y.secure {
			all = append(all, "--ssl-reqd", "--cacert", y.server.CAFile())
		}
		command(b, "curl", all...)
	}
}

func (y *yard) lftp(script string) func(*testing.B) {
	return func(b *testing.B) {
		settings := "set cmd:fail-exit yes; set xfer:clobber yes; set net:max-retries 1; set ftp:ssl-allow no; "
		if y.secure {
			settings = "set cmd:fail-exit yes; set xfer:clobber yes; set net:max-retries 1; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:ca-file " + y.server.CAFile() + "; "
		}
		command(b, "lftp", "-c", settings+"open -u "+y.user.Name+","+y.user.Password+" "+y.url("")+"; "+script+"; bye")
		for _, name := range y.names() { // where lftp puts what it gets
			os.Remove(filepath.Join(y.here, filepath.Base(name)))
		}
	}
}

func command(b *testing.B, name string, args ...string) {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s %q: %v\n%s", name, args[max(0, len(args)-3):], err, out)
	}
}

// session runs f in a session of ours.
func (y *yard) session(b *testing.B, f func(ctx context.Context, c *ftp.Client) error) {
	ctx := context.Background()
	conn, err := net.Dial("tcp", y.server.Address())
	if err != nil {
		b.Fatal(err)
	}
	c := ftp.New(conn, &ftp.Options{Dial: y.server.DialData, AllowPlaintextAuth: !y.secure})
	defer c.Close()
	if y.secure {
		config := y.server.ClientTLS()
		config.MinVersion = tls.VersionTLS12
		err = c.AuthTLS(ctx, config)
	}
	if err == nil {
		err = c.Login(ctx, y.user.Name, y.user.Password)
	}
	if err == nil {
		err = f(ctx, c)
	}
	if err == nil {
		err = c.Quit(ctx)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (y *yard) get(names ...string) func(*testing.B) {
	return func(b *testing.B) {
		y.session(b, func(ctx context.Context, c *ftp.Client) error {
			for _, name := range names {
				f, err := os.Create(filepath.Join(y.here, "got"))
				if err != nil {
					return err
				}
				_, err = c.Retr(ctx, name, 0, -1, f)
				if err := errors.Join(err, f.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (y *yard) put(names ...string) func(*testing.B) {
	return func(b *testing.B) {
		y.session(b, func(ctx context.Context, c *ftp.Client) error {
			for _, name := range names {
				f, err := os.Open(filepath.Join(y.here, name))
				if err != nil {
					return err
				}
				_, err = c.Stor(ctx, "up/"+filepath.Base(name), 0, f)
				f.Close()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}
