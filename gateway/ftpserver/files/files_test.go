package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened is a folder of a store, and where it is on the disk.
func opened(t testing.TB, q Quota, o *Options) (f *Folder, dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := New(dir, o).Folder("1-a", q)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f, filepath.Join(dir, "1-a")
}

func put(f *Folder, p, content string, from From) error {
	u, err := f.Upload(p, from, func() {})
	if err != nil {
		return err
	}
	if content != "" {
		u.Write([]byte(content))
	}
	return u.Close()
}

func read(f *Folder, p string) (string, error) {
	file, err := f.Open(p, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	return string(b), err
}

func used(t testing.TB, f *Folder, octets, files int64) {
	t.Helper()
	if o, n := f.Used(); o != octets || n != files {
		t.Errorf("%d octets in %d files are counted, %d in %d are there", o, n, octets, files)
	}
}

func list(t testing.TB, f *Folder, p string) (names []string) {
	t.Helper()
	all, err := f.List(p)
	must(t, err)
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// Names of every script, and odd ones, are names.
func TestNames(t *testing.T) {
	f, _ := opened(t, Quota{}, nil)
	good := []string{"plain.txt", "Привет", "日本語のファイル", "한국어", "العربية", "עברית", "ไทย", "हिन्दी", "e\u0301", "é", "🦊.png", "-rf", "--help", "...", " leading", "trailing ", "a\"quote", "$(x)", "a;b|c&d", "%2e%2e", "..x", "~", "*?[", strings.Repeat("長", 85)}
	for _, name := range good {
		must(t, put(f, "/"+name, name, 0))
		if got, err := read(f, "/"+name); got != name || err != nil {
			t.Errorf("%q: %q %v", name, got, err)
		}
	}
	got := list(t, f, "/")
	slices.Sort(good)
	if !slices.Equal(got, good) {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"a\nb", "a\rb", "a\x00b", "\x1b[2J", "a\x7fb", "a\u009bb", "\xff", "a\xc3", strings.Repeat("x", 256), temporary + "x", strings.Repeat("x/", 40) + "x", strings.Repeat("x", 2000)} {
		for what, err := range map[string]error{"upload": put(f, "/"+name, "x", 0), "mkdir": f.Mkdir("/" + name), "rename": f.Rename("/plain.txt", "/"+name)} {
			if !errors.Is(err, ErrName) {
				t.Errorf("%s of %q: %v", what, name, err)
			}
		}
	}
	if got := list(t, f, "/"); len(got) != len(good) {
		t.Errorf("%q", got)
	}
}

// What other programs have put into a folder leads nowhere: it is not there.
func TestNothingLeadsOut(t *testing.T) {
	f, dir := opened(t, Quota{}, nil)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	must(t, os.MkdirAll(filepath.Join(outside, "folder", "deeper"), 0o700))
	must(t, f.Mkdir("/real"))
	must(t, put(f, "/real/file", "mine", 0))
	must(t, put(f, "/target", "mine", 0))

	farm := map[string]string{"absolute": secret, "relative": "../../" + filepath.Base(outside) + "/secret", "folder": filepath.Join(outside, "folder"), "inside": "target", "insidefolder": "real",
		"self": "self", "up": "..", "dangling": "nothing", "root": "/", "proc": "/proc/self/root", "long": strings.Repeat("real/../", 100) + "target"}
	for name, target := range farm {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	odd := []string{"absolute", "relative", "folder", "inside", "insidefolder", "self", "up", "dangling", "root", "proc", "long"}
	if err := os.Link(secret, filepath.Join(dir, "hard")); err == nil {
		odd = append(odd, "hard")
	}
	odd = append(odd, oddities(t, dir)...)

	if got := fmt.Sprint(list(t, f, "/")); got != "[real target]" {
		t.Errorf("listed are %s", got)
	}
	for _, name := range odd {
		done := make(chan struct{})
		go func() { // a pipe must not hold anybody
			defer close(done)
			p := "/" + name
			if _, err := f.Stat(p); err == nil {
				t.Errorf("%s: has a size", name)
			}
			if got, err := read(f, p); err == nil {
				t.Errorf("%s: reads %q", name, got)
			}
			for _, from := range []From{0, 2, End} {
				if err := put(f, p, "overwritten", from); err == nil {
					t.Errorf("%s: was written to from %d", name, from)
				}
			}
			for _, beneath := range []string{"/x", "/deeper/x", "/file", "/secret", "/etc/passwd"} {
				if _, err := f.Stat(p + beneath); err == nil {
					t.Errorf("%s%s is there", name, beneath)
				}
				if err := put(f, p+beneath, "x", 0); err == nil {
					t.Errorf("%s%s was written", name, beneath)
				}
			}
			for what, err := range map[string]error{"remove": f.Remove(p), "rmdir": f.RemoveFolder(p), "mkdir": f.Mkdir(p), "rename": f.Rename(p, "/taken"), "over": f.Rename("/target", p),
				"into": f.Rename("/target", p+"/x"), "touch": f.Touch(p, time.Unix(1, 0))} {
				if err == nil {
					t.Errorf("%s: %s went well", name, what)
				}
			}
			if _, err := f.List(p); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: was listed, or is told to be there: %v", name, err)
			}
			if _, err := f.Stat(p + "/x"); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: is told to be there: %v", name, err)
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: hangs", name)
		}
	}
	for path, want := range map[string]string{secret: "secret", filepath.Join(dir, "target"): "mine", filepath.Join(dir, "real", "file"): "mine"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
	if all, err := os.ReadDir(filepath.Join(outside, "folder")); err != nil || len(all) != 1 {
		t.Errorf("outside: %v %v", all, err)
	}
	used(t, f, 8, 3)

	store := f.store
	if err := os.Symlink(outside, filepath.Join(store.dir, "2-b")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Folder("2-b", Quota{}); err == nil {
		t.Error("a folder that is a link was opened")
	}
	for _, id := range []string{"", "..", ".", "a/b", "A", "x@y", strings.Repeat("a", 65)} {
		if _, err := store.Folder(id, Quota{}); err == nil {
			t.Errorf("%q is an id", id)
		}
	}
	must(t, store.Remove("1-a")) // and removing all follows nothing
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("after removing: %q %v", got, err)
	}
}

// A name that changes between the look and the opening leads nowhere either.
func TestSwaps(t *testing.T) {
	f, dir := opened(t, Quota{}, nil)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "file"), []byte("secret"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "folder", "file"), []byte("mine"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "another"), 0o700)) // of the same user's, and still not what was asked for
	must(t, os.WriteFile(filepath.Join(dir, "another", "file"), []byte("secret"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "folder", "secret"), []byte("secret"), 0o600))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // another process, which swaps as fast as it can
		defer close(done)
		folder, away := filepath.Join(dir, "folder"), filepath.Join(dir, "away")
		file, aside := filepath.Join(folder, "file"), filepath.Join(folder, "aside")
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(folder, away)
			os.Symlink(outside, folder)
			os.Remove(folder)
			os.Symlink("another", folder)
			os.Remove(folder)
			os.Rename(away, folder)
			os.Rename(file, aside)
			os.Symlink(filepath.Join(outside, "file"), file)
			os.Remove(file)
			os.Symlink("secret", file)
			os.Remove(file)
			os.Rename(aside, file)
		}
	}()
	seen := 0
	for until := time.Now().Add(time.Second); time.Now().Before(until) || seen == 0 && time.Now().Before(until.Add(20*time.Second)); {
		if got, err := read(f, "/folder/file"); err == nil && strings.Contains(got, "s") {
			t.Errorf("read %q", got)
		} else if err == nil {
			seen++
		}
		if err := put(f, "/folder/file", "w", 1); err == nil {
			seen++
		}
		put(f, "/folder/new", "w", 0)
		f.Remove("/folder/new")
		f.Rename("/folder/new", "/folder/newer")
		f.Touch("/folder/file", time.Now())
		if entries, err := f.List("/folder"); err == nil {
			for _, e := range entries {
				if e.Size() == 6 && e.Name() != "secret" {
					t.Errorf("what is outside was listed: %s", e.Name())
				}
			}
		}
	}
	close(stop)
	<-done
	if got, err := os.ReadFile(filepath.Join(outside, "file")); err != nil || string(got) != "secret" {
		t.Errorf("outside is changed: %q %v", got, err)
	}
	for _, name := range []string{"another/file", "folder/secret"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "secret" {
			t.Errorf("%s is changed: %q %v", name, got, err)
		}
	}
	if all, _ := os.ReadDir(outside); len(all) != 1 {
		t.Errorf("outside has %v", all)
	}
	if seen == 0 {
		t.Error("nothing was ever read or written: this says nothing")
	}
}

func TestCuts(t *testing.T) {
	f, dir := opened(t, Quota{}, nil)
	cut := func(p, content string, from From) error {
		u, err := f.Upload(p, from, func() {})
		must(t, err)
		if content != "" {
			_, err = u.Write([]byte(content))
			must(t, err)
		}
		u.Cut(io.ErrUnexpectedEOF)
		return u.Close()
	}
	must(t, put(f, "/old", "the old version", 0))
	for _, step := range []struct {
		p, content string
		from       From
		want       string
		octets     int64
	}{
		{"/new", "", 0, "", 15}, {"/old", "", 0, "the old version", 15}, // nothing came: nothing has changed
		{"/new", "part", 0, "part", 19}, {"/new", " two", 4, "part two", 23}, {"/new", " three", End, "part two three", 29},
		{"/old", "the new", 0, "the new", 21},
	} {
		if err := cut(step.p, step.content, step.from); !IsCut(err) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%+v: %v", step, err)
		}
		if got, err := read(f, step.p); got != step.want || (err != nil) != (step.want == "") {
			t.Errorf("%+v: %q %v", step, got, err)
		}
		octets, _ := f.Used()
		if octets != step.octets {
			t.Errorf("%+v: %d octets are counted", step, octets)
		}
	}
	must(t, put(f, "/old", " version", 7))
	if got, _ := read(f, "/old"); got != "the new version" {
		t.Errorf("%q", got)
	}
	if all, _ := os.ReadDir(dir); len(all) != 2 {
		t.Errorf("%v is left", all)
	}
	used(t, f, 29, 2)
}

// What another program has made shorter meanwhile does not get the rest in the wrong place.
func TestShorterMeanwhile(t *testing.T) {
	f, dir := opened(t, Quota{}, nil)
	must(t, put(f, "/it", "0123456789", 0))
	u, err := f.Upload("/it", 8, func() {})
	must(t, err)
	must(t, os.Truncate(filepath.Join(dir, "it"), 4))
	if _, err := u.Write([]byte("rest")); !errors.Is(err, ErrBeyond) {
		t.Error(err)
	}
	if err := u.Close(); !errors.Is(err, ErrBeyond) {
		t.Error(err)
	}
	if got, _ := read(f, "/it"); got != "0123" {
		t.Errorf("%q", got)
	}
}

// Who reads a file while it is replaced has the old one, and the new one only when it is whole.
func TestReplacing(t *testing.T) {
	f, dir := opened(t, Quota{}, nil)
	must(t, put(f, "/it", "old", 0))
	u, err := f.Upload("/it", 0, func() {})
	must(t, err)
	u.Write([]byte("new, and longer"))
	if got, _ := read(f, "/it"); got != "old" {
		t.Errorf("%q", got)
	}
	if got := list(t, f, "/"); len(got) != 1 {
		t.Errorf("%q", got)
	}
	for what, err := range map[string]error{"upload": put(f, "/it", "x", 0), "append": put(f, "/it", "x", End), "remove": f.Remove("/it"), "rename": f.Rename("/it", "/x")} {
		if !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, u.Close())
	if got, _ := read(f, "/it"); got != "new, and longer" {
		t.Errorf("%q", got)
	}
	must(t, u.Close()) // twice is once
	// Of a crash in between nothing is left but the old one.
	u, err = f.Upload("/it", 0, func() {})
	must(t, err)
	u.Write([]byte("lost"))
	leftover, _ := os.ReadDir(dir)
	if len(leftover) != 2 {
		t.Errorf("%v", leftover)
	}
	again, err := New(filepath.Dir(dir), nil).Folder("1-a", Quota{})
	must(t, err)
	used(t, again, 15, 1)
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v", left)
	}
	must(t, again.Close())
	u.Cut(io.EOF)
	u.Close()
}

// What is refused in its middle leaves what was there before, and the last place goes to whose first octet comes first.
func TestRefusedInTheMiddle(t *testing.T) {
	f, dir := opened(t, Quota{Octets: 150, Files: 2}, nil)
	must(t, put(f, "/old", strings.Repeat("o", 100), 0))
	u, err := f.Upload("/old", End, func() {})
	must(t, err)
	for i, want := range []error{nil, ErrQuota, ErrQuota} {
		if _, err := u.Write(make([]byte, 30)); !errors.Is(err, want) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if err := u.Close(); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	if got, _ := read(f, "/old"); got != strings.Repeat("o", 100) {
		t.Errorf("%d octets", len(got))
	}
	used(t, f, 100, 1)
	first, err := f.Upload("/a", 0, func() {})
	must(t, err)
	second, err := f.Upload("/b", 0, func() {})
	must(t, err)
	if _, err := second.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := first.Write([]byte("x")); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	if err := first.Close(); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	must(t, second.Close())
	used(t, f, 101, 2)
	if all, _ := os.ReadDir(dir); len(all) != 2 {
		t.Errorf("%v", all)
	}
}

// A folder does not go while something is to come into it, even before its first octet.
func TestFolderIsAwaited(t *testing.T) {
	f, _ := opened(t, Quota{}, nil)
	must(t, f.Mkdir("/folder"))
	u, err := f.Upload("/folder/it", 0, func() {})
	must(t, err)
	for what, err := range map[string]error{"remove": f.RemoveFolder("/folder"), "rename": f.Rename("/folder", "/x")} {
		if !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, u.Close())
	if got, err := read(f, "/folder/it"); got != "" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// An upload whose client is gone gives way to the one that comes back.
func TestTakingOver(t *testing.T) {
	now := time.Now()
	f, _ := opened(t, Quota{}, &Options{now: func() time.Time { return now }})
	var first *Upload
	cut := make(chan struct{})
	first, err := f.Upload("/it", 0, func() { close(cut) })
	must(t, err)
	first.Write([]byte("first"))
	now = now.Add(9 * time.Second)
	if _, err := f.Upload("/it", 5, func() {}); !errors.Is(err, ErrBusy) {
		t.Errorf("after 9 seconds: %v", err)
	}
	now = now.Add(2 * time.Second)
	go func() {
		<-cut
		first.Cut(io.ErrClosedPipe)
		first.Close()
	}()
	must(t, put(f, "/it", " second", 5))
	if got, _ := read(f, "/it"); got != "first second" {
		t.Errorf("%q", got)
	}
}

// However many write at once, no octet more than the quota is there.
func TestQuotaTogether(t *testing.T) {
	const quota = 10_000
	f, dir := opened(t, Quota{Octets: quota, Files: 30}, nil)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			u, err := f.Upload(fmt.Sprint("/", i%35), []From{0, End}[i%2], func() {})
			if err != nil {
				return
			}
			for range 20 {
				u.Write(make([]byte, 37))
			}
			if i%3 == 0 {
				u.Cut(io.EOF)
			}
			u.Close()
		})
	}
	wg.Wait()
	octets, files := int64(0), int64(0)
	all, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range all {
		info, err := e.Info()
		must(t, err)
		octets, files = octets+info.Size(), files+1
	}
	if octets > quota || files > 30 {
		t.Errorf("%d octets in %d files", octets, files)
	}
	used(t, f, octets, files)
}

func TestEntries(t *testing.T) {
	f, dir := opened(t, Quota{}, &Options{Limits: Limits{Entries: 10_000}})
	for i := range 10_000 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d", i)), nil, 0o600))
	}
	if got := list(t, f, "/"); len(got) != 10_000 || !slices.IsSorted(got) {
		t.Errorf("%d", len(got))
	}
	g, err := New(filepath.Dir(dir), &f.store.opts).Folder("1-a", Quota{}) // which has counted them
	must(t, err)
	defer g.Close()
	if err := put(g, "/one more", "x", 0); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	if err := g.Mkdir("/one more"); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	must(t, put(g, "/00000", "x", 0))
	must(t, os.WriteFile(filepath.Join(dir, "by somebody else"), nil, 0o600))
	if _, err := f.List("/"); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
}

// What the disk has not confirmed is not acknowledged, and an old version is not given up for it.
func TestFlush(t *testing.T) {
	flushed, broken := 0, false
	f, dir := opened(t, Quota{}, &Options{flush: func(file *os.File) error {
		if flushed++; broken {
			return errors.New("input/output error")
		}
		return file.Sync()
	}})
	for i, from := range []From{0, 0, End, 3} {
		must(t, put(f, "/it", "content", from))
		if flushed != i+1 {
			t.Errorf("%d uploads, %d times flushed", i+1, flushed)
		}
	}
	broken = true
	for _, p := range []string{"/it", "/new"} {
		if err := put(f, p, "lost", 0); !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if got, _ := read(f, "/it"); got != "concontent" {
		t.Errorf("%q", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v", left)
	}
	used(t, f, 10, 1)
}

func TestDisk(t *testing.T) {
	full := false
	f, _ := opened(t, Quota{}, &Options{Room: func(int64) error {
		if full {
			return errors.New("full")
		}
		return nil
	}})
	u, err := f.Upload("/it", 0, func() {})
	must(t, err)
	block := make([]byte, 1<<20)
	for range 3 {
		_, err := u.Write(block)
		must(t, err)
	}
	full = true
	if _, err := u.Write(block); !errors.Is(err, ErrDisk) {
		t.Error(err)
	}
	if err := u.Close(); !errors.Is(err, ErrDisk) {
		t.Error(err)
	}
	used(t, f, 0, 0)
}

// What should not be there is found, and only what was never whole is mended.
func TestCheck(t *testing.T) {
	f, dir := opened(t, Quota{}, &Options{Limits: Limits{Depth: 3}})
	store := f.store
	must(t, f.Mkdir("/folder"))
	must(t, put(f, "/folder/file", "content", 0))
	must(t, put(f, "/ä", "content", 0))
	var found []string
	look := func(mend bool) {
		t.Helper()
		found = nil
		octets, files, err := store.Check(mend, func(id string) bool { return id == "1-a" }, func(kind, where, wrong, remedy string, mended bool) {
			found = append(found, fmt.Sprintf("%s %q %v %v", kind, where, remedy != "", mended))
		})
		if must(t, err); octets != 14 || files < 3 {
			t.Errorf("%d octets in %d files", octets, files)
		}
		slices.Sort(found)
	}
	if look(false); len(found) != 0 {
		t.Errorf("%q", found)
	}
	must(t, os.WriteFile(filepath.Join(dir, "folder", temporary+"x"), []byte("part"), 0o600))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "folder", "link")))
	must(t, os.WriteFile(filepath.Join(dir, "a\nb"), nil, 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b", "c", "d"), 0o700))
	must(t, os.MkdirAll(filepath.Join(store.dir, "2-b", "x"), 0o700))
	must(t, os.WriteFile(filepath.Join(store.dir, "3-c"), nil, 0o600))
	must(t, os.Symlink("1-a", filepath.Join(store.dir, "4-d")))
	want := []string{`folder of nobody "2-b" false false`, `leftover "1-a/folder/` + temporary + `x" true false`, `strange file "1-a/a/b/c/d" false false`, `strange file "1-a/a\nb" false false`,
		`strange file "1-a/folder/link" false false`, `strange file "3-c" false false`, `strange file "4-d" false false`}
	if look(false); !slices.Equal(found, want) {
		t.Errorf("%q", found)
	}
	want[1] = strings.TrimSuffix(want[1], "false") + "true"
	if look(true); !slices.Equal(found, want) {
		t.Errorf("%q", found)
	}
	if look(true); !slices.Equal(found, slices.Delete(want, 1, 2)) {
		t.Errorf("%q", found)
	}
	if got, _ := read(f, "/folder/file"); got != "content" {
		t.Errorf("%q", got)
	}
	none := New(filepath.Join(dir, "none"), nil)
	if _, files, err := none.Check(true, nil, nil); err != nil || files != 0 {
		t.Errorf("%d %v", files, err)
	}
}

// repeating is a folder that tells of a name twice.
type repeating [][]string

func (r *repeating) Readdirnames(int) (names []string, err error) {
	if len(*r) == 0 {
		return nil, io.EOF
	}
	names, *r = (*r)[0], (*r)[1:]
	return names, nil
}

func TestEachNameOnce(t *testing.T) {
	var got []string
	must(t, eachName(&repeating{{"a", "b"}, {"c", "a"}, {"a"}}, func(name string) error {
		got = append(got, name)
		return nil
	}))
	if fmt.Sprint(got) != "[a b c]" {
		t.Errorf("%q", got)
	}
}

func FuzzPaths(f *testing.F) {
	for _, s := range []string{"/", "..", "../../etc/passwd", "/a/../../b", "a//b", "a/./b", "\\..\\x", "a\x00b", "/link/x", "/link/../link", ".postern-upload-", "con", "a:b", strings.Repeat("../", 500)} {
		f.Add(s)
	}
	parent := f.TempDir()
	dir := filepath.Join(parent, "store")
	must(f, os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o600))
	store := New(dir, nil)
	folder, err := store.Folder("1-a", Quota{Files: 1000, Octets: 100_000})
	must(f, err)
	must(f, os.Symlink("../..", filepath.Join(dir, "1-a", "link")))
	f.Cleanup(func() { folder.Close() })
	f.Fuzz(func(t *testing.T, p string) {
		content := "fuzz"
		if err := put(folder, p, content, 0); err == nil {
			if got, err := read(folder, p); got != content || err != nil {
				t.Errorf("%q: %q %v", p, got, err)
			}
			e, err := folder.Stat(p)
			if err != nil || e.Size() != 4 || strings.ContainsAny(e.Name(), "/\x00\r\n") {
				t.Errorf("%q: %+v %v", p, e, err)
			}
			must(t, folder.Remove(p))
		}
		if err := folder.Mkdir(p); err == nil {
			must(t, folder.RemoveFolder(p))
		}
		folder.List(p)
		folder.Touch(p, time.Unix(1, 0))
		if err := folder.Rename(p, p+"x"); err == nil {
			t.Errorf("%q: there was nothing to move", p)
		}
		used(t, folder, 0, 0)
		all, err := os.ReadDir(parent)
		if err != nil || len(all) != 2 {
			t.Fatalf("%q: outside has %v", p, all)
		}
		if in, _ := os.ReadDir(dir); len(in) != 1 {
			t.Fatalf("%q: other folders: %v", p, in)
		}
		if got, _ := os.ReadFile(filepath.Join(parent, "secret")); string(got) != "secret" {
			t.Fatalf("%q: %q", p, got)
		}
	})
}

// Folders that are moved into folders come no deeper than paths do: beyond, nothing would be counted, and the quota be none.
func TestNothingIsHiddenDeep(t *testing.T) {
	f, _ := opened(t, Quota{Octets: 1000}, &Options{Limits: Limits{Depth: 4}})
	for _, p := range []string{"/a", "/a/b", "/a/b/c", "/x", "/x/y"} {
		must(t, f.Mkdir(p))
	}
	must(t, put(f, "/x/y/file", "content", 0))
	for _, to := range []string{"/a/x", "/a/b/x", "/a/b/c/x"} {
		if err := f.Rename("/x", to); !errors.Is(err, ErrName) && to != "/a/x" || err != nil && to == "/a/x" {
			t.Errorf("%s: %v", to, err)
		} else if err == nil {
			if got, err := read(f, to+"/y/file"); err != nil || got != "content" {
				t.Errorf("%s: %q %v", to, got, err)
			}
			must(t, f.Rename(to, "/x"))
		}
	}
	must(t, f.Mkdir("/empty"))
	must(t, f.Rename("/empty", "/a/b/c/empty")) // as deep as may be, with nothing in it
	if err := f.Rename("/a", "/x/a"); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	must(t, f.Rename("/x/y/file", "/a/b/c/file"))
}

// Nor do their paths become longer than those that clients can say: no system takes those for ever, and a backup that has one would
// not be restored.
func TestNothingIsHiddenFar(t *testing.T) {
	f, dir := opened(t, Quota{}, &Options{Limits: Limits{Path: 1000}})
	name := "/" + strings.Repeat("n", 249)
	far := func(p string) error { return f.Rename("/far", p+"/far") }
	must(t, f.Mkdir("/far"))
	must(t, f.Mkdir("/far"+name))
	must(t, put(f, "/far"+name+name, "content", 0))
	p := ""
	for range 3 {
		p += name
		must(t, f.Mkdir(p))
	}
	for _, to := range []string{name + name + name, name + name} {
		if err := far(to); !errors.Is(err, ErrName) {
			t.Errorf("to %d octets: %v", len(to), err)
		}
	}
	must(t, far(name))
	longest := 0
	must(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, _ error) error {
		longest = max(longest, len(name)-len(dir))
		return nil
	}))
	if longest > 1000 || longest < 750 {
		t.Errorf("%d octets", longest)
	}
	if got, err := read(f, name+"/far"+name+name); err != nil || got != "content" {
		t.Errorf("%q %v", got, err)
	}
}

// A folder with many files in it holds up nobody else, and those who come to it at a time count it once.
func TestFoldersOpenBesideEachOther(t *testing.T) {
	_, dir := opened(t, Quota{}, nil)
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600))
	store := New(filepath.Dir(dir), nil)
	blocked := &Folder{store: store, id: "9-z", users: 1, ready: make(chan struct{}), uploads: map[string]*Upload{}}
	store.open["9-z"] = blocked // it is being counted
	waits := make(chan error, 1)
	go func() {
		f, err := store.Folder("9-z", Quota{})
		if err == nil {
			err = f.Close()
		}
		waits <- err
	}()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			f, err := store.Folder("1-a", Quota{})
			if err != nil {
				t.Error(err)
				return
			}
			used(t, f, 7, 1)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	select {
	case err := <-waits:
		t.Errorf("it is not ready, and opened: %v", err)
	default:
	}
	blocked.broken = ErrFailed
	close(blocked.ready)
	if err := <-waits; !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	must(t, store.leave(blocked))
	if len(store.open) != 0 {
		t.Errorf("%d are open", len(store.open))
	}
	f, err := store.Folder("9-z", Quota{}) // another time it may go well
	must(t, err)
	must(t, f.Close())
}
