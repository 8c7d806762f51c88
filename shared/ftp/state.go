package ftp

// Phase is where in a session one is.
type Phase int

// The phases of a session.
const (
	Opening      Phase = iota // not logged in yet
	Ready                     // logged in, and nothing is under way
	Renaming                  // RNFR is said and RNTO is not: the server waits for the new name
	Transferring              // a data connection is being used, or is about to be
	Closed                    // the connection is given up
)

func (p Phase) String() string {
	switch p {
	case Opening:
		return "OPENING"
	case Ready:
		return "READY"
	case Renaming:
		return "RENAMING"
	case Transferring:
		return "TRANSFERRING"
	}
	return "CLOSED"
}

// State is what the server holds about a session, as far as it has told. FTP keeps all this at the server's side: the same
// command means different things in different states (RFC 959 sections 4 and 5).
type State struct {
	Phase Phase
	// User is who one is: the name that was logged in by, "" before.
	User string
	// Dir is where one is, in the server's words (PWD); "" if it is not known.
	Dir string
	// RenameFrom is what is being renamed (RNFR); "" for nothing.
	RenameFrom string
	// Restart is at which octet the next transfer starts (REST).
	Restart int64
	// Type is how data is represented (TYPE): "A" for lines of text, as every session begins, "I" for octets as they are.
	Type string
	// TLS tells that the control connection is under TLS, Private that data connections will be (PROT P, RFC 4217 section 9).
	TLS, Private bool
	// UTF8 tells that names are in UTF-8, as the server says (RFC 2640). Else nothing is known about their characters.
	UTF8 bool
	// Transfer is the command under way on the data connection Data: "RETR a/b"; "" for none.
	Transfer string
	Data     int
}

// State returns the state of the session. It may be called at any time.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	if c.closed.Load() {
		s.Phase = Closed
	}
	return s
}

// become changes the state.
func (c *Client) become(change func(*State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
}
