package tunnel

// Held is what of a session's limits is in use: its streams, the control stream among them, and by how much windows have grown.
func (s *session) Held() (streams, grown int) {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	return len(s.mux.streams), s.o.Window - s.mux.spare
}

// Queued is how many bytes of a session wait to be sent, and how many streams there are.
func (s *session) Queued() (streams, bytes int) {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	return len(s.mux.streams), s.mux.out.queued
}

// Unread is how many bytes of a session's streams have come and wait for a reader.
func (s *session) Unread() (bytes int) {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	for _, c := range s.mux.streams {
		c.in.mu.Lock()
		bytes += c.in.held
		c.in.mu.Unlock()
	}
	return bytes
}

// CloseBy is Close up to the moment before the FIN; rest is the rest of it.
func (c *Conn) CloseBy() (rest func()) {
	_, unread := c.shut()
	return func() {
		c.finish()
		c.mux.finish(c, unread)
	}
}
