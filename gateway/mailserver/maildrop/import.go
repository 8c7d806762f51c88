package maildrop

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// importBatch is how many imported messages share one commit, as deliveries that
// arrive together do.
const importBatch = 64

// Import puts the messages of a tar, such as Export writes, into an account, in
// its order. It says how many were added, and how many were not because the
// account has the very same: so an import that was cut off can be done again. A
// name that can be a unique-id, and is none of the account's, becomes the
// message's. Neither quota nor MessageSize counts: the administrator knows.
//
// After an error, those that were counted are in the account for good.
func (s *Store) Import(ctx context.Context, email string, r io.Reader) (added, skipped int, err error) {
	account, err := s.accountID(ctx, email)
	if err != nil {
		return 0, 0, err
	}
	i := &importing{store: s, account: account}
	if i.known, err = s.bySize(ctx, account); err != nil {
		return 0, 0, err
	}
	defer func() {
		for _, in := range i.batch {
			in.Discard()
		}
	}()
	in := tar.NewReader(r)
	for {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && header.Typeflag == tar.TypeReg {
			err = i.add(header, in)
		}
		if err == nil && len(i.batch) >= importBatch {
			err = i.commit()
		}
		if err != nil {
			return i.added, i.skipped, full(err)
		}
	}
	err = i.commit()
	return i.added, i.skipped, full(err)
}

type importing struct {
	store          *Store
	account        int64
	known          map[int64][]*stored // by size
	batch          []*imported
	added, skipped int
}

type imported struct {
	*Incoming
	uid      string // wanted; "" for none
	received int64
}

func (s *Store) bySize(ctx context.Context, account int64) (map[int64][]*stored, error) {
	list, err := s.exported(ctx, account)
	if err != nil {
		return nil, err
	}
	known := map[int64][]*stored{}
	for i := range list {
		known[list[i].Size] = append(known[list[i].Size], &list[i])
	}
	return known, nil
}

func (i *importing) add(header *tar.Header, r io.Reader) error {
	s := i.store
	in, err := s.Create()
	if err != nil {
		return err
	}
	in.unlimited = true
	if _, err := io.Copy(in, r); err != nil {
		in.Discard()
		return err
	}
	sum := in.digest.Sum(nil)
	there, err := i.has(in.size, sum)
	if there || err != nil {
		in.Discard()
		if err == nil {
			i.skipped++
		}
		return err
	}
	i.known[in.size] = append(i.known[in.size], &stored{Message: Message{Size: in.size}, sha256: sum})
	m := &imported{Incoming: in, received: s.micros()}
	if uid := header.Name; isUID(uid) {
		m.uid = uid
	}
	if header.ModTime.Unix() > 0 {
		m.received = header.ModTime.UnixMicro()
	}
	i.batch = append(i.batch, m)
	return nil
}

// has says whether the account has a message of exactly these octets. Those of
// another size are not; of the others, a message with a trace must be read, for
// the index has the hash of the rest.
func (i *importing) has(size int64, sum []byte) (bool, error) {
	for _, m := range i.known[size] {
		if m.trace != "" {
			whole, err := i.store.digest(m.Message)
			if errors.Is(err, ErrDamaged) {
				continue
			}
			if err != nil {
				return false, err
			}
			m.sha256, m.trace = whole, "" // once
		}
		if bytes.Equal(m.sha256, sum) {
			return true, nil
		}
	}
	return false, nil
}

func (s *Store) digest(m Message) ([]byte, error) {
	r, err := s.openMessage(m)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.Copy(h, r)
	return h.Sum(nil), err
}

// commit makes the batch durable, all of it or nothing.
func (i *importing) commit() error {
	if len(i.batch) == 0 {
		return nil
	}
	if err := i.write(); err != nil {
		for _, in := range i.batch {
			in.Discard()
			i.store.withdraw(in.id)
		}
		i.batch = nil
		return err
	}
	i.added += len(i.batch)
	i.batch = nil
	i.store.notify(i.account)
	return nil
}

func (i *importing) write() error {
	s := i.store
	shards := map[string]bool{}
	for _, in := range i.batch {
		if in.flush(); in.err != nil {
			return in.err
		}
		if err := in.place(); err != nil {
			return err
		}
		shards[s.shardDir(in.id)] = true
	}
	for dir := range shards {
		if err := s.disk.SyncDir(dir); err != nil {
			return err
		}
	}
	return s.submit("", func(ctx context.Context, tx *sql.Tx) error {
		for _, in := range i.batch {
			if err := i.index(ctx, tx, in); err != nil {
				return err
			}
		}
		return nil
	})
}

func (i *importing) index(ctx context.Context, tx *sql.Tx, in *imported) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO contents (id, size, sha256, received) VALUES (?, ?, ?, ?)", in.id, in.size, in.digest.Sum(nil), in.received); err != nil {
		return err
	}
	uid := in.uid
	if uid != "" {
		var taken bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE account = ? AND uid = ?)", i.account, uid).Scan(&taken); err != nil {
			return err
		}
		if taken {
			uid = ""
		}
	}
	if uid == "" {
		uid = newUID(in.id)
	}
	res, err := tx.ExecContext(ctx, "INSERT INTO messages (account, content, uid, trace) SELECT id, ?, ?, '' FROM accounts WHERE id = ?", in.id, uid, i.account)
	return changed(res, err, fmt.Errorf("%w: it was removed meanwhile", ErrNoAccount))
}

// isUID says whether a text can be a unique-id: RFC 1939 §7.
func isUID(s string) bool {
	return len(s) >= 1 && len(s) <= 70 && filepath.Base(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7E })
}
