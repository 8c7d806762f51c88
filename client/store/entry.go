package store

import (
	"time"

	"github.com/postern-mail/postern/shared/mail"
)

// ID numbers a message within its mailbox. Numbers start at 1, grow, and are never used again.
type ID uint64

// Folder names a folder. A folder exists as soon as a message is in it.
type Folder string

// Flags are the marks a message can carry.
type Flags struct {
	Unread   bool
	Flagged  bool
	Answered bool
}

// Delivery is what the outbox knows of a message on its way. The store keeps it and reads nothing into it.
type Delivery struct {
	State    string    // one of the outbox states of client/api
	From     string    // the envelope's reverse-path
	To       []string  // the envelope's forward-paths not yet served
	Attempts int       // how often it was tried
	NextTry  time.Time // while deferred
	Problem  []byte    // why it is where it is, in the engine's own encoding
}

// Entry is what the mailbox knows of one message. Entries answered by a Mailbox are shared: their slices and their
// Delivery must not be changed. Times come back in UTC.
type Entry struct {
	ID       ID
	Folder   Folder
	Previous Folder // the folder it was in before, for undo; empty if it was never moved
	UID      string // the unique-id of RFC 1939 section 7 that it was fetched under; empty if it was not fetched
	Flags    Flags
	Summary  mail.Summary
	Size     int64 // octets of the content
	Whole    int64 // if only the message's beginning is here: the octets of all of it, as the server counts them; else 0
	Sum      Sum   // of the content
	Stored   time.Time
	Delivery *Delivery // nil but for drafts and outgoing mail
}

// Partial says that only the message's beginning is here.
func (e *Entry) Partial() bool { return e.Whole > 0 }

// Erased is what is remembered of a fetched message that was removed: enough to know its copies again.
type Erased struct {
	Sum    Sum // of the content that was here
	Stored time.Time
	Whole  int64 // as in Entry
}

// Window is a part of a folder's list, newest first. Total and Unread count everything that matched.
type Window struct {
	Total    int
	Unread   int
	Revision uint64
	Entries  []Entry
}

// Counts are the figures of a folder. Revision grows with every change of what List would answer, also over restarts.
type Counts struct {
	Total    int
	Unread   int
	Revision uint64
}
