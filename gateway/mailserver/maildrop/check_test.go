package maildrop

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// history is a closed store with mail of every kind: contents 1 to 6.
func history(t testing.TB, dir string) {
	t.Helper()
	s := world(t, dir, nil)
	must(t, deliver(s, "both\r\n", Envelope{Local: []string{alice, bob}, Trace: "Return-Path: <>\r\n"}))
	must(t, deliver(s, "hers\r\n", Envelope{Local: []string{alice}}))
	must(t, deliver(s, "hers and away\r\n", Envelope{From: alice, Local: []string{alice}, Remote: []Recipient{{Address: "x@elsewhere.test"}}}))
	must(t, deliver(s, "away\r\n", Envelope{From: alice, Remote: []Recipient{{Address: "x@elsewhere.test"}, {Address: "y@elsewhere.test"}}}))
	must(t, deliver(s, "his\r\n", Envelope{Local: []string{bob}}))
	must(t, deliver(s, "last\r\n", Envelope{Local: []string{bob}}))
	must(t, s.AddAlias("all@postern.test", alice, bob))
	must(t, s.SetCatchAll("postern.test", alice))
	must(t, s.Close())
}

// tamper runs a statement that the store never would, with no foreign keys and no triggers.
func tamper(t testing.TB, dir, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "index.db"))
	must(t, err)
	defer db.Close()
	_, err = db.Exec(statement, args...)
	must(t, err)
}

func contentFile(id int64) string { return "content/0000/" + contentName(id) }

// every makes each inconsistency, and says what is to be found and whether it can be mended.
var every = []struct {
	name    string
	make    func(t testing.TB, dir string)
	problem Problem
	stays   bool
}{
	{"a file that no row names", func(t testing.TB, dir string) { write(t, filepath.Join(dir, contentFile(99)), "x") }, UnnamedFile, false},
	{"a file whose row of contents is gone", func(t testing.TB, dir string) { tamper(t, dir, "DELETE FROM contents WHERE id = 2") }, DanglingRow, false},
	{"a content that nobody has", func(t testing.TB, dir string) { tamper(t, dir, "DELETE FROM messages WHERE content = 5") }, UnnamedContent, false},
	{"a file that is gone", func(t testing.TB, dir string) { must(t, os.Remove(filepath.Join(dir, contentFile(1)))) }, MissingFile, false},
	{"a file that is back", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE contents SET missing = 1 WHERE id = 1") }, ReturnedFile, false},
	{"a file that is longer", func(t testing.TB, dir string) { write(t, filepath.Join(dir, contentFile(1)), "both\r\nand more") }, DamagedFile, false},
	{"a file with another octet", func(t testing.TB, dir string) { write(t, filepath.Join(dir, contentFile(3)), "hers and awaY\r\n") }, DamagedFile, false},
	{"a damaged file that was missing", func(t testing.TB, dir string) {
		tamper(t, dir, "UPDATE contents SET missing = 1 WHERE id = 4")
		write(t, filepath.Join(dir, contentFile(4)), "?")
	}, DamagedFile, false},
	{"a file in the wrong folder", func(t testing.TB, dir string) {
		must(t, os.Mkdir(filepath.Join(dir, "content/0001"), 0o700))
		must(t, os.Rename(filepath.Join(dir, contentFile(2)), filepath.Join(dir, "content/0001", contentName(2))))
	}, MisplacedFile, false},
	{"a copy in the wrong folder", func(t testing.TB, dir string) {
		write(t, filepath.Join(dir, "content/0007", contentName(2)), "hers\r\n")
	}, MisplacedFile, false},
	{"a file with a strange name", func(t testing.TB, dir string) { write(t, filepath.Join(dir, "content/0000/00000000000A.eml"), "x") }, StrangeFile, false},
	{"a file where folders are", func(t testing.TB, dir string) { write(t, filepath.Join(dir, "content/README"), "x") }, StrangeFile, false},
	{"a folder where files are", func(t testing.TB, dir string) {
		must(t, os.Mkdir(filepath.Join(dir, "content/0000/"+contentName(77)), 0o700))
	}, StrangeFile, true},
	{"a strange file in tmp", func(t testing.TB, dir string) { write(t, filepath.Join(dir, "tmp/keep.me"), "x") }, StrangeFile, true},
	{"half a message", func(t testing.TB, dir string) { write(t, filepath.Join(dir, "tmp/000000000008.eml"), "x") }, Leftover, false},
	{"half a backup", func(t testing.TB, dir string) { write(t, filepath.Join(dir, "tmp/backup-1.db"), "x") }, Leftover, false},
	{"a message of nobody", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE messages SET account = 9 WHERE content = 6") }, DanglingRow, false},
	{"a message without content", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE messages SET content = 90 WHERE content = 6") }, DanglingRow, false},
	{"a queue's row without content", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE queue SET content = 90 WHERE id = 1") }, DanglingRow, false},
	{"an alias of nobody", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE aliases SET account = 9 WHERE id = 1") }, DanglingRow, false},
	{"a catch-all of nobody", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE catchalls SET account = 9") }, DanglingRow, false},
	{"a unique-id that is none", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE messages SET uid = 'a b' WHERE id = 1") }, WrongUID, false},
	{"a unique-id twice", func(t testing.TB, dir string) {
		tamper(t, dir, `CREATE TABLE copy (id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES accounts(id), content INTEGER NOT NULL REFERENCES contents(id), uid TEXT NOT NULL, trace TEXT NOT NULL) STRICT;
			INSERT INTO copy SELECT * FROM messages; DROP TABLE messages; ALTER TABLE copy RENAME TO messages; CREATE INDEX messages_content ON messages(content);
			UPDATE messages SET uid = (SELECT uid FROM messages WHERE id = 1) WHERE account = 1`)
	}, WrongUID, false},
	{"a wrong number of messages", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE accounts SET count = count + 1 WHERE id = 1") }, WrongSum, false},
	{"a wrong number of octets", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE accounts SET octets = 0 WHERE id = 2") }, WrongSum, false},
	{"a state that is none", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE queue SET state = 'lost' WHERE id = 1") }, WrongState, false},
	{"sent by nobody", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE queue SET state = 'sending' WHERE id = 1") }, WrongState, false},
	{"claimed and waiting", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE queue SET claim = 7 WHERE id = 1") }, WrongState, false},
	{"tried less than never", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE queue SET attempts = -1 WHERE id = 1") }, WrongState, false},
	{"another destination", func(t testing.TB, dir string) {
		tamper(t, dir, "UPDATE queue SET destination = 'nowhere.test' WHERE id = 2")
	}, WrongState, false},
	{"a recipient that is none", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE queue SET recipient = 'x' WHERE id = 2") }, WrongAddress, true},
	{"an account's address that is none", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE accounts SET email = 'Alice' WHERE id = 1") }, WrongAddress, true},
	{"keys that are none", func(t testing.TB, dir string) { tamper(t, dir, "UPDATE accounts SET scram = 'x' WHERE id = 1") }, WrongKeys, false},
	{"a sequence that goes back", func(t testing.TB, dir string) {
		tamper(t, dir, "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'contents'")
	}, WrongSequence, false},
	{"no sequence", func(t testing.TB, dir string) { tamper(t, dir, "DELETE FROM sqlite_sequence WHERE name = 'messages'") }, WrongSequence, false},
}

// texts are the contents of all files under a folder, by hash: what must never become fewer.
func texts(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, sub := range []string{"content", "unclaimed"} {
		filepath.WalkDir(filepath.Join(dir, sub), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				text, err := os.ReadFile(path)
				must(t, err)
				all[fmt.Sprintf("%x", sha256.Sum256(text))] = path
			}
			return nil
		})
	}
	return all
}

func checked(t testing.TB, dir string, mend bool) Report {
	t.Helper()
	r, err := Check(t.Context(), dir, mend)
	must(t, err)
	return r
}

// sound sees that Check finds nothing, and nothing is missing.
func sound(t testing.TB, dir string) {
	t.Helper()
	if r, err := Check(t.Context(), dir, false); err != nil || len(r.Findings) > 0 || r.Missing > 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestCheckFindsEach(t *testing.T) {
	for _, c := range every {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			history(t, dir)
			if r := checked(t, dir, false); len(r.Findings) != 0 || r.Accounts != 2 || r.Contents != 6 || r.Messages != 6 || r.Queued != 3 {
				t.Fatalf("before: %+v", r)
			}
			c.make(t, dir)
			before := texts(t, dir)
			r := checked(t, dir, false)
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
				return f.Problem == c.problem && f.What != "" && (f.Remedy == "") == c.stays && !f.Mended
			}) {
				t.Fatalf("found %+v, want a %s", r.Findings, c.problem)
			}
			if again := checked(t, dir, false); len(again.Findings) != len(r.Findings) {
				t.Errorf("looking changed what there is: %+v, then %+v", r.Findings, again.Findings)
			}
			mended := checked(t, dir, true)
			if (mended.Left() > 0) != c.stays || len(mended.Findings) < len(r.Findings) {
				t.Errorf("after mending %+v", mended)
			}
			if after := checked(t, dir, false); (len(after.Findings) > 0) != c.stays {
				t.Errorf("a second look finds %+v", after.Findings)
			}
			for sum, path := range before {
				if texts(t, dir)[sum] == "" {
					t.Errorf("what was in %s is gone", path)
				}
			}
			s := open(t, dir, nil) // and the store works on
			must(t, deliver(s, "after\r\n", Envelope{Local: []string{bob}}))
		})
	}
}

// What mending does beyond there being nothing to find.
func TestCheckMends(t *testing.T) {
	dir := t.TempDir()
	history(t, dir)
	must(t, os.Mkdir(filepath.Join(dir, "content/0001"), 0o700))
	must(t, os.Rename(filepath.Join(dir, contentFile(2)), filepath.Join(dir, "content/0001", contentName(2))))
	tamper(t, dir, "DELETE FROM contents WHERE id = 5; UPDATE queue SET state = 'lost' WHERE id = 1")
	write(t, filepath.Join(dir, contentFile(6)), "LAST\r\n")
	write(t, filepath.Join(dir, "unclaimed", contentName(6)), "was here before")
	must(t, os.Remove(filepath.Join(dir, contentFile(1))))
	r := checked(t, dir, true)
	if r.Left() != 0 || r.Missing != 2 || r.Unclaimed != 2 {
		t.Fatalf("%+v", r)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "unclaimed", contentName(6)+".2")); string(text) != "LAST\r\n" {
		t.Errorf("the damaged file is %q", text)
	}
	s := open(t, dir, nil)
	if got := contents(t, s, alice); holds(got, "hers\r\n") != 1 || len(got) != 2 {
		t.Errorf("alice has %q", got)
	}
	if got := contents(t, s, bob); holds(got, "his\r\n") != 1 || len(got) != 1 {
		t.Errorf("bob has %q", got)
	}
	held, err := s.Queue(t.Context(), Filter{State: Held})
	if len(held) != 1 || held[0].ID != 1 || err != nil {
		t.Errorf("held: %+v, %v", held, err)
	}
}

func TestCheckOfAnyDamage(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		history(t, dir)
		var done []string
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(every)-1), 1, 5, rapid.ID).Draw(r, "damage") {
			// One that needs what another has taken does nothing, or fails and does nothing.
			func() {
				defer func() { recover() }()
				every[i].make(tolerant{t}, dir)
				done = append(done, every[i].name)
			}()
		}
		before := texts(t, dir)
		mended := checked(t, dir, true)
		after := checked(t, dir, false)
		for _, f := range after.Findings {
			if f.Remedy != "" {
				r.Errorf("after %q and mending %+v there is still %+v", done, mended.Findings, f)
			}
		}
		now := texts(t, dir)
		for sum, path := range before {
			if now[sum] == "" {
				r.Errorf("after %q what was in %s is gone", done, path)
			}
		}
		s := open(t, dir, nil)
		must(t, s.Close())
	})
}

// tolerant turns a failure of the test into a panic.
type tolerant struct{ testing.TB }

func (tolerant) Fatal(a ...any)            { panic(fmt.Sprint(a...)) }
func (tolerant) Fatalf(s string, a ...any) { panic(fmt.Sprintf(s, a...)) }

func TestCheckOfDamagedIndex(t *testing.T) {
	dir := t.TempDir()
	history(t, dir)
	tamper(t, dir, "PRAGMA wal_checkpoint(TRUNCATE)")
	tamper(t, dir, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'messages_content'") // its pages are nobody's
	before := texts(t, dir)
	r, err := Check(t.Context(), dir, true)
	if err != nil || len(r.Findings) == 0 || r.Findings[0].Problem != DamagedIndex || r.Left() != len(r.Findings) {
		t.Errorf("%+v, %v", r, err)
	}
	if len(texts(t, dir)) != len(before) {
		t.Error("something was done although the index is damaged")
	}
	for _, name := range []string{"index.db", "index.db-wal", "index.db-shm"} {
		os.Remove(filepath.Join(dir, name))
	}
	if _, err := Check(t.Context(), dir, true); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "has no index") {
		t.Errorf("without an index: %v", err)
	}
}
