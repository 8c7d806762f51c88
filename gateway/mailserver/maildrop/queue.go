package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/idn"
)

// State is where a queued recipient stands. A row that is done is deleted.
type State string

const (
	Waiting State = "waiting" // due at NextTry
	Held    State = "held"    // until an administrator releases it
	Sending State = "sending" // claimed: another server may have it at any moment
)

// ErrNotQueued says that the queue has no such row.
var ErrNotQueued = errors.New("maildrop: no such message in the queue")

// Queued is one recipient of a message that is for another server.
type Queued struct {
	ID          int64
	Content     int64 // rows of one message share it
	Size        int64 // of the content
	Sender      string
	Recipient   string
	Destination string // as Destination gives it
	UTF8        bool
	Return      string // RET, ENVID, NOTIFY and ORCPT, as in Envelope and Recipient
	EnvelopeID  string
	Notify      []string
	Original    string

	State     State
	Claim     int64 // of a row that is being sent; else 0
	Attempts  int
	NextTry   time.Time
	Created   time.Time
	DelayTold bool // the sender was told that it takes long
	Unknown   int  // attempts that the other server may have taken for all we know
	Last      Attempt
}

// Attempt is what came of trying.
type Attempt struct {
	At       time.Time // zero: never
	Code     int       // the reply's, 0 if there was none
	Enhanced string    // RFC 3463
	Problem  string    // the reply's text or our own finding, printable
	Server   string    // "mx1.example.org (192.0.2.1)"
	TLS      string    // "TLS 1.3, verified"
	Own      bool      // our own finding, not the other server's words
}

// Destination is where mail for an address goes: its domain, in lower case and
// as A-labels (RFC 5890), or its address literal.
func Destination(address string) string {
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	if ascii, ok := idn.ToASCII(domain); ok {
		return strings.ToLower(ascii)
	}
	return domain
}

// Filter chooses rows of the queue. Its zero value is all of them.
type Filter struct {
	IDs         []int64
	State       State
	Destination string
	Sender      string // exactly; see NullSender
	Text        string // occurs in sender or recipient, whatever the case of its letters
	After       int64  // rows with higher ids: the last of the page before
	UpTo        int64  // rows that came no later than the one with this id; 0: all
	Limit       int    // rows of one page; 0: no limit
}

// Until leaves out what came after the row with this id, a Store.Newest.
func (f Filter) Until(newest int64) Filter {
	if f.UpTo == 0 || f.UpTo > newest {
		f.UpTo = newest
	}
	return f
}

// NullSender is Filter.Sender for messages from the null sender.
const NullSender = "<>"

// where writes the filter as a condition.
func (f Filter) where() (string, []any) {
	terms, args := []string{"q.id > ?"}, []any{f.After}
	add := func(term string, arg ...any) { terms, args = append(terms, term), append(args, arg...) }
	if f.UpTo != 0 {
		add("q.id <= ?", f.UpTo)
	}
	if f.IDs != nil {
		marks := strings.TrimSuffix(strings.Repeat("?,", len(f.IDs)), ",")
		terms = append(terms, "q.id IN ("+marks+")")
		for _, id := range f.IDs {
			args = append(args, id)
		}
	}
	if f.State != "" {
		add("q.state = ?", f.State)
	}
	if f.Destination != "" {
		add("q.destination = ?", f.Destination)
	}
	switch f.Sender {
	case "":
	case NullSender:
		add("q.sender = ''")
	default:
		add("q.sender = ?", f.Sender)
	}
	if f.Text != "" {
		add("instr(lower(q.sender || ' ' || q.recipient), lower(?)) > 0", f.Text)
	}
	return strings.Join(terms, " AND "), args
}

func (f Filter) limit() int {
	if f.Limit > 0 {
		return f.Limit
	}
	return -1 // SQLite's for none
}

const queuedColumns = `q.id, q.content, q.sender, q.recipient, q.destination, q.utf8, q.ret, q.envid, q.notify, q.orcpt, q.state, q.claim, q.attempts,
	q.next_try, q.created, q.delay_told, q.unknown, q.tried, q.code, q.enhanced, q.problem, q.server, q.tls, q.own, c.size`

// querier is a database or a transaction of it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// selectQueued reads the rows that a condition, and what follows it, chooses.
func selectQueued(ctx context.Context, db querier, condition string, args ...any) ([]Queued, error) {
	rows, err := db.QueryContext(ctx, "SELECT "+queuedColumns+" FROM queue q JOIN contents c ON c.id = q.content WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var queue []Queued
	for rows.Next() {
		var q Queued
		var next, created, tried int64
		var notify string
		if err := rows.Scan(&q.ID, &q.Content, &q.Sender, &q.Recipient, &q.Destination, &q.UTF8, &q.Return, &q.EnvelopeID, &notify, &q.Original, &q.State, &q.Claim, &q.Attempts,
			&next, &created, &q.DelayTold, &q.Unknown, &tried, &q.Last.Code, &q.Last.Enhanced, &q.Last.Problem, &q.Last.Server, &q.Last.TLS, &q.Last.Own, &q.Size); err != nil {
			return nil, err
		}
		if notify != "" {
			q.Notify = strings.Split(notify, ",")
		}
		q.NextTry, q.Created = time.UnixMicro(next), time.UnixMicro(created)
		if tried != 0 {
			q.Last.At = time.UnixMicro(tried)
		}
		queue = append(queue, q)
	}
	return queue, rows.Err()
}

// Queue lists the rows that a filter chooses, in the order they came.
func (s *Store) Queue(ctx context.Context, f Filter) ([]Queued, error) {
	where, args := f.where()
	return selectQueued(ctx, s.reader, where+" ORDER BY q.id LIMIT ?", append(args, f.limit())...)
}

// Count is how many rows a filter chooses, whatever its After and Limit.
func (s *Store) Count(ctx context.Context, f Filter) (n int, err error) {
	f.After = 0
	where, args := f.where()
	err = s.reader.QueryRowContext(ctx, "SELECT count(*) FROM queue q WHERE "+where, args...).Scan(&n)
	return n, err
}

// Newest is the highest id that a row of the queue has or had, for Filter.UpTo:
// what comes later has a higher one. It is 0 before the first.
func (s *Store) Newest(ctx context.Context) (id int64, err error) {
	return lastID(ctx, s.reader, "queue")
}

// Transcript is what was said in the last attempt at a row; "" if nothing was.
func (s *Store) Transcript(ctx context.Context, id int64) (text string, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT transcript FROM queue WHERE id = ?", id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotQueued
	}
	return text, err
}

// Tally counts the rows by state.
func (s *Store) Tally(ctx context.Context) (map[State]int, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT state, count(*) FROM queue GROUP BY state")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tally := map[State]int{}
	for rows.Next() {
		var state State
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		tally[state] = n
	}
	return tally, rows.Err()
}

// OpenContent gives the octets of a queued row's content.
func (s *Store) OpenContent(q Queued) (io.ReadCloser, error) {
	return s.openContent(q.Content, q.Size)
}
