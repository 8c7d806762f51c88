package maildrop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrTooLarge says that a content has more octets than the store takes.
	ErrTooLarge = errors.New("maildrop: message too large")
	// ErrFull says that there is no room on the disk.
	ErrFull = errors.New("maildrop: no room on the disk")
	// ErrNoAccount says that an address has no maildrop here.
	ErrNoAccount = errors.New("maildrop: no such account")
)

// Envelope says where a content goes. An address occurs once, in canonical
// form.
type Envelope struct {
	From       string      // reverse-path, "" for the null sender
	Local      []string    // those with a maildrop here
	Remote     []Recipient // those for the queue
	UTF8       bool        // the envelope or the header needs SMTPUTF8 (RFC 6531)
	Return     string      // RET of RFC 3461: "", "FULL" or "HDRS"
	EnvelopeID string      // ENVID, decoded
	// Trace is put before the content in each maildrop and not in the queue:
	// the Return-Path that final delivery adds (RFC 5321 §4.4). Whole lines.
	Trace string
	// Settles are the queue's rows that this content reports on: they are settled
	// in the same commit, so that nobody is told twice of an outcome, or never.
	Settles []Settlement
}

// Recipient is one for the queue, and what its sender wants to be told (RFC
// 3461).
type Recipient struct {
	Address  string
	Notify   []string // "NEVER", or of "SUCCESS", "FAILURE", "DELAY"; none: the server's choice
	Original string   // ORCPT, "type;address", the address decoded
}

// Incoming is a content being received. It is either delivered or discarded.
type Incoming struct {
	store  *Store
	id     int64
	path   string // in tmp, "" when it is not there
	file   file   // nil while all that was written is in buf
	buf    []byte
	size   int64
	digest hash.Hash
	err    error // sticky

	unlimited bool // MessageSize does not count
	reserved  bool // it may use the reserve
}

// writeSize gathers small writes. Most messages are one, and go into the
// journal; sessions that only wait hold no buffer.
const writeSize = journalMost

// Create begins a content. ErrFull says that there is no room for one, now.
func (s *Store) Create() (*Incoming, error) {
	in, err := s.create()
	if err == nil {
		err = in.room()
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

func (s *Store) create() (*Incoming, error) {
	select {
	case <-s.closing:
		return nil, ErrClosed
	default:
	}
	return &Incoming{store: s, id: s.nextContent.Add(1), digest: sha256.New()}, nil
}

// open makes the file of a content that is too large to be in memory until it is
// whole.
func (in *Incoming) open() error {
	if in.file != nil {
		return nil
	}
	path := filepath.Join(in.store.dir, "tmp", contentName(in.id))
	f, err := in.store.disk.Create(path)
	if err == nil {
		in.path, in.file = path, f
	}
	return err
}

// Size is how many octets were written.
func (in *Incoming) Size() int64 { return in.size }

// Write appends to the content. After an error, which may be ErrTooLarge, every
// further call and Deliver fail with it.
func (in *Incoming) Write(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	if limit := in.store.opts.MessageSize; limit > 0 && !in.unlimited && in.size+int64(len(p)) > limit {
		in.err = ErrTooLarge
		return 0, in.err
	}
	in.size += int64(len(p))
	in.digest.Write(p)
	in.buf = append(in.buf, p...)
	if len(in.buf) > writeSize {
		in.flush()
	}
	return len(p), in.err
}

func (in *Incoming) flush() {
	if in.err != nil {
		return
	}
	err := in.room()
	if err == nil {
		err = in.open()
	}
	if err == nil && len(in.buf) > 0 {
		_, err = in.file.Write(in.buf)
		in.buf = in.buf[:0]
	}
	in.err = full(err)
}

// Discard removes a content that was not delivered. It does nothing after
// Deliver, so that it can be deferred.
func (in *Incoming) Discard() {
	if in.file != nil {
		in.file.Close()
		in.file = nil
	}
	if in.path != "" {
		in.store.disk.Remove(in.path)
		in.path = ""
	}
	if in.err == nil {
		in.err = os.ErrClosed
	}
}

// Deliver puts the content into the maildrops and the queue that the envelope
// names: into all of them, durably, or, when it returns an error, into none
// that the caller could know of. It can be called once.
func (in *Incoming) Deliver(ctx context.Context, env Envelope) error {
	defer in.Discard()
	if in.err != nil {
		return in.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(env.Local)+len(env.Remote) == 0 {
		return errors.New("maildrop: an envelope without recipients")
	}
	s := in.store
	sum := in.digest.Sum(nil)
	var c change
	if in.file == nil {
		if err := in.room(); err != nil {
			return err
		}
		c.kept = &kept{id: in.id, sum: sum, octets: in.buf, laid: s.fresh.many()}
		if c.kept.laid {
			if err := s.lay(in.id, in.buf); err != nil {
				return full(err)
			}
		}
	} else {
		if in.flush(); in.err != nil {
			return in.err
		}
		if err := in.place(); err != nil {
			return full(err)
		}
		c.shard = s.shardDir(in.id)
	}
	now := s.micros()
	var accounts, unnamed []int64
	c.apply = func(ctx context.Context, tx *sql.Tx) (err error) {
		if accounts, err = in.index(ctx, tx, env, sum, now); err == nil {
			unnamed, err = settle(ctx, tx, env.Settles)
		}
		return err
	}
	if err := s.hand(&c); err != nil {
		s.withdraw(in.id)
		return full(err)
	}
	if len(env.Remote)+len(env.Settles) > 0 {
		s.revision.change()
	}
	s.removeContents(unnamed)
	for _, account := range accounts {
		s.notify(account)
	}
	return nil
}

// Put delivers a content that is at hand, as Deliver does. It is a report: what
// it is about makes room, so it may use the reserve.
func (s *Store) Put(ctx context.Context, content []byte, env Envelope) error {
	in, err := s.create()
	if err != nil {
		return err
	}
	in.reserved = true
	defer in.Discard()
	if _, err := in.Write(content); err != nil {
		return err
	}
	return in.Deliver(ctx, env)
}

// place flushes the content and gives it its name. The folder's entry is
// flushed by the committer, once for all that arrive together.
func (in *Incoming) place() error {
	s := in.store
	err := in.file.Sync()
	if cerr := in.file.Close(); err == nil {
		err = cerr
	}
	in.file = nil
	if err != nil {
		return err
	}
	if err := s.makeShard(in.id); err != nil {
		return err
	}
	if err := s.disk.Rename(in.path, s.contentPath(in.id)); err != nil {
		return err
	}
	in.path = ""
	return nil
}

// makeShard makes the folder of a content, if it is the first in it.
func (s *Store) makeShard(id int64) error {
	shard := s.shardDir(id)
	if _, ok := s.shards.Load(shard); ok {
		return nil
	}
	if err := s.disk.Mkdir(shard); err != nil {
		return err
	}
	if err := s.disk.SyncDir(filepath.Dir(shard)); err != nil {
		return err
	}
	s.shards.Store(shard, struct{}{})
	return nil
}

func (in *Incoming) index(ctx context.Context, tx *sql.Tx, env Envelope, sum []byte, now int64) (accounts []int64, err error) {
	if _, err := tx.StmtContext(ctx, in.store.often.content).ExecContext(ctx, in.id, in.size, sum, now); err != nil {
		return nil, err
	}
	for _, email := range env.Local {
		var account int64
		err := tx.StmtContext(ctx, in.store.often.message).QueryRowContext(ctx, in.id, newUID(in.id), env.Trace, email).Scan(&account)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("%w: %s", ErrNoAccount, email)
		}
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, account)
	}
	for _, r := range env.Remote {
		if _, err := tx.ExecContext(ctx, `INSERT INTO queue (content, sender, recipient, destination, utf8, ret, envid, notify, orcpt, state, next_try, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, in.id, env.From, r.Address, Destination(r.Address), env.UTF8, env.Return, env.EnvelopeID,
			strings.Join(r.Notify, ","), r.Original, Waiting, now, now); err != nil {
			return nil, err
		}
	}
	return accounts, nil
}

// full makes ErrFull of what the system and SQLite say then.
func full(err error) error {
	const sqliteFull = 13 // SQLITE_FULL
	var code interface{ Code() int }
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.As(err, &code) && code.Code()&0xff == sqliteFull {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// withdraw removes a content whose rows were not committed. A commit that
// failed may yet be on the disk, so the index is asked; and if it cannot
// answer, the file stays for the next Open to judge.
func (s *Store) withdraw(id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var there bool
	if err := s.reader.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM contents WHERE id = ?)", id).Scan(&there); err == nil && !there {
		s.removeContent(id)
	}
}

// newUID makes a unique-id: 26 characters of those that RFC 1939 §7 allows.
// Half of it grows with time, which keeps the index compact; half is random,
// so that a content id that comes again (an older copy of the folder was
// restored) does not make a client take a new message for one it has.
func newUID(content int64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(content))
	rand.Read(b[8:])
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}
