package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// Problem is a kind of inconsistency.
type Problem string

const (
	DamagedIndex   Problem = "damaged index"   // SQLite itself says so
	DanglingRow    Problem = "dangling row"    // it names what is not there
	UnnamedContent Problem = "unnamed content" // a row of contents that no message and no queue names
	UnnamedFile    Problem = "unnamed file"    // a file in content/ that no row names
	MisplacedFile  Problem = "misplaced file"  // a file in content/ in the wrong folder
	StrangeFile    Problem = "strange file"    // what is not this package's
	MissingFile    Problem = "missing file"    // a row without its file
	ReturnedFile   Problem = "returned file"   // a file that was missing
	DamagedFile    Problem = "damaged file"    // not the size or hash it was written with
	Leftover       Problem = "leftover"        // in tmp/, of a server that was killed
	WrongUID       Problem = "wrong unique-id" // twice in a maildrop, or not of RFC 1939 §7
	WrongSum       Problem = "wrong sum"       // of an account's messages
	WrongState     Problem = "wrong state"     // of a row of the queue
	WrongAddress   Problem = "wrong address"   // not in canonical form, or none
	WrongKeys      Problem = "wrong keys"      // of SCRAM
	WrongSequence  Problem = "wrong sequence"  // an id would be given twice
)

// Finding is one inconsistency.
type Finding struct {
	Problem Problem
	What    string // which file or row
	Detail  string // what is wrong with it, as far as Problem does not say
	Remedy  string // what mending does; "" for what cannot be mended without guessing
	Mended  bool

	mend func(context.Context, *sql.Tx) error
}

// Report is what Check has seen.
type Report struct {
	Accounts, Contents, Messages, Queued int // rows
	Missing                              int // contents whose file is known to be missing
	Unclaimed                            int // files in unclaimed/, for somebody to look at
	Findings                             []Finding
}

// Left counts the findings that are not mended.
func (r Report) Left() (n int) {
	for _, f := range r.Findings {
		if !f.Mended {
			n++
		}
	}
	return n
}

// maxPasses is how often Check looks again after it has mended: a row that goes
// may have been the last to name a content.
const maxPasses = 8

// Check finds every inconsistency of the store in dir, which nobody may have
// open, and mends what can be mended without guessing. No message is deleted: a
// file that nothing names, or that is not what was written, is moved to
// unclaimed/. It reads every message.
//
// A damaged index is not mended, and nothing else is then: it is to be restored
// from a backup.
func Check(ctx context.Context, dir string, mend bool) (Report, error) {
	if _, err := os.Stat(filepath.Join(dir, "index.db")); err != nil {
		return Report{}, fmt.Errorf("the mail store in %s has no index: %w", dir, err)
	}
	db, err := openIndex(dir, 1, "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return Report{}, err
	}
	r, err := check(ctx, db, dir, mend)
	return r, errors.Join(err, db.Close())
}

func check(ctx context.Context, db *sql.DB, dir string, mend bool) (Report, error) {
	if r, err := checkSQLite(ctx, db); err != nil || len(r.Findings) > 0 {
		return r, err
	}
	// What Open would do, too; the checks know the columns of one version.
	if err := migrate(ctx, db); err != nil {
		return Report{}, err
	}
	// As Open would: what is not on the disk yet is no inconsistency.
	s := &Store{dir: dir, disk: osDisk{}, log: slog.New(slog.DiscardHandler), fresh: newFresh(0)}
	if err := s.makeFolders(); err != nil {
		return Report{}, err
	}
	found, err := s.findContents()
	if err == nil {
		err = s.clearJournals(ctx, db, found)
	}
	if err != nil {
		return Report{}, err
	}
	var mended []Finding
	for range maxPasses {
		r, again, err := pass(ctx, db, dir, mend)
		if err != nil {
			return r, err
		}
		for _, f := range r.Findings {
			if f.Mended {
				mended = append(mended, f)
			}
		}
		if !again {
			r.Findings = append(mended, r.Findings...)
			return r, nil
		}
	}
	return Report{Findings: mended}, errors.New("maildrop: what was mended comes back: something else uses the folder")
}

// pass looks once, and mends what it found. It is to be done again if there was
// anything to mend.
func pass(ctx context.Context, db *sql.DB, dir string, mend bool) (Report, bool, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Report{}, false, err
	}
	defer tx.Rollback()
	c := &checker{tx: tx, store: &Store{dir: dir, disk: osDisk{}}}
	for _, look := range []func(context.Context) error{c.files, c.contents, c.references, c.messages, c.queue, c.accounts, c.sequences} {
		if err := look(ctx); err != nil {
			return c.report, false, err
		}
	}
	if !mend {
		return c.report, false, nil
	}
	again := false
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		if f.mend == nil {
			continue
		}
		if err := f.mend(ctx, tx); err != nil {
			return c.report, false, fmt.Errorf("mending the %s %s: %w", f.Problem, f.What, err)
		}
		f.Mended, again = true, true
	}
	// The files first: what was moved is safe, whatever becomes of the rows.
	for _, name := range []string{"content", "unclaimed", ""} {
		if err := c.store.disk.SyncDir(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return c.report, false, err
		}
	}
	return c.report, again, tx.Commit()
}

// checkSQLite asks SQLite about its own structures.
func checkSQLite(ctx context.Context, db *sql.DB) (r Report, err error) {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(100)")
	if err != nil {
		return r, err
	}
	defer rows.Close()
	for rows.Next() {
		var says string
		if err := rows.Scan(&says); err != nil {
			return r, err
		}
		if says != "ok" {
			r.Findings = append(r.Findings, Finding{Problem: DamagedIndex, What: "index.db", Detail: says})
		}
	}
	return r, rows.Err()
}

// checker is one pass.
type checker struct {
	tx     *sql.Tx
	store  *Store // its paths
	report Report
	found  map[int64]os.FileInfo // the files in their places
}

func (c *checker) find(f Finding) { c.report.Findings = append(c.report.Findings, f) }

// unclaimed moves a file, given from the store's folder, to unclaimed/ under a
// name that is free there.
func (c *checker) unclaimed(name string) error {
	dir := filepath.Join(c.store.dir, "unclaimed")
	if err := c.store.disk.Mkdir(dir); err != nil {
		return err
	}
	base := filepath.Base(name)
	to := filepath.Join(dir, base)
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		to = filepath.Join(dir, fmt.Sprintf("%s.%d", base, n))
	}
	return c.store.disk.Rename(filepath.Join(c.store.dir, name), to)
}

const toUnclaimed = "moved to unclaimed/"

// exec is a remedy that is one statement.
func exec(statement string, args ...any) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	}
}
