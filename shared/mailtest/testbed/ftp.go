//go:build unix

package testbed

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/postern-mail/postern/shared/mailtest"
)

// FTP is a running FTP server, of loopback alone, with one folder for each user.
type FTP struct {
	bed   *Bed
	owner int

	Port  int
	Users []User // alice, bob and carol, whose password is not ASCII
}

// vsftpdUnpacked is where install puts vsftpd, which as a package would put pure-ftpd out.
const vsftpdUnpacked = "/opt/postern-testbed/vsftpd/usr/sbin/vsftpd"

// StartPureFTPd starts pure-ftpd (explicit TLS, or plain text), and stops it at the end of the test. more are options of its.
func StartPureFTPd(t testing.TB, more ...string) *FTP {
	t.Helper()
	f := prepareFTP(t, mailOwner, "pure-ftpd", "pure-pw", "openssl")
	var passwd bytes.Buffer
	for _, u := range f.Users {
		hash, err := exec.Command("openssl", "passwd", "-6", u.Password).Output()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&passwd, "%s:%s:%d:%d::%s/./::::::::::::\n", u.Name, strings.TrimSpace(string(hash)), f.owner, f.owner, f.Folder(u.Name))
	}
	f.write(t, "etc/passwd", passwd.Bytes())
	if out, err := exec.Command("pure-pw", "mkdb", f.in("etc/users.pdb"), "-f", f.in("etc/passwd")).CombinedOutput(); err != nil {
		t.Fatalf("pure-pw: %v\n%s", err, out)
	}
	f.bed.run(t, "pure-ftpd", append([]string{"-4", "-S", f.bed.Host + "," + strconv.Itoa(f.Port), "-l", "puredb:" + f.in("etc/users.pdb"),
		"-u", "1", "-E", "-A", "-H", "-Y", "1", "-2", f.in("tls/both.pem"), "-c", "100", "-C", "100", "-g", f.in("run/pid"), "-I", "5"}, more...)...)
	f.bed.awaitPorts(t, f.Address())
	return f
}

// StartVsftpd starts vsftpd, which demands that data connections under TLS resume the control connection's session
// (require_ssl_reuse), and stops it at the end of the test. TLS is explicit, or implicit.
func StartVsftpd(t testing.TB, implicit bool) *FTP {
	t.Helper()
	program := vsftpdUnpacked
	if _, err := os.Stat(program); err != nil {
		program = "vsftpd"
	}
	daemon, err := user.Lookup("daemon")
	if err != nil {
		t.Skipf("testbed: vsftpd wants a user of the system: %v", err)
	}
	owner, _ := strconv.Atoi(daemon.Uid)
	f := prepareFTP(t, owner, program, "db_load")
	// vsftpd knows no way to log in but PAM, and PAM looks for its rules in one place.
	pam := filepath.Base(f.bed.Dir)
	rules := "/etc/pam.d/" + pam
	var passwords bytes.Buffer
	for _, u := range f.Users {
		fmt.Fprintf(&passwords, "%s\n%s\n", u.Name, u.Password)
	}
	load := exec.Command("db_load", "-T", "-t", "hash", f.in("etc/users.db"))
	load.Stdin = &passwords
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("db_load: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(rules), 0o755); err != nil {
		t.Fatal(err)
	}
	content := strings.ReplaceAll("auth required pam_userdb.so db=@ crypt=none\naccount required pam_userdb.so db=@ crypt=none\n", "@", f.in("etc/users"))
	if err := os.WriteFile(rules, []byte(content), 0o644); err != nil {
		t.Skipf("testbed: vsftpd wants a rule for PAM: %v", err)
	}
	t.Cleanup(func() { os.Remove(rules) })
	tmpl, err := template.ParseFS(configuration, "vsftpd.conf")
	if err != nil {
		t.Fatal(err)
	}
	var conf bytes.Buffer
	err = tmpl.Execute(&conf, struct {
		Host, Dir, PAM string
		Port           int
		Implicit       bool
	}{f.bed.Host, f.bed.Dir, pam, f.Port, implicit})
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "etc/vsftpd.conf", conf.Bytes())
	f.bed.run(t, program, f.in("etc/vsftpd.conf"))
	f.bed.awaitPorts(t, f.Address())
	return f
}

// prepareFTP makes a folder with all that an FTP server needs, or skips.
func prepareFTP(t testing.TB, owner int, programs ...string) *FTP {
	t.Helper()
	b := needs(t, programs...)
	f := &FTP{bed: b, owner: owner, Users: []User{{"alice", "alice-pw"}, {"bob", "bob-pw"}, {"carol", "pässwörd-carol"}}}
	b.reserve(t, b.Host, &f.Port).Close()
	for _, d := range []string{"etc", "tls", "run", "log", "empty", "files"} {
		if err := os.Mkdir(f.in(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range f.Users {
		if err := os.Mkdir(f.Folder(u.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(f.Folder(u.Name), owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	b.Authority = mailtest.NewAuthority(t)
	b.Roots = b.Authority.Pool()
	b.Certificate = b.Authority.Server("localhost", b.Host)
	certificate, key := mailtest.WritablePEM(t, b.Certificate)
	f.write(t, "tls/ca.pem", b.Authority.PEM())
	f.write(t, "tls/cert.pem", certificate)
	f.write(t, "tls/key.pem", key)
	f.write(t, "tls/both.pem", append(key, certificate...))
	return f
}

func (f *FTP) in(name string) string { return filepath.Join(f.bed.Dir, name) }

func (f *FTP) write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(f.in(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Address returns host and port as net.Dial wants them.
func (f *FTP) Address() string { return f.bed.Address(f.Port) }

// Folder is where a user's files are, on this machine.
func (f *FTP) Folder(user string) string { return f.in(filepath.Join("files", user)) }

// Own gives what is in a user's folder to the user, after it was put there behind the server's back.
func (f *FTP) Own(t testing.TB, user string) {
	t.Helper()
	err := filepath.WalkDir(f.Folder(user), func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, f.owner, f.owner)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Dial connects to the server, until the end of the test.
func (f *FTP) Dial(t testing.TB) net.Conn { return f.bed.Dial(t, f.Port) }

// DialData connects to a port of the server's, for ftp.Options.
func (f *FTP) DialData(ctx context.Context, port int) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", f.bed.Address(port))
}

// ClientTLS returns a configuration that trusts the server's authority alone.
func (f *FTP) ClientTLS() *tls.Config { return f.bed.ClientTLS() }

// CAFile is the authority's certificate, for programs.
func (f *FTP) CAFile() string { return f.in("tls/ca.pem") }
