// Package control is how an administrator's commands reach a mail server that
// runs: what can be asked of it (Operations, Queue, World), and a small protocol to
// ask it over any connection.
//
// A server that runs has its data folder to itself, so commands ask it, over a
// socket in that folder which only the folder's owner can open. Who can connect
// there may do everything. Over TLS the protocol begins with a login (Login), and
// what an administrator's page may ask for is less (Page). Package
// gateway/mailserver/controld has both.
//
// # The protocol
//
// The client sends a request, one line of JSON:
//
//	{"postern":1,"op":"quota","args":{"email":"a@b.example","quota":{"octets":1000000}}}
//
// and the server answers with one line:
//
//	{"result":{}}
//	{"error":{"kind":"not-found","text":"there is no account a@b.example"}}
//
// before it reads the next. An operation that takes octets (import) is followed
// by them, in chunks: four octets of length, most significant first, and as many
// of content; length 0 ends them. One that gives octets (backup, export) is
// answered by the line {"stream":true}, chunks, and then, after their end, the
// answer: without it they are not whole.
//
// # The login
//
// Over a network the server speaks first, inside of TLS:
//
//	{"mechanisms":["SCRAM-SHA-256","PLAIN"]}
//
// and the client answers with the exchange of RFC 4422, each octet string in
// base64 and left out where there is none:
//
//	{"mechanism":"SCRAM-SHA-256","response":"biwsbj1hLHI9…"}
//	{"challenge":"cj1…"}
//	{"response":"Yz1…"}
//	{"challenge":"dj1…"}
//	{"response":""}
//	{"result":{}}
//
// An error in the place of a challenge or of the result ends the connection.
// After the result come requests.
package control

import (
	"context"
	"errors"
	"io"
	"time"
)

// Version of the protocol. A server refuses any other.
const Version = 1

// Operations is what a mail server does for its administrator. Addresses are
// taken in any case of letters. Errors are *Error.
type Operations interface {
	AddUser(ctx context.Context, u NewUser) error
	SetPassword(ctx context.Context, email, password string) error
	RenameUser(ctx context.Context, from, to string) error
	// RemoveUser removes an account; HasMail if it has mail, unless withMail.
	RemoveUser(ctx context.Context, email string, withMail bool) error
	Users(ctx context.Context) ([]User, error)
	SetQuota(ctx context.Context, email string, q Quota) error
	// SetFilesQuota says how many octets of files an account may have; 0 is as many as all others.
	SetFilesQuota(ctx context.Context, email string, octets int64) error
	SetDisabled(ctx context.Context, email string, disabled bool) error
	// SetAdmin says whether who has the account may look after the server from a page.
	SetAdmin(ctx context.Context, email string, admin bool) error

	AddAlias(ctx context.Context, address string, accounts []string) error
	// RemoveAlias lets an address stand for those accounts no longer; none: for all.
	RemoveAlias(ctx context.Context, address string, accounts []string) error
	Aliases(ctx context.Context) (Addresses, error)
	// SetCatchAll gives an account the mail of a domain that nobody else gets; "" ends it.
	SetCatchAll(ctx context.Context, domain, account string) error

	// Backup writes a tar of the data folder as it is at one moment.
	Backup(ctx context.Context, w io.Writer) error
	// Export writes a tar of an account's messages: see maildrop.Store.Export.
	Export(ctx context.Context, email string, w io.Writer) error
	// Import takes such a tar. A message that the account has already is skipped.
	Import(ctx context.Context, email string, r io.Reader) (Imported, error)
}

// Queue is what a server with a queue does for its administrator. Errors are
// *Error.
type Queue interface {
	ListQueue(ctx context.Context, f QueueFilter) ([]QueueRow, error)
	ShowQueue(ctx context.Context, id int64) (QueueDetail, error)
	// ChangeQueue does something to all rows that a filter chooses, and says to how
	// many.
	ChangeQueue(ctx context.Context, a QueueAction, f QueueFilter) (int, error)
	// ViewQueue is a page of the queue, with what a person who looks at it wants to
	// know of the rest.
	ViewQueue(ctx context.Context, f QueueFilter) (QueueView, error)
	// WatchQueue answers the queue's revision when it is another than since, or after
	// MaxQueueWatch. It comes at most a few times a second, whatever the queue does.
	WatchQueue(ctx context.Context, since uint64) (revision uint64, err error)
}

// World is what a server of a demo world does for its administrator: it shows
// the servers there are, lets the ways to them fail, and moves their clock.
// Errors are *Error.
type World interface {
	ShowWorld(ctx context.Context) (WorldState, error)
	// SetFault lets a fault begin, in the place of the one that there was, or end
	// (FaultNone). It answers the world as it is then.
	SetFault(ctx context.Context, f Fault) (WorldState, error)
	// SetClock changes how fast the clock goes, and moves it on. It answers the
	// world as it is then.
	SetClock(ctx context.Context, c ClockChange) (WorldState, error)
}

// NewUser is an account to be made.
type NewUser struct {
	Email    string `json:"email"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password"`
}

// User is an account.
type User struct {
	Email    string    `json:"email"`
	Name     string    `json:"name,omitempty"`
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled,omitempty"`
	Admin    bool      `json:"admin,omitempty"` // may look after the server from a page
	SCRAM    bool      `json:"scram"`           // false: since before there were SCRAM keys nobody has signed in
	Messages int64     `json:"messages"`
	Octets   int64     `json:"octets"`
	Quota    Quota     `json:"quota"`
	// FilesQuota is how many octets of files it may have; 0 is as many as all others, and NoLimit is none.
	FilesQuota int64 `json:"filesQuota,omitempty"`
}

// NoLimit is a quota of files without one.
const NoLimit = -1

// Quota bounds a maildrop; 0 is no limit.
type Quota struct {
	Octets   int64 `json:"octets,omitempty"`
	Messages int64 `json:"messages,omitempty"`
}

// Alias is an address that stands for accounts.
type Alias struct {
	Address  string   `json:"address"`
	Accounts []string `json:"accounts"`
}

// CatchAll says who gets what nobody else of a domain does.
type CatchAll struct {
	Domain  string `json:"domain"`
	Account string `json:"account"`
}

// Addresses are all that lead to accounts beside their own.
type Addresses struct {
	Aliases   []Alias    `json:"aliases,omitempty"`
	CatchAlls []CatchAll `json:"catchalls,omitempty"`
}

// Imported counts messages.
type Imported struct {
	Added   int `json:"added"`
	Skipped int `json:"skipped"` // the account had them
}

// QueueAction is one of those below.
type QueueAction string

const (
	Retry   QueueAction = "retry"   // now
	Hold    QueueAction = "hold"    // until it is released
	Release QueueAction = "release" // what is held
	Return  QueueAction = "return"  // to the senders, with a report
	Drop    QueueAction = "drop"    // for good, and without a word to the sender
)

// QueueFilter chooses rows of the queue. Its zero value is all of them.
type QueueFilter struct {
	IDs         []int64 `json:"ids,omitempty"`
	State       string  `json:"state,omitempty"` // waiting, held, sending
	Destination string  `json:"destination,omitempty"`
	Sender      string  `json:"sender,omitempty"` // "<>" is the null sender
	Text        string  `json:"text,omitempty"`   // occurs in sender or recipient
	After       int64   `json:"after,omitempty"`  // rows with higher ids
	UpTo        int64   `json:"upTo,omitempty"`   // rows with no higher ids: what came later is not meant
	Limit       int     `json:"limit,omitempty"`  // 0: as many as an answer holds
}

// QueueRow is one recipient of a message that is for another server.
type QueueRow struct {
	ID          int64     `json:"id"`
	Sender      string    `json:"sender"` // "" is the null sender
	Recipient   string    `json:"recipient"`
	Destination string    `json:"destination"`
	Size        int64     `json:"size"`
	State       string    `json:"state"`
	Attempts    int       `json:"attempts"`
	Created     time.Time `json:"created"`
	NextTry     time.Time `json:"nextTry"`
	Problem     string    `json:"problem,omitempty"` // the last attempt's
}

// QueueDetail is all that is known of a row.
type QueueDetail struct {
	QueueRow
	Tried      time.Time `json:"tried"` // zero: never
	Code       int       `json:"code,omitempty"`
	Enhanced   string    `json:"enhanced,omitempty"`
	Server     string    `json:"server,omitempty"`
	TLS        string    `json:"tls,omitempty"`
	Own        bool      `json:"own,omitempty"`     // the problem is our own finding
	Unknown    int       `json:"unknown,omitempty"` // attempts that the other server may have taken
	Transcript string    `json:"transcript,omitempty"`
	Header     string    `json:"header,omitempty"` // the message's, or the beginning of it
}

// QueueView is a page of the queue at one moment.
type QueueView struct {
	Revision uint64     `json:"revision"` // grows with every change, also over restarts
	Now      time.Time  `json:"now"`      // by the queue's clock, which NextTry goes by
	Rows     []QueueRow `json:"rows"`
	Last     int64      `json:"last"`     // the highest id that there was, for QueueFilter.UpTo
	Matching int        `json:"matching"` // rows that the filter chooses, on this page and all others
	Waiting  int        `json:"waiting"`  // of the whole queue
	Held     int        `json:"held"`
	Sending  int        `json:"sending"`
}

const (
	// MaxQueueView is the most rows of a QueueView; a filter that asks for more, or for
	// no number, gets so many. The rest is asked for by QueueFilter.After.
	MaxQueueView = 200
	// MaxQueueWatch is how long WatchQueue waits: less than what idle connections on
	// the way are given, and often enough for what changes without the queue.
	MaxQueueWatch = 20 * time.Second
)

// WorldState is a demo world at one moment.
type WorldState struct {
	Servers []WorldServer `json:"servers"`
	Faults  []Fault       `json:"faults,omitempty"` // those that last, in the order of their domains
	Now     time.Time     `json:"now"`              // by the world's clock
	Rate    float64       `json:"rate"`             // seconds of the world's clock in one of ours
	Ahead   time.Duration `json:"ahead"`            // nanoseconds by which it is ahead of ours
}

// WorldServer is one mail server of the world.
type WorldServer struct {
	Hostname string   `json:"hostname"` // what its domains' MX records name
	Domains  []string `json:"domains"`
	Address  string   `json:"address"` // in the world's DNS
	SMTP     string   `json:"smtp"`    // where it really listens for mail of others
	Accounts []string `json:"accounts,omitempty"`
	Waiting  int      `json:"waiting"` // rows of its queue, those that are held or being sent included; counted up to 10,000
}

// FaultKind is one of those below.
type FaultKind string

const (
	FaultNone      FaultKind = "off"
	FaultGreylist  FaultKind = "greylist"   // 451 at first; who comes again five minutes later is let in
	FaultTemporary FaultKind = "4xx"        // 451 to every recipient
	FaultPermanent FaultKind = "5xx"        // 550 to every recipient
	FaultDropData  FaultKind = "drop-data"  // the connection is cut in the middle of the message
	FaultDropDot   FaultKind = "drop-after" // the message is taken, and the connection cut before that is said
	FaultSlow      FaultKind = "slow"       // some 2,000 octets in a second, both ways
	FaultDown      FaultKind = "down"       // nothing can connect
)

// FaultKinds are all kinds of faults there are, without FaultNone.
var FaultKinds = []FaultKind{FaultGreylist, FaultTemporary, FaultPermanent, FaultDropData, FaultDropDot, FaultSlow, FaultDown}

// Fault is what goes wrong on the way to a domain's server.
type Fault struct {
	Domain string    `json:"domain"` // one of the world's, or "*" for all; one of its own goes before that for all
	Kind   FaultKind `json:"kind"`
	// For is how long it lasts by the world's clock, in nanoseconds; 0 is until it
	// is switched off. In a WorldState it is what is left.
	For time.Duration `json:"for,omitempty"`
}

// AllDomains is the Domain of a fault on the way to every server.
const AllDomains = "*"

// ClockChange says what is done to the world's clock.
type ClockChange struct {
	Rate float64       `json:"rate,omitempty"` // 1 to MaxClockRate seconds in one; 0 leaves it
	Jump time.Duration `json:"jump,omitempty"` // nanoseconds, at most MaxClockJump: it only goes ahead
}

// What a clock can be asked for. At an hour in a second the five days for which
// mail is tried are over in two minutes, and attempts over loopback can follow;
// a jump of a month is longer than anything waits.
const (
	MaxClockRate = 3600
	MaxClockJump = 31 * 24 * time.Hour
)

// Kind says what an Error is about.
type Kind string

const (
	Exists      Kind = "exists"      // there is one already
	NotFound    Kind = "not-found"   // there is none
	Invalid     Kind = "invalid"     // it cannot be so
	InUse       Kind = "in-use"      // somebody has it open
	HasMail     Kind = "has-mail"    // see RemoveUser
	Unsupported Kind = "unsupported" // this server does not do that
	Denied      Kind = "denied"      // name or password is wrong, or this is no administrator
	Failed      Kind = "failed"      // the server could not
)

// Error is an operation's failure.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`

	cause error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.cause }

// Wrap makes an *Error of a kind, with the words of err. One that is an *Error
// stays as it is, and nil nil.
func Wrap(kind Kind, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Kind: kind, Text: err.Error(), cause: err}
}
