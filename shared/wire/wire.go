package wire

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// What the two sides must agree on before the first frame.
const (
	Version     = 1            // the version of this protocol; a Hello carries it
	Path        = "/tunnel"    // where the gateway answers the WebSocket handshake
	Subprotocol = "postern.v1" // Sec-WebSocket-Protocol, RFC 6455 section 11.3.4
)

// Hello is the first frame of a session: client to gateway, on the first stream.
type Hello struct {
	Version      int      `json:"version"`
	Client       string   `json:"client,omitempty"`       // the client's name and version, for the operator's log
	Token        string   `json:"token,omitempty"`        // the access token, if the gateway wants one
	Capabilities []string `json:"capabilities,omitempty"` // what the client can do beyond this version
}

// Welcome is the gateway's yes to a Hello.
type Welcome struct {
	Version      int       `json:"version"`
	Server       string    `json:"server,omitempty"`  // the gateway's name and version
	Session      string    `json:"session,omitempty"` // names the session in the operator's log; no secret
	Capabilities []string  `json:"capabilities,omitempty"`
	Embedded     *Embedded `json:"embedded,omitempty"` // nil: the gateway has no mail server of its own
	// Beside are more mail servers of its own, as a demo world has: none without the first.
	Beside []Embedded `json:"beside,omitempty"`
	Limits Limits     `json:"limits"`
}

// Servers are the gateway's own mail servers, the first one first.
func (w *Welcome) Servers() (list []*Embedded) {
	if w.Embedded != nil {
		list = append(list, w.Embedded)
	}
	for i := range w.Beside {
		list = append(list, &w.Beside[i])
	}
	return list
}

// Home is the gateway's own mail server that is home to a domain; nil if none is.
func (w *Welcome) Home(domain string) *Embedded {
	for _, s := range w.Servers() {
		for _, d := range s.Domains {
			if strings.EqualFold(d, domain) {
				return s
			}
		}
	}
	return nil
}

// Limits tells the client what the gateway will bear, so that it need not run into it. Zero means unsaid.
type Limits struct {
	Streams     int `json:"streams,omitempty"`     // open at one time in this session, the control stream not counted
	IdleSeconds int `json:"idleSeconds,omitempty"` // a stream without a byte either way is closed after so long
}

// Embedded describes a mail server inside the gateway. It is reached by an Open with an empty Host and, but for the first,
// its Hostname as the Server.
type Embedded struct {
	Hostname    string        `json:"hostname"`              // its name in greetings and in its certificate
	Domains     []string      `json:"domains,omitempty"`     // the mail domains it is home to
	Services    []Service     `json:"services,omitempty"`    // what can be opened
	Fingerprint string        `json:"fingerprint,omitempty"` // lower-case hex SHA-256 of the leaf certificate's DER, to pin
	Demo        []DemoAccount `json:"demo,omitempty"`        // accounts to try it with; none on a real server
}

// ServiceName names a protocol as IANA's service registry does (RFC 6335), with its security: "pop3s" is POP3 inside
// TLS, "pop3" is POP3 that may turn to TLS by STLS.
type ServiceName string

// The services of this version. Names of later versions pass the reader: a gateway refuses what it does not have.
const (
	POP3        ServiceName = "pop3"
	POP3S       ServiceName = "pop3s"
	SMTP        ServiceName = "smtp"
	Submission  ServiceName = "submission"
	Submissions ServiceName = "submissions"
	IMAP        ServiceName = "imap"
	IMAPS       ServiceName = "imaps"
	FTP         ServiceName = "ftp"
	FTPS        ServiceName = "ftps"
	// FTPData is a data connection of FTP, beside its control connection: see Open.
	FTPData ServiceName = "ftp-data"
	// Control is Postern's own: package shared/control inside TLS, for who looks after the embedded server.
	Control ServiceName = "control"
)

// Service is one service of the embedded server and the TCP port on which it can also be reached without the tunnel.
type Service struct {
	Name ServiceName `json:"name"`
	Port int         `json:"port"`
}

// DemoAccount is an account that the embedded server has for trying out. Its password is public.
type DemoAccount struct {
	Name     string `json:"name,omitempty"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

// CapFTPData is the capability of a gateway that opens data connections of FTP.
const CapFTPData = "ftp-data"

// MinDataPort is the lowest port that a data connection goes to: below it are services. See RFC 2577 section 3.
const MinDataPort = 1024

// Open is the first frame of every stream but the first: client to gateway. An empty Host and a zero Port mean the
// Service of an embedded server; otherwise Host and Port are what to connect to, and Service says what for.
//
// That of FTPData has a Control and a Port alone: it goes to where the stream of that number goes, which is one of the same
// session, of FTP or FTPS, and open.
type Open struct {
	Service ServiceName `json:"service"`
	Server  string      `json:"server,omitempty"` // the Hostname of an embedded server; empty: the first
	Host    string      `json:"host,omitempty"`
	Port    int         `json:"port,omitempty"`
	Control uint32      `json:"control,omitempty"` // of FTPData: yamux's number of the stream that is the control connection
}

// String gives the target for a log or an error: "pop3s pop.example.com:995", or "pop3 (embedded)".
func (o Open) String() string {
	switch {
	case o.Service == FTPData:
		return fmt.Sprintf("%s port %d (beside stream %d)", o.Service, o.Port, o.Control)
	case o.Host == "" && o.Server != "":
		return string(o.Service) + " (embedded " + o.Server + ")"
	case o.Host == "":
		return string(o.Service) + " (embedded)"
	}
	return string(o.Service) + " " + net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
}

// Notice is what either side may say on the control stream after the Welcome. A kind that the reader does not know is
// no error.
type Notice struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail,omitempty"`
	Stream uint32 `json:"stream,omitempty"` // of NoticeRefused: yamux's number of the stream
	Reason Reason `json:"reason,omitempty"` // of NoticeRefused
}

// NoticeDraining says that the gateway is about to end: streams that are open may finish, new ones are refused, and
// the client should connect anew.
const NoticeDraining = "draining"

// NoticeRefused says that the gateway ends a stream which it had opened, and why. The client closes the stream; one that
// does not is cut.
const NoticeRefused = "refused"

// Reason says in one word why the gateway refused a session or a stream.
type Reason string

const (
	Denied      Reason = "denied"       // the gateway's policy does not allow this target
	NoSuchHost  Reason = "no-such-host" // the host's name has no address
	Unreachable Reason = "unreachable"  // no connection: refused, no route, or the lookup failed
	Timeout     Reason = "timeout"      // no connection in the time the gateway gives it
	TooMany     Reason = "too-many"     // a limit on sessions or streams is reached
	BadVersion  Reason = "version"      // the gateway does not speak the Hello's version
	BadToken    Reason = "token"        // the access token is missing or wrong
	NoLogin     Reason = "login"        // the proxy before the gateway has not said who this is
	LockedOut   Reason = "locked-out"   // too many wrong tokens came from this address
	TooFast     Reason = "too-fast"     // a limit on sessions or streams in a minute is reached
	NotMail     Reason = "not-mail"     // what answers is not the service that was asked for, or what asks is no client of it
	Idle        Reason = "idle"         // nothing went through an open stream for too long
	Expired     Reason = "expired"      // a stream or session has been open for as long as one may be
	Malformed   Reason = "malformed"    // the frame made no sense
	Draining    Reason = "draining"     // the gateway is ending
	Internal    Reason = "internal"     // a fault of the gateway's
)

// RefusedError is the gateway's no, to a Hello or to an Open. Find it with errors.As. A Reason that is not among those
// above comes from a newer gateway; treat it as Internal.
type RefusedError struct {
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // one line for a person who looks deeper; never payload
}

func (e *RefusedError) Error() string {
	if e.Detail == "" {
		return "refused by the gateway: " + string(e.Reason)
	}
	return "refused by the gateway: " + string(e.Reason) + ": " + e.Detail
}

// Permanent reports whether asking again without changing anything is pointless.
func (e *RefusedError) Permanent() bool {
	switch e.Reason {
	case Denied, BadVersion, BadToken, NoLogin, LockedOut, NotMail, Malformed:
		return true
	}
	return false
}
