package ftp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is a server's refusal: a reply of 4yz or 5yz, or the wish for an account (332). The session goes on after it, except
// after 421, by which the server ends it, and after a greeting that refuses. See RFC 959 section 4.2.
//
// errors.Is tells its kind: [ErrNoFile], [ErrNotAllowed] and their like. FTP has few codes, and 550 means nearly anything: there
// the kind goes by the server's words, where they are English.
type Error struct {
	Command string   // the command refused, without arguments: "RETR"; empty for the greeting
	Code    int      // 450, 550
	Lines   []string // the server's words without codes, free of control characters; at least one, maybe empty
}

func (e *Error) Error() string {
	command := e.Command
	if command == "" {
		command = "greeting"
	}
	return strings.TrimSpace(fmt.Sprintf("ftp: %s refused: %d %s", command, e.Code, e.Text()))
}

// Text returns the server's words, its lines joined by spaces.
func (e *Error) Text() string { return strings.TrimSpace(strings.Join(e.Lines, " ")) }

// Temporary reports whether the same may work later: a reply of 4yz.
func (e *Error) Temporary() bool { return e.Code/100 == 4 }

// Kinds of refusals, for errors.Is.
var (
	ErrNotLoggedIn = errors.New("ftp: not logged in")                                         // 530: or the password is wrong
	ErrAccount     = errors.New("ftp: the server wants an account (ACCT)")                    // 332, 532: beside user and password; this client has none
	ErrNoFile      = errors.New("ftp: no such file")                                          // 550: or none that this user may see
	ErrExists      = errors.New("ftp: there is a file of that name")                          // 550, by its words
	ErrNotAllowed  = errors.New("ftp: not allowed")                                           // 550, by its words; 553
	ErrNoRoom      = errors.New("ftp: no room")                                               // 452, 552, and quotas by their words
	ErrBusy        = errors.New("ftp: try later")                                             // 421, 450, 451
	ErrNoData      = errors.New("ftp: no data connection")                                    // 425, 426, 522; or none could be opened: the cause is beside it
	ErrNeedsTLS    = errors.New("ftp: the server wants TLS")                                  // 521, 522, and by its words
	ErrUnsupported = errors.New("ftp: not supported by the server")                           // 500, 502, 504; or FEAT had said so before
	ErrAborted     = errors.New("ftp: transfer broken off")                                   // by the caller; the cause is beside it
	ErrTruncated   = errors.New("ftp: the data ended before its end")                         // less came than there is, or TLS was not ended properly
	ErrState       = errors.New("ftp: command not allowed in this state")                     // nothing was sent
	ErrProtocol    = errors.New("ftp: the server does not speak FTP")                         // the session is closed
	ErrTooLong     = errors.New("ftp: answer over the limit")                                 // of Options
	ErrArgument    = errors.New("ftp: argument cannot be sent")                               // it holds a line break or NUL; nothing was sent
	ErrName        = errors.New("ftp: a name that cannot be used")                            // of a listing; nothing was sent
	ErrPlaintext   = errors.New("ftp: no password and no data over a connection without TLS") // nothing of it was sent
)

var errCallback = errors.New("a callback did not return")

// Is reports whether a refusal is of a kind.
func (e *Error) Is(kind error) bool { return slices.Contains(e.kinds(), kind) }

// kinds says what a refusal means, by its code and then by its words.
func (e *Error) kinds() []error {
	switch e.Code {
	case 332, 532:
		return []error{ErrAccount}
	case 425, 426:
		return []error{ErrNoData}
	case 452, 552:
		return []error{ErrNoRoom}
	case 500, 502, 504:
		return []error{ErrUnsupported}
	case 521:
		return []error{ErrNeedsTLS}
	case 522: // RFC 2428: no such network; RFC 4217 and vsftpd: TLS is wanted, or its session has to be resumed
		return []error{ErrNoData, ErrNeedsTLS}
	}
	text := strings.ToLower(e.Text())
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	var k []error
	if (e.Code == 421 || e.Code == 530 || e.Code == 550) && says("tls", "ssl", "encrypt", "cleartext") {
		k = append(k, ErrNeedsTLS)
	}
	switch {
	case e.Code == 430 || e.Code == 530:
		return append(k, ErrNotLoggedIn)
	case e.Code/100 == 4 && says("quota", "no space", "disk full", "insufficient"):
		return append(k, ErrNoRoom)
	case e.Code == 421 || e.Code == 450 || e.Code == 451:
		return append(k, ErrBusy)
	case e.Code == 553 && !says("no such"):
		return append(k, ErrNotAllowed)
	case e.Code != 550 && e.Code != 553:
		return k
	case says("quota", "no space", "disk full"):
		return append(k, ErrNoRoom)
	case says("file exists", "already exist"):
		return append(k, ErrExists)
	case says("denied", "not permitted", "not allowed", "forbidden", "read-only", "prohibited", "not empty", "is a directory", "not a plain file"):
		return append(k, ErrNotAllowed)
	}
	return append(k, ErrNoFile)
}
