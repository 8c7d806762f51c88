package ftpserver

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
)

// Whose a data connection is, its address says: to who is on the way between client and server, or beside the client behind one
// address, that is no hindrance, and TLS asks clients for no certificate. But who resumes a TLS session (RFC 8446 section 2.2) has its
// secret. So each ticket says of which control connection it is, one of another user's is of no use for a data connection, and a
// client that has once resumed has to do so each time. Those that never do go on as before.

var errNotResumed = errors.New("a data connection resumes the TLS session of its control connection, as the first one did")

// ownTLS makes the TLS of a session, control and data.
func (s *session) ownTLS() {
	rand.Read(s.mark[:])
	base := s.srv.cfg.TLS // which has the keys of the tickets
	s.tls = base.Clone()
	s.tls.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		state.Extra = nil
		if cs.DidResume || !s.loggedIn() { // a data connection that proves nothing gives nothing to prove it by
			state.Extra = [][]byte{s.mark[:]}
		}
		return base.EncryptTicket(cs, state)
	}
	s.tls.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, err := base.DecryptTicket(ticket, cs)
		if err != nil || state == nil || s.loggedIn() && !s.srv.marked(state, s.user.ID) {
			return nil, nil // and a new session begins
		}
		return state, nil
	}
}

// marked says whether a TLS session is of a control connection of the user's that is there.
func (s *Server) marked(state *tls.SessionState, user string) bool {
	if len(state.Extra) != 1 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.sessions {
		if bytes.Equal(ses.mark[:], state.Extra[0]) && ses.userID() == user {
			return true
		}
	}
	return false
}

// userID is who has signed in; "" if nobody has.
func (s *session) userID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user.ID
}

// handshake begins the TLS of a data connection, with its first octet. It is called by who reads or writes there.
func (ch *channel) handshake(conn *tls.Conn) error {
	if err := conn.HandshakeContext(ch.ctx); err != nil {
		return err
	}
	ch.s.mu.Lock()
	missed := ch.s.resumes && !conn.ConnectionState().DidResume
	ch.s.resumes = ch.s.resumes || conn.ConnectionState().DidResume
	ch.s.mu.Unlock()
	if !missed {
		return nil
	}
	ch.s.srv.counts.foreign.Add(1)
	ch.mu.Lock()
	ch.missed = errNotResumed
	ch.mu.Unlock()
	return errNotResumed
}
