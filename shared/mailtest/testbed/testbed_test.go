//go:build unix

package testbed_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every port greets as its protocol does, and the folder is gone at the end.
func TestStart(t *testing.T) {
	var dir string
	t.Run("running", func(t *testing.T) {
		b := testbed.Start(t)
		dir = b.Dir
		for port, greeting := range map[int]string{b.POP3: "+OK", b.SMTP: "220 ", b.Submission: "220 "} {
			line, err := bufio.NewReader(b.Dial(t, port)).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, greeting) {
				t.Errorf("port %d greets %q, %v", port, line, err)
			}
		}
		for _, d := range b.Doors() {
			for port, greeting := range map[int]string{d.POP3S: "+OK", d.Submissions: "220 "} {
				c, err := tls.Dial("tcp", net.JoinHostPort(d.Host, strconv.Itoa(port)), &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Errorf("%s, port %d: %v", d.Name, port, err)
					continue
				}
				line, err := bufio.NewReader(c).ReadString('\n')
				if !c.ConnectionState().PeerCertificates[0].Equal(d.Certificate.Leaf) || err != nil || !strings.HasPrefix(line, greeting) {
					t.Errorf("%s, port %d greets %q, %v, or has another certificate", d.Name, port, line, err)
				}
				c.Close()
			}
		}
		b.Deliver(t, "bob", []byte("Subject: marker\r\n\r\n"))
		if got := b.Await(t, "bob", "marker"); string(got) != "Subject: marker\r\n\r\n" {
			t.Errorf("%q", got)
		}
	})
	if _, err := os.Stat(dir); dir != "" && !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dir, err)
	}
}
