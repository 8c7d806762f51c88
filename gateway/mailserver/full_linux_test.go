package mailserver

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/pop3"
)

// smallDisk is a file system of so many octets, as a mount that only root can make.
func smallDisk(t *testing.T, octets int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("postern-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", octets)); err != nil {
		t.Skipf("a small disk cannot be mounted here, which takes root: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir
}

// leaveRoom fills a disk until so many octets are free, or makes as many free as can be.
func leaveRoom(t *testing.T, disk string, octets int64) {
	t.Helper()
	ballast := filepath.Join(disk, "ballast")
	os.Remove(ballast)
	var st syscall.Statfs_t
	must(t, syscall.Statfs(disk, &st))
	f, err := os.Create(ballast)
	must(t, err)
	block := make([]byte, 64<<10)
	for left := int64(st.Bavail)*st.Bsize - octets; left > 0; left -= int64(len(block)) {
		if _, err := f.Write(block[:min(left, int64(len(block)))]); err != nil {
			break
		}
	}
	must(t, f.Close())
}

// A disk that is full costs no message: what cannot be kept is refused for now, what was promised is there, on the way to
// another server too, and when there is room again everything goes on by itself.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 24<<20)
	elsewhere := &sink{}
	n := &neighbours{}
	n.lead("steady.test", elsewhere.serve(t))
	dir := filepath.Join(disk, "mail")
	cfg := n.sending(dir)
	cfg.Limits.Reserve = -1 // to the last octet, as if others wrote to it
	s := start(t, cfg)

	text := "Subject: mark %d.\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 900) // 65 KB
	number := 0
	kept, sent := map[string]bool{}, map[string]bool{}
	// send sends to bob and to somebody elsewhere, and answers what the server said to the first that it refused.
	send := func(most int) (refusal string) {
		t.Helper()
		for range most {
			c, err := openSubmission(s.Addr(Submissions).String())
			if err != nil {
				return err.Error()
			}
			number++
			mark, to := fmt.Sprint(number), fmt.Sprintf("%d@steady.test", number)
			err = c.say("MAIL FROM:<"+alice+">\r\nRCPT TO:<"+bob+">\r\nRCPT TO:<"+to+">\r\nDATA\r\n", "250", "250", "250", "354")
			if err == nil {
				err = c.say(fmt.Sprintf(text, number)+".\r\n", "250")
			}
			c.Close()
			if err != nil {
				return err.Error()
			}
			kept[mark], sent[to] = true, true
		}
		return ""
	}
	room := func(octets int64) { t.Helper(); leaveRoom(t, disk, octets) }

	if said := send(5); said != "" {
		t.Fatalf("with room: %s", said)
	}
	for round, left := range []int64{1 << 20, 200 << 10, 0, 700 << 10} {
		room(left)
		said := send(100)
		if !strings.Contains(said, `"452 4.3.1`) {
			t.Errorf("round %d: when full it says %s", round, said)
		}
		// The store makes room itself when its journal has done its work, which may be now: then that is filled, too.
		for tries := 1; ; tries++ {
			room(0)
			if said = send(3); strings.Contains(said, `"452 4.3.1`) {
				break
			}
			if tries == 5 {
				t.Errorf("round %d: and then %s", round, said)
				break
			}
		}
		room(4 << 20)
		if said := send(3); said != "" {
			t.Errorf("round %d: with room again: %s", round, said)
		}
	}
	leaveRoom(t, disk, 24<<20)

	there := marks(s.fetch(t, bob))
	for mark := range kept {
		if there[mark] != 1 {
			t.Errorf("message %s got its 250 and is there %d times", mark, there[mark])
		}
	}
	if len(there) != len(kept) {
		t.Errorf("%d messages are there, %d got their 250", len(there), len(kept))
	}
	for end := time.Now().Add(time.Minute); s.tally(t) > 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	counts := elsewhere.counts()
	for to := range sent {
		if counts[to] != 1 {
			t.Errorf("what was for %s, and got its 250, arrived %d times", to, counts[to])
		}
	}
	t.Logf("%d messages got their 250 on a disk that was filled four times", len(kept))
	s.consistent(t, dir)
}

// New mail leaves room on the disk, and on that room everything goes on that makes more: people delete, what was sent is forgotten,
// and what comes back does. Then there is new mail again.
func TestReserve(t *testing.T) {
	disk := smallDisk(t, 24<<20)
	const reserve = 8 << 20
	away, other := &sink{refuses: "450 4.2.1 come back later"}, &sink{}
	n := &neighbours{}
	n.lead("away.test", away.serve(t))
	n.lead("there.test", other.serve(t))
	dir := filepath.Join(disk, "mail")
	cfg := n.sending(dir)
	cfg.Limits.Reserve = reserve
	s := start(t, cfg)
	c, err := openSubmission(s.Addr(Submissions).String())
	must(t, err)
	defer c.Close()
	body := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 900) // 65 KB
	for to := range 20 {
		must(t, c.sendAs(alice, fmt.Sprintf("%d@there.test", to), "out", body))
	}
	must(t, c.sendAs(alice, "dan@away.test", "out", body))
	mark := 0
	for ; err == nil; mark++ {
		err = c.sendAs(alice, bob, fmt.Sprint(mark), strings.Repeat(body, mark%2*2)) // small ones, and 130 KB
	}
	if !strings.Contains(err.Error(), `"452 4.3.1`) {
		t.Errorf("on the reserve it says %v", err)
	}
	var st syscall.Statfs_t
	must(t, syscall.Statfs(disk, &st))
	if free := int64(st.Bavail) * st.Bsize; free < reserve*3/4 {
		t.Errorf("of the reserve %d octets are left", free)
	}
	// What was taken is there, and goes where it should; what cannot comes back.
	for returned, end := 0, time.Now().Add(time.Minute); returned == 0; time.Sleep(10 * time.Millisecond) { // what is being sent at the moment is left alone
		returned, err = s.sender.queue.Return(t.Context(), maildrop.Filter{Destination: "away.test"})
		must(t, err)
		if time.Now().After(end) {
			t.Fatal("it cannot be given back")
		}
	}
	s.await(t, alice, "Final-Recipient: rfc822; dan@away.test")
	for end := time.Now().Add(time.Minute); s.tally(t) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d rows wait still", s.tally(t))
		}
	}
	if got := other.counts(); len(got) != 20 {
		t.Errorf("of 20 messages these left: %v", got)
	}
	// Bob deletes, and there is room.
	p := pop3.New(s.dial(t, POP3), nil)
	defer p.Close()
	must(t, p.STLS(t.Context(), s.pinned()))
	must(t, p.Login(t.Context(), bob, password))
	if count, _, err := p.Stat(t.Context()); err != nil || count != mark-1 {
		t.Errorf("bob has %d messages of %d, %v", count, mark-1, err)
	}
	for number := range mark - 1 {
		must(t, p.Dele(t.Context(), number+1))
	}
	must(t, p.Quit(t.Context()))
	s.submit(t, alice, "From: alice@postern.test\r\nSubject: room again\r\n\r\n"+body, bob)
	s.await(t, bob, "room again")
	s.consistent(t, dir)
}

// What waits for its signature waits on the disk, too.
func TestFullDiskWhileSigning(t *testing.T) {
	disk := smallDisk(t, 16<<20)
	cfg := testConfig(filepath.Join(disk, "mail"))
	cfg.Receiving.Unsigned, cfg.Limits.Reserve = false, -1
	s := start(t, cfg)
	body := strings.Repeat(strings.Repeat("x", 78)+"\r\n", 26_000) // 2 MB
	for _, c := range []struct {
		room   int64
		answer string
	}{{300 << 10, `"452 4.3.1`}, {3 << 20, `"452 4.3.1`}, {12 << 20, ""}} { // nowhere; there, and not in the mailbox; everywhere
		leaveRoom(t, disk, c.room)
		to, err := openSubmission(s.Addr(Submissions).String())
		must(t, err)
		if err = to.sendAs(alice, bob, "x", body); (err != nil) != (c.answer != "") || err != nil && !strings.Contains(err.Error(), c.answer) {
			t.Errorf("with room for %d octets it says %v", c.room, err)
		}
		to.Close()
	}
	if got := s.fetch(t, bob); len(got) != 1 {
		t.Errorf("bob has %d messages", len(got))
	}
}

// A server that is killed on a disk that others have filled, and started on it, has lost nothing; what it cannot do it says; and
// when there is room, it goes on.
func TestKilledOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, 24<<20)
	dir := filepath.Join(disk, "mail")
	start(t, testConfig(dir)).Close() // the accounts
	kept, number := map[string]map[string]bool{alice: {}, bob: {}}, 0
	for round, left := range []int64{2 << 20, 300 << 10, 0, 1 << 20, 40 << 10} {
		leaveRoom(t, disk, 8<<20)
		server := comeUp(t, dir)
		leaveRoom(t, disk, left)
		for {
			number++
			text := fmt.Sprintf("message %d.", number) + strings.Repeat("\r\n"+strings.Repeat("x", 70), number%3*400) // small, 28 KB, 57 KB
			ok, err := sendRaw(server.smtp, text)
			if !ok {
				if !strings.Contains(fmt.Sprint(err), "452 4.3.1") {
					t.Errorf("round %d: when full it says %v", round, err)
				}
				break
			}
			kept[alice][text], kept[bob][text] = true, true
		}
		server.kill()

		leaveRoom(t, disk, 0)
		server = comeUp(t, dir)
		for email, texts := range kept {
			p := pop3.New(dial(t, server.pop3), nil)
			must(t, p.STLS(t.Context(), &tls.Config{InsecureSkipVerify: true})) // it is our own, on loopback
			must(t, p.Login(t.Context(), email, password))
			if count, _, err := p.Stat(t.Context()); err != nil || count != len(texts) {
				t.Errorf("round %d: %s has %d messages of %d, %v", round, email, count, len(texts), err)
			}
			var text strings.Builder
			_, err := p.Retr(t.Context(), 1, &text)
			must(t, err)
			must(t, p.Dele(t.Context(), 1))
			if p.Quit(t.Context()) == nil {
				_, body, _ := strings.Cut(text.String(), "\r\n\r\n")
				delete(texts, strings.TrimSpace(body))
			}
			p.Close()
		}
		server.kill()
	}
	leaveRoom(t, disk, 24<<20)
	s := start(t, testConfig(dir))
	for email, texts := range kept {
		there := bodies(s.fetch(t, email))
		if len(there) != len(texts) {
			t.Errorf("%s has %d messages of %d", email, len(there), len(texts))
		}
		for _, body := range there {
			if !texts[strings.TrimSpace(body)] {
				t.Errorf("%s has %.20q, which got no 250, or was deleted", email, body)
			}
		}
	}
	t.Logf("%d messages of %d are there, over 10 kills on a disk that was full", len(kept[bob]), number)
	s.consistent(t, dir)
}

// comeUp starts a child that fills its disk.
func comeUp(t *testing.T, dir string) *process {
	t.Helper()
	return up(t, childCommand(t, dir, childReserve+"=-1"))
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	return conn
}
