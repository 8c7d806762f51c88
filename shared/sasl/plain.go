package sasl

import (
	"fmt"

	gosasl "github.com/emersion/go-sasl"
)

// plain is PLAIN, with nobody but oneself to act for: RFC 4616 section 2.
type plain struct{ c Credentials }

func newPlain(c Credentials) gosasl.Client { return plain{c} }

func (p plain) Start() (string, []byte, error) {
	return Plain, []byte("\x00" + p.c.User + "\x00" + p.c.Password), nil
}

func (p plain) Next([]byte) ([]byte, error) {
	return nil, fmt.Errorf("%w: PLAIN has none", ErrChallenge)
}

// login is LOGIN. What the challenges say is left alone: servers word them as they like, translated even.
type login struct {
	answers []string
}

func newLogin(c Credentials) gosasl.Client { return &login{[]string{c.User, c.Password}} }

// Start has no initial response: the draft knows none, and not every server takes one.
func (l *login) Start() (string, []byte, error) { return Login, nil, nil }

func (l *login) Next([]byte) ([]byte, error) {
	if len(l.answers) == 0 {
		return nil, fmt.Errorf("%w: LOGIN has two", ErrChallenge)
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}
