package mailtest_test

import (
	"io"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
)

// Between a client and a server who close, it closes.
func TestProxyEnds(t *testing.T) {
	p := &mailtest.Proxy{Server: mailtest.Script(t, mailtest.Say("+OK\r\n"), mailtest.Hear("STLS"), mailtest.Say("-ERR no\r\n"))}
	c := mailtest.Connect(t, p, nil)
	if _, err := io.WriteString(c, "STLS\r\n"); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(c); err != nil || string(all) != "+OK\r\n-ERR no\r\n" {
		t.Errorf("%q, %v", all, err)
	}
}
