package mailserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// childDir makes the test binary a mail server on that folder, to be killed.
const childDir = "POSTERN_TEST_MAILSERVER"

// childReserve is that server's Limits.Reserve, if it is set.
const childReserve = "POSTERN_TEST_RESERVE"

// childCommand is that server, to be started. It ends when this process does, however that ends: a server that is left behind holds
// what it has inherited.
func childCommand(t testing.TB, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	_, err := cmd.StdinPipe() // closed with this process; see endWithParent
	must(t, err)
	return cmd
}

// process is such a server that is up, and where its services are.
type process struct {
	*exec.Cmd
	smtp, submissions, pop3, pop3s string
}

// up starts a child and waits until it serves.
func up(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	p := &process{Cmd: cmd}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if n, _ := fmt.Sscan(line, &p.smtp, &p.submissions, &p.pop3, &p.pop3s); n != 4 || strings.HasPrefix(line, "error") || strings.Contains(line, "<nil>") { // a service that listens nowhere
		p.kill()
		t.Fatalf("the server does not come up: %q\nits log: %v", line, cmd.Stderr)
	}
	return p
}

func (p *process) kill() {
	p.Process.Kill()
	p.Wait()
}

// endWithParent ends a child when nobody holds the other end of its input any more.
func endWithParent() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}

// child is the server that childCommand starts: one that delivers, and logs, if it has childSinks.
func child() {
	c := testConfig(os.Getenv(childDir))
	c.Limits.Reserve, _ = strconv.ParseInt(os.Getenv(childReserve), 10, 64)
	if sinks := os.Getenv(childSinks); sinks != "" {
		c = deliveringConfig(os.Getenv(childDir), sinks, os.Stderr)
	}
	s, err := Open(context.Background(), c)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.Addr(SMTP), s.Addr(Submissions), s.Addr(POP3), s.Addr(POP3S))
	s.Serve(context.Background())
}

// TestKilled kills a server in the middle of its work, again and again, and
// then asks whether every message that it said 250 to is there.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	start(t, testConfig(dir)).Close() // the accounts
	acked := map[string]bool{}
	var mu sync.Mutex
	unsure := 0
	const rounds, senders = 6, 4
	for round := range rounds {
		server := up(t, childCommand(t, dir))
		var wg sync.WaitGroup
		enough := make(chan struct{})
		left := 1 + rand.IntN(40) // acknowledgements until the kill
		for sender := range senders {
			wg.Go(func() {
				for i := 0; ; i++ {
					text := fmt.Sprintf("message %d of sender %d in round %d", i, sender, round)
					ok, err := sendRaw(server.smtp, text)
					mu.Lock()
					if ok {
						acked[text] = true
						if left--; left == 0 {
							close(enough)
						}
					} else {
						unsure++
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(30 * time.Second):
			t.Errorf("round %d: the server takes no mail", round)
		}
		server.kill()
		wg.Wait()
	}
	s := start(t, testConfig(dir))
	for _, email := range []string{alice, bob} {
		there := map[string]int{}
		for _, body := range bodies(s.fetch(t, email)) {
			there[strings.TrimSpace(body)]++
		}
		for text := range acked {
			if there[text] != 1 {
				t.Errorf("%s: %q was acknowledged and is there %d times", email, text, there[text])
			}
		}
		if len(there) > len(acked)+unsure {
			t.Errorf("%s: %d messages, %d were sent", email, len(there), len(acked)+unsure)
		}
	}
	t.Logf("%d messages acknowledged over %d kills, none lost", len(acked), rounds)
}

// sendRaw sends one message to both accounts; ok says that it was acknowledged.
func sendRaw(addr, text string) (ok bool, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	io.WriteString(conn, "EHLO x\r\nMAIL FROM:<carol@elsewhere.test>\r\nRCPT TO:<alice@postern.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
	for {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return false, err
		case strings.HasPrefix(line, "354"):
			if _, err := io.WriteString(conn, "Subject: x\r\n\r\n"+text+"\r\n.\r\n"); err != nil {
				return false, err
			}
		case strings.HasPrefix(line, "250 2.0.0 OK"):
			return true, nil
		case line[0] == '4', line[0] == '5':
			return false, fmt.Errorf("refused: %s", line)
		}
	}
}
