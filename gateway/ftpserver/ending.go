package ftpserver

import "time"

// How a session ends, or is kept from it.

// await sets how long the next command may take. During a transfer there is no need to say anything.
func (s *session) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.srv.closing.Load() || s.expelled:
		s.raw.SetReadDeadline(time.Unix(1, 0))
	case s.transfer != nil:
		s.raw.SetReadDeadline(time.Time{})
	case s.folder == nil: // whatever is said meanwhile
		s.raw.SetReadDeadline(s.began.Add(s.srv.cfg.Limits.Login))
	default:
		s.raw.SetReadDeadline(time.Now().Add(s.srv.cfg.Limits.Idle))
	}
}

// ending is why the session is to end, although its client says nothing of that; nil if it is not.
func (s *session) ending() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.expelled:
		return errExpelled
	case s.srv.closing.Load():
		return errClosing
	}
	return nil
}

// look asks whether the user may go on, and ends the session and its transfer if not: what was received stays.
func (s *session) look() {
	s.mu.Lock()
	user, folder := s.user, s.folder
	s.mu.Unlock()
	quota, still := user.Still(s.ctx)
	s.mu.Lock()
	if s.ctx.Err() != nil { // it has ended
		s.mu.Unlock()
		return
	}
	if still {
		folder.SetQuota(quota)
		s.recheck.Reset(s.srv.cfg.Limits.Recheck)
	}
	s.expelled = !still
	s.mu.Unlock()
	if still {
		return
	}
	s.log.Info("ftp: a session ends, its user may not go on")
	if t := s.current(); t != nil {
		t.channel.close()
	}
	s.await()
}

// cut ends the session at once.
func (s *session) cut() {
	if t := s.current(); t != nil {
		t.channel.close()
	}
	s.raw.Close()
}

// Close ends the connection, unless it is spared for once.
func (s *session) Close() error {
	s.mu.Lock()
	spared := s.spared
	s.spared = false
	s.mu.Unlock()
	if spared {
		return nil
	}
	s.closeOnce.Do(func() {
		s.out.Lock()
		conn := s.conn
		s.out.Unlock()
		if conn != s.raw {
			conn.Close() // says so, by TLS
		}
		s.raw.Close()
	})
	return nil
}
