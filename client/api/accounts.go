package api

import "time"

// Security is how a connection to a mail server is protected.
type Security string

const (
	TLS      Security = "tls"      // from the first octet: ports 995 and 465 (RFC 8314 section 3)
	STARTTLS Security = "starttls" // by STLS (RFC 2595) or STARTTLS (RFC 3207), before which nothing is said that matters
	Plain    Security = "plain"    // none: everybody on the way, the gateway among them, can read the password and the mail
)

// Protocol is one of the two that a mail account speaks, or FTP.
type Protocol string

const (
	POP3 Protocol = "pop3"
	SMTP Protocol = "smtp"
)

// Server is where and how a mail server is reached.
type Server struct {
	Host     string   `json:"host,omitempty"` // a name or an address; empty: the gateway's own server, and then the rest is empty too
	Port     int      `json:"port,omitempty"`
	Security Security `json:"security,omitempty"`
	User     string   `json:"user,omitempty"` // the login name; empty: the account's address
	Auth     string   `json:"auth,omitempty"` // a SASL mechanism, "USER" or "APOP"; empty: the safest that the server announces
	Pin      string   `json:"pin,omitempty"`  // hex SHA-256 of the one certificate that is believed; empty: one that verifies
}

// Servers are those of one account.
type Servers struct {
	POP3 Server `json:"pop3"`
	SMTP Server `json:"smtp"`
}

// Origin says where a candidate comes from, in the order in which they are tried.
type Origin string

const (
	OriginGateway    Origin = "gateway"    // the gateway's own mail server is home to the domain
	OriginSRV        Origin = "srv"        // RFC 6186
	OriginAutoconfig Origin = "autoconfig" // the domain's own file
	OriginProvider   Origin = "provider"   // the list of large providers that comes with Postern
	OriginGuess      Origin = "guess"      // a usual name that answered
)

// Candidate is settings that may be those of an address.
type Candidate struct {
	Origin   Origin  `json:"origin"`
	Servers  Servers `json:"servers"`
	Provider string  `json:"provider,omitempty"` // its name, for people
	Help     string  `json:"help,omitempty"`     // what the provider's users have to do first, in a sentence: make an app password, say
}

// Discovery answers Discover.
type Discovery struct {
	Candidates []Candidate `json:"candidates,omitempty"` // best first; none: the user has to say
	// Suggestion is something to begin with when the user has to say: the usual names and ports.
	Suggestion Servers  `json:"suggestion"`
	Problem    *Problem `json:"problem,omitempty"` // why the look-ups were incomplete, if they were
}

// Certificate is a server's certificate that is not believed, as a Problem of CodeCertificate carries it.
type Certificate struct {
	Protocol    Protocol  `json:"protocol"`
	Host        string    `json:"host"`
	Reason      string    `json:"reason"` // shared/trust's: "expired", "not-yet-valid", "wrong-host", "self-signed", "unknown-authority", "pin-changed", "invalid"
	Subject     string    `json:"subject,omitempty"`
	Names       []string  `json:"names,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
	Fingerprint string    `json:"fingerprint"`      // hex SHA-256: what Server.Pin wants
	Pinned      string    `json:"pinned,omitempty"` // of "pin-changed": what was pinned
}

// Trust pins a certificate for one server of an account, in place of what was believed before.
type Trust struct {
	Account     AccountID `json:"account"`
	Protocol    Protocol  `json:"protocol"`
	Fingerprint string    `json:"fingerprint"` // empty: none is pinned any more
}

// Leave says what becomes of the copy of a message on the server.
type Leave string

const (
	LeaveAlways      Leave = ""              // it stays, whatever happens here
	LeaveDays        Leave = "days"          // it is deleted so many days after it was fetched
	LeaveUntilErased Leave = "until-deleted" // it is deleted when the message is deleted here: in Trash, or erased
	LeaveNever       Leave = "never"         // it is deleted as soon as the message is safe here
)

// Settings are what a user chooses for an account.
type Settings struct {
	Account    AccountID  `json:"account"`
	Label      string     `json:"label,omitempty"` // what the account is called here; empty: its address
	Servers    Servers    `json:"servers"`
	Leave      Leave      `json:"leave,omitempty"`
	LeaveDays  int        `json:"leaveDays,omitempty"` // with LeaveDays: 1 to 3650
	SizeCap    int64      `json:"sizeCap,omitempty"`   // octets: of a larger message only the beginning is fetched by itself; 0: none
	Identities []Identity `json:"identities"`          // at least one; the first is the one for new messages
}

// Identity is who a message is from.
type Identity struct {
	Name      string `json:"name,omitempty"`
	Addr      string `json:"addr"`
	Signature string `json:"signature,omitempty"` // plain text, put below "-- " at the end of a new message
}

// VaultState says how passwords are kept on this device.
type VaultState string

const (
	VaultOpen   VaultState = ""       // under a key that the browser holds, and hands to nobody
	VaultLocked VaultState = "locked" // under a passphrase, which has not been given since the start
	VaultSealed VaultState = "sealed" // under a passphrase, which has been given
)

// Passphrase changes how passwords are kept.
type Passphrase struct {
	Old string `json:"old,omitempty"` // the present one, if there is one
	New string `json:"new,omitempty"` // empty: none any more
}

// WireQuery asks for an account's transcript: the conversations with its servers, as they were said.
type WireQuery struct {
	Account AccountID `json:"account"`
	After   uint64    `json:"after,omitempty"`   // lines with a greater Seq
	Session uint64    `json:"session,omitempty"` // of this session alone; 0: of all
	Limit   int       `json:"limit,omitempty"`   // at most MaxWireLimit lines, the oldest first; 0: as many as that
	Wait    bool      `json:"wait,omitempty"`    // if there is none yet, wait for the next one until the caller goes away
}

// MaxWireLimit bounds one WirePage.
const MaxWireLimit = 500

// WirePage answers a WireQuery. Secrets are masked and message content is left out ("... 1234 octets").
type WirePage struct {
	Lines    []WireLine    `json:"lines,omitempty"`
	Sessions []WireSession `json:"sessions,omitempty"` // all that are kept, the oldest first
}

// WireLine is one line of a transcript.
type WireLine struct {
	Seq     uint64    `json:"seq"` // grows within the account, over restarts too
	Session uint64    `json:"session"`
	At      time.Time `json:"at"`
	Who     Speaker   `json:"who"`
	State   string    `json:"state,omitempty"` // POP3's: "AUTHORIZATION", "TRANSACTION", "UPDATE"; SMTP's stage: "HELLO", "AUTH", "MAIL", "RCPT", "DATA"; FTP's: see below
	Text    string    `json:"text"`
	// Data is, in a session of FTP, the data connection that the line is about: 1 for the first. 0: the control connection.
	Data int `json:"data,omitempty"`
}

// The state of a line of FTP is what the server holds of the session, as far as it has told: the phase ("OPENING", "READY", "RENAMING",
// "TRANSFERRING", "CLOSED"), and after it, as they are there, the folder ("in /pub"), what is being renamed ("from a.txt"), where the
// next transfer begins ("at 1048576"), and the command under way ("RETR a.txt").

// Speaker says who said a line.
type Speaker string

const (
	ClientSays Speaker = "client"
	ServerSays Speaker = "server"
	Remark     Speaker = "note" // ours, of what is no line: a connection made, a handshake, a cut
)

// WireSession is one connection to a server.
type WireSession struct {
	ID       uint64    `json:"id"`
	Protocol Protocol  `json:"protocol"`
	Server   string    `json:"server"` // host:port
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended,omitzero"` // zero while it lasts
	TLS      string    `json:"tls,omitempty"`  // "TLS 1.3, TLS_CHACHA20_POLY1305_SHA256"; empty: plain text
	Problem  *Problem  `json:"problem,omitempty"`
}

// Recipient is one recipient of an outgoing message and what became of it there.
type Recipient struct {
	Addr    string      `json:"addr"`
	State   OutboxState `json:"state"`
	Problem *Problem    `json:"problem,omitempty"`
}
