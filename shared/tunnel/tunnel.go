package tunnel

import (
	"context"
	"errors"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// MessageConn is an ordered, reliable carrier of messages: a WebSocket in the field, a pipe in tests. One goroutine
// reads and one writes at a time; Close may come from any, at any time, and unblocks both. The boundaries of messages
// carry no meaning, and no message is over wire.MaxMessage.
type MessageConn interface {
	// Read returns the next message. The slice is the reader's, who may write to it, until the next Read.
	Read(ctx context.Context) ([]byte, error)
	// Write returns when p may be used again. It may return before p is on the wire.
	Write(ctx context.Context, p []byte) error
	// Close gives the peer the reason, if it can be given. It is bounded in time.
	Close(reason string) error
}

var (
	ErrOffline       = errors.New("tunnel: no session with the gateway")                // Dialer.Open while there is none
	ErrSessionClosed = errors.New("tunnel: session closed")                             // a conn or session after its session's end; wraps the cause, if there is one
	ErrReset         = errors.New("tunnel: the peer closed the stream")                 // writing to a conn whose peer reads no more, or reading one that ended short
	ErrProtocol      = errors.New("tunnel: the peer broke the protocol")                // a session's end
	ErrSilent        = errors.New("tunnel: the peer fell silent")                       // a session's end: nothing came in Options.DeadAfter
	ErrStalled       = errors.New("tunnel: the peer takes nothing")                     // a session's end: a message could not be written in Options.DeadAfter
	ErrTooMany       = errors.New("tunnel: as many streams are open as the peer bears") // Session.Open at the limit
)

// Options are the limits and times of a session. A nil *Options and zero fields mean the defaults.
type Options struct {
	// Window is by how much the windows of a session's streams may grow, all together. A window is how many bytes of a stream
	// may be on their way to a reader here who has not taken them. Each stream has one of 256 KiB, yamux's own; it grows as
	// it is used and for as long as its reader keeps up, to three quarters of this at the most. Default 4 MiB: one stream then
	// carries 30 MB/s at a round trip of 100 ms, where 256 KiB carry 2.6, and on a fast line two thirds more.
	// The other end has windows of its own, and holds no more than a queue of 128 to 512 KiB and a message of each stream for all
	// that it sends, however large ours are: so a client may have large ones at no cost to its gateway.
	Window int
	// Streams is how many streams the peer may have open at one time, the control stream not counted. Default 32: an
	// account needs two, and 32 windows with what they may grow by are the 12 MiB that one hostile session may cost.
	Streams int
	// OpensPerSecond is how many streams the peer may open in a second over a longer time; ten times as many at once.
	// Default 100: an FTP mirror of small files wants some tens, and nothing honest hundreds.
	OpensPerSecond int
	// Handshake bounds the Hello and its answer, and on the server each Open. Default 10 s: two round trips on the
	// worst of links.
	Handshake time.Duration
	// OpenTimeout bounds the answer to an Open on the client, if the context does not. Default 45 s: more than a
	// gateway gives to a name's lookup and a connection.
	OpenTimeout time.Duration
	// KeepAlive is how often a silent peer is asked for a sign of life. Default 20 s: below the 30 s and 60 s after
	// which proxies cut a silent WebSocket. No more than a third of DeadAfter: who is taken for dead has been asked before.
	KeepAlive time.Duration
	// DeadAfter ends a session on which nothing came, or on which nothing could be written, for so long. Default 60 s.
	DeadAfter time.Duration
	// Probe is how soon a peer must answer whose life is in doubt (Dialer.Kick). Default 5 s.
	Probe time.Duration
	// Linger is how long a closed stream waits for its peer to close too, and a closing session for its peer's
	// goodbye. Default 5 s.
	Linger time.Duration
	// Refused is told of each no that a ServerSession says by itself: to a Hello or an Open that is malformed, of another
	// version, or over Streams. It may be called from any goroutine.
	Refused func(wire.Reason)
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	def(&d.Window, 4<<20)
	def(&d.Streams, 32)
	def(&d.OpensPerSecond, 100)
	def(&d.Handshake, 10*time.Second)
	def(&d.OpenTimeout, 45*time.Second)
	def(&d.KeepAlive, 20*time.Second)
	def(&d.DeadAfter, 60*time.Second)
	d.KeepAlive = min(d.KeepAlive, d.DeadAfter/3)
	def(&d.Probe, 5*time.Second)
	def(&d.Linger, 5*time.Second)
	return d
}

func def[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}
