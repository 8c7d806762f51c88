package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrClosed says that the store is closed.
	ErrClosed = errors.New("maildrop: closed")
	// ErrIndexMissing says that there are messages but no index that names them.
	ErrIndexMissing = errors.New("maildrop: there are message files but no index.db; restore it, or move the folders content and journal away")
)

// Options of a Store; nil and zero values are the defaults.
type Options struct {
	// MessageSize is the most octets of one content. Default: 50 MB. -1: none.
	MessageSize int64
	// Reserve is how many octets of the disk new mail leaves free: for what makes
	// room, and for reports. Default: 64 MiB. -1: none.
	Reserve int64
	// LockWait is how long Lock waits for another session to end: a client whose
	// connection broke comes back before the server has noticed. Default: 1
	// second. Negative: not at all.
	LockWait time.Duration
	Logger   *slog.Logger
	// Now is the clock that rows are stamped by; the queue's, if it has one of its
	// own. Nil: time.Now.
	Now func() time.Time

	disk    disk
	journal int64 // octets after which its file is full; journalSize
}

const defaultMessageSize = 50_000_000

// readers are the connections that read the index; a login's scan listing is
// the longest thing they do.
const readers = 4

// Store is the mail of a server, in one folder. One process at a time may have
// it open; the caller sees to that.
type Store struct {
	dir  string
	opts Options
	log  *slog.Logger
	disk disk

	writer *sql.DB // one connection, used by the committer alone
	reader *sql.DB

	nextContent atomic.Int64
	nextBackup  atomic.Int64
	shards      sync.Map // shard name → struct{}, those known to exist

	// often are statements that every delivery needs: to read one takes SQLite longer than to run it.
	often struct {
		content, message, begin, end *sql.Stmt // the committer's
		named, full                  *sql.Stmt // the readers'
	}

	changes chan *change
	closing chan struct{} // closed by Close: no new changes
	done    chan struct{} // closed when the committer has ended
	close   sync.Once

	fresh    *fresh
	revision *revision // of the queue

	mu     sync.Mutex
	locked map[int64]chan struct{} // by account, closed by Unlock
	watch  map[int64]chan struct{}

	pins    int     // who reads files by a list: see pin
	unnamed []int64 // contents whose files go when nobody does
}

// Open opens the store in dir, making it if it is missing, and puts right what
// a crash left behind.
func Open(ctx context.Context, dir string, o *Options) (*Store, error) {
	if o == nil {
		o = &Options{}
	}
	s := &Store{
		dir: dir, opts: *o, log: o.Logger, disk: o.disk,
		changes: make(chan *change, maxBatch),
		closing: make(chan struct{}), revision: newRevision(),
		done:   make(chan struct{}),
		locked: map[int64]chan struct{}{},
		watch:  map[int64]chan struct{}{},
	}
	if s.opts.MessageSize == 0 {
		s.opts.MessageSize = defaultMessageSize
	}
	if s.opts.Reserve == 0 {
		s.opts.Reserve = defaultReserve
	}
	if s.opts.LockWait == 0 {
		s.opts.LockWait = time.Second
	}
	if s.opts.Now == nil {
		s.opts.Now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.opts.journal == 0 {
		s.opts.journal = journalSize
	}
	s.fresh = newFresh(s.opts.journal + s.opts.journal/2)
	if s.disk == nil {
		s.disk = osDisk{}
	}
	if err := s.open(ctx); err != nil {
		s.closeIndex()
		return nil, fmt.Errorf("opening the mail store in %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := MakeFolder(s.dir); err != nil {
		return err
	}
	if err := s.makeFolders(); err != nil {
		return err
	}
	found, err := s.findContents()
	if err != nil {
		return err
	}
	journals, err := s.journals()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.dir, "index.db")); errors.Is(err, fs.ErrNotExist) && len(found)+len(journals) > 0 {
		return ErrIndexMissing
	}
	s.writer, err = openIndex(s.dir, 1, "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return err
	}
	if err := migrate(ctx, s.writer); err != nil {
		return err
	}
	if s.reader, err = openIndex(s.dir, readers, "query_only(1)"); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	// The folder's own entries: index.db, tmp, content and journal.
	if err := s.disk.SyncDir(s.dir); err != nil {
		return err
	}
	a, err := s.adopt(ctx, s.writer, found)
	if err != nil {
		return err
	}
	if err := s.recover(ctx, found, a.highest); err != nil {
		a.close()
		return err
	}
	go s.commit(newJournal(s, a))
	return nil
}

// makeFolders makes those that are missing in the store's.
func (s *Store) makeFolders() error {
	for _, name := range []string{"tmp", "content", "journal"} {
		if err := s.disk.Mkdir(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	for _, p := range []struct {
		db        *sql.DB
		statement **sql.Stmt
		text      string
	}{
		{s.writer, &s.often.content, "INSERT INTO contents (id, size, sha256, received) VALUES (?, ?, ?, ?)"},
		{s.writer, &s.often.message, "INSERT INTO messages (account, content, uid, trace) SELECT id, ?, ?, ? FROM accounts WHERE email = ? RETURNING account"},
		{s.writer, &s.often.begin, "SAVEPOINT change"},
		{s.writer, &s.often.end, "RELEASE change"},
		{s.reader, &s.often.named, `SELECT email FROM accounts WHERE email = ?1
			UNION SELECT a.email FROM aliases x JOIN accounts a ON a.id = x.account WHERE x.address = ?1`},
		{s.reader, &s.often.full, `SELECT quota_messages > 0 AND count >= quota_messages OR quota_octets > 0 AND octets + ? > quota_octets
			FROM accounts WHERE email = ?`},
	} {
		if *p.statement, err = p.db.PrepareContext(ctx, p.text); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for the deliveries that have begun to commit and closes the
// index. Contents that were created and not delivered are left to the next
// Open to remove.
func (s *Store) Close() error {
	var err error
	s.close.Do(func() {
		close(s.closing)
		<-s.done
		err = s.closeIndex()
	})
	return err
}

func (s *Store) closeIndex() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

func (s *Store) micros() int64 { return s.opts.Now().UnixMicro() }
