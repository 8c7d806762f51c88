package tunnel

import (
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// outbound is what waits to be sent: messages, of which the last is still being filled. Of mux.mu.
type outbound struct {
	first, last *block
	queued      int         // bytes in them, and in the one that is being written
	sending     bool        // the sender runs
	watchdog    *time.Timer // bites when a message cannot be written; the sender's
	mark        int         // how many may wait
	began       time.Time   // when the message that is being written was taken
	waiting     int         // conns that wait for room
}

// How many bytes of a session may wait for the MessageConn before its conns stop writing. It begins at leastMark: one message
// on its way and one being gathered. With more, a ping or a small stream's line waits behind more bulk; with less than
// mostMark, sender and writers wake each other for each message, which on a fast line is most of their work. So it grows while
// the line takes a message within quickly, and falls when it does not: what waits is less than quickly's worth a message.
const (
	leastMark = 2 * wire.MaxMessage
	mostMark  = 8 * wire.MaxMessage
	quickly   = time.Millisecond
)

// mostQueued is more than an honest peer can make us queue, whose frames for it do not wait for room.
const mostQueued = 2 * mostMark

// fit is how large a payload goes next: so large that it fills a message.
func (q *outbound) fit() int {
	if q.last != nil {
		if left := wire.MaxMessage - len(q.last.b) - headerSize; left >= smallBlock {
			return left
		}
	}
	return wire.MaxMessage - headerSize
}

// push queues a frame, which is no longer than a message.
func (q *outbound) push(h header, payload []byte) {
	b := q.space(headerSize + len(payload))
	b.put(h[:])
	b.put(payload)
}

// pushBlock queues a frame that fills a block from its start, which is the queue's from now on.
func (q *outbound) pushBlock(b *block) {
	n := len(b.b)
	if q.last != nil && (n <= smallBlock || len(q.last.b)+n <= cap(q.last.b)) {
		q.space(n).put(b.b)
		b.free()
		return
	}
	q.queued += n
	q.append(b)
}

// space queues n bytes, to be put into the block that it answers.
func (q *outbound) space(n int) *block {
	q.queued += n
	last := q.last
	switch {
	case last == nil:
		q.append(lend(n))
	case len(last.b)+n <= cap(last.b):
	case q.first == last && len(last.room) == smallBlock && len(last.b)+n <= largeBlock: // a line or two, and more
		q.first, q.last = nil, nil
		q.append(lend(largeBlock))
		q.last.put(last.b)
		last.free()
	default:
		q.append(lend(largeBlock)) // what fills one is followed by more
	}
	return q.last
}

func (q *outbound) append(b *block) {
	if q.last == nil {
		q.first = b
	} else {
		q.last.next = b
	}
	q.last = b
}

// pop takes the next message.
func (q *outbound) pop() *block {
	b := q.first
	if b == nil {
		return nil
	}
	if q.first = b.next; q.first == nil {
		q.last = nil
	}
	b.next = nil
	return b
}

// free is for the session's end.
func (q *outbound) free() {
	if q.watchdog != nil {
		q.watchdog.Stop()
	}
	for b := q.pop(); b != nil; b = q.pop() {
		b.free()
	}
}

// push queues a frame and sees to it that it is sent; m.mu is held.
func (m *mux) push(h header, payload []byte) {
	if m.alive() != nil {
		return
	}
	m.out.push(h, payload)
	m.start()
}

// pushBlock is push of a frame in a block; m.mu is held.
func (m *mux) pushBlock(b *block) {
	m.out.pushBlock(b)
	m.start()
}

// start sees to it that what is queued is sent; m.mu is held.
func (m *mux) start() {
	if m.unsent() {
		m.out.sending = true
		m.ends.Go(m.send)
	}
}

// unsent says that something is queued and nobody sends it.
func (m *mux) unsent() bool { return m.out.first != nil && !m.out.sending && m.alive() == nil }

// inject queues a frame that waits for nothing; m.mu is held.
func (m *mux) inject(h header) {
	m.push(h, nil)
	if m.out.queued > mostQueued {
		m.failLocked(ErrStalled)
	}
}

// claim makes the caller the sender of what is queued, if there is none and the line is a fast one: the caller has to call sendSome,
// with no lock held. Else it is start. To write at once what one has queued spares the waking of a goroutine, and what
// is written is still in the processor's cache. m.mu is held.
func (m *mux) claim() bool {
	if m.out.mark == leastMark || m.pace.most > 0 {
		m.start()
		return false
	}
	if !m.unsent() {
		return false
	}
	m.out.sending = true
	m.ends.Add(1)
	return true
}

// send writes what is queued, until nothing is.
func (m *mux) send() {
	defer m.survive()
	for m.write() {
	}
}

// mostAtOnce is how many messages a writer sends by itself, which may be others': what it has written is two, as a rule.
const mostAtOnce = 4

// sendSome writes what is queued. If that is much, a goroutine does the rest.
func (m *mux) sendSome() {
	defer m.ends.Done()
	defer m.survive()
	for range mostAtOnce {
		if !m.write() {
			return
		}
	}
	m.ends.Go(m.send)
}

// write writes the next message. It answers false when there is no sender any more.
func (m *mux) write() bool {
	b := m.next()
	if b == nil {
		return false
	}
	defer b.free()
	n := len(b.b)
	if !m.await(n) {
		return false
	}
	err := m.mc.Write(unbounded, b.b)
	if ping := m.wrote(n); ping != nil && err == nil {
		err = m.mc.Write(unbounded, ping)
	}
	if err != nil {
		m.fail(broken("writing", err))
	}
	return err == nil
}

// next is the message to write now; nil: there is none, and the sender ends.
func (m *mux) next() *block {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := &m.out
	b := q.pop()
	if m.alive() != nil {
		if b != nil {
			b.free()
		}
		b = nil
	}
	if b == nil {
		q.sending = false
		if q.watchdog != nil {
			q.watchdog.Stop()
		}
		return nil
	}
	q.began = time.Now()
	if q.watchdog == nil {
		q.watchdog = time.AfterFunc(m.o.DeadAfter, func() { m.fail(ErrStalled) })
	} else {
		q.watchdog.Reset(m.o.DeadAfter)
	}
	return b
}

// written makes room for what was not yet; m.mu is held.
func (m *mux) written(n int) {
	q := &m.out
	q.queued -= n
	if time.Since(q.began) < quickly {
		q.mark = min(q.mark+wire.MaxMessage, mostMark)
	} else {
		q.mark = max(q.mark/2, leastMark)
	}
	if q.waiting == 0 || q.queued > q.mark/2 {
		return
	}
	for _, c := range m.streams {
		if c.waiting > 0 {
			c.writable.Broadcast()
		}
	}
}
