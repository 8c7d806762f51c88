//go:build unix

package testbed

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// Bed is a set of running servers.
type Bed struct {
	Dir  string // everything is in it; removed at the end of the test
	Host string // "127.0.0.1"; the certificate is for it and for localhost

	POP3        int // plain text and STLS
	POP3S       int // implicit TLS
	SMTP        int // for mail from other servers; no AUTH; 0 without Postfix
	Submission  int // STARTTLS, AUTH (also in plain text)
	Submissions int // implicit TLS, AUTH
	Neighbour   int // where Postfix takes mail for NeighbourDomain to; nobody listens there yet

	// More ways in, each with a certificate that cannot be verified: it has expired, is another host's, or vouches for itself.
	Expired, WrongHost, SelfSigned Door

	// Locking is Dovecot again, in plain text and by STLS, where a second session is refused with [IN-USE].
	Locking struct {
		Host string
		POP3 int
	}

	Domain string // of the users: "example.test"
	// NeighbourDomain is at home at the port Neighbour.
	NeighbourDomain string
	Users           []User

	Authority   *mailtest.Authority
	Roots       *x509.CertPool // knows the authority alone
	Certificate tls.Certificate
	CAFile      string // the authority's certificate, for programs
}

// User is an account of the bed; its address is Name@Domain.
type User struct{ Name, Password string }

// Door is a way in to the same servers by implicit TLS, with a certificate of its own.
type Door struct {
	Name        string
	Host        string // an address of loopback of its own, by which Dovecot chooses the certificate
	POP3S       int
	Submissions int
	Certificate tls.Certificate
}

// Doors are the ways in that are not to be trusted.
func (b *Bed) Doors() []*Door { return []*Door{&b.Expired, &b.WrongHost, &b.SelfSigned} }

// mailOwner is the number of the user and group that own the mail; it needs no name.
const mailOwner = 5000

//go:embed dovecot.conf oauth2.conf main.cf master.cf vsftpd.conf
var configuration embed.FS

// Start starts Dovecot and Postfix, and stops them at the end of the test.
func Start(t testing.TB) *Bed {
	t.Helper()
	b := prepare(t, "dovecot", "postfix")
	b.startDovecot(t)
	b.startPostfix(t)
	return b
}

// StartDovecot starts Dovecot alone, which takes a tenth of the time.
func StartDovecot(t testing.TB) *Bed {
	t.Helper()
	b := prepare(t, "dovecot")
	b.startDovecot(t)
	return b
}

// Address returns host and port as net.Dial wants them.
func (b *Bed) Address(port int) string { return net.JoinHostPort(b.Host, strconv.Itoa(port)) }

// Dial connects to one of the bed's ports, until the end of the test.
func (b *Bed) Dial(t testing.TB, port int) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", b.Address(port), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ClientTLS returns a configuration that trusts the bed's authority alone.
func (b *Bed) ClientTLS() *tls.Config {
	return &tls.Config{ServerName: "localhost", RootCAs: b.Roots, MinVersion: tls.VersionTLS12}
}

// Maildir returns the Maildir of a user; it is not there before the first mail.
func (b *Bed) Maildir(user string) string { return filepath.Join(b.Dir, "mail", user, "Maildir") }

// Messages returns the messages in a user's Maildir that contain marker, as files hold them (LF line ends when
// Postfix wrote them).
func (b *Bed) Messages(t testing.TB, user, marker string) [][]byte {
	t.Helper()
	var found [][]byte
	for _, sub := range []string{"new", "cur"} {
		names, _ := filepath.Glob(filepath.Join(b.Maildir(user), sub, "*"))
		for _, name := range names {
			content, err := os.ReadFile(name)
			if os.IsNotExist(err) {
				continue // Dovecot moved it from new to cur; the next look finds it
			}
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(content, []byte(marker)) {
				found = append(found, content)
			}
		}
	}
	return found
}

// Await waits for a message with marker in it to be in the user's Maildir.
func (b *Bed) Await(t testing.TB, user, marker string) []byte {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if found := b.Messages(t, user, marker); len(found) > 0 {
			return found[0]
		}
		wait(20 * time.Millisecond) // Maildirs give no event that is worth its code
	}
	t.Fatalf("no message with %q in the Maildir of %s\n%s", marker, user, b.logs())
	return nil
}

// Deliver puts a message into a user's Maildir, newest.
func (b *Bed) Deliver(t testing.TB, user string, message []byte) {
	t.Helper()
	b.DeliverAll(t, user, func(yield func([]byte) bool) { yield(message) })
}

// DeliverAll puts messages into a user's Maildir, in their order.
func (b *Bed) DeliverAll(t testing.TB, user string, messages func(yield func([]byte) bool)) {
	t.Helper()
	dir := b.Maildir(user)
	for _, d := range []string{dir, dir + "/new", dir + "/cur", dir + "/tmp"} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(d, mailOwner, mailOwner); err != nil {
			t.Fatal(err)
		}
	}
	for message := range messages {
		// Dovecot orders new mail by the time in the name, and then by the name.
		now := time.Now()
		name := fmt.Sprintf("%d.M%06dP%d.bed", now.Unix(), now.Nanosecond()/1000, os.Getpid())
		tmp := filepath.Join(dir, "tmp", name)
		if err := os.WriteFile(tmp, message, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(tmp, mailOwner, mailOwner); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, "new", name)); err != nil {
			t.Fatal(err)
		}
		for time.Since(now) < time.Microsecond { // the next name must be later
		}
	}
}

// needs makes a bed with a folder and nothing in it, or skips.
func needs(t testing.TB, programs ...string) *Bed {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("testbed: real servers need root")
	}
	// Debian puts servers where the PATH of a user may not look.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("testbed: %s is not installed; shared/mailtest/testbed/install installs it", filepath.Base(p))
		}
	}
	// Not t.TempDir: its folders keep other users out, and servers run as several.
	dir, err := os.MkdirTemp("/tmp", "postern-bed-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &Bed{Dir: dir, Host: "127.0.0.1"}
}

// prepare makes the folder, the ports and the configuration, or skips.
func prepare(t testing.TB, programs ...string) *Bed {
	t.Helper()
	b := needs(t, programs...)
	dir := b.Dir
	*b = Bed{
		Dir:    dir,
		Host:   b.Host,
		Domain: "example.test", NeighbourDomain: "postern.test",
		Users:  []User{{"alice", "alice-pw"}, {"bob", "bob-pw"}, {"carol", "pässwörd-carol"}, {"jörg", "jörg-pw"}},
		CAFile: filepath.Join(dir, "tls", "ca.pem"),

		Expired:    Door{Name: "expired", Host: "127.0.0.2"},
		WrongHost:  Door{Name: "wronghost", Host: "127.0.0.3"},
		SelfSigned: Door{Name: "selfsigned", Host: "127.0.0.4"},
	}
	b.Locking.Host = "127.0.0.5"
	b.reservePorts(t)
	b.layOut(t)
	return b
}

// reservePorts finds free ports. They are free again until the servers take them, a moment later.
func (b *Bed) reservePorts(t testing.TB) {
	t.Helper()
	for _, port := range []*int{&b.POP3, &b.POP3S, &b.SMTP, &b.Submission, &b.Submissions, &b.Neighbour} {
		defer b.reserve(t, b.Host, port).Close()
	}
	defer b.reserve(t, b.Locking.Host, &b.Locking.POP3).Close()
	for _, d := range b.Doors() {
		defer b.reserve(t, d.Host, &d.POP3S).Close()
		defer b.reserve(t, d.Host, &d.Submissions).Close()
	}
}

func (b *Bed) reserve(t testing.TB, host string, port *int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	*port = l.Addr().(*net.TCPAddr).Port
	return l
}

func (b *Bed) layOut(t testing.TB) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"etc", "etc/postfix", "tls", "run", "state", "state/postfix", "etc/keys", "etc/keys/default", "etc/keys/default/HS256", "log", "mail", "queue", "queue/private"} {
		check(os.Mkdir(filepath.Join(b.Dir, d), 0o755))
	}
	b.Authority = mailtest.NewAuthority(t)
	b.Roots = b.Authority.Pool()
	b.Certificate = b.Authority.Server("localhost", "mail.example.test", "127.0.0.1", "::1")
	certificate, key := mailtest.WritablePEM(t, b.Certificate)
	b.Expired.Certificate = b.Authority.Expired("localhost", "127.0.0.1", b.Expired.Host)
	b.WrongHost.Certificate = b.Authority.Server("elsewhere.test")
	b.SelfSigned.Certificate = mailtest.SelfSigned(t, "localhost", "127.0.0.1", b.SelfSigned.Host)
	for _, d := range b.Doors() {
		certificate, key := mailtest.WritablePEM(t, d.Certificate)
		check(os.WriteFile(filepath.Join(b.Dir, "tls", d.Name+".pem"), certificate, 0o644))
		check(os.WriteFile(filepath.Join(b.Dir, "tls", d.Name+".key"), key, 0o644))
	}

	var users, mailboxes bytes.Buffer
	for _, u := range b.Users {
		fmt.Fprintf(&users, "%s:{PLAIN}%s::::::\n", u.Name, u.Password)
		fmt.Fprintf(&mailboxes, "%s@%s %s/Maildir/\n", u.Name, b.Domain, u.Name)
		home := filepath.Join(b.Dir, "mail", u.Name)
		check(os.Mkdir(home, 0o700))
		check(os.Chown(home, mailOwner, mailOwner))
	}
	fmt.Fprintf(&mailboxes, "büro@%s bob/Maildir/\n", b.Domain)
	for name, content := range map[string][]byte{
		"tls/ca.pem":    b.Authority.PEM(),
		"tls/cert.pem":  certificate,
		"tls/key.pem":   key,
		"etc/users":     users.Bytes(),
		"etc/mailboxes": mailboxes.Bytes(),

		"etc/keys/default/HS256/default": []byte(base64.StdEncoding.EncodeToString([]byte(tokenKey))),
	} {
		check(os.WriteFile(filepath.Join(b.Dir, name), content, 0o644))
	}
	for name, to := range map[string]string{
		"dovecot.conf": "etc/dovecot.conf", "oauth2.conf": "etc/oauth2.conf", "main.cf": "etc/postfix/main.cf", "master.cf": "etc/postfix/master.cf",
	} {
		tmpl, err := template.ParseFS(configuration, name)
		check(err)
		var out bytes.Buffer
		check(tmpl.Execute(&out, struct {
			*Bed
			Owner int
		}{b, mailOwner}))
		check(os.WriteFile(filepath.Join(b.Dir, to), out.Bytes(), 0o644))
	}
}

func (b *Bed) startDovecot(t testing.TB) {
	t.Helper()
	b.ownBy(t, "postfix", "queue/private", "state/postfix")
	b.run(t, "dovecot", "-F", "-c", filepath.Join(b.Dir, "etc/dovecot.conf"))
	b.awaitPorts(t, b.Address(b.POP3), b.Address(b.POP3S), b.Expired.pop3s(), b.WrongHost.pop3s(), b.SelfSigned.pop3s())
}

func (b *Bed) startPostfix(t testing.TB) {
	t.Helper()
	etc := filepath.Join(b.Dir, "etc/postfix")
	// This makes the queue. It warns of a configuration that is not in its usual place.
	if out, err := exec.Command("postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	b.run(t, "/usr/lib/postfix/sbin/master", "-d", "-c", etc)
	b.awaitPorts(t, b.Address(b.SMTP), b.Address(b.Submission), b.Address(b.Submissions))
}

// run starts a server in the foreground, so that it is our child, and ends it, and its children with it, when the
// test ends.
func (b *Bed) run(t testing.TB, program string, args ...string) {
	t.Helper()
	output, err := os.OpenFile(filepath.Join(b.Dir, "log", filepath.Base(program)+".output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Postfix wants a session, and signals to the tests are not for it
	endWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
	})
}

// ownBy gives folders to a user of the system, if there is one of that name.
func (b *Bed) ownBy(t testing.TB, user string, folders ...string) {
	t.Helper()
	for _, f := range folders {
		if out, err := exec.Command("chown", user, filepath.Join(b.Dir, f)).CombinedOutput(); err != nil {
			t.Logf("testbed: %s", bytes.TrimSpace(out))
		}
	}
}

// awaitPorts waits until every port answers.
func (b *Bed) awaitPorts(t testing.TB, addresses ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, address := range addresses {
		for {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("testbed: %s: %v\n%s", address, err, b.logs())
			}
			wait(5 * time.Millisecond)
		}
	}
}

func wait(d time.Duration) { <-time.After(d) }

// logs returns the end of what the servers wrote.
func (b *Bed) logs() string {
	var all bytes.Buffer
	names, _ := filepath.Glob(filepath.Join(b.Dir, "log/*"))
	for _, name := range names {
		content, _ := os.ReadFile(name)
		fmt.Fprintf(&all, "--- %s\n%s\n", filepath.Base(name), content[max(0, len(content)-4000):])
	}
	return all.String()
}
