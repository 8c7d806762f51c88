package maildrop

import (
	"archive/tar"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Export writes the messages of an account as a tar, oldest first: each a file
// with its unique-id for a name, the time it was received, and its octets as
// POP3 gives them. Neither the maildrop nor its lock is touched.
func (s *Store) Export(ctx context.Context, email string, w io.Writer) error {
	defer s.pin()()
	account, err := s.accountID(ctx, email)
	if err != nil {
		return err
	}
	list, err := s.exported(ctx, account)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, m := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.exportOne(out, m); err != nil {
			return fmt.Errorf("message %s: %w", m.UID, err)
		}
	}
	return out.Close()
}

// stored is a message with what an export and an import compare.
type stored struct {
	Message
	received time.Time
	sha256   []byte // of the content, without the trace
}

func (s *Store) accountID(ctx context.Context, email string) (id int64, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT id FROM accounts WHERE email = ?", email).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoAccount
	}
	return id, err
}

func (s *Store) exported(ctx context.Context, account int64) ([]stored, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT m.id, m.content, m.uid, m.trace, c.size, c.received, c.sha256 FROM messages m
		JOIN contents c ON c.id = m.content WHERE m.account = ? AND c.missing = 0 ORDER BY m.id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []stored
	for rows.Next() {
		var m stored
		var received int64
		if err := rows.Scan(&m.row, &m.content, &m.UID, &m.trace, &m.Size, &received, &m.sha256); err != nil {
			return nil, err
		}
		m.Size += int64(len(m.trace))
		m.received = time.UnixMicro(received)
		list = append(list, m)
	}
	return list, rows.Err()
}

func (s *Store) exportOne(out *tar.Writer, m stored) error {
	r, err := s.openMessage(m.Message)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := out.WriteHeader(&tar.Header{Name: m.UID, Size: m.Size, Mode: 0o600, ModTime: m.received, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return err
}

// openMessage gives a message's octets, all of its size; ErrDamaged if they are
// not there.
func (s *Store) openMessage(m Message) (io.ReadCloser, error) {
	r, err := s.openContent(m.content, m.Size-int64(len(m.trace)))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(m.trace), r), r}, nil
}
