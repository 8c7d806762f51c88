//go:build unix

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/trust"
)

// maildrop is a way to bob's mail on a bed: an address, with TLS or without.
type maildrop struct {
	bed    *testbed.Bed
	port   int
	sealed bool
}

// peer is a program that downloads n messages from a maildrop into a folder.
type peer struct {
	name string
	run  func(b *testing.B, m maildrop, n int, out string)
}

// rate answers messages per second, from the connection to the end of the program.
func (p peer) rate(b *testing.B, m maildrop, n int) float64 {
	b.Helper()
	dir, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	p.run(b, m, n, dir)
	return float64(n) / time.Since(start).Seconds()
}

func command(b *testing.B, program string, args ...string) {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "FETCHMAILHOME="+os.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// settings writes a configuration that a program keeps for itself.
func settings(b *testing.B, dir, content string) string {
	b.Helper()
	file := filepath.Join(dir, "rc")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

var (
	postern = peer{"Postern, natively", func(b *testing.B, m maildrop, n int, out string) { benchRetrieve(b, m, n, out) }}

	mpop = peer{"mpop", func(b *testing.B, m maildrop, _ int, out string) {
		tls := "tls off"
		if m.sealed {
			tls = "tls on\ntls_starttls off\ntls_trust_file " + m.bed.CAFile
		}
		rc := settings(b, out, fmt.Sprintf("account a\nhost localhost\nport %d\nuser bob\npassword bob-pw\nauth user\n%s\nkeep on\nonly_new off\n"+
			"uidls_file %s/uidls\nreceived_header off\ndelivery mbox %s/mbox\n", m.port, tls, out, out))
		command(b, "mpop", "-q", "-C", rc, "a")
	}}

	curl = peer{"curl", func(b *testing.B, m maildrop, n int, out string) {
		command(b, "curl", "-s", "-S", "--user", "bob:bob-pw", fmt.Sprintf("pop3://%s:%d/[1-%d]", m.bed.Host, m.port, n), "-o", out+"/#1.eml")
	}}

	fetchmail = peer{"fetchmail", func(b *testing.B, m maildrop, n int, out string) {
		rc := settings(b, out, fmt.Sprintf("set no syslog\npoll %s service %d protocol POP3 auth password user bob password bob-pw sslproto \"\" "+
			"fetchall keep no rewrite fetchlimit %d bsmtp %s/out\n", m.bed.Host, m.port, n, out))
		cmd := exec.Command("fetchmail", "--invisible", "-s", "-f", rc)
		cmd.Env = append(os.Environ(), "FETCHMAILHOME="+out)
		// 13: it stopped at the limit that it was given.
		if text, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 13 {
			b.Fatalf("fetchmail: %v\n%s", err, text)
		}
	}}
)

// benchRetrieve downloads by shared/pop3 into a file.
func benchRetrieve(b *testing.B, m maildrop, n int, out string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	conn, err := net.Dial("tcp", net.JoinHostPort(m.bed.Host, strconv.Itoa(m.port)))
	if err != nil {
		b.Fatal(err)
	}
	if m.sealed {
		conn = tls.Client(conn, trust.Config(trust.Options{ServerName: "localhost", Pins: []string{trust.Fingerprint(m.bed.Certificate.Certificate[0])}}))
	}
	c := pop3.New(conn, &pop3.Options{AllowPlaintextAuth: true})
	defer c.Close()
	file, err := os.Create(filepath.Join(out, "mbox"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 64<<10)
	_, err = c.Capa(ctx)
	if err == nil {
		err = c.Login(ctx, "bob", "bob-pw")
	}
	if err != nil {
		b.Fatal(err)
	}
	list, err := c.List(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.UIDL(ctx); err != nil {
		b.Fatal(err)
	}
	if len(list) < n {
		b.Fatalf("%d messages of %d", len(list), n)
	}
	if err := c.RetrAll(ctx, list[:n], func(_ int, body io.Reader) error {
		_, err := io.Copy(w, body)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := c.Quit(ctx); err != nil {
		b.Fatal(err)
	}
}
