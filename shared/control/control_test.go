package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a server that notes what it is asked.
type recorder struct {
	watching, watched chan struct{} // if not nil: WatchQueue has begun, and ended with its context

	calls []string
	fail  error
	big   int // octets that Backup and Export give
	got   []byte
	cut   bool // Backup fails after what it gave
}

func (r *recorder) note(name string, args ...any) error {
	text, _ := json.Marshal(args)
	r.calls = append(r.calls, name+string(text))
	return r.fail
}

func (r *recorder) AddUser(_ context.Context, u NewUser) error { return r.note("add", u) }
func (r *recorder) SetPassword(_ context.Context, e, p string) error {
	return r.note("password", e, p)
}
func (r *recorder) RenameUser(_ context.Context, a, b string) error { return r.note("rename", a, b) }
func (r *recorder) RemoveUser(_ context.Context, e string, m bool) error {
	return r.note("remove", e, m)
}
func (r *recorder) Users(context.Context) ([]User, error) {
	return []User{{Email: "a@b.test", Created: time.Unix(1, 0).UTC(), Quota: Quota{Octets: 1 << 40}}}, r.note("users")
}
func (r *recorder) SetQuota(_ context.Context, e string, q Quota) error {
	return r.note("quota", e, q)
}
func (r *recorder) SetFilesQuota(_ context.Context, e string, n int64) error {
	return r.note("files", e, n)
}
func (r *recorder) SetDisabled(_ context.Context, e string, d bool) error {
	return r.note("disable", e, d)
}
func (r *recorder) SetAdmin(_ context.Context, e string, on bool) error {
	return r.note("admin", e, on)
}
func (r *recorder) AddAlias(_ context.Context, a string, to []string) error {
	return r.note("alias", a, to)
}
func (r *recorder) RemoveAlias(_ context.Context, a string, to []string) error {
	return r.note("unalias", a, to)
}
func (r *recorder) Aliases(context.Context) (Addresses, error) {
	return Addresses{Aliases: []Alias{{"x@b.test", []string{"a@b.test"}}}}, r.note("aliases")
}
func (r *recorder) SetCatchAll(_ context.Context, d, a string) error {
	return r.note("catchall", d, a)
}
func (r *recorder) Backup(_ context.Context, w io.Writer) error {
	if err := r.note("backup"); err != nil {
		return err
	}
	if _, err := w.Write(bytes.Repeat([]byte("b"), r.big)); err != nil {
		return err
	}
	if r.cut {
		return errors.New("the disk ended")
	}
	return nil
}
func (r *recorder) Export(_ context.Context, e string, w io.Writer) error {
	_, err := w.Write(bytes.Repeat([]byte("e"), r.big))
	return errors.Join(err, r.note("export", e))
}
func (r *recorder) Import(_ context.Context, e string, in io.Reader) (Imported, error) {
	if err := r.note("import", e); err != nil {
		return Imported{}, err
	}
	var err error
	r.got, err = io.ReadAll(in)
	return Imported{Added: len(r.got)}, err
}
func (r *recorder) ListQueue(_ context.Context, f QueueFilter) ([]QueueRow, error) {
	return []QueueRow{{ID: 7}}, r.note("list", f)
}
func (r *recorder) ShowQueue(_ context.Context, id int64) (QueueDetail, error) {
	return QueueDetail{QueueRow: QueueRow{ID: id}, Transcript: "said"}, r.note("show", id)
}
func (r *recorder) ChangeQueue(_ context.Context, a QueueAction, f QueueFilter) (int, error) {
	return 3, r.note("change", a, f)
}
func (r *recorder) ViewQueue(_ context.Context, f QueueFilter) (QueueView, error) {
	return QueueView{Revision: 5, Rows: []QueueRow{{ID: 7}}, Matching: 9, Held: 2}, r.note("view", f)
}
func (r *recorder) WatchQueue(ctx context.Context, since uint64) (uint64, error) {
	if r.watching != nil {
		close(r.watching)
		<-ctx.Done()
		close(r.watched)
		return since, ctx.Err()
	}
	return since + 1, r.note("watch", since)
}
func (r *recorder) ShowWorld(context.Context) (WorldState, error) {
	return WorldState{Rate: 1, Servers: []WorldServer{{Hostname: "a.test", Waiting: 2}}}, r.note("world")
}
func (r *recorder) SetFault(_ context.Context, f Fault) (WorldState, error) {
	return WorldState{Faults: []Fault{f}}, r.note("fault", f)
}
func (r *recorder) SetClock(_ context.Context, c ClockChange) (WorldState, error) {
	return WorldState{Rate: c.Rate, Ahead: c.Jump}, r.note("clock", c)
}

func serve(t testing.TB, s *Server) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	ended := make(chan struct{})
	go func() { s.ServeConn(context.Background(), there); close(ended) }()
	t.Cleanup(func() { here.Close(); <-ended })
	return here
}

// Everything that can be asked arrives, and so does its answer.
func TestEveryOperation(t *testing.T) {
	r := &recorder{big: 200_000}
	c := NewClient(serve(t, &Server{Operations: r, Queue: r, World: r}), Limits{})
	ctx := t.Context()
	var out bytes.Buffer
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(c.AddUser(ctx, NewUser{"a@b.test", "A", "p"}))
	must(c.SetPassword(ctx, "a", "p"))
	must(c.RenameUser(ctx, "a", "b"))
	must(c.RemoveUser(ctx, "a", true))
	users, err := c.Users(ctx)
	must(err)
	must(c.SetQuota(ctx, "a", Quota{1, 2}))
	must(c.SetFilesQuota(ctx, "a", NoLimit))
	must(c.SetDisabled(ctx, "a", true))
	must(c.SetAdmin(ctx, "a", true))
	must(c.AddAlias(ctx, "x", []string{"a", "b"}))
	must(c.RemoveAlias(ctx, "x", nil))
	aliases, err := c.Aliases(ctx)
	must(err)
	must(c.SetCatchAll(ctx, "b.test", "a"))
	must(c.Backup(ctx, &out))
	must(c.Export(ctx, "a", &out))
	sent := bytes.Repeat([]byte("i"), 300_000)
	n, err := c.Import(ctx, "a", bytes.NewReader(sent))
	must(err)
	rows, err := c.ListQueue(ctx, QueueFilter{State: "held", IDs: []int64{1}})
	must(err)
	detail, err := c.ShowQueue(ctx, 9)
	must(err)
	changed, err := c.ChangeQueue(ctx, Hold, QueueFilter{Destination: "d"})
	must(err)
	view, err := c.ViewQueue(ctx, QueueFilter{Text: "x", After: 3})
	must(err)
	revision, err := c.WatchQueue(ctx, 1<<53)
	must(err)
	if view.Revision != 5 || view.Rows[0].ID != 7 || view.Matching != 9 || view.Held != 2 || revision != 1<<53+1 {
		t.Errorf("%+v, %d", view, revision)
	}
	shown, err := c.ShowWorld(ctx)
	must(err)
	fault := Fault{Domain: "b.test", Kind: FaultGreylist, For: 10 * time.Minute}
	faulty, err := c.SetFault(ctx, fault)
	must(err)
	moved, err := c.SetClock(ctx, ClockChange{Rate: 60.5, Jump: time.Hour})
	must(err)
	want := []string{
		`add[{"email":"a@b.test","name":"A","password":"p"}]`, `password["a","p"]`, `rename["a","b"]`, `remove["a",true]`, `users`, `quota["a",{"octets":1,"messages":2}]`, `files["a",-1]`,
		`disable["a",true]`, `admin["a",true]`, `alias["x",["a","b"]]`, `unalias["x",null]`, `aliases`, `catchall["b.test","a"]`, `backup`, `export["a"]`, `import["a"]`,
		`list[{"ids":[1],"state":"held"}]`, `show[9]`, `change["hold",{"destination":"d"}]`,
		`view[{"text":"x","after":3}]`, `watch[9007199254740992]`,
		`world`, `fault[{"domain":"b.test","kind":"greylist","for":600000000000}]`, `clock[{"rate":60.5,"jump":3600000000000}]`,
	}
	for i := range r.calls {
		r.calls[i] = strings.TrimSuffix(r.calls[i], "null")
	}
	if d := cmp.Diff(want, r.calls); d != "" {
		t.Error(d)
	}
	if len(r.calls) != len(operations) {
		t.Errorf("%d operations were tried, there are %d", len(r.calls), len(operations))
	}
	if out.String() != strings.Repeat("b", r.big)+strings.Repeat("e", r.big) || !bytes.Equal(r.got, sent) || n.Added != len(sent) {
		t.Errorf("streams of %d and %d octets, %+v", out.Len(), len(r.got), n)
	}
	if !reflect.DeepEqual(users[0], User{Email: "a@b.test", Created: time.Unix(1, 0).UTC(), Quota: Quota{Octets: 1 << 40}}) || aliases.Aliases[0].Accounts[0] != "a@b.test" || rows[0].ID != 7 || detail.ID != 9 || detail.Transcript != "said" || changed != 3 {
		t.Errorf("%v %v %v %v %v", users, aliases, rows, detail, changed)
	}
	if shown.Servers[0].Waiting != 2 || faulty.Faults[0] != fault || moved.Rate != 60.5 || moved.Ahead != time.Hour {
		t.Errorf("%v %v %v", shown, faulty, moved)
	}
}

func TestErrors(t *testing.T) {
	r := &recorder{fail: &Error{Kind: NotFound, Text: "no such thing"}, big: 10}
	c := NewClient(serve(t, &Server{Operations: r}), Limits{})
	var told *Error
	for name, err := range map[string]error{
		"call": c.SetPassword(t.Context(), "a", "b"), "give": c.Backup(t.Context(), io.Discard),
		"give, late": c.Export(t.Context(), "a", io.Discard),
	} {
		if !errors.As(err, &told) || told.Kind != NotFound || told.Text != "no such thing" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was sent and not wanted is not taken for the next request.
	if _, err := c.Import(t.Context(), "a", bytes.NewReader(make([]byte, 200_000))); !errors.As(err, &told) || told.Kind != NotFound {
		t.Errorf("import: %v", err)
	}
	if _, err := c.ListQueue(t.Context(), QueueFilter{}); !errors.As(err, &told) || told.Kind != Unsupported {
		t.Errorf("a queue that there is not: %v", err)
	}
	if _, err := c.ShowWorld(t.Context()); !errors.As(err, &told) || told.Kind != Unsupported {
		t.Errorf("a world that there is not: %v", err)
	}
	r.fail = errors.New("disk on fire")
	if err := c.SetPassword(t.Context(), "a", "b"); !errors.As(err, &told) || told.Kind != Failed {
		t.Errorf("any error: %v", err)
	}
	r.fail, r.cut = nil, true
	if err := c.Backup(t.Context(), io.Discard); err == nil || err.Error() != "the disk ended" {
		t.Errorf("half a backup: %v", err)
	}
	if Wrap(Failed, nil) != nil || Wrap(Exists, told) != error(told) {
		t.Error("Wrap is wrong")
	}
}

// A source that fails is not taken for one that has ended.
func TestImportOfHalf(t *testing.T) {
	r := &recorder{}
	c := NewClient(serve(t, &Server{Operations: r}), Limits{})
	_, err := c.Import(t.Context(), "a", io.MultiReader(strings.NewReader("half"), failing{}))
	if err == nil || !strings.Contains(err.Error(), "torn") {
		t.Errorf("%v", err)
	}
	if err := c.SetPassword(t.Context(), "a", "b"); err == nil {
		t.Error("the connection is used on")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the tape is torn") }

func TestHostilePeers(t *testing.T) {
	for name, c := range map[string]struct{ send, want string }{
		"no JSON":         {"hello\n", ""},
		"another version": {`{"postern":2,"op":"user.list"}` + "\n", `{"error":{"kind":"unsupported"`},
		"unknown":         {`{"postern":1,"op":"shutdown"}` + "\n", `{"error":{"kind":"unsupported"`},
		"wrong arguments": {`{"postern":1,"op":"user.quota","args":{"email":1}}` + "\n", `{"error":{"kind":"invalid"`},
		"no arguments":    {`{"postern":1,"op":"user.password"}` + "\n", `{"result":{}}`},
		"too long":        {`{"postern":1,"op":"` + strings.Repeat("x", 70_000) + `"}` + "\n", ""},
		"a chunk too big": {`{"postern":1,"op":"import"}` + "\n\xff\xff\xff\xff", `{"error":{"kind":"failed"`},
	} {
		conn := serve(t, &Server{Operations: &recorder{}})
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		go func() { io.WriteString(conn, c.send) }()
		buf := make([]byte, 200)
		n, err := conn.Read(buf)
		if !strings.HasPrefix(string(buf[:n]), c.want) || c.want == "" && err != io.EOF {
			t.Errorf("%s: %q, %v", name, buf[:n], err)
		}
	}
}

func TestIdlePeer(t *testing.T) {
	conn := serve(t, &Server{Operations: &recorder{}, Limits: Limits{Idle: 10 * time.Millisecond}})
	go io.WriteString(conn, `{"postern":1,`)
	if b, err := io.ReadAll(conn); len(b) != 0 || err != nil {
		t.Errorf("%q, %v: the server should have closed", b, err)
	}
}

func TestServerGoesAway(t *testing.T) {
	here, there := net.Pipe()
	c := NewClient(here, Limits{})
	go func() { io.ReadAtLeast(there, make([]byte, 1000), 10); there.Close() }()
	if _, err := c.Users(t.Context()); err == nil || !strings.Contains(err.Error(), "went away") {
		t.Errorf("%v", err)
	}
	here, there = net.Pipe()
	defer there.Close()
	c = NewClient(here, Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { io.ReadAtLeast(there, make([]byte, 1000), 10); cancel() }()
	if _, err := c.Users(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func FuzzServer(f *testing.F) {
	for op := range operations {
		f.Add([]byte(fmt.Sprintf(`{"postern":1,"op":%q,"args":{}}`, op) + "\n\x00\x00\x00\x01x\x00\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		s := &Server{Operations: &recorder{big: 10}, Queue: &recorder{}, World: &recorder{}, Limits: Limits{Idle: 5 * time.Second}}
		here, there := net.Pipe()
		ended := make(chan struct{})
		go func() { s.ServeConn(context.Background(), there); close(ended) }()
		go func() { here.Write(input); here.Close() }()
		io.Copy(io.Discard, here)
		<-ended
	})
}
