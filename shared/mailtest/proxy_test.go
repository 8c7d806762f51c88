package mailtest_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// echo says each line back.
var echo = mailtest.ServerFunc(func(c net.Conn) { _, _ = io.Copy(c, c) })

// A line and its answer take a round trip, many that follow each other no longer, and nothing is lost at the end.
func TestProxyDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &mailtest.Proxy{Server: echo, Delay: 50 * time.Millisecond}
		c := mailtest.Connect(t, p, nil)
		began := time.Now()
		const n = 100
		for range n {
			if _, err := io.WriteString(c, "a line\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		r := bufio.NewReader(c)
		for range n {
			if line, err := r.ReadString('\n'); err != nil || line != "a line\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		c.Close()
		synctest.Wait()
		if len(p.Said()) != n*len("a line\r\n") || string(p.Said()) != string(p.Heard()) {
			t.Errorf("%d octets said, %d heard", len(p.Said()), len(p.Heard()))
		}
	})
}

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
