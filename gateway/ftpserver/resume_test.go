package ftpserver

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// What a data connection is to be protected by is what PROT has said last when the transfer begins.
func TestProtectionIsKept(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	c := r.dial()
	c.ask("234", "AUTH TLS")
	c.upgrade()
	c.login(alice)
	conn := c.open(c.epsv())
	c.ask("200", "PBSZ 0")
	c.ask("200", "PROT P")
	c.ask("150", "RETR it")
	got := make([]byte, 16)
	n, err := c.over(conn).Read(got)
	if err != nil || string(got[:n]) != "content" {
		t.Errorf("%q %v", got[:n], err)
	}
}

// A browser that somebody between has led to this server, where it expects the web server with the same certificate, is not answered:
// else a file that its user has put here would be a page of that server's, and could read what such pages may (ALPACA).
func TestNoWebServer(t *testing.T) {
	r := start(t, nil)
	r.write("it", "HTTP/1.0 200 OK\r\n\r\n<script>")
	for offered, welcome := range map[string]bool{"": true, "ftp": true, "ftp-data": true, "x-filezilla-ftp ftp": true, "http/1.1": false, "h2 http/1.1": false, "pop3": false} {
		config := r.tls.Clone()
		config.ClientSessionCache, config.NextProtos = nil, strings.Fields(offered)
		c := r.dial()
		c.ask("234", "AUTH TLS")
		control := tls.Client(c.raw, config)
		if err := control.Handshake(); (err == nil) != welcome {
			t.Errorf("control, %q: %v", offered, err)
		}
		c = r.dial()
		c.secure()
		c.login(alice)
		conn := c.open(c.epsv())
		c.ask("150", "RETR it")
		data := tls.Client(conn, config)
		if got, err := io.ReadAll(data); (err == nil) != welcome || (len(got) > 0) != welcome {
			t.Errorf("data, %q: %q %v", offered, got, err)
		}
		conn.Close()
		c.hear()
	}
}

// Who takes a data connection from a client that resumes its TLS session, from the same address and with a right handshake, gets no
// file and puts none there: neither without a session, nor with one of another user's.
func TestStolenDataConnection(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		r := start(t, nil)
		r.tls.MaxVersion = version
		r.write("it", "content")
		sign := func(user string) (*talk, *tls.Config) {
			c := r.dial()
			mine := *r
			mine.tls = r.tls.Clone()
			mine.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			c.r = &mine
			c.secure()
			c.login(user)
			return c, mine.tls
		}
		alices, own := sign(alice)
		second, _ := sign(alice)
		_, bobs := sign("bob@home.example")
		fresh := r.tls.Clone()
		fresh.ClientSessionCache = nil
		if got, last := alices.get("RETR it"); got != "content" || !strings.HasPrefix(last, "226") {
			t.Fatalf("%s: %q %s", name, got, last)
		}
		for who, config := range map[string]*tls.Config{"a stranger": fresh, "another user": bobs} {
			for _, command := range []string{"RETR it", "LIST", "STOR it", "STOR new"} {
				conn := alices.open(alices.epsv())
				alices.ask("150", command)
				data := tls.Client(conn, config)
				if strings.HasPrefix(command, "STOR") {
					io.WriteString(data, "evil")
					data.Close()
				} else if got, _ := io.ReadAll(data); len(got) > 0 {
					t.Errorf("%s, %s, %s: %q", name, who, command, got)
				}
				conn.Close()
				alices.want("425", alices.hear())
			}
		}
		if got := r.read("it"); got != "content" || len(r.entries()) != 1 {
			t.Errorf("%s: %q %v", name, got, r.entries())
		}
		// The client's own go on, with a session of another control connection of hers as well.
		for _, config := range []*tls.Config{own, second.r.tls, own} {
			alices.r.tls = config
			if got, last := alices.get("RETR it"); got != "content" || !strings.HasPrefix(last, "226") {
				t.Errorf("%s: %q %s", name, got, last)
			}
		}
		// And one that never resumes is not asked to.
		c := r.dial()
		mine := *r
		mine.tls, c.r = fresh, &mine
		c.secure()
		c.login(alice)
		for range 2 {
			if got, last := c.get("RETR it"); got != "content" || !strings.HasPrefix(last, "226") {
				t.Errorf("%s: %q %s", name, got, last)
			}
		}
	}
}
