package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// life is the program in a process of its own, which can be killed.
type life struct {
	*exec.Cmd
	*program // its output
}

// live starts `postern serve --demo` and waits until it says that it runs.
func live(t *testing.T, data string, flags ...string) *life {
	t.Helper()
	args := append([]string{"serve", "--demo", "--data", data}, everyPort...)
	l := &life{exec.Command("postern", append(append(args, "--deliver=on"), flags...)...), &program{t: t, stdout: &transcript{more: make(chan struct{}, 1)}, stderr: &transcript{more: make(chan struct{}, 1)}}}
	l.Stdout, l.Stderr = l.program.stdout, l.program.stderr
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Process.Kill(); l.Wait() })
	patience := time.After(30 * time.Second)
	for !strings.Contains(l.program.stdout.String(), "Ctrl+C") {
		select {
		case <-l.program.stdout.more:
		case <-patience:
			l.Process.Kill()
			t.Fatalf("it does not come up: %s", l.program.stderr)
		}
	}
	return l
}

// TestKilledProgram kills the program itself, with both servers of its demo world, while Alice writes to Bob and, at the other
// server, to Carol. What got its 250 arrives: twice if nobody can know, and then the log says so.
func TestKilledProgram(t *testing.T) {
	data := t.TempDir()
	var mu sync.Mutex
	var acked []string // "round.sender.number to"
	doubts := 0
	const rounds, senders, quota = 5, 4, 30
	for round := range rounds {
		l := live(t, data)
		at := l.find(`Submission +(127\.0\.0\.1:\d+)`)
		enough, left := make(chan struct{}), quota
		var sending sync.WaitGroup
		for sender := range senders {
			to := []string{"bob@postern.test", "carol@elsewhere.test"}[sender%2]
			sending.Go(func() {
				c, err := aliceAt(t, at)
				for n := 0; err == nil; n++ {
					mark := fmt.Sprintf("%d.%d.%d %s", round, sender, n, to)
					_, err = c.Send(t.Context(), smtp.Envelope{From: "alice@postern.test", To: []string{to}},
						strings.NewReader("From: alice@postern.test\r\nTo: "+to+"\r\nSubject: mark "+mark+".\r\n\r\nHello.\r\n"))
					mu.Lock()
					if err == nil {
						acked = append(acked, mark)
						if left--; left == 0 {
							close(enough)
						}
					}
					mu.Unlock()
				}
				if c != nil {
					c.Close()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Errorf("round %d: it takes no mail: %s", round, l.program.stderr)
		}
		l.Process.Kill()
		l.Wait()
		sending.Wait()
		doubts += strings.Count(l.program.stderr.String(), "may get it twice")
	}

	l := live(t, data)
	there := map[string]int{}
	missing := func() (n int) {
		clear(there)
		for _, texts := range [][]string{
			maildropOf(t, l.find(`POP3 +(127\.0\.0\.1:\d+)`), "bob@postern.test", "bob-postern"),
			maildropOf(t, l.find(`(?s)And elsewhere\.test.*POP3 +(127\.0\.0\.1:\d+)`), "carol@elsewhere.test", "carol-postern"),
		} {
			for _, text := range texts {
				if _, rest, ok := strings.Cut(text, "Subject: mark "); ok {
					mark, _, _ := strings.Cut(rest, ".\r\n")
					there[mark]++
				}
			}
		}
		for _, mark := range acked {
			if there[mark] == 0 {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(time.Minute); missing() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d messages that got their 250 do not arrive", missing(), len(acked))
		}
	}
	doubts += strings.Count(l.program.stderr.String(), "may get it twice")
	twice := 0
	for mark, n := range there {
		if n > 1 && strings.HasSuffix(mark, "bob@postern.test") {
			t.Errorf("bob has %q %d times", mark, n)
		}
		twice += n - 1
	}
	if twice > doubts {
		t.Errorf("carol has %d messages too many, and the log has doubts about %d", twice, doubts)
	}
	t.Logf("%d messages got their 250 over %d kills of both servers, and are there; %d twice, of %d of which the log says so", len(acked), rounds, twice, doubts)
	if err := l.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(); err != nil {
		t.Errorf("at its proper end: %v\n%s", err, l.program.stderr)
	}
}

// aliceAt is Alice's session at a submission port.
func aliceAt(t *testing.T, address string) (*smtp.Client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := smtp.New(conn, nil)
	if err = c.StartTLS(t.Context(), &tls.Config{InsecureSkipVerify: true} /* it is our own, on loopback */); err == nil {
		_, err = c.Auth(t.Context(), sasl.Credentials{User: "alice@postern.test", Password: "alice-postern"}, "")
	}
	return c, err
}
