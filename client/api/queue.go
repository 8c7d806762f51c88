package api

import "time"

// What an account that looks after its mail server (Account.Admin) sees of it: what waits there for other servers,
// and the demo world that the server is in, if it is in one.

// QueueQuery asks for a page of the queue of an account's server, in the order in which the mail came.
type QueueQuery struct {
	Account AccountID  `json:"account"`
	Text    string     `json:"text,omitempty"`  // occurs in sender or recipient
	State   QueueState `json:"state,omitempty"` // empty: any
	After   int64      `json:"after,omitempty"` // rows with a greater ID
	Limit   int        `json:"limit,omitempty"` // at most MaxQueueLimit; 0: as many as that
}

// MaxQueueLimit bounds one QueuePage.
const MaxQueueLimit = 200

// QueueState says where a message in the queue is.
type QueueState string

const (
	QueueWaiting QueueState = "waiting" // tried at NextTry
	QueueHeld    QueueState = "held"    // until somebody releases it
	QueueSending QueueState = "sending"
)

// QueuePage answers a QueueQuery. Matching counts the rows of all pages up to Last; Waiting, Held and Sending those of
// the whole queue.
type QueuePage struct {
	Revision uint64     `json:"revision"` // for WatchQueue
	Now      time.Time  `json:"now"`      // by the server's clock, which NextTry goes by
	Rows     []QueueRow `json:"rows,omitempty"`
	Last     int64      `json:"last"` // the highest ID that there was: what came since has a greater one
	Matching int        `json:"matching"`
	Waiting  int        `json:"waiting"`
	Held     int        `json:"held"`
	Sending  int        `json:"sending"`
}

// QueueRow is one recipient of a message that is for another server.
type QueueRow struct {
	ID          int64      `json:"id"`
	Sender      string     `json:"sender"` // empty: a report of a server
	Recipient   string     `json:"recipient"`
	Destination string     `json:"destination"` // domain, in its ASCII form
	Size        int64      `json:"size"`        // octets
	State       QueueState `json:"state"`
	Attempts    int        `json:"attempts"`
	Created     time.Time  `json:"created"`
	NextTry     time.Time  `json:"nextTry"`
	Problem     string     `json:"problem,omitempty"` // of the last attempt: the other server's words or the own server's finding
}

// QueueRef names a row of the queue.
type QueueRef struct {
	Account AccountID `json:"account"`
	ID      int64     `json:"id"`
}

// QueueItem is all that is known of a row.
type QueueItem struct {
	QueueRow
	Tried      time.Time  `json:"tried,omitzero"` // zero: never
	Code       int        `json:"code,omitempty"`
	Enhanced   string     `json:"enhanced,omitempty"`
	Means      string     `json:"means,omitempty"`  // what the codes say, in a sentence
	Server     string     `json:"server,omitempty"` // that was spoken to
	TLS        string     `json:"tls,omitempty"`
	Own        bool       `json:"own,omitempty"`        // Problem is the own server's finding
	Unknown    int        `json:"unknown,omitempty"`    // attempts that the other server may have taken
	Transcript []WireLine `json:"transcript,omitempty"` // of the last attempt; At has the time of day alone, in UTC
	Header     string     `json:"header,omitempty"`     // of the message, or the beginning of it
}

// QueueWatch waits for a change of the queue. It answers a revision that is another than this, or after some seconds
// the same.
type QueueWatch struct {
	Account  AccountID `json:"account"`
	Revision uint64    `json:"revision"`
}

// QueueAction is what can be done to a row.
type QueueAction string

const (
	QueueRetry   QueueAction = "retry"   // now
	QueueHold    QueueAction = "hold"    // until it is released
	QueueRelease QueueAction = "release" // what is held
	QueueReturn  QueueAction = "return"  // to the sender, with a report
	QueueDrop    QueueAction = "drop"    // for good, without a word to the sender
)

// QueueChange does something to rows: to those of IDs, or without any to all that Text and State choose, as in a
// QueueQuery, and that came no later than UpTo. What is being sent at the moment is left alone.
type QueueChange struct {
	Account AccountID   `json:"account"`
	Action  QueueAction `json:"action"`
	IDs     []int64     `json:"ids,omitempty"` // at most MaxQueueIDs
	Text    string      `json:"text,omitempty"`
	State   QueueState  `json:"state,omitempty"`
	UpTo    int64       `json:"upTo,omitempty"` // a QueuePage.Last; 0: whatever there is
}

// MaxQueueIDs bounds the IDs of a QueueChange.
const MaxQueueIDs = 1000

// World is the demo world that a server is in. Without Servers it is in the real one.
type World struct {
	Servers []WorldServer `json:"servers,omitempty"`
	Faults  []WorldFault  `json:"faults,omitempty"` // those that last
	Now     time.Time     `json:"now,omitzero"`     // by its clock
	Rate    float64       `json:"rate,omitempty"`   // seconds of its clock in one of ours
	Ahead   time.Duration `json:"ahead,omitempty"`
}

// WorldServer is a mail server of the world.
type WorldServer struct {
	Hostname string   `json:"hostname"`
	Domains  []string `json:"domains"`
	Accounts []string `json:"accounts,omitempty"`
	Waiting  int      `json:"waiting"`
}

// WorldFault is what goes wrong on the way to a domain's server.
type WorldFault struct {
	Domain string        `json:"domain"`        // "*": every one
	Kind   FaultKind     `json:"kind"`          // FaultOff ends it
	For    time.Duration `json:"for,omitempty"` // by the world's clock; 0: until it is switched off
}

// FaultKind is one of those below.
type FaultKind string

const (
	FaultOff       FaultKind = "off"
	FaultGreylist  FaultKind = "greylist"
	FaultTemporary FaultKind = "4xx"
	FaultPermanent FaultKind = "5xx"
	FaultDropData  FaultKind = "drop-data"
	FaultDropDot   FaultKind = "drop-after"
	FaultSlow      FaultKind = "slow"
	FaultDown      FaultKind = "down"
)

// WorldChange changes the world: a fault, or the clock; neither of them only asks how it is.
type WorldChange struct {
	Account AccountID     `json:"account"`
	Fault   *WorldFault   `json:"fault,omitempty"`
	Rate    float64       `json:"rate,omitempty"` // of the clock, 1 to 3600; 0 leaves it
	Jump    time.Duration `json:"jump,omitempty"` // puts it forward
}
