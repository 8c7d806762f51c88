package ui

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// queue is the mailbox of an administrator, with messages that wait at the server.
func queue(s *viewtest.Service) {
	mailbox(s)
	s.Change(func(st *api.Status) { st.Accounts[0].Admin = true })
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	row := func(id int64, state api.QueueState, to, why string, attempts int) api.QueueItem {
		return api.QueueItem{QueueRow: api.QueueRow{ID: id, Sender: alice, Recipient: to, Destination: "elsewhere.test", Size: 2300, State: state, Attempts: attempts,
			Created: now.Add(-3 * time.Hour), NextTry: now.Add(25 * time.Minute), Problem: why}}
	}
	second := row(2, api.QueueWaiting, "dan@full.example", "4.2.2 <dan@full.example>: mailbox is full", 3)
	second.Tried, second.Code, second.Enhanced, second.Means = now.Add(-time.Hour), 452, "4.2.2", "The mailbox is full."
	second.Server, second.TLS, second.Header = "mx.full.example (192.0.2.9)", "TLS 1.3, verified", "From: Alice <alice@postern.test>\nSubject: The plans\n"
	for i, l := range []struct {
		who  api.Speaker
		text string
	}{{api.Remark, "MX of full.example: 10 mx.full.example"}, {api.Remark, "Connecting to 192.0.2.9"}, {api.ServerSays, "220 mx.full.example ESMTP"}, {api.ClientSays, "EHLO postern.test"}, {api.ServerSays, "452 4.2.2 <dan@full.example>: mailbox is full"}} {
		second.Transcript = append(second.Transcript, api.WireLine{Seq: uint64(i + 1), Who: l.who, Text: l.text, At: now.Add(time.Duration(i) * 130 * time.Millisecond)})
	}
	report := row(4, api.QueueSending, "eve@elsewhere.test", "", 0)
	report.Sender = ""
	s.Wait(row(1, api.QueueWaiting, "carol@elsewhere.test", "192.0.2.25: connection refused", 2), second, row(3, api.QueueHeld, "a-rather-long-name.of-somebody@subdomain.elsewhere.test", "", 0), report)
	s.InWorld(api.World{Rate: 60, Faults: []api.WorldFault{{Domain: "elsewhere.test", Kind: api.FaultDown, For: 10 * time.Minute}},
		Servers: []api.WorldServer{{Hostname: "postern.test", Domains: []string{"postern.test"}, Waiting: 4}, {Hostname: "mail.elsewhere.test", Domains: []string{"elsewhere.test"}}}})
}

func TestDesk(t *testing.T) {
	show(t, "/server", queue, func(t *testing.T, s *screen) {
		doc := s.draw()
		equal(t, "all rows", len(hooks(doc, "admin-row")), 4)
		equal(t, "data-total", attr(s.hook(doc, "admin-list"), "data-total"), "4")
		first := text(hooks(doc, "admin-row")[0])
		for _, want := range []string{"carol@elsewhere.test", "Next try in 2", "192.0.2.25: connection refused", "From alice@postern.test", "Tried 2 times"} {
			if !strings.Contains(first, want) {
				t.Errorf("%q has no %q", first, want)
			}
		}
		if held := text(hooks(doc, "admin-row")[2]); !strings.Contains(held, "Held until you release it") || !strings.Contains(held, "Not tried yet") {
			t.Errorf("%q", held)
		}
		if report := text(hooks(doc, "admin-row")[3]); !strings.Contains(report, "From a mail server (a report)") || !strings.Contains(report, "Being sent now") {
			t.Errorf("%q", report)
		}
		equal(t, "the states with their counts", text(hooks(doc, "admin-state")[1]), "Waiting 2")
		equal(t, "the world in a line", strings.Contains(text(s.hook(doc, "admin-world")), "elsewhere.test: Down; the clock runs 60 times as fast"), true)
		s.fire("admin-choose-page", "change", nil)
		doc = s.draw()
		equal(t, "selected", strings.Contains(text(s.hook(doc, "admin-view")), "4 selected"), true)
		s.click("admin-hold-chosen")
		equal(t, "held", fmt.Sprint(s.svc.Done()[0].Action, s.svc.Done()[0].IDs), "hold[1 2 3 4]")
	})
	show(t, "/server/2", queue, func(t *testing.T, s *screen) {
		doc := s.draw()
		equal(t, "lines", len(hooks(s.hook(doc, "admin-transcript"), "wire-line")), 5)
		item := text(s.hook(doc, "admin-item"))
		for _, want := range []string{"To dan@full.example", "The mailbox is full.", "mx.full.example (192.0.2.9)", "TLS 1.3, verified", "452 4.2.2", "Subject: The plans"} {
			if !strings.Contains(item, want) {
				t.Errorf("%q has no %q", item, want)
			}
		}
		equal(t, "what fits a row that waits", len(all(s.hook(doc, "admin-item"), func(n *html.Node) bool { return attr(n, "data-testid") == "admin-release" })), 0)
		s.click("admin-drop")
		doc = s.draw()
		equal(t, "asked first", strings.Contains(text(s.hook(doc, "question")), "Drop this message?"), true)
		s.click("question-yes")
		time.Sleep(time.Second)
		synctest.Wait()
		doc = s.draw()
		equal(t, "gone", text(s.hook(doc, "admin-gone")) != "", true)
	})
	show(t, "/server", mailbox, func(t *testing.T, s *screen) {
		doc := s.draw()
		equal(t, "empty in words", strings.HasPrefix(text(s.hook(doc, "admin-empty")), "Nothing is waiting"), true)
		equal(t, "no world", len(hooks(doc, "admin-world")), 0)
	})
}
