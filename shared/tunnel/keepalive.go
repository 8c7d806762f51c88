package tunnel

import "time"

// beat looks after a silent peer: a ping first, the end later. Anything that comes is a sign of life, so that an answer
// that queues behind a large download on a slow line does no harm.
func (m *mux) beat() {
	silent := m.silence()
	if silent >= m.o.DeadAfter {
		m.fail(ErrSilent)
		return
	}
	if silent >= m.o.KeepAlive {
		m.ping()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive() == nil {
		m.beatTime.Reset(m.o.KeepAlive)
	}
}

// probe asks the peer for a sign of life and ends the session if none comes in time.
func (m *mux) probe(limit time.Duration) {
	asked := int64(time.Since(m.began))
	m.ping()
	time.AfterFunc(limit, func() {
		if m.heard.Load() < asked {
			m.fail(ErrSilent)
		}
	})
}

func (m *mux) silence() time.Duration {
	return time.Since(m.began) - time.Duration(m.heard.Load())
}

// ping sends a ping whose answer says nothing: that it came is all we want to know.
func (m *mux) ping() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inject(newHeader(typePing, flagSYN, 0, 0))
}
