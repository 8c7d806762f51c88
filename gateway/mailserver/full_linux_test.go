package mailserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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

// A disk that is full costs no message: what cannot be kept is refused for now, what was promised is there, on the way to
// another server too, and when there is room again everything goes on by itself.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 24<<20)
	elsewhere := &sink{}
	n := &neighbours{}
	n.lead("steady.test", elsewhere.serve(t))
	dir := filepath.Join(disk, "mail")
	s := start(t, n.sending(dir))
	ballast := filepath.Join(disk, "ballast")

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
	room := func(octets int64) {
		t.Helper()
		var st syscall.Statfs_t
		must(t, syscall.Statfs(disk, &st))
		os.Remove(ballast)
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
	os.Remove(ballast)

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
