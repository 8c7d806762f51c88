package mailtest

import (
	"fmt"
	"sync"
	"time"
)

// Maildrop is one user's mail in a [POP3] server. One session at a time may hold it.
type Maildrop struct {
	mu       sync.Mutex
	messages []stored
	last     int
	locked   bool
	login    time.Time     // the last
	arrived  chan struct{} // closed and replaced at each delivery
}

type stored struct {
	uid     string
	content []byte
}

// Deliver puts a message, with CRLF line ends, into the maildrop.
func (m *Maildrop) Deliver(content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.messages = append(m.messages, stored{fmt.Sprintf("uid-%06d", m.last), content})
	if m.arrived != nil {
		close(m.arrived)
		m.arrived = nil
	}
}

// Contents returns the messages, oldest first.
func (m *Maildrop) Contents() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all [][]byte
	for _, s := range m.messages {
		all = append(all, s.content)
	}
	return all
}
