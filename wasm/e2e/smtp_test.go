package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// deliver puts n messages into a mailbox of the demo world, through its submission port as any mail client would.
func deliver(t testing.TB, addr, from, password, to string, n int) {
	t.Helper()
	// The certificate is the demo world's own; this is loopback, and a test.
	c, err := smtp.DialStartTLS(addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", from, password)); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Duration(n) * time.Minute)
	for i := range n {
		msg := fmt.Sprintf("From: Alice <%s>\r\nTo: <%s>\r\nSubject: Message %d of %d\r\nDate: %s\r\nMessage-ID: <e2e-%d@postern.test>\r\n\r\nThis is message %d.\r\n%s\r\n",
			from, to, i+1, n, start.Add(time.Duration(i)*time.Minute).Format(time.RFC1123Z), i, i, strings.Repeat("A line of ordinary text.\r\n", 20))
		if err := c.SendMail(from, []string{to}, strings.NewReader(msg)); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
}

// send gives one message to the port that takes mail from the world.
func send(t testing.TB, addr, from, to string, msg []byte) {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail(from, []string{to}, bytes.NewReader(msg)); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
}
