package ftpserver

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// While a transfer is under way, nothing of this process listens at an address that the server was not told to listen at: the
// library opens a port at every address, and would leave it open.
func TestListensNowhereElse(t *testing.T) {
	r := start(t, nil)
	c := r.login()
	conn := c.open(c.epsv())
	c.ask("150", "STOR it")
	sockets := map[string]bool{}
	all, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	for _, fd := range all {
		if target, err := os.Readlink(fd); err == nil {
			if inode, ok := strings.CutPrefix(target, "socket:["); ok {
				sockets[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	listening := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !sockets[f[9]] {
				continue
			}
			listening++
			if address, _, _ := strings.Cut(f[1], ":"); address != "0100007F" {
				t.Errorf("something listens at %s", f[1])
			}
		}
	}
	if listening == 0 {
		t.Error("nothing listens: this says nothing")
	}
	io.WriteString(conn, "x")
	conn.Close()
	c.want("226", c.hear())
}
