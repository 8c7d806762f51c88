package pop3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
)

// APOP authenticates without sending the password and so enters TRANSACTION. A server whose greeting had no timestamp for it
// is [ErrUnsupported]. See RFC 1939 section 7.
//
// MD5 collisions let somebody in the middle learn the first characters of a password, a login for each guess, by timestamps
// of his own making (Leurent, 2007). They hold octets that no timestamp has, so a timestamp must be a message-id of RFC 822 to
// the letter. That slows the attack and does not end it: APOP is better than a password in plain text, and worse than TLS.
func (c *Client) APOP(ctx context.Context, user, password string) error {
	return c.session(ctx, "APOP", []State{Authorization}, func() error { return c.apop(user, password) })
}

func (c *Client) apop(user, password string) error {
	if c.timestamp == "" {
		return fmt.Errorf("%w: APOP", ErrUnsupported)
	}
	if user == "" || strings.ContainsAny(user, " \r\n\x00") || strings.ContainsRune(password, 0) {
		return fmt.Errorf("%w: user name or password", ErrArgument)
	}
	digest := md5.Sum([]byte(c.timestamp + password))
	if err := c.send("APOP "+user+" "+hex.EncodeToString(digest[:]), "APOP "+user+" "+masked); err != nil {
		return err
	}
	if _, err := c.status("APOP"); err != nil {
		return err
	}
	c.state.Store(int32(Transaction))
	return nil
}

// timestamp finds the timestamp in a greeting.
func timestamp(greeting []byte) string {
	for {
		start := bytes.IndexByte(greeting, '<')
		if start < 0 {
			return ""
		}
		greeting = greeting[start:]
		end := bytes.IndexByte(greeting, '>')
		if end < 0 {
			return ""
		}
		if isMessageID(greeting[1:end]) {
			return string(greeting[:end+1])
		}
		greeting = greeting[1:]
	}
}

// isMessageID checks for the addr-spec of RFC 822 section 6.1, without quoted strings and comments, which no server puts into
// a timestamp and an attacker might.
func isMessageID(p []byte) bool {
	local, domain, ok := bytes.Cut(p, []byte("@"))
	if literal, is := bytes.CutPrefix(domain, []byte("[")); ok && is {
		address, closed := bytes.CutSuffix(literal, []byte("]"))
		return isDotAtom(local) && closed && isDotAtom(bytes.ReplaceAll(address, []byte(":"), []byte("0")))
	}
	return ok && isDotAtom(local) && isDotAtom(domain)
}

// isDotAtom checks for words of RFC 822's atoms between dots.
func isDotAtom(p []byte) bool {
	for word := range bytes.SplitSeq(p, []byte(".")) {
		if len(word) == 0 || bytes.ContainsAny(word, "()<>@,;:\\\"[]") || bytes.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return false
		}
	}
	return true
}
