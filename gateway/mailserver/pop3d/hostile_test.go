package pop3d

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestGuessingEndsTheConnection(t *testing.T) {
	addr, _ := start(t, drops(), nil)
	c := dial(t, addr)
	for range 3 {
		c.Send("USER a\r\nPASS wrong\r\n")
		c.expect("+OK")
		c.expect("-ERR [AUTH]")
	}
	c.End()
}

func TestNonsenseEndsTheConnection(t *testing.T) {
	for name, nonsense := range map[string]string{
		"lines":        strings.Repeat("x\r\n", maxErrors),
		"numbers":      "USER a\r\nPASS secret word\r\n" + strings.Repeat("RETR 9\r\n", maxErrors),
		"endless line": strings.Repeat("x", maxDiscard+4096),
		"nul":          strings.Repeat("\x00\n", maxErrors),
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := start(t, drops(), nil)
			c := dial(t, addr)
			c.Conn.Write([]byte(nonsense))
			if _, err := io.Copy(io.Discard, c.In); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the server did not close: %v", err)
			}
		})
	}
}

func TestDamagedMessage(t *testing.T) {
	d := drops("1\r\n", "22222222\r\n", "3\r\n")
	d.unread, d.cut = "uid1", "uid2"
	addr, _ := start(t, d, nil)
	c := dial(t, addr)
	c.login()
	c.Send("RETR 1\r\n")
	c.expect("-ERR [SYS/TEMP]")
	d.damaged = true
	c.Send("TOP 1 0\r\nRETR 3\r\n")
	c.expect("-ERR [SYS/PERM]")
	c.expect("+OK")
	c.body()
	c.Send("RETR 2\r\n")
	c.expect("+OK")
	if rest, _ := io.ReadAll(c.In); bytes.HasSuffix(rest, []byte(".\r\n")) {
		t.Errorf("half a message was sent as whole: %q", rest)
	}
}

func TestPlainPolicy(t *testing.T) {
	for _, c := range []struct {
		policy  Policy
		allowed bool
	}{{Loopback, true}, {Never, false}, {Anywhere, true}} {
		addr, _ := start(t, drops(), func(cfg *Config) { cfg.Plain = c.policy })
		conn := dial(t, addr)
		conn.Send("CAPA\r\n")
		conn.expect("+OK")
		if got := conn.body(); strings.Contains(got, "\r\nUSER\r\n") != c.allowed || strings.Contains(got, "SASL") != c.allowed {
			t.Errorf("policy %v offers %q", c.policy, got)
		}
		if !c.allowed {
			conn.Send("USER a\r\nPASS b\r\nAUTH PLAIN AGEAYg==\r\n")
			for range 3 {
				conn.expect("-ERR a password is taken only over TLS")
			}
		}
	}
	if isLoopback(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) || !isLoopback(&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1")}) || isLoopback(nil) {
		t.Error("isLoopback is wrong")
	}
}

func TestAutoLogout(t *testing.T) {
	d := drops("1\r\n")
	addr, _ := start(t, d, func(c *Config) { c.Idle = 500 * time.Millisecond })
	c := dial(t, addr)
	c.Send("USER a\r\nPASS secret word\r\nDELE 1\r\nNO")
	c.expect("+OK")
	c.expect("+OK")
	c.expect("+OK")
	c.expect("-ERR auto-logout")
	c.End()
	if d.count() != 1 || d.isLocked() {
		t.Error("auto-logout deleted, or kept the lock")
	}
	if New(Config{}).cfg.Idle != 10*time.Minute {
		t.Error("RFC 1939 §3 wants 10 minutes")
	}
}

// A client that asks for much and reads nothing must not keep the lock for ever.
func TestStalledReader(t *testing.T) {
	d := drops(strings.Repeat("x", 64<<20))
	_, srv := start(t, d, func(c *Config) { c.Stall = 50 * time.Millisecond })
	here, there := net.Pipe()
	defer here.Close()
	ended := make(chan struct{})
	go func() { srv.ServeConn(there); close(ended) }()
	go io.WriteString(here, "CAPA\r\n")
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the session waits for a reader that does not read")
	}
}
