package mailserver

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/pop3"
)

// reader is somebody who fetches and deletes his mail by POP3, from a server that is killed meanwhile.
type reader struct {
	email    string
	texts    map[string]string // by unique-id: what he ever fetched
	deleted  map[string]bool   // a QUIT was answered
	doubtful []string          // a QUIT was not: all of these are gone, or none
	sessions int               // that ended well
}

// TestKilledWhileFetching kills the server while the world sends to two people and both fetch and delete. A message that got its
// 250 reaches each of them, and once: what a QUIT has deleted does not come back, what no QUIT has deleted does not go, of what
// a QUIT without an answer was about all is gone or nothing, and unique-ids stay what they are over every death.
//
// POSTERN_CRASH=full makes it 40 kills (`task crash`).
func TestKilledWhileFetching(t *testing.T) {
	lives := 6
	if os.Getenv("POSTERN_CRASH") == "full" {
		lives = 40
	}
	dir := t.TempDir()
	start(t, testConfig(dir)).Close() // the accounts
	readers := []*reader{
		{email: alice, texts: map[string]string{}, deleted: map[string]bool{}},
		{email: bob, texts: map[string]string{}, deleted: map[string]bool{}},
	}
	var mu sync.Mutex
	acked, unsure := map[string]bool{}, map[string]bool{}
	for life := range lives {
		server := up(t, childCommand(t, dir))
		var busy sync.WaitGroup
		for sender := range 2 {
			busy.Go(func() {
				for n := 0; ; n++ {
					text := fmt.Sprintf("message %d of sender %d in life %d", n, sender, life)
					ok, err := sendRaw(server.smtp, text)
					mu.Lock()
					if acked[text] = ok; !ok {
						unsure[text] = true
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		enough := make(chan struct{}, 1000) // a token for each session of a reader
		for _, r := range readers {
			busy.Go(func() {
				for r.session(t, server.pop3s) {
					select {
					case enough <- struct{}{}:
					default:
					}
				}
			})
		}
		patience := time.After(time.Minute)
		for range 2 + rand.IntN(6) {
			select {
			case <-enough:
			case <-patience:
				t.Errorf("in life %d nobody can fetch", life)
			}
		}
		time.Sleep(rand.N(30 * time.Millisecond)) // the moment of the kill is anyone
		server.kill()
		busy.Wait()
	}

	s := start(t, testConfig(dir))
	for _, r := range readers {
		left := s.fetch(t, r.email)
		r.listed(t, slices.Collect(maps.Keys(left)))
		for uid, text := range left {
			r.fetched(t, uid, text)
		}
		had := map[string]int{}
		for _, text := range r.texts {
			_, body, _ := strings.Cut(text, "\r\n\r\n")
			had[strings.TrimSpace(body)]++
		}
		count := 0
		for text, ok := range acked {
			if n := had[text]; n > 1 || ok && n == 0 {
				t.Errorf("%s had %q %d times; it was acknowledged: %v", r.email, text, n, ok)
			}
			if ok {
				count++
			}
		}
		t.Logf("%s had each of %d messages once, of which %d were deleted in %d sessions, over %d kills; %d got no answer", r.email, count, len(r.deleted), r.sessions, lives, len(unsure))
	}
	s.consistent(t, dir)
}

// session fetches some of what is there and deletes some of that. It answers false when the server is gone.
func (r *reader) session(t *testing.T, address string) bool {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // it is our own, on loopback
	if err != nil {
		return false
	}
	c := pop3.New(conn, nil)
	defer c.Close()
	if c.Login(t.Context(), r.email, password) != nil {
		return false
	}
	uids, err := c.UIDL(t.Context())
	if err != nil {
		return false
	}
	list := make([]string, len(uids))
	for i, u := range uids {
		list[i] = u.UID
	}
	r.listed(t, list)
	rand.Shuffle(len(uids), func(i, j int) { uids[i], uids[j] = uids[j], uids[i] })
	var marked []string
	for _, u := range uids[:min(len(uids), 12)] {
		var text bytes.Buffer
		if _, err := c.Retr(t.Context(), u.Number, &text); err != nil {
			return false
		}
		r.fetched(t, u.UID, text.String())
		if rand.IntN(4) == 0 { // this one stays for now
			continue
		}
		if c.Dele(t.Context(), u.Number) != nil {
			return false
		}
		marked = append(marked, u.UID)
	}
	if c.Quit(t.Context()) != nil {
		r.doubtful = marked
		return false
	}
	for _, uid := range marked {
		r.deleted[uid] = true
	}
	r.sessions++
	return true
}

// listed compares a listing with what was said before.
func (r *reader) listed(t *testing.T, uids []string) {
	t.Helper()
	there := map[string]bool{}
	for _, uid := range uids {
		if there[uid] {
			t.Errorf("%s: the unique-id %s is there twice", r.email, uid)
		}
		there[uid] = true
		if r.deleted[uid] {
			t.Errorf("%s: %s was deleted, and is there again", r.email, uid)
		}
	}
	stayed := 0
	for _, uid := range r.doubtful {
		if there[uid] {
			stayed++
		} else {
			r.deleted[uid] = true
		}
	}
	if stayed > 0 && stayed < len(r.doubtful) {
		t.Errorf("%s: of the %d that a QUIT without an answer was about, %d are left", r.email, len(r.doubtful), stayed)
	}
	r.doubtful = nil
	for uid := range r.texts {
		if !there[uid] && !r.deleted[uid] {
			t.Errorf("%s: %s was not deleted, and is gone", r.email, uid)
		}
	}
}

func (r *reader) fetched(t *testing.T, uid, text string) {
	t.Helper()
	if before, known := r.texts[uid]; known && before != text {
		t.Errorf("%s: %s was %q, and is now %q", r.email, uid, before, text)
	}
	r.texts[uid] = text
}
