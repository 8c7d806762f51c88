package queue

import (
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
)

// Event says what came of an attempt for one recipient, or that it was given back by hand. It comes when that is durable.
type Event struct {
	At          time.Time
	Kind        Kind
	ID          int64
	Sender      string
	Recipient   string
	Destination string
	Attempts    int
	NextTry     time.Time // for Deferred and Unknown
	Server      string    // "mx1.example.org (192.0.2.1)"
	TLS         string
	Code        int
	Enhanced    string
	Text        string // the server's words or our own finding, printable
}

// Kind is what an event is about.
type Kind string

const (
	Delivered Kind = "delivered"
	Deferred  Kind = "deferred"
	Failed    Kind = "failed"   // refused for good
	GivenUp   Kind = "given up" // tried for as long as the schedule says
	Unknown   Kind = "unknown"  // cut after the message: the other server may have it, and it is tried again
)

// Counters count events since the queue was made.
type Counters struct{ Delivered, Deferred, Failed, GivenUp, Unknown uint64 }

// Counters answers them.
func (q *Queue) Counters() Counters {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.counters
}

// Subscribe has events sent to a channel that holds so many. Who does not read in time misses some: the queue waits for
// nobody. cancel closes the channel.
func (q *Queue) Subscribe(hold int) (events <-chan Event, cancel func()) {
	c := make(chan Event, max(hold, 1))
	q.mu.Lock()
	q.listeners[c] = true
	q.mu.Unlock()
	return c, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.listeners[c] {
			delete(q.listeners, c)
			close(c)
		}
	}
}

// announce counts outcomes that are durable and tells who listens.
func (q *Queue) announce(list []outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range list {
		e := Event{
			At: o.Last.At, Kind: Deferred, ID: o.Row.ID, Sender: o.Row.Sender, Recipient: o.Row.Recipient, Destination: o.Row.Destination, Attempts: o.Attempts,
			Server: o.result.Server, TLS: o.result.TLS, Code: o.result.Code, Enhanced: o.result.Enhanced, Text: o.result.Text,
		}
		count := &q.counters.Deferred
		switch {
		case o.gaveUp:
			e.Kind, count = GivenUp, &q.counters.GivenUp
		case o.result.Outcome == delivery.Failed && o.Gone:
			e.Kind, count = Failed, &q.counters.Failed
		case o.Gone:
			e.Kind, count = Delivered, &q.counters.Delivered
		case o.result.Outcome == delivery.Unknown:
			e.Kind, count = Unknown, &q.counters.Unknown
		}
		if !o.Gone {
			e.NextTry = o.NextTry
		}
		*count++
		for c := range q.listeners {
			select {
			case c <- e:
			default:
			}
		}
	}
}
