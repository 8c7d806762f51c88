package bridge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// The guard makes the gateway useless for anything but mail. Where the server speaks first, nothing of the client's is let
// through before a greeting of that service has come; where TLS comes first, nothing that does not begin as a TLS
// handshake on either side. After that it is not there any more.
//
// FTP's data connections have no first words: see data.go for what lets one pass.

// verdict is what the first octets of a direction are.
type verdict int

const (
	undecided verdict = iota // too few to say
	right
	wrong
)

// judge says what the first octets of a direction are. It decides within enough octets.
type judge func(first []byte) verdict

// enough is the most octets that any judge needs.
const enough = 16

// greetings are those of the services in which the server speaks first.
var greetings = map[wire.ServiceName]judge{
	wire.POP3: pop3Greeting, wire.SMTP: smtpGreeting, wire.Submission: smtpGreeting, wire.IMAP: imapGreeting, wire.FTP: ftpGreeting,
}

// sealed are the services in which TLS comes first, and the client begins.
var sealed = map[wire.ServiceName]bool{wire.POP3S: true, wire.Submissions: true, wire.IMAPS: true, wire.FTPS: true}

// pop3Greeting is RFC 1939 section 4.
func pop3Greeting(p []byte) verdict { return oneOf(p, " \r\n", "+OK", "-ERR") }

// imapGreeting is RFC 9051 section 7.1: an untagged OK, BYE or PREAUTH, in any case.
func imapGreeting(p []byte) verdict {
	return oneOf(bytes.ToUpper(p[:min(len(p), enough)]), " \r\n", "* OK", "* BYE", "* PREAUTH")
}

// smtpGreeting is RFC 5321 section 4.2.2: 220, or a refusal. Servers refuse by 421, 521 and 554 above all, and by others.
func smtpGreeting(p []byte) verdict { return reply(p, "220") }

// ftpGreeting is RFC 959 section 5.4: 220, or 120 when it is ready soon, or a refusal.
func ftpGreeting(p []byte) verdict { return reply(p, "220", "120") }

// reply judges a reply of three digits: one of codes, or a refusal by 4 or 5.
func reply(p []byte, codes ...string) verdict {
	if len(p) > 0 && (p[0] == '4' || p[0] == '5') {
		for i, c := range p[:min(len(p), 3)] {
			if c < '0' || c > '9' || i == 1 && c > '5' {
				return wrong
			}
		}
		return word(p, 3, " -\r\n")
	}
	return oneOf(p, " -\r\n", codes...)
}

// oneOf judges a line that begins with one of some words, and one of some octets after it.
func oneOf(p []byte, after string, words ...string) verdict {
	best := wrong
	for _, w := range words {
		switch {
		case len(p) >= len(w) && string(p[:len(w)]) == w:
			return word(p, len(w), after)
		case len(p) < len(w) && w[:len(p)] == string(p):
			best = undecided
		}
	}
	return best
}

// word says whether the word that begins a line ends after n octets. A reply's may end in a hyphen: more lines come.
func word(p []byte, n int, after string) verdict {
	switch {
	case len(p) <= n:
		return undecided
	case strings.IndexByte(after, p[n]) >= 0:
		return right
	}
	return wrong
}

// The head of a TLS record, and of the handshake message in it. See RFC 8446 sections 5.1 and 4.
const (
	recordHead      = 6
	recordAlert     = 21
	recordHandshake = 22
	clientHello     = 1
	serverHello     = 2
	longestRecord   = 1<<14 + 256
)

// clientTLS judges what a client says first: a ClientHello.
func clientTLS(p []byte) verdict { return record(p, clientHello, false) }

// serverTLS judges what a server says first: a ServerHello, or an alert.
func serverTLS(p []byte) verdict { return record(p, serverHello, true) }

func record(p []byte, message byte, alert bool) verdict {
	ok := [recordHead]func(byte) bool{
		func(c byte) bool { return c == recordHandshake || alert && c == recordAlert },
		func(c byte) bool { return c == 3 },
		func(c byte) bool { return c <= 4 },
		func(byte) bool { return true },
		func(byte) bool { return true },
		func(c byte) bool {
			return p[0] == recordAlert && (c == 1 || c == 2) || p[0] == recordHandshake && c == message
		}, // an alert's level
	}
	for i, c := range p[:min(len(p), recordHead)] {
		if !ok[i](c) {
			return wrong
		}
	}
	if len(p) >= 5 {
		if n := int(p[3])<<8 | int(p[4]); n == 0 || n > longestRecord || p[0] == recordAlert && n != 2 {
			return wrong
		}
	}
	if len(p) < recordHead {
		return undecided
	}
	return right
}

// firstWords reads what a direction begins with until it is judged: p is what has come by then, and err is of reading. At
// the end of what from has to say it is io.EOF, also with words that were too few.
func firstWords(from net.Conn, say judge, within time.Duration) (p []byte, v verdict, err error) {
	_ = from.SetReadDeadline(time.Now().Add(within))
	defer func() { _ = from.SetReadDeadline(time.Time{}) }()
	buf := make([]byte, 1<<10)
	for v == undecided && err == nil {
		var n int
		n, err = from.Read(buf[len(p):])
		p = buf[:len(p)+n]
		if len(p) > 0 {
			v = say(p)
		}
		if v == undecided && len(p) >= enough {
			v = wrong
		}
	}
	if v == right {
		err = nil // it comes again
	}
	return p, v, err
}

// notMail is the refusal of a server that does not greet, or greets as something else.
func notMail(service wire.ServiceName, v verdict, err error) *wire.RefusedError {
	switch {
	case v == wrong:
		return refuse(wire.NotMail, "what answers there does not greet as "+string(service)+" does")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(wire.Timeout, "it is connected, and no greeting came in time")
	case err == io.EOF:
		return refuse(wire.Unreachable, "it closed the connection without a greeting")
	}
	return refuse(wire.Unreachable, "the connection was cut before a greeting came")
}
