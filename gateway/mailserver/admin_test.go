package mailserver

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/controld"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/control"
)

// kind is what an administrator is told.
func kind(err error) control.Kind {
	var e *control.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind
}

// What can be asked of a server that runs can be done to its folder when it does not.
func TestAdmin(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(dir)
	s := start(t, cfg)
	if _, err := Administer(t.Context(), cfg); !errors.Is(err, ErrDataInUse) {
		t.Errorf("while the server runs: %v", err)
	}
	client, err := controld.Dial(t.Context(), dir)
	must(t, err)
	administered(t, client)
	must(t, client.Close())
	must(t, s.Close())
	if _, err := controld.Dial(t.Context(), dir); !errors.Is(err, controld.ErrNoServer) {
		t.Errorf("after it has ended: %v", err)
	}
	a, err := Administer(t.Context(), cfg)
	must(t, err)
	must(t, a.RemoveUser(t.Context(), "new@postern.test", true))
	administered(t, a)
	must(t, a.Close())
	start(t, cfg)
}

func administered(t *testing.T, o control.Operations) {
	t.Helper()
	ctx := t.Context()
	want := func(what string, err error, k control.Kind) {
		t.Helper()
		if kind(err) != k || k == "" && err != nil {
			t.Errorf("%s: %v, want %q", what, err, k)
		}
	}
	want("add", o.AddUser(ctx, control.NewUser{Email: "Carol@Postern.test", Name: "Carol", Password: "p"}), "")
	want("add again", o.AddUser(ctx, control.NewUser{Email: "carol@postern.test", Password: "p"}), control.Exists)
	want("add elsewhere", o.AddUser(ctx, control.NewUser{Email: "carol@elsewhere.test", Password: "p"}), control.Invalid)
	want("no password", o.SetPassword(ctx, "carol@postern.test", ""), control.Invalid)
	want("nobody's password", o.SetPassword(ctx, "dan@postern.test", "p"), control.NotFound)
	want("password", o.SetPassword(ctx, "carol@postern.test", "q"), "")
	want("quota", o.SetQuota(ctx, "carol@postern.test", control.Quota{Octets: 10}), "")
	want("quota below nothing", o.SetQuota(ctx, "carol@postern.test", control.Quota{Octets: -1}), control.Invalid)
	want("files", o.SetFilesQuota(ctx, "carol@postern.test", 20), "")
	want("files below nothing", o.SetFilesQuota(ctx, "carol@postern.test", -2), control.Invalid)
	want("nobody's files", o.SetFilesQuota(ctx, "dan@postern.test", 20), control.NotFound)
	want("disable", o.SetDisabled(ctx, "carol@postern.test", true), "")
	want("alias", o.AddAlias(ctx, "Info@postern.test", []string{"Carol@postern.test", alice}), "")
	want("alias of nobody", o.AddAlias(ctx, "x@postern.test", nil), control.Invalid)
	want("alias elsewhere", o.AddAlias(ctx, "x@elsewhere.test", []string{alice}), control.Invalid)
	want("alias that is an account", o.AddAlias(ctx, bob, []string{alice}), control.Exists)
	want("account that is an alias", o.AddUser(ctx, control.NewUser{Email: "info@postern.test", Password: "p"}), control.Exists)
	want("catch-all", o.SetCatchAll(ctx, "Postern.test", "carol@postern.test"), "")
	want("catch-all elsewhere", o.SetCatchAll(ctx, "elsewhere.test", alice), control.Invalid)
	want("rename", o.RenameUser(ctx, "carol@postern.test", "New@postern.test"), "")
	all, err := o.Aliases(ctx)
	if err != nil || fmt.Sprint(all) != "{[{info@postern.test [alice@postern.test new@postern.test]}] [{postern.test new@postern.test}]}" {
		t.Errorf("%v, %v", all, err)
	}
	want("remove alias", o.RemoveAlias(ctx, "info@postern.test", []string{"new@postern.test"}), "")
	want("remove alias", o.RemoveAlias(ctx, "info@postern.test", nil), "")
	want("remove alias again", o.RemoveAlias(ctx, "info@postern.test", nil), control.NotFound)
	want("no catch-all", o.SetCatchAll(ctx, "postern.test", ""), "")
	users, err := o.Users(ctx)
	i := slices.IndexFunc(users, func(u control.User) bool { return u.Email == "new@postern.test" })
	if err != nil || i < 0 || users[i].Name != "Carol" || !users[i].Disabled || !users[i].SCRAM || users[i].Quota.Octets != 10 || users[i].FilesQuota != 20 {
		t.Errorf("%+v, %v", users, err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "U1", Size: 1, Mode: 0o600}))
	io.WriteString(w, "x")
	must(t, w.Close())
	n, err := o.Import(ctx, "new@postern.test", &b)
	if n.Added != 1 || err != nil {
		t.Errorf("%+v, %v", n, err)
	}
	var out bytes.Buffer
	want("export", o.Export(ctx, "new@postern.test", &out), "")
	if h, err := tar.NewReader(&out).Next(); err != nil || h.Name != "U1" {
		t.Errorf("%v, %v", h, err)
	}
	want("export of nobody", o.Export(ctx, "dan@postern.test", io.Discard), control.NotFound)
	want("remove with mail", o.RemoveUser(ctx, "new@postern.test", false), control.HasMail)
}

// What is due, and waits because its destination did not answer another message, is shown with that time and reason.
func TestQueueBehindAServerThatIsDown(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	until := time.Now().Add(10 * time.Minute).Truncate(time.Microsecond)
	s.admin.resting = func(destination string) time.Time {
		return map[string]time.Time{"down.test": until, "was.test": time.Now().Add(-time.Minute)}[destination]
	}
	s.submit(t, alice, "Subject: x\r\n\r\nx\r\n", "a@down.test", "b@was.test", "c@up.test", "d@down.test")
	rows, err := s.Admin().ListQueue(t.Context(), control.QueueFilter{})
	must(t, err)
	if _, err := s.Admin().ChangeQueue(t.Context(), control.Hold, control.QueueFilter{IDs: []int64{rows[3].ID}}); err != nil {
		t.Fatal(err)
	}
	v, err := s.Admin().ViewQueue(t.Context(), control.QueueFilter{})
	must(t, err)
	for i, r := range v.Rows {
		behind := r.NextTry.Equal(until) && strings.Contains(r.Problem, "did not answer")
		if behind != (i == 0) {
			t.Errorf("%+v", r)
		}
	}
	d, err := s.Admin().ShowQueue(t.Context(), rows[0].ID)
	if err != nil || !d.NextTry.Equal(until) {
		t.Errorf("%+v %v", d, err)
	}
}

// What waits for other servers can be looked at, held, released, hastened and dropped.
func TestQueueByHand(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	kicked := 0
	s.admin.tryNow = func(context.Context) { kicked++ }
	c, err := controld.Dial(t.Context(), s.cfg.Dir)
	must(t, err)
	defer c.Close()
	// Held first, so that no scheduler takes them meanwhile.
	s.submit(t, alice, "Subject: away\r\n\r\nbody\r\n", "x@elsewhere.test", "y@elsewhere.test", "z@nowhere.test")
	change := func(a control.QueueAction, f control.QueueFilter, want int) {
		t.Helper()
		if n, err := c.ChangeQueue(t.Context(), a, f); n != want || err != nil {
			t.Errorf("%s: %d, %v; want %d", a, n, err, want)
		}
	}
	change(control.Hold, control.QueueFilter{}, 3)
	rows, err := c.ListQueue(t.Context(), control.QueueFilter{Destination: "Elsewhere.test"})
	must(t, err)
	if len(rows) != 2 || rows[0].Recipient != "x@elsewhere.test" || rows[0].State != "held" || rows[0].Sender != alice {
		t.Fatalf("%+v", rows)
	}
	d, err := c.ShowQueue(t.Context(), rows[0].ID)
	if err != nil || !strings.Contains(d.Header, "Subject: away\r\n") || strings.Contains(d.Header, "body") {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.ShowQueue(t.Context(), 99); kind(err) != control.NotFound {
		t.Errorf("a row that there is not: %v", err)
	}
	change(control.Drop, control.QueueFilter{IDs: []int64{rows[1].ID}}, 1)
	change(control.Release, control.QueueFilter{Text: "NOWHERE"}, 1)
	change(control.Retry, control.QueueFilter{State: "waiting"}, 1)
	change(control.Drop, control.QueueFilter{}, 2)
	change(control.Drop, control.QueueFilter{}, 0)
	if _, err := c.ChangeQueue(t.Context(), "eat", control.QueueFilter{}); kind(err) != control.Invalid {
		t.Errorf("%v", err)
	}
	if kicked != 2 {
		t.Errorf("whoever delivers was told %d times", kicked)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	s.submit(t, alice, "Subject: x\r\n\r\n1\r\n", alice, bob)
	must(t, os.MkdirAll(filepath.Join(dir, "keys"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "keys/dkim.pem"), []byte("secret"), 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, "neighbour"), 0o700)) // another server's
	must(t, os.WriteFile(filepath.Join(dir, "neighbour", lockName), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "neighbour", "key"), []byte("theirs"), 0o600))
	c, err := controld.Dial(t.Context(), dir)
	must(t, err)
	var b bytes.Buffer
	must(t, c.Backup(t.Context(), &b))
	must(t, c.Close())
	before, fp := s.fetch(t, bob), s.Fingerprint()
	s.submit(t, alice, "Subject: x\r\n\r\nlater\r\n", bob)

	to := filepath.Join(t.TempDir(), "restored")
	report, err := Restore(t.Context(), bytes.NewReader(b.Bytes()), to)
	if err != nil || len(report.Findings) != 0 || report.Messages != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	again := start(t, testConfig(to))
	if after := again.fetch(t, bob); !maps.Equal(before, after) || again.Fingerprint() != fp {
		t.Errorf("%q became %q; the certificate is the same: %v", before, after, again.Fingerprint() == fp)
	}
	if text, err := os.ReadFile(filepath.Join(to, "keys/dkim.pem")); string(text) != "secret" || err != nil {
		t.Errorf("key %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(to, "neighbour")); err == nil {
		t.Error("another server's folder is in the backup")
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	if _, err := Restore(t.Context(), bytes.NewReader(b.Bytes()), to); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over what is there: %v", err)
	}
	parent := t.TempDir()
	for name, text := range map[string][]byte{
		"nothing": nil, "half": b.Bytes()[:b.Len()/2], "all but the end": b.Bytes()[:b.Len()-1024-512], "noise": []byte(strings.Repeat("x", 2000)), "another tar": other(t, "a", ""),
		"a way out": other(t, backupMark, "../out"), "a later format": other(t, "later", ""),
	} {
		if _, err := Restore(t.Context(), bytes.NewReader(text), filepath.Join(parent, "data")); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Restore(ctx, bytes.NewReader(b.Bytes()), filepath.Join(parent, "data")); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// other is a tar that is no backup.
func other(t *testing.T, first, second string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	mark := `{"format":1}`
	if first == "later" {
		first, mark = backupMark, `{"format":2}`
	}
	for _, name := range []string{first, second} {
		if name != "" {
			must(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(mark)), Mode: 0o600}))
			io.WriteString(w, mark)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	if _, err := Check(t.Context(), dir, nil, false); !errors.Is(err, ErrDataInUse) {
		t.Errorf("while the server runs: %v", err)
	}
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, "mail/tmp/000000000009.eml"), nil, 0o600))
	for _, mend := range []bool{false, true} {
		if r, err := Check(t.Context(), dir, nil, mend); err != nil || len(r.Findings) != 1 || r.Findings[0].Problem != maildrop.Leftover || r.Findings[0].Mended != mend {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if _, err := Check(t.Context(), filepath.Join(dir, "none"), nil, false); err == nil {
		t.Error("a folder that there is not")
	}
}
