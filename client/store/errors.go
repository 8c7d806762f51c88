package store

import (
	"errors"
	"fmt"
)

var (
	ErrFull      = errors.New("store: no room left on this device")
	ErrCorrupt   = errors.New("store: content is damaged")          // see CorruptError
	ErrNoMessage = errors.New("store: no such message")             // in a Tx or Content: the ID is not in the mailbox
	ErrNoBlob    = errors.New("store: no such blob")                //
	ErrKnownUID  = errors.New("store: the unique-id is known")      // Add of a message that was stored before, removed ones included
	ErrTooLarge  = errors.New("store: over the size limit")         // see Options
	ErrClosed    = errors.New("store: mailbox is closed")           //
	ErrTxDone    = errors.New("store: update is over")              // a Tx used outside its function
	ErrFormat    = errors.New("store: file is not a mailbox's log") // nothing in it is ours; it is left untouched
)

// VersionError answers Open of a mailbox in another format. Nothing was changed.
type VersionError struct {
	File    string
	Version uint32 // what the file says
	Known   uint32 // the one that this program reads
}

func (e *VersionError) Error() string {
	which := "a newer"
	if e.Version < e.Known {
		which = "an older"
	}
	return fmt.Sprintf("store: %s has format %d, this program knows %d: %s version of the program is needed", e.File, e.Version, e.Known, which)
}

// CorruptError says that octets are not those that were stored. It is ErrCorrupt.
type CorruptError struct {
	ID   ID     // the message, or 0
	Blob string // the blob, or empty
	Err  error  // what was found
}

func (e *CorruptError) Error() string {
	what := fmt.Sprintf("message %d", e.ID)
	if e.Blob != "" {
		what = "blob " + e.Blob
	}
	return fmt.Sprintf("store: %s is damaged on this device: %v", what, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
