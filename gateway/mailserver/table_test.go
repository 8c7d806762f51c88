package mailserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/pop3"
)

// BenchmarkTable measures the server beside Postfix and Dovecot, on one disk and in one run, and prints one table. Run it by
// `task bench`. Both promise the same: a message is on the disk when it gets its 250.
func BenchmarkTable(b *testing.B) {
	if _, err := exec.LookPath("smtp-source"); err != nil {
		b.Skip("no smtp-source on this machine: `task test` as root installs it, with Postfix")
	}
	bed := testbed.Start(b)
	t := &table{B: b, bed: bed, dir: b.TempDir()}
	t.server = t.start()
	t.accept()
	t.relay()
	t.download()
	t.sessions()
	t.figures.Print(os.Stdout)
	for b.Loop() { // the table is the result; the framework only wants to have been asked
	}
}

// table is what is measured, and the lines so far.
type table struct {
	*testing.B
	bed     *testbed.Bed
	dir     string
	server  *process
	figures mailtest.Table
}

// start starts a server with two accounts, until the benchmark's end.
func (t *table) start() *process {
	start(t, testConfig(t.dir)).Close() // the accounts
	p := up(t, childCommand(t, t.dir))
	t.Cleanup(p.kill)
	return p
}

// accept sends messages of 4 KB by smtp-source, in sessions that send one after the other.
func (t *table) accept() {
	const messages = 3000
	for _, sessions := range []int{1, 10, 50} {
		count := messages
		if sessions == 1 {
			count = messages / 5
		}
		rate := func(address, to string) float64 {
			t.rest()
			start := time.Now()
			out, err := exec.Command("smtp-source", "-d", "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(count), "-l", "4096", "-f", "carol@elsewhere.test", "-t", to, address).CombinedOutput()
			if err != nil {
				t.Fatalf("smtp-source: %v\n%s", err, out)
			}
			return float64(count) / time.Since(start).Seconds()
		}
		theirs := rate(t.bed.Address(t.bed.SMTP), "bob@"+t.bed.Domain)
		ours := rate(t.server.smtp, bob)
		words := fmt.Sprintf("accepted in %d sessions", sessions)
		t.figures.Rates(words+", Postfix", theirs, 0, "")
		t.figures.Rates(words, ours, theirs, "Postfix")
	}
}

// rest waits until the machine has nothing to do: what was measured before leaves work to both servers, mail that Postfix has yet
// to carry and files that ours has yet to write. It does not wait for other programs for ever.
func (t *table) rest() {
	const pause = 4 * time.Second // longer than ours waits before it writes them
	quiet := time.Now()
	idle, all := cpu(t)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		time.Sleep(time.Second / 4)
		i, a := cpu(t)
		if float64(i-idle) < 0.8*float64(a-all) {
			quiet = time.Now()
		}
		if time.Since(quiet) > pause {
			return
		}
		idle, all = i, a
	}
	t.Log("the machine has other things to do")
}

// cpu answers what /proc/stat has of idle time, and of all.
func cpu(t testing.TB) (idle, all int) {
	b, err := os.ReadFile("/proc/stat")
	must(t, err)
	line, _, _ := strings.Cut(string(b), "\n")
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.Atoi(field)
		must(t, err)
		if all += n; i == 3 || i == 4 { // idle, iowait
			idle += n
		}
	}
	return idle, all
}

// unlimited is for programs: no person sends so much.
var unlimited = smtpd.RateLimits{ClientMessages: -1, ClientRecipients: -1, ClientUnknown: -1, UserMessages: -1, UserRecipients: -1}

// relay sends messages of a user to another domain, by Postfix and by a server of ours, until all are in the mailbox there:
// taken, queued, carried and taken again. The other domain's server is ours in both cases.
func (t *table) relay() {
	const messages, sessions = 2000, 10
	there := testConfig(t.TempDir())
	there.SMTP, there.Limits.Rates = t.bed.Address(t.bed.Neighbour), unlimited
	other := start(t, there)
	n := &neighbours{}
	n.lead("postern.test", there.SMTP)
	cfg := n.sending(t.TempDir())
	cfg.Domains, cfg.Hostname, cfg.Limits.Rates = []string{"home.test"}, "mail.home.test", unlimited
	home, err := Open(t.Context(), cfg)
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- home.Serve(context.Background()) }()
	t.Cleanup(func() { must(t, home.Close()); must(t, <-served) })
	must(t, home.EnsureUser(t.Context(), Account{Email: "alice@home.test", Name: "Alice", Password: password}))

	count := func() int64 {
		users, err := other.store.Users(t.Context())
		must(t, err)
		for _, u := range users {
			if u.Email == bob {
				return u.Messages
			}
		}
		return 0
	}
	rate := func(address, user, from, password string) float64 {
		t.rest()
		before := count()
		began := time.Now()
		var senders sync.WaitGroup
		for range sessions {
			senders.Go(func() {
				s, err := openSubmissionAs(address, user, password)
				for range messages / sessions {
					if err == nil {
						err = s.sendAs(from, bob, "x", "Hello.\r\n")
					}
				}
				if err != nil {
					t.Error(err)
				}
				if s != nil {
					s.Close()
				}
			})
		}
		senders.Wait()
		for end := time.Now().Add(2 * time.Minute); count() < before+messages; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d of %d arrived", count()-before, messages)
			}
		}
		return messages / time.Since(began).Seconds()
	}
	theirs := rate(t.bed.Address(t.bed.Submissions), "alice", "alice@"+t.bed.Domain, "alice-pw")
	ours := rate(home.Addr(Submissions).String(), "alice@home.test", "alice@home.test", password)
	t.figures.Rates("from a user to a mailbox elsewhere, Postfix", theirs, 0, "")
	t.figures.Rates("from a user to a mailbox elsewhere", ours, theirs, "Postfix")
}

// download fetches a mailbox by pipelined RETR.
func (t *table) download() {
	const messages = 5000
	g := mailtest.Generator{Seed: 42, Median: 8192, Attachments: 0.01}
	all := func(yield func([]byte) bool) {
		for i := range messages {
			if !yield(g.Message(i)) {
				return
			}
		}
	}
	t.bed.DeliverAll(t, "alice", all)
	t.deliver(all)
	fetch := func(address, user, password string, secure bool) float64 {
		var conn net.Conn
		conn, err := net.Dial("tcp", address)
		must(t, err)
		if secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // both are of this test
		}
		c := pop3.New(conn, &pop3.Options{AllowPlaintextAuth: true})
		defer c.Close()
		_, err = c.Capa(t.Context())
		must(t, err)
		must(t, c.Login(t.Context(), user, password))
		list, err := c.List(t.Context())
		must(t, err)
		start, n := time.Now(), 0
		must(t, c.RetrAll(t.Context(), list, func(_ int, body io.Reader) error {
			n++
			_, err := io.Copy(io.Discard, body)
			return err
		}))
		if n < messages {
			t.Fatalf("%d messages of %d", n, messages)
		}
		rate := float64(n) / time.Since(start).Seconds()
		must(t, c.Quit(t.Context()))
		return rate
	}
	for _, secure := range []bool{false, true} {
		words, dovecot, here := "fetched by POP3", t.bed.Address(t.bed.POP3), t.server.pop3
		if secure {
			words, dovecot, here = words+", TLS", t.bed.Address(t.bed.POP3S), t.server.pop3s
		}
		fetch(dovecot, "alice", "alice-pw", secure) // Dovecot builds its index at the first look
		theirs := fetch(dovecot, "alice", "alice-pw", secure)
		fetch(here, alice, password, secure)
		ours := fetch(here, alice, password, secure)
		t.figures.Rates(words+", Dovecot", theirs, 0, "")
		t.figures.Rates(words, ours, theirs, "Dovecot")
	}
}

// deliver gives alice messages over SMTP.
func (t *table) deliver(all func(yield func([]byte) bool)) {
	messages := make(chan []byte)
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			conn, err := net.Dial("tcp", t.server.smtp)
			if err != nil {
				t.Error(err)
				return
			}
			s := &submission{conn, bufio.NewReader(conn)}
			defer s.Close()
			err = s.answer("220")
			if err == nil {
				err = s.say("EHLO x\r\n", "250")
			}
			for m := range messages {
				if err == nil {
					err = s.say("MAIL FROM:<carol@elsewhere.test>\r\nRCPT TO:<"+alice+">\r\nDATA\r\n", "250", "250", "354")
				}
				if err == nil {
					stuffed := strings.ReplaceAll("\r\n"+string(m), "\r\n.", "\r\n..")[2:]
					err = s.say(stuffed+".\r\n", "250")
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all(func(m []byte) bool { messages <- m; return true })
	close(messages)
	senders.Wait()
}

// sessions measures what a thousand open sessions cost.
func (t *table) sessions() {
	const sessions = 1000
	before := mailtest.Memory(t, t.server.Process.Pid)
	var open []net.Conn
	for i := range sessions {
		address, hello, answer := t.server.smtp, "EHLO x\r\n", "250"
		if i%2 == 1 {
			address, hello, answer = t.server.pop3, "CAPA\r\n", "+OK"
		}
		conn, err := net.Dial("tcp", address)
		must(t, err)
		open = append(open, conn)
		in := bufio.NewReader(conn)
		_, err = in.ReadString('\n')
		must(t, err)
		io.WriteString(conn, hello)
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, answer) {
			t.Fatal(line, err)
		}
	}
	after := mailtest.Memory(t, t.server.Process.Pid)
	for _, conn := range open {
		conn.Close()
	}
	t.figures.Add(fmt.Sprintf("memory of %d idle sessions", sessions), fmt.Sprintf("%d KB each", (after-before)/sessions>>10), "", "")
}
