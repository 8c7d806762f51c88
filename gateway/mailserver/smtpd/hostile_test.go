package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func hello(t *testing.T, addr string) *client {
	t.Helper()
	c := dial(t, addr)
	c.Send("EHLO x\r\n")
	c.expect("250")
	return c
}

func (c *client) begin(data string) {
	c.T.Helper()
	c.Send(envelope + data)
	c.expect("250")
	c.expect("250")
}

// Whatever another server might take for the end of a message is none here,
// and what has it is refused: what follows it stays text, never commands.
func TestSmuggling(t *testing.T) {
	smuggled := "MAIL FROM:<evil@x.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
	for _, end := range []string{
		// As published (2023-12, and what followed): each made some pair of servers see two messages in one.
		"\n.\n", "\n.\r\n", "\r.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\n", "\n\n.\r\n", "\r\n\r.\r\n", "\r\n\n.\n", "\r\n.\r\x00\n", "\r\n\x00.\r\n", "\r\n\x00\x00.\r\n", "\n\x00.\n",
		"\n.\n", "\n.\r\n", "\r.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\n.\r", "\r\r\n.\n", "\n\n.\n", "\r\n.\r.\r\n", "\r\n.\r\r\n", "\r\n\n.\r\n", "\r\n.\nx"} {
		for name, role := range map[string]func(*Config){"mx": nil, "submission": submission} {
			p := &fakePost{}
			addr, _ := start(t, p, role)
			c := dial(t, addr)
			mail := envelope
			if role != nil {
				c.starttls()
				c.Send(aliceLogin)
				c.expect("235")
				mail = strings.Replace(envelope, "carol@elsewhere", "alice@postern", 1)
			} else {
				c.Send("EHLO x\r\n")
				c.expect("250")
			}
			c.Send(mail + "DATA\r\n")
			c.expect("250")
			c.expect("250")
			c.expect("354")
			c.Send("a: b\r\n\r\nfirst" + end + smuggled + "NOOP\r\n")
			c.expect("554 5.6.0")
			c.expect("250") // the NOOP: in step again
			if got := p.all(); len(got) != 0 {
				t.Errorf("%s: %q let through %v", name, end, got)
			}
		}
	}
}

// A message that ends in CR CR LF has an end.
func TestEndAfterBareCR(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := hello(t, addr)
	c.begin("DATA\r\n")
	c.expect("354")
	c.Send("a: b\r\n\r\nx\r\r\n.\r\nNOOP\r\n")
	c.expect("554 5.6.0")
	c.expect("250")
}

func TestBareNewlinesInChunks(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := hello(t, addr)
	for body, want := range map[string]string{
		"a: b\r\n\r\nx\ny\r\n": "554 5.6.0", "a: b\r\n\r\nx\ry\r\n": "554 5.6.0", "a: b\r\n\r\nx\r": "554 5.6.0",
		"a: b\r\n\r\n.\r\nno dot is special\r\n..\r\n": "250", "a: b\r\n\r\nno end": "250",
	} {
		c.begin(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body))
		c.expect(want)
	}
	for _, d := range p.all() {
		if !strings.HasSuffix(d.text, "\r\n.\r\nno dot is special\r\n..\r\n") && !strings.HasSuffix(d.text, "\r\n\r\nno end\r\n") {
			t.Errorf("text %q", d.text)
		}
	}
}

// A chunk that the connection's end cuts short is no message, be it cut in the
// clear, by TLS's own goodbye, or by half-closing.
func TestChunkCutShort(t *testing.T) {
	for _, secure := range []bool{false, true} {
		p := &fakePost{}
		addr, srv := start(t, p, nil)
		c := hello(t, addr)
		if secure {
			c.starttls()
		}
		c.begin("BDAT 1000 LAST\r\na: b\r\n\r\nhalf")
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		io.Copy(io.Discard, c.In)
		srv.Shutdown(context.Background())
		if got := p.all(); len(got) != 0 {
			t.Errorf("secure %v: half a message was delivered: %v", secure, got)
		}
	}
}

func TestDataCutShort(t *testing.T) {
	for _, tail := range []string{"", "\r\n", "\r\n.", "\r\n.\r"} {
		p := &fakePost{}
		addr, srv := start(t, p, nil)
		c := hello(t, addr)
		c.begin("DATA\r\n")
		c.expect("354")
		c.Send("a: b\r\n\r\nhalf" + tail)
		c.Conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c.In)
		srv.Shutdown(context.Background())
		if got := p.all(); len(got) != 0 {
			t.Errorf("half a message was delivered: %v", got)
		}
	}
}

func TestChunks(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := hello(t, addr)
	c.begin("BDAT 6\r\na: b\r\nBDAT 2\r\n\r\nBDAT 0\r\nBDAT 5 LAST\r\nx\r\ny\r")
	for range 3 {
		c.expect("250 2.0.0 Continue")
	}
	c.expect("554") // a bare CR at the very end
	c.begin("BDAT 8\r\na: b\r\n\r\nRSET\r\n")
	c.expect("250")
	c.expect("250 2.0.0 Session reset")
	c.begin("BDAT 8\r\na: b\r\n\r\nEHLO again\r\n")
	c.expect("250")
	c.expect("250")
	c.begin("BDAT 8\r\na: b\r\n\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<alice@postern.test>\r\nDATA\r\nBDAT 3 LAST\r\nx\r\n")
	for _, a := range []string{"250", "502", "502", "502", "250 2.0.0 OK"} {
		c.expect(a)
	}
	c.Send("BDAT 4\r\nNOOPNOOP\r\n") // without recipients: the chunk is passed over
	c.expect("502")
	c.expect("250")
	if got := p.all(); len(got) != 1 || !strings.HasSuffix(got[0].text, "a: b\r\n\r\nx\r\n") || got[0].Local[0].Address != "bob@postern.test" {
		t.Errorf("delivered %v", got)
	}
	// What cannot be passed over ends the connection.
	for _, bad := range []string{"BDAT\r\n", "BDAT x\r\n", "BDAT -1\r\n", "BDAT 5 FIRST\r\n", "BDAT 1 2 3\r\n", "BDAT 99999999999\r\n", "BDAT\t5\r\n", "bdat 5x\r\n"} {
		c := hello(t, addr)
		c.begin(bad + "NOOP\r\n")
		c.expect("501 5.5.4")
		c.End()
	}
}

// The result of a transfer that was given up is not that of the next one.
func TestAbortedChunksDoNotAnswerForTheNext(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, func(c *Config) { c.MessageSize = 1000 })
	c := hello(t, addr)
	const rounds = 30
	for i := range rounds {
		c.begin("BDAT 8\r\na: b\r\n\r\n")
		c.expect("250")
		switch i % 3 {
		case 0:
			c.Send("RSET\r\n")
			c.expect("250 2.0.0 Session reset")
		case 1:
			c.Send("EHLO x\r\n")
			c.expect("250")
		case 2: // more than the limit, in a chunk after the first
			c.Send("BDAT 1001\r\n" + strings.Repeat("x", 1001))
			c.expect("552 5.3.4")
		}
		c.begin("BDAT 8\r\na: b\r\n\r\nBDAT 3 LAST\r\nx\r\n")
		c.expect("250 2.0.0 Continue")
		c.expect("250 2.0.0 OK")
	}
	if n := len(p.all()); n != rounds {
		t.Errorf("%d messages delivered, want %d", n, rounds)
	}
}

func TestStartTLSForgetsWhatCameInTheClear(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := hello(t, addr)
	c.Send("MAIL FROM:<evil@x.test>\r\nSTARTTLS\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
	c.expect("250")
	c.expect("220 2.0.0")
	c.Secure()
	c.Send("RCPT TO:<bob@postern.test>\r\nEHLO x\r\nRCPT TO:<bob@postern.test>\r\n")
	c.expect("503 5.5.1 EHLO")
	c.expect("250")
	c.expect("502 5.5.1 Missing MAIL")
}

func TestNoTLS(t *testing.T) {
	addr, _ := start(t, &fakePost{}, func(c *Config) { c.TLS = nil })
	c := dial(t, addr)
	c.Send("EHLO x\r\nSTARTTLS\r\n")
	if caps := c.expect("250"); strings.Contains(caps, "STARTTLS") {
		t.Errorf("STARTTLS offered without a certificate: %q", caps)
	}
	c.expect("502")
}

func TestTooLarge(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, func(c *Config) { c.MessageSize = 1000 })
	c := hello(t, addr)
	big := "a: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20)
	c.begin("DATA\r\n")
	c.expect("354")
	c.Send(big + ".\r\nNOOP\r\n")
	c.expect("552 5.3.4")
	c.expect("250")
	c.begin(fmt.Sprintf("BDAT %d LAST\r\n%sNOOP\r\n", len(big), big))
	c.expect("552 5.3.4")
	c.expect("250")
	c.begin("BDAT 600\r\n" + big[:600] + "BDAT 600 LAST\r\n" + big[:600] + "NOOP\r\n")
	c.expect("250")
	c.expect("552 5.3.4")
	c.expect("250")
	if len(p.all()) != 0 {
		t.Error("a message over the limit was delivered")
	}
	// One that has no end at all is not read to its end.
	c.begin("DATA\r\n")
	c.expect("354")
	go io.Copy(c.Conn, endless{})
	answer, _ := io.ReadAll(c.In)
	if len(answer) > 0 && !strings.HasPrefix(string(answer), "552 5.3.4") {
		t.Errorf("answer %q", answer)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestHeaderTooLarge(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := hello(t, addr)
	for _, head := range []string{strings.Repeat("a: b\r\n", maxHeader/6+1), "a: " + strings.Repeat("x", maxHeader) + "\r\n", "a: b\r\n" + strings.Repeat(" x\r\n", maxHeader/4)} {
		c.begin("DATA\r\n")
		c.expect("354")
		c.Send(head + "\r\n.\r\n")
		c.expect("552 5.3.4")
	}
	if len(p.all()) != 0 {
		t.Error("delivered")
	}
}

func TestTooManyRecipients(t *testing.T) {
	addr, _ := start(t, &fakePost{}, func(c *Config) { c.Recipients = 2 })
	c := hello(t, addr)
	c.begin("RCPT TO:<alice@postern.test>\r\nRCPT TO:<postmaster@postern.test>\r\n")
	c.expect("250")
	c.expect("452 4.5.3")
}

func TestDictionary(t *testing.T) {
	addr, _ := start(t, &fakePost{}, nil)
	c := hello(t, addr)
	c.Send("MAIL FROM:<a@b.test>\r\n" + strings.Repeat("RCPT TO:<guess@postern.test>\r\n", maxUnknown+5))
	c.expect("250")
	for range maxUnknown + 1 {
		c.expect("550 5.1.1")
	}
	io.Copy(io.Discard, c.In) // closed by the server
}

func TestGuessing(t *testing.T) {
	addr, _ := start(t, &fakePost{}, submission)
	c := dial(t, addr)
	c.starttls()
	for range 3 {
		c.Send("AUTH PLAIN AGEAYg==\r\n")
		c.expect("535 5.7.8")
	}
	c.End()
}

func TestJunkEndsTheConnection(t *testing.T) {
	for name, junk := range map[string]string{
		"noop": "NOOP\r\n", "rset": "RSET\r\n", "vrfy": "VRFY x\r\n", "ehlo": "EHLO x\r\n", "empty chunk": "BDAT 0\r\n", "mail": "MAIL FROM:<a@b.test>\r\nRSET\r\n",
		"http": "POST / HTTP/1.1\r\n", "long": "NOOP " + strings.Repeat("x", 3000) + "\r\n", "unknown": "FOO\r\n", "data": "DATA\r\n", "endless": strings.Repeat("x", 70000),
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := start(t, &fakePost{}, nil)
			c := hello(t, addr)
			go io.WriteString(c.Conn, strings.Repeat(junk, maxJunk+10))
			if _, err := io.Copy(io.Discard, c.In); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the server did not close: %v", err)
			}
		})
	}
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := hello(t, addr)
	for range 3 { // honest work makes up for it
		c.Send(strings.Repeat("NOOP\r\n", 60) + "MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
		for range 62 {
			c.expect("250")
		}
		c.expect("354")
		c.Send(".\r\n")
		c.expect("250")
	}
}

func TestStorageFails(t *testing.T) {
	for err, want := range map[error]string{ErrFull: "452 4.3.1", errors.New("secret path /x"): "451 4.3.0"} {
		addr, _ := start(t, &fakePost{fail: err}, nil)
		c := hello(t, addr)
		c.begin("DATA\r\n")
		c.expect("354")
		c.Send("a: b\r\n\r\n.\r\n")
		if got := c.expect(want); strings.Contains(got, "secret") {
			t.Errorf("answer %q tells of the machine", got)
		}
	}
}

func TestIdle(t *testing.T) {
	addr, _ := start(t, &fakePost{}, func(c *Config) { c.Idle = 500 * time.Millisecond })
	c := hello(t, addr)
	c.Send("NOO")
	c.expect("421 4.4.2")
	c.End()
	c = hello(t, addr)
	c.begin("DATA\r\n")
	c.expect("354")
	c.Send("half")
	c.expect("421 4.4.2")
	c.End()
}

// A message that keeps coming, an octet at a time, ends when its time is over.
func TestSlowMessage(t *testing.T) {
	addr, _ := start(t, &fakePost{}, func(c *Config) { c.MessageTime = 100 * time.Millisecond })
	c := hello(t, addr)
	c.begin("DATA\r\n")
	c.expect("354")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-tick.C:
				c.Conn.Write([]byte("x"))
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	c.expect("421 4.4.2")
}

func TestShutdown(t *testing.T) {
	p := &fakePost{entered: make(chan struct{}), release: make(chan struct{})}
	addr, srv := start(t, p, nil)
	idle, sending, stored := hello(t, addr), hello(t, addr), hello(t, addr)
	sending.begin("DATA\r\n")
	sending.expect("354")
	sending.Send("a: b\r\n\r\nhalf")
	stored.begin("DATA\r\n")
	stored.expect("354")
	stored.Send("a: b\r\n\r\n.\r\n")
	<-p.entered

	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()
	idle.expect("421 4.3.2")
	idle.End()
	p.release <- struct{}{}
	stored.expect("250 2.0.0 OK")
	stored.expect("421 4.3.2")
	stored.End()
	sending.Send(" and the other half\r\n.\r\n")
	<-p.entered
	p.release <- struct{}{}
	sending.expect("250 2.0.0 OK")
	sending.expect("421 4.3.2")
	if err := <-down; err != nil {
		t.Error(err)
	}
	if len(p.all()) != 2 {
		t.Errorf("%d messages delivered, want 2", len(p.all()))
	}
}

// A message that was sent with all its recipients at once is not taken for some of them because the server ends meanwhile.
func TestShutdownAmongRecipients(t *testing.T) {
	p := &fakePost{asked: make(chan struct{})}
	addr, srv := start(t, p, nil)
	c := hello(t, addr)
	c.Send("MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@postern.test>\r\nRCPT TO:<slow@postern.test>\r\nBDAT 8 LAST\r\na: b\r\n\r\n")
	<-p.asked
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(context.Background()) }()
	c.expect("250")
	c.expect("250")
	c.expect("421 4.3.2")
	c.End()
	if err := <-down; err != nil || len(p.all()) > 0 {
		t.Errorf("taken for one of two: %v, %v", p.all(), err)
	}
}

func TestShutdownInTime(t *testing.T) {
	p := &fakePost{}
	addr, srv := start(t, p, nil)
	c := hello(t, addr)
	c.begin("DATA\r\n")
	c.expect("354")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown with a client that does not go on: %v", err)
	}
	if len(p.all()) != 0 {
		t.Error("half a message was delivered")
	}
}

func TestDefaults(t *testing.T) {
	s := New(Config{})
	if s.cfg.MessageSize != 50_000_000 || s.cfg.Recipients != 100 || s.cfg.Idle != 5*time.Minute || s.cfg.MessageTime != 30*time.Minute || s.cfg.AuthFailures != 3 {
		t.Errorf("defaults %+v", s.cfg)
	}
}
