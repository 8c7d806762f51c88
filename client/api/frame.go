package api

import "context"

// Kind says what a frame is. The numbers go over the port as they are: never change one.
type Kind uint8

const (
	KindCall    Kind = 1 // page → engine: Method and Body (the request), Blob for Upload, UploadFile and PutChunk
	KindReply   Kind = 2 // engine → page: Body (the answer), Blob for Source, Attachment and ReadDownload
	KindFailure Kind = 3 // engine → page: the call failed; Body is a Problem
	KindCancel  Kind = 4 // page → engine: nobody waits for the call of this ID any more; it still gets its one answer
	KindEvent   Kind = 5 // engine → page: Body is an Event; ID is 0
)

// Frame is one message between page and engine. Over a MessagePort it is the array
// [ID, Kind, Method, Body as a string, Blob as a Uint8Array or null].
type Frame struct {
	ID     uint64 // pairs an answer with its call; at least 1 and at most 2^53 - 1, but 0 for an event
	Kind   Kind
	Method string // of a call: the name of the Service method
	Body   []byte // JSON; empty where there is nothing to say
	Blob   []byte // bulk bytes, not in the JSON
}

// Conn carries frames in order, both ways, whole. It is safe for one reader and one writer at the same time.
type Conn interface {
	// Send hands a frame over; the frame's bytes belong to the Conn from then on. It may wait for a slow peer, and
	// fails with ErrClosed once either end is closed.
	Send(Frame) error
	// Receive waits for the next frame. What was sent before the peer closed is still received; then ErrClosed.
	Receive(ctx context.Context) (Frame, error)
	// Close ends both directions. It may be called more than once and from anywhere.
	Close() error
}

// Source is where events come from. The engine is one.
type Source interface {
	// Subscribe calls fn for every event, in order, one at a time, until cancel is called. fn must not block.
	Subscribe(fn func(Event)) (cancel func())
}

// ErrClosed is what every call answers when the way to the engine is closed: the tab that held the engine went away,
// or this one is closing. Nothing is known of the fate of calls that were under way. It is a *Problem like any other
// error of a call; errors.Is tells it apart from the others.
var ErrClosed error = &Problem{Code: CodeCanceled, Technical: "the connection between page and engine is closed"}
