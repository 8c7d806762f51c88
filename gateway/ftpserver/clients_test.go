package ftpserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jlaffaye/ftp"

	"github.com/postern-mail/postern/shared/mailtest"
)

// clientTime bounds a real client's whole run.
const clientTime = time.Minute

// run runs a program, and answers what it printed.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed; shared/mailtest/testbed/install installs it", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clientTime)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	out, err := c.CombinedOutput()
	return string(out), err
}

func octets(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// secured is a server whose authority is in a file, for programs that read one.
func secured(t *testing.T) (r *rig, roots string) {
	t.Helper()
	authority := mailtest.NewAuthority(t)
	pair := authority.Server("localhost", "127.0.0.1")
	roots = filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(roots, authority.PEM(), 0o600))
	r = start(t, nil)
	r.server.cfg.TLS.Certificates = []tls.Certificate{pair}
	r.tls.RootCAs = authority.Pool()
	return r, roots
}

func TestCurl(t *testing.T) {
	r, roots := secured(t)
	local := t.TempDir()
	content := octets(5 << 20)
	must(t, os.WriteFile(filepath.Join(local, "up"), content, 0o600))
	for name, flags := range map[string][]string{
		"passive": {}, "active": {"--ftp-port", "127.0.0.1"}, "PASV": {"--disable-epsv"}, "PORT": {"--ftp-port", "127.0.0.1", "--disable-eprt"},
		// Not TLS and active: curl 7.88.1, of Debian 12, does not manage that with any server (its issue 10666). lftp does.
		"TLS": {"--ssl-reqd", "--cacert", roots}, "TLS 1.2": {"--ssl-reqd", "--cacert", roots, "--tls-max", "1.2"}, "clear data": {"--ftp-ssl-control", "--cacert", roots},
	} {
		t.Run(name, func(t *testing.T) {
			curl := func(args ...string) string {
				t.Helper()
				out, err := run(t, "curl", append(append([]string{"--silent", "--show-error", "--user", alice + ":" + password}, flags...), args...)...)
				if err != nil {
					t.Fatalf("curl %q: %v\n%s\n%s", args, err, out, r.log)
				}
				return out
			}
			url := "ftp://" + r.address + "/" + strings.ReplaceAll(name, " ", "%20") + "/"
			curl("--ftp-create-dirs", "-T", filepath.Join(local, "up"), url+"file%20name")
			down := filepath.Join(local, "down")
			curl("-o", down, url+"file%20name")
			if got, err := os.ReadFile(down); err != nil || sha256.Sum256(got) != sha256.Sum256(content) {
				t.Errorf("%d octets came back: %v", len(got), err)
			}
			must(t, os.Truncate(down, 1<<20)) // a download that goes on, and an upload
			curl("-C", "-", "-o", down, url+"file%20name")
			if got, err := os.ReadFile(down); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d octets came back: %v", len(got), err)
			}
			must(t, os.Truncate(filepath.Join(r.dir, name, "file name"), 1<<20))
			curl("-C", "-", "-T", filepath.Join(local, "up"), url+"file%20name")
			if got := r.read(name + "/file name"); got != string(content) {
				t.Errorf("%d octets after going on", len(got))
			}
			if out := curl(url); !strings.Contains(out, "file name") {
				t.Errorf("%q", out)
			}
			curl("-Q", "-RNFR file name", "-Q", "-RNTO 日本語", "-o", os.DevNull, url)
			curl("-Q", "-DELE 日本語", "-o", os.DevNull, url)
			if out := curl("-l", url); out != "" {
				t.Errorf("%q", out)
			}
		})
	}
	if out, err := run(t, "curl", "-sS", "--user", alice+":wrong", "ftp://"+r.address+"/"); err == nil {
		t.Errorf("with a wrong password: %s", out)
	}
}

func TestLFTP(t *testing.T) {
	r, roots := secured(t)
	local := t.TempDir()
	tree := filepath.Join(local, "tree")
	for i := range 30 {
		name := filepath.Join(tree, fmt.Sprint("folder ", i%5), fmt.Sprintf("file %d é.bin", i))
		must(t, os.MkdirAll(filepath.Dir(name), 0o700))
		must(t, os.WriteFile(name, octets(i*i*500), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(local, "big"), octets(5<<20), 0o600))
	for name, settings := range map[string]string{
		"passive": "set ftp:ssl-allow no;", "active": "set ftp:ssl-allow no; set ftp:passive-mode no;",
		"TLS":         "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:ca-file " + roots + ";",
		"TLS, active": "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ftp:passive-mode no; set ssl:ca-file " + roots + ";",
		"MLSD":        "set ftp:ssl-allow no; set ftp:use-mlsd yes;",
	} {
		t.Run(name, func(t *testing.T) {
			folder := strings.NewReplacer(" ", "-", ",", "").Replace(name)
			host, port, _ := net.SplitHostPort(r.address)
			back := filepath.Join(local, "back", folder)
			must(t, os.MkdirAll(back, 0o700))
			script := fmt.Sprintf("set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 10; set ftp:charset utf-8; %s open -u '%s,%s' -p %s %s; mkdir %[6]s; cd %[6]s; "+
				"mirror -R %s tree; mirror --parallel=3 tree %s/tree; put %s; mv big large; get large -o %s/large; cls; rm large; find . ; rm -r tree; bye",
				settings, alice, strings.ReplaceAll(password, "'", `\'`), port, host, folder, tree, back, filepath.Join(local, "big"), back)
			script = strings.ReplaceAll(script, "'"+alice+","+strings.ReplaceAll(password, "'", `\'`)+"'", `"`+alice+`,`+password+`"`)
			out, err := run(t, "lftp", "-c", script)
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, r.log)
			}
			same(t, tree, filepath.Join(back, "tree"))
			if got, err := os.ReadFile(filepath.Join(back, "large")); err != nil || !bytes.Equal(got, octets(5<<20)) {
				t.Errorf("%d octets: %v", len(got), err)
			}
			if all, _ := os.ReadDir(filepath.Join(r.dir, folder)); len(all) != 0 {
				t.Errorf("%v", all)
			}
		})
	}
}

// same compares two folders.
func same(t *testing.T, a, b string) {
	t.Helper()
	files := 0
	must(t, filepath.WalkDir(a, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		rel, _ := filepath.Rel(a, name)
		want, _ := os.ReadFile(name)
		got, err := os.ReadFile(filepath.Join(b, rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets of %d: %v", rel, len(got), len(want), err)
		}
		return nil
	}))
	if files == 0 {
		t.Error("nothing was compared")
	}
}

// The client that Postern's own will be built on.
func TestJlaffaye(t *testing.T) {
	for name, options := range map[string]func(r *rig) []ftp.DialOption{
		"plain":   func(*rig) []ftp.DialOption { return nil },
		"PASV":    func(*rig) []ftp.DialOption { return []ftp.DialOption{ftp.DialWithDisabledEPSV(true)} },
		"TLS":     func(r *rig) []ftp.DialOption { return []ftp.DialOption{ftp.DialWithExplicitTLS(r.tls)} },
		"no MLSD": func(*rig) []ftp.DialOption { return []ftp.DialOption{ftp.DialWithDisabledMLSD(true)} },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			c, err := ftp.Dial(r.address, append(options(r), ftp.DialWithTimeout(patience))...)
			must(t, err)
			must(t, c.Login(alice, password))
			must(t, c.MakeDir("folder"))
			must(t, c.ChangeDir("folder"))
			must(t, c.Stor("файл", strings.NewReader("content")))
			must(t, c.StorFrom("файл", strings.NewReader("inued"), 7))
			must(t, c.Append("файл", strings.NewReader("!")))
			size, err := c.FileSize("файл")
			must(t, err)
			entries, err := c.List(".")
			must(t, err)
			if size != 13 || len(entries) != 1 || entries[0].Name != "файл" || entries[0].Size != 13 || entries[0].Type != ftp.EntryTypeFile {
				t.Errorf("%d %+v", size, entries)
			}
			d, err := c.RetrFrom("файл", 4)
			must(t, err)
			got, err := io.ReadAll(d)
			must(t, err)
			must(t, d.Close())
			if string(got) != "entinued!" {
				t.Errorf("%q", got)
			}
			if d, err = c.Retr("none"); err == nil {
				d.Close()
				t.Error("there is a file that is none")
			}
			must(t, c.Rename("файл", "../moved"))
			must(t, c.ChangeDirToParent())
			must(t, c.RemoveDir("folder"))
			must(t, c.Delete("moved"))
			must(t, c.Quit())
		})
	}
}

// Data connections resume the control connection's session, under both versions of TLS.
func TestSessionReuse(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			r.tls.MaxVersion = version
			r.write("it", "content")
			c := r.dial()
			c.secure()
			c.ask("331", "USER "+alice)
			c.ask("230", "PASS "+password)
			for range 3 {
				conn := c.open(c.epsv())
				c.ask("150", "RETR it")
				data := tls.Client(conn, r.tls)
				got, err := io.ReadAll(data)
				if must(t, err); string(got) != "content" {
					t.Errorf("%q", got)
				}
				if !data.ConnectionState().DidResume {
					t.Error("a new session")
				}
				data.Close()
				c.want("226", c.hear())
			}
		})
	}
}

// An upload whose TLS was not ended was cut: somebody between could have done it.
func TestTruncatedTLS(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	c.secure()
	c.ask("331", "USER "+alice)
	c.ask("230", "PASS "+password)
	conn := c.open(c.epsv())
	c.ask("150", "STOR it")
	data := tls.Client(conn, r.tls)
	io.WriteString(data, "content")
	conn.Close()
	if got := c.hear(); !strings.HasPrefix(got, "426") || !strings.Contains(got, "REST 7 ") {
		t.Error(got)
	}
}

func TestImplicitTLS(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- r.server.ServeTLS(l) }()
	t.Cleanup(func() { l.Close(); <-served })
	conn, err := tls.Dial("tcp", l.Addr().String(), r.tls)
	must(t, err)
	defer conn.Close()
	c, err := ftp.Dial(l.Addr().String(), ftp.DialWithTLS(r.tls), ftp.DialWithTimeout(patience))
	must(t, err)
	must(t, c.Login(alice, password))
	d, err := c.Retr("it")
	must(t, err)
	got, err := io.ReadAll(d)
	if must(t, err); string(got) != "content" {
		t.Errorf("%q", got)
	}
	must(t, d.Close())
	must(t, c.Quit())
}
