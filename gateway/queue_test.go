package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/shared/control"
)

// queueOf is an administrator with a queue of that many rows.
type queueOf struct {
	administrator
	rows  int64
	asked []string
}

func (q *queueOf) ListQueue(_ context.Context, f control.QueueFilter) (rows []control.QueueRow, err error) {
	q.asked = append(q.asked, fmt.Sprint("list ", f.Destination, f.After))
	for id := f.After + 1; id <= q.rows && len(rows) < f.Limit; id++ {
		rows = append(rows, control.QueueRow{ID: id, Recipient: "x@elsewhere.test", Size: 1500, State: "waiting", Attempts: 2, NextTry: time.Unix(0, 0), Problem: "bad\x1b[31m luck"})
	}
	return rows, nil
}

func (q *queueOf) ShowQueue(_ context.Context, id int64) (control.QueueDetail, error) {
	return control.QueueDetail{QueueRow: control.QueueRow{ID: id, Sender: "a@b.test", Recipient: "x@elsewhere.test", State: "held", Problem: "full"}, Code: 452, Enhanced: "4.2.2",
		Tried: time.Unix(0, 0), Server: "mx.elsewhere.test (192.0.2.1)", TLS: "none", Unknown: 1, Header: "Subject: x\r\n", Transcript: "< 220 hi\n> EHLO\x07\n"}, nil
}

func (q *queueOf) ChangeQueue(_ context.Context, a control.QueueAction, f control.QueueFilter) (int, error) {
	q.asked = append(q.asked, fmt.Sprint(a, f.IDs, f.Destination))
	return 3, nil
}

func ask(t *testing.T, q *queueOf, args ...string) (string, error) {
	t.Helper()
	c, err := config.Parse(append([]string{"queue"}, args...), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = commands[c.Command](t.Context(), q, c, environment{stdout: &out})
	return out.String(), err
}

func TestQueueCommands(t *testing.T) {
	q := &queueOf{rows: 2*queuePage + 1}
	out, err := ask(t, q, "list", "elsewhere.test")
	if lines := strings.Count(out, "\n"); lines != 2*queuePage+2 || err != nil || strings.Contains(out, "\x1b") || !strings.Contains(out, "<>") || !strings.Contains(out, "1.5 kB") {
		t.Errorf("%d lines, %v: %.300s", lines, err, out)
	}
	out, err = ask(t, q, "show", "7")
	for _, want := range []string{"<a@b.test>", "452 4.2.2 full", "mx.elsewhere.test (192.0.2.1)", "1 tries that", "  Subject: x\n", "  < 220 hi\n"} {
		if !strings.Contains(out, want) || err != nil {
			t.Errorf("%q does not say %q, %v", out, want, err)
		}
	}
	if strings.Contains(out, "\x07") {
		t.Error("what another server says reaches the terminal as it is")
	}
	for _, c := range [][]string{{"retry", "all"}, {"hold", "elsewhere.test"}, {"release", "1", "2"}, {"return", "4"}, {"drop", "3"}} {
		if out, err := ask(t, q, c...); err != nil || !strings.HasPrefix(out, "3 ") {
			t.Errorf("%q: %q, %v", c, out, err)
		}
	}
	if want := []string{"list elsewhere.test0", "list elsewhere.test1000", "list elsewhere.test2000", "retry[]", "hold[]elsewhere.test", "release[1 2]", "return[4]", "drop[3]"}; !slices.Equal(q.asked, want) {
		t.Errorf("asked %q", q.asked)
	}
	for _, c := range [][]string{{"show", "x"}, {"drop", "everything"}, {"drop", "1", "all"}, {"hold", "a.test", "b.test"}} {
		if out, err := ask(t, q, c...); err == nil {
			t.Errorf("%q: %q", c, out)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"none": 0, "1": 1, "5k": 5000, "500MB": 500e6, "2GiB": 2 << 30, "1TB": 1e12, "3G": 3e9} {
		if got, err := config.Size(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "0", "-1MB", "MB", "1.5GB", "9999999999GB", "1XB"} {
		if n, err := config.Size(bad); err == nil {
			t.Errorf("%q is taken for %d", bad, n)
		}
	}
	for octets, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 2_500_000: "2.5 MB", 3e9: "3.0 GB"} {
		if got := size(octets); got != want {
			t.Errorf("%d: %s, want %s", octets, got, want)
		}
	}
}
