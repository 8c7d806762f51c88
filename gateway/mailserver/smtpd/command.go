package smtpd

import (
	"strings"
	"time"
)

// readCommand reads a line and decides whether go-smtp sees it. What it does
// not see, the link has answered.
func (l *link) readCommand() error {
	if l.hangup {
		return errHangup
	}
	if l.junk > maxJunk {
		return l.wasted()
	}
	if l.srv.cfg.Implicit && l.tls == nil {
		if err := l.handshake(); err != nil {
			return err
		}
	}
	line, ok, err := l.held, true, error(nil)
	if l.held = ""; line == "" {
		line, ok, err = l.readLine()
	}
	if err != nil || !ok {
		return err
	}
	if l.mode == command {
		pass, err := l.admit(&line)
		if err != nil || !pass {
			return err
		}
	}
	l.pending = append(append(l.pending[:0:0], line...), "\r\n"...)
	return nil
}

// admit says whether a command is for go-smtp; it may change it.
func (l *link) admit(line *string) (bool, error) {
	verb, arg, _ := strings.Cut(*line, " ")
	verb = strings.ToUpper(verb)
	if strings.ContainsAny(*line, "\r\x00") {
		// QUIRK: go-smtp repeats what it does not know in its answer.
		l.say("500 5.5.2 a command is a line, and has no bare CR or NUL in it")
		if strings.HasPrefix(verb, "BDAT") {
			return false, errHangup // its octets follow
		}
		return false, l.wasted()
	}
	if l.transfer {
		switch verb {
		case "RSET", "EHLO", "HELO", "STARTTLS", "QUIT":
			l.forget("", *line)
			return false, nil
		}
	}
	l.verb = verb
	switch verb {
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH":
		// A browser that was told to send a mail by a page's form.
		l.say("421 4.7.0 this is not HTTP")
		return false, errHangup
	case "QUIT":
		return true, nil
	case "STARTTLS":
		return false, l.starttls(arg)
	case "EHLO", "HELO", "NOOP", "RSET", "VRFY":
		return true, l.wasted()
	}
	isChunk := strings.HasPrefix(verb, "BDAT")
	refuse := func(answer string) (bool, error) {
		l.say("%s", answer)
		if isChunk {
			return false, errHangup // its octets follow, and are no commands
		}
		return false, l.wasted()
	}
	switch {
	case !l.hello:
		return refuse("503 5.5.1 EHLO or HELO comes first")
	case l.srv.cfg.Submission && l.tls == nil:
		return refuse("530 5.7.0 Must issue a STARTTLS command first") // RFC 3207 §4
	}
	switch {
	case l.cut == CutBefore && (isChunk || verb == "DATA"):
		l.flush() // what was said before is heard
		l.sever()
		return false, errHangup
	case isChunk:
		size, last, ok := parseChunk(arg)
		if verb != "BDAT" || !ok {
			return refuse("501 5.5.4 BDAT takes a size and perhaps LAST")
		}
		if limit := l.srv.cfg.MessageSize; l.transfer && limit > 0 && l.received+size > limit {
			l.mode, l.chunk = discard, size
			return false, nil
		}
		if !l.transfer {
			l.received = 0
		}
		l.received += size
		if last {
			l.verb = "BDAT LAST"
		}
		if size == 0 {
			return true, l.wasted()
		}
		l.mode, l.chunk = chunk, size
		l.until = time.Now().Add(l.srv.cfg.MessageTime)
		return true, nil
	case verb == "RCPT" && isPostmaster(arg):
		*line = "RCPT TO:<" + l.srv.cfg.Postmaster + ">"
	case verb == "MAIL":
		l.text = dots{}
	}
	return true, nil
}

func (l *link) starttls(arg string) error {
	switch {
	case arg != "":
		l.say("501 5.5.4 STARTTLS takes no argument")
	case l.tls != nil:
		l.say("503 5.5.1 TLS is on already")
	case l.srv.cfg.TLS == nil:
		l.say("502 5.5.1 this server has no TLS")
	default:
		return l.startTLS()
	}
	return l.wasted()
}

// isPostmaster knows the one address that needs no domain (RFC 5321 §4.1.1.3).
func isPostmaster(arg string) bool {
	return strings.EqualFold(strings.ReplaceAll(arg, " ", ""), "TO:<postmaster>")
}
