package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jlaffaye/ftp"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// visit signs in to an FTP server; secured with TLS.
func visit(t *testing.T, address, user, password string, secured bool) *ftp.ServerConn {
	t.Helper()
	options := []ftp.DialOption{ftp.DialWithTimeout(20 * time.Second)}
	if secured {
		options = append(options, ftp.DialWithExplicitTLS(&tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}))
	}
	c, err := ftp.Dial(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Quit() })
	if err := c.Login(user, password); err != nil {
		t.Fatal(err)
	}
	return c
}

func retrieve(t *testing.T, c *ftp.ServerConn, name string) string {
	t.Helper()
	r, err := c.Retr(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// command runs one, and answers its exit code and what it printed.
func command(t *testing.T, stdin string, args ...string) (int, string) {
	t.Helper()
	p := start(t, stdin, args...)
	<-p.ended
	return p.code, p.stdout.String() + p.stderr.String()
}

// The people of the demo world have files, which are theirs alone, and stay what they are when things around them change.
func TestFilesOfADemo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveOn(t, "--demo", "--ftp=127.0.0.1:0", "--data", data)
	first, second := p.find(`FTP +(127\.0\.0\.1:\d+) \(AUTH TLS\)`), p.find(`(?s)And elsewhere\.test.*FTP +(127\.0\.0\.1:\d+)`)
	for _, secured := range []bool{false, true} {
		for user, address := range map[string]string{"alice@postern.test": first, "bob@postern.test": first, "carol@elsewhere.test": second} {
			name, _, _ := strings.Cut(user, "@")
			c := visit(t, address, user, name+"-postern", secured)
			if got := retrieve(t, c, "Read me.txt"); !strings.Contains(strings.ToLower(got), "hello "+name) {
				t.Errorf("%s reads %q", user, got)
			}
			if got := retrieve(t, c, "/Letters/手紙.txt"); got == "" {
				t.Error("an empty letter")
			}
		}
	}
	c := visit(t, first, "alice@postern.test", "alice-postern", true)
	if err := c.Stor("own", strings.NewReader("of alice")); err != nil {
		t.Fatal(err)
	}
	if err := visit(t, first, "bob@postern.test", "bob-postern", true).Delete("own"); err == nil {
		t.Error("Bob has deleted what is Alice's")
	}
	wrong, err := ftp.Dial(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Login("alice@postern.test", "bob-postern"); err == nil {
		t.Error("Alice's name and Bob's password")
	}
	wrong.Quit()
	for _, word := range []string{"alice", "own", "letters"} {
		if strings.Contains(strings.ToLower(p.stderr.String()), word) {
			t.Errorf("the log has %q: %s", word, p.stderr)
		}
	}
	if code := p.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, p.stderr)
	}

	// A second start makes nothing anew.
	p = serveOn(t, "--demo", "--ftp=127.0.0.1:0", "--data", data)
	c = visit(t, p.find(`FTP +(127\.0\.0\.1:\d+)`), "alice@postern.test", "alice-postern", false)
	if got := retrieve(t, c, "own"); got != "of alice" {
		t.Errorf("%q", got)
	}
}

// Files go with the account: into backups, along when it is renamed, away when it is removed with them.
func TestFilesOfAnAccount(t *testing.T) {
	data, backup := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup.tar")
	settings := []string{"--domain=mail.example", "--data=" + data}
	with := func(args ...string) []string { return append(args, settings...) }
	if code, said := command(t, "password", with("user", "add", "ann@mail.example")...); code != 0 {
		t.Fatal(said)
	}
	p := serveOn(t, append([]string{"--ftp=127.0.0.1:0", "--ftps=127.0.0.1:0"}, settings...)...)
	address := func() string { return p.find(`FTP +(127\.0\.0\.1:\d+)`) }
	c := visit(t, address(), "ann@mail.example", "password", true)
	if err := c.MakeDir("folder"); err != nil {
		t.Fatal(err)
	}
	if err := c.Stor("folder/ä", strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	if code, said := command(t, "", with("user", "files", "ann@mail.example", "1kB")...); code != 0 {
		t.Fatal(said)
	}
	if err := visit(t, address(), "ann@mail.example", "password", false).Stor("large", strings.NewReader(strings.Repeat("x", 1000))); err == nil || !strings.Contains(err.Error(), "quota") {
		t.Errorf("over a quota of its own: %v", err)
	}
	if code, said := command(t, "", with("backup", backup)...); code != 0 {
		t.Fatal(said)
	}
	if code, said := command(t, "", with("user", "rename", "ann@mail.example", "anna@mail.example")...); code != 0 {
		t.Fatal(said)
	}
	if got := retrieve(t, visit(t, address(), "anna@mail.example", "password", true), "folder/ä"); got != "content" {
		t.Errorf("after renaming: %q", got)
	}
	if code, said := command(t, "", with("user", "remove", "anna@mail.example")...); code == 0 || !strings.Contains(said, "has files") || !strings.Contains(said, "--with-mail") {
		t.Errorf("%d %s", code, said)
	}
	if code, said := command(t, "", with("user", "remove", "--with-mail", "anna@mail.example")...); code != 0 {
		t.Error(said)
	}
	if left, err := filepath.Glob(filepath.Join(data, "files", "*")); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
	if code, said := command(t, "password", with("user", "add", "anna@mail.example")...); code != 0 {
		t.Error(said)
	}
	if list, err := visit(t, address(), "anna@mail.example", "password", false).List("/"); err != nil || len(list) != 0 {
		t.Errorf("somebody new has %v %v", list, err)
	}
	p.end()

	settings[1] = "--data=" + filepath.Join(t.TempDir(), "restored")
	if code, said := command(t, "", with("restore", backup)...); code != 0 {
		t.Fatal(said)
	}
	p = serveOn(t, append([]string{"--ftp=127.0.0.1:0"}, settings...)...)
	if got := retrieve(t, visit(t, address(), "ann@mail.example", "password", false), "folder/ä"); got != "content" {
		t.Errorf("after restoring: %q", got)
	}
}

// When the gateway ends, a transfer gets its time.
func TestFilesWhenItEnds(t *testing.T) {
	p := serveOn(t, "--demo", "--ftp=127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"))
	c := visit(t, p.find(`FTP +(127\.0\.0\.1:\d+)`), "alice@postern.test", "alice-postern", false)
	r, w := io.Pipe()
	stored := make(chan error, 1)
	go func() { stored <- c.Stor("it", r) }()
	io.WriteString(w, "one ")
	p.stop()
	p.await("draining", func() bool { return strings.Contains(p.stderr.String(), "draining") })
	io.WriteString(w, "two")
	w.Close()
	if err := <-stored; err != nil {
		t.Error(err)
	}
	if code := p.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, p.stderr)
	}
}

// Nobody who did not ask for FTP has it, and who asked for a port that is taken is told.
func TestFilesWhereTheyAre(t *testing.T) {
	p := serveOn(t, "--data", filepath.Join(t.TempDir(), "data"))
	if strings.Contains(p.stdout.String(), "FTP") {
		t.Error(p.stdout)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p = start(t, "", append(append([]string{"serve"}, everyPort...), "--demo", "--ftp", l.Addr().String(), "--data", filepath.Join(t.TempDir(), "data"))...)
	<-p.ended
	if p.code != 1 || !strings.Contains(p.stderr.String(), "for FTP, is in use") || !strings.Contains(p.stderr.String(), "--ftp 127.0.0.1:PORT") {
		t.Errorf("%d %s", p.code, p.stderr)
	}
}

// addressed has an address, which this library wants one to have.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 21} }

// tunnelled signs in to an FTP server of the gateway's through its tunnel, as the page does; secured with TLS.
func tunnelled(t *testing.T, s *tunnel.Session, open wire.Open, user, password string, secured bool) *ftp.ServerConn {
	t.Helper()
	var control *tunnel.Conn
	config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	options := []ftp.DialOption{ftp.DialWithDialFunc(func(_, address string) (net.Conn, error) {
		if control == nil {
			conn, err := s.Open(t.Context(), open)
			if err != nil {
				return nil, err
			}
			control = conn.(*tunnel.Conn)
			return addressed{control}, nil
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		data, err := control.OpenData(t.Context(), n)
		if err == nil && secured { // which this library leaves to who dials
			data = tls.Client(data, config)
		}
		return data, err
	})}
	if secured {
		options = append(options, ftp.DialWithExplicitTLS(config))
	}
	c, err := ftp.Dial("gateway:21", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Quit() })
	if err := c.Login(user, password); err != nil {
		t.Fatal(err)
	}
	return c
}

// Through the tunnel there are all the files that there are at the ports, at both servers of a demo, and no port is dialled for them.
func TestFilesThroughTheTunnel(t *testing.T) {
	p := serveOn(t, "--demo", "--ftp=127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"))
	s, err := dialAs(t, p.find(`Page +(http://localhost:\d+)`), wire.Hello{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := s.Welcome()
	if !slices.Contains(w.Capabilities, wire.CapFTPData) {
		t.Errorf("%q", w.Capabilities)
	}
	for _, server := range w.Servers() {
		if !slices.ContainsFunc(server.Services, func(s wire.Service) bool { return s.Name == wire.FTP }) {
			t.Errorf("%s has no files: %v", server.Hostname, server.Services)
		}
	}
	content := strings.Repeat("postern", 1<<20)
	for _, secured := range []bool{false, true} {
		for _, who := range []struct{ user, password, server string }{{"alice@postern.test", "alice-postern", ""}, {"carol@elsewhere.test", "carol-postern", w.Beside[0].Hostname}} {
			c := tunnelled(t, s, wire.Open{Service: wire.FTP, Server: who.server}, who.user, who.password, secured)
			if list, err := c.List("/"); err != nil || len(list) == 0 {
				t.Errorf("%v %v", list, err)
			}
			if err := c.Stor("large", strings.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			if got := retrieve(t, c, "large"); got != content {
				t.Errorf("%d octets of %d", len(got), len(content))
			}
		}
	}
	// And the port that a session of somebody else was told is none of mine.
	alice, err := s.Open(t.Context(), wire.Open{Service: wire.FTP})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	for _, port := range []int{w.Embedded.Services[0].Port, 50000, 65535} {
		if _, err := alice.(*tunnel.Conn).OpenData(t.Context(), port); reasonOf(err) != wire.Denied {
			t.Errorf("port %d: %v", port, err)
		}
	}
}
