package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// How a message is known again:
//
//   - by its unique-id, if it has one that no other message of the session has;
//   - else by its size and the SHA-256 of its header, which TOP gives without the body;
//   - where there is no TOP either, by the SHA-256 of its content: then everything is fetched at each look, and what is
//     here already is dropped.
//
// Whatever it is known by, a message whose content was fetched before is not stored again (store.Tx.AddOnce): so a
// server that names all its messages anew costs one fetch and doubles nothing. One that does so again is no longer
// believed: from then on its messages are known by their headers.
//
// A header is taken without the fields in which servers keep notes of their own (Status, X-Status, X-UIDL).

// The identities of our own making have a space, which no unique-id can have (RFC 1939 section 7).
const (
	byHeader  = "header "
	byContent = "content "
)

// headerIdentity is what a message is known by whose unique-id is none.
func headerIdentity(size int64, header []byte) string {
	sum := headerSum(header)
	return fmt.Sprintf("%s%d %s", byHeader, size, hex.EncodeToString(sum[:16]))
}

// headed says whether content has the header that a message is known by, if it is.
func (s *spot) headed(content []byte) bool {
	return !strings.HasPrefix(s.uid, byHeader) || s.uid == headerIdentity(s.Size, content)
}

func contentIdentity(content []byte) string {
	sum := sha256.Sum256(content)
	return byContent + hex.EncodeToString(sum[:])
}

// headerSum hashes the header of a message, however its lines end.
func headerSum(content []byte) (sum [32]byte) {
	h := sha256.New()
	skip := false
	for line := range bytes.Lines(content) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			skip = isServersNote(line)
		}
		if !skip {
			h.Write(line)
			h.Write([]byte{'\n'})
		}
	}
	h.Sum(sum[:0])
	return sum
}

func isServersNote(line []byte) bool {
	for _, name := range [...]string{"status:", "x-status:", "x-uidl:"} {
		if len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return true
		}
	}
	return false
}

// resolve gives doubtful messages an identity by their headers, as far as the server gives those.
func (f *fetch) resolve(ctx context.Context, doubtful []spot) error {
	if len(doubtful) == 0 || !f.canTop {
		return nil
	}
	next := 0
	err := f.session.TopAll(ctx, listings(doubtful), 0, func(_ int, body io.Reader) error {
		s := &doubtful[next]
		next++
		header, err := io.ReadAll(body)
		var refused *pop3.Error
		switch {
		case errors.As(err, &refused):
			if next == 1 { // an old server without CAPA says so only now
				f.canTop = false
				return errNoTop
			}
		case err != nil:
			return err
		default:
			s.uid = headerIdentity(s.Size, header)
		}
		return nil
	})
	if errors.Is(err, errNoTop) {
		return nil
	}
	return err
}

var errNoTop = errors.New("the server has no TOP")

func listings(spots []spot) []pop3.Listing {
	list := make([]pop3.Listing, len(spots))
	for i, s := range spots {
		list[i] = s.Listing
	}
	return list
}

// renamingsKey is the Meta key of how often the server named its messages anew. One octet.
const renamingsKey = "renamings"

const (
	mostRenamings   = 2  // then unique-ids are not believed any more
	fewestRenamings = 10 // messages that came back under other unique-ids: so many are no accident
)

// renames says whether the server changes its unique-ids, so that they tell nothing.
func (f *fetch) renames() bool {
	n, ok := f.account.box.Meta(renamingsKey)
	return ok && len(n) == 1 && n[0] >= mostRenamings
}

// countRenames takes note when most of a maildrop came back under other unique-ids.
func (f *fetch) countRenames(total int) {
	if f.renamed < fewestRenamings || 2*f.renamed < total || f.renames() {
		return
	}
	a := f.account
	n := []byte{1}
	if old, ok := a.box.Meta(renamingsKey); ok && len(old) == 1 {
		n[0] += old[0]
	}
	a.e.Logf("account %s: %d messages came back under other unique-ids", a.id, f.renamed)
	if err := a.box.Update(func(tx *store.Tx) error { return tx.SetMeta(renamingsKey, n) }); err != nil {
		a.e.Logf("account %s: remembering that: %v", a.id, err) // it will be seen again
	}
}
