package ftpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

// storeVariable makes this test program a server, on the store that it names, to be killed.
const storeVariable = "POSTERN_FTP_TEST_STORE"

func TestServeToBeKilled(t *testing.T) {
	dir := os.Getenv(storeVariable)
	if dir == "" {
		t.Skip("for TestKilled, in a process of its own")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	fmt.Println("listening", l.Addr())
	New(Config{Users: &people{}, Files: files.New(dir, nil)}).Serve(l)
}

// process is such a server.
func process(t *testing.T, dir string) (address string, kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^TestServeToBeKilled$", "-test.timeout", "1m")
	c.Env = append(os.Environ(), storeVariable+"="+dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	kill = sync.OnceFunc(func() {
		c.Process.Kill()
		c.Wait()
	})
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if a, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			return a, kill
		}
	}
	t.Fatal("it does not start")
	return "", nil
}

// When the server is killed, what was acknowledged is there, what was being replaced is as it was, and what was new goes on where
// it was.
func TestKilled(t *testing.T) {
	store := t.TempDir()
	address, kill := process(t, store)
	r := &rig{t: t, store: store, dir: store + "/" + aliceID, address: address, log: &strings.Builder{}}
	const half = 3 << 20
	content := string(octets(2 * half))
	c := r.login()
	c.want("226", c.put("STOR whole", content))
	c.want("226", c.put("STOR old", "the old version"))
	for _, name := range []string{"new", "old"} {
		c := r.login()
		conn := c.open(c.epsv())
		c.ask("150", "STOR "+name)
		_, err := io.WriteString(conn, content[:half])
		must(t, err)
		for deadline := time.Now().Add(patience); !strings.Contains(c.ask("213", "STAT"), fmt.Sprintf(" %d octets", half)); {
			if time.Now().After(deadline) {
				t.Fatal("the octets do not arrive")
			}
		}
	}
	kill()
	if len(r.entries()) != 4 { // with what was to become the new version
		t.Errorf("%v", r.entries())
	}

	r = startAt(t, store, nil)
	c = r.login()
	if list, _ := c.get("NLST"); list != "new\r\nold\r\nwhole\r\n" {
		t.Errorf("%q", list)
	}
	if r.read("whole") != content || r.read("old") != "the old version" || len(r.entries()) != 3 {
		t.Errorf("%v", r.entries())
	}
	answer := c.ask("213", "SIZE new")
	var size int
	fmt.Sscanf(answer, "213 %d", &size)
	if size == 0 || size > half {
		t.Fatal(answer)
	}
	c.ask("350", fmt.Sprint("REST ", size))
	c.want("226", c.put("STOR new", content[size:]))
	if r.read("new") != content {
		t.Error("what went on is not what was sent")
	}
}

// A restart in the middle of an upload is a cut: the part stays, and the upload goes on.
func TestRestart(t *testing.T) {
	store := t.TempDir()
	content := string(octets(4 << 20))
	r := startAt(t, store, nil)
	c := r.login()
	conn := c.open(c.epsv())
	c.ask("150", "STOR it")
	io.WriteString(conn, content[:1<<20])
	for deadline := time.Now().Add(patience); !strings.Contains(c.ask("213", "STAT"), fmt.Sprintf(" %d octets", 1<<20)); {
		if time.Now().After(deadline) {
			t.Fatal("the octets do not arrive")
		}
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	r.server.Shutdown(now)

	r = startAt(t, store, nil)
	c = r.login()
	c.ask("213 1048576", "SIZE it")
	c.ask("350", "REST 1048576")
	c.want("226", c.put("STOR it", content[1<<20:]))
	if r.read("it") != content {
		t.Error("what went on is not what was sent")
	}
}

// Of several who write to one name at a time, one does, and the others are told.
func TestTogether(t *testing.T) {
	r := start(t, nil)
	const people = 8
	var wg sync.WaitGroup
	answers := make([]string, people)
	clients := make([]*talk, people)
	for i := range clients {
		clients[i] = r.login()
	}
	for i, c := range clients {
		wg.Go(func() { answers[i] = c.put("STOR it", strings.Repeat(fmt.Sprint(i), 1<<20)) })
	}
	wg.Wait()
	whole := 0
	for _, a := range answers {
		switch {
		case strings.HasPrefix(a, "226"):
			whole++
		case !strings.HasPrefix(a, "450"):
			t.Error(a)
		}
	}
	got := r.read("it")
	if whole == 0 || len(got) != 1<<20 || strings.Trim(got, got[:1]) != "" {
		t.Errorf("%d were whole, and %d octets are there", whole, len(got))
	}
	if left := r.entries(); len(left) != 1 {
		t.Errorf("%v", left)
	}
}

func TestManyEntries(t *testing.T) {
	r := start(t, nil)
	for i := range 10_000 {
		r.write(fmt.Sprintf("many/%05d", i), "")
	}
	c := r.dial()
	c.secure()
	c.ask("331", "USER "+alice)
	c.ask("230", "PASS "+password)
	for _, verb := range []string{"MLSD", "LIST", "NLST"} {
		list, last := c.get(verb + " many")
		if n := strings.Count(list, "\r\n"); n != 10_000 || !strings.HasPrefix(last, "226") || !strings.Contains(list, "09999\r\n") {
			t.Errorf("%s: %d lines: %s", verb, n, last)
		}
	}
}

// What other programs have named in a way that would make two lines of one is not listed.
func TestNamesOfOthers(t *testing.T) {
	r := start(t, nil)
	good := []string{"Привет", "العربية", "日本語", "🦊", " spaced ", "-la", "a\"b", "%s%n"}
	for _, name := range append([]string{"a\r\n226 done", "b\nType=file; x", "\x1b[2J", "bad \xff"}, good...) {
		r.write(name, name)
	}
	c := r.login()
	for _, verb := range []string{"MLSD", "LIST", "NLST"} {
		list, _ := c.get(verb)
		if n := strings.Count(list, "\r\n"); n != len(good) || !utf8.ValidString(list) || strings.ContainsFunc(strings.ReplaceAll(list, "\r\n", ""), unicode.IsControl) {
			t.Errorf("%s: %q", verb, list)
		}
		for _, name := range good {
			if !strings.Contains(list, name+"\r\n") {
				t.Errorf("%s: no %q in %q", verb, name, list)
			}
		}
	}
	for _, name := range good {
		if got, _ := c.get("RETR " + name); got != name {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// Whatever a client says, every answer is a line of FTP, and the server goes on.
func FuzzSession(f *testing.F) {
	for _, s := range []string{"", "USER x\r\nPASS y\r\n", "EPSV\r\nSTOR x\r\n", "PASV\r\nLIST\r\nABOR\r\n", "EPSV\r\nEPSV\r\nRETR a\r\nQUIT\r\n", "REST 5\r\nEPSV\r\nAPPE a\r\n", "AUTH TLS\r\nxxxx", "MLST\r\nMLST a\r\n",
		"MKD a\r\nCWD a\r\nMKD b\r\nRNFR b\r\nRNTO ../c\r\n", "EPRT |1|127.0.0.1|1|\r\n", "\xff\xf4\xf2ABOR\r\n", "STAT\r\nFEAT\r\nOPTS\r\nHELP\r\n", strings.Repeat("x", 5000) + "\r\n", "EPSV\r\nSTOR x"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	r := start(f, func(c *Config, _ *files.Options) {
		c.Limits.DataWait, c.Limits.Stall = 20*time.Millisecond, time.Second
	})
	r.people.quota = files.Quota{Octets: 1 << 20, Files: 100}
	f.Fuzz(func(t *testing.T, said string, signedIn bool) {
		conn, err := net.Dial("tcp", r.address)
		must(t, err)
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if signedIn {
			io.WriteString(conn, "USER "+alice+"\r\nPASS "+password+"\r\n")
		}
		go func() {
			io.WriteString(conn, said)
			conn.(*net.TCPConn).CloseWrite()
		}()
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break // its end, or that of who fails at TLS
			}
			if strings.Contains(strings.ToUpper(said), "AUTH") {
				continue
			}
			if len(line) < 4 || !strings.HasSuffix(line, "\r\n") || strings.Trim(line[:3], "0123456789 ") != "" && line[0] != ' ' {
				t.Fatalf("%q answers %q", said, line)
			}
		}
	})
}
