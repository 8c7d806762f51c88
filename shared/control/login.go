package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/shared/sasl"
)

// Doorkeeper lets administrators in who come over a network.
type Doorkeeper interface {
	// Mechanisms are those of SASL to offer.
	Mechanisms(ctx context.Context) []string
	// Begin begins an exchange by one of them. When its Next says that it is done,
	// an administrator has shown who he is; its errors are *Error, or
	// sasl.ErrResponse.
	Begin(ctx context.Context, mechanism string) gosasl.Server
	// Still says before every operation whether he is one still. Errors are *Error.
	Still(ctx context.Context) error
}

// The lines of a login. Octet strings are base64 in JSON.
type (
	offer struct {
		Mechanisms []string `json:"mechanisms"`
	}
	answer struct {
		Mechanism string  `json:"mechanism,omitempty"` // of the first
		Response  *[]byte `json:"response,omitempty"`
	}
	question struct {
		Challenge *[]byte   `json:"challenge,omitempty"`
		Result    *struct{} `json:"result,omitempty"` // who asks is known now
		Error     *Error    `json:"error,omitempty"`
	}
)

// maxLogin bounds a line of a login: what RFC 5034 section 4 gives a response, and
// its frame.
const maxLogin = 12<<10 + 256

// Login shows who asks to a server that is reached over a network; it comes before
// anything else, over TLS. It takes the safest mechanism that the server offers. A
// wrong password and an account that is no administrator's are the same *Error,
// Denied. After an error the connection is of no more use.
func (c *Client) Login(ctx context.Context, cr sasl.Credentials) error {
	if c.dead != nil {
		return c.dead
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := c.login(cr)
	if !stop() && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil {
		return nil
	}
	c.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrGone
	}
	c.dead = Wrap(Failed, fmt.Errorf("signing in to look after the server: %w", err))
	return c.dead
}

func (c *Client) login(cr sasl.Credentials) error {
	l := c.line
	l.conn.SetReadDeadline(time.Now().Add(l.limits.Login))
	var o offer
	if err := l.readJSON(&o, maxLogin); err != nil {
		return err
	}
	mechanism, err := sasl.Choose(o.Mechanisms, cr, true, false, "")
	if err != nil {
		return err
	}
	x, err := sasl.New(mechanism, cr)
	if err != nil {
		return err
	}
	_, initial, err := x.Start()
	if err != nil {
		return err
	}
	say := answer{Mechanism: mechanism}
	if initial != nil {
		say.Response = &initial
	}
	for {
		if err := l.writeJSON(say); err != nil {
			return err
		}
		var q question
		if err := l.readJSON(&q, maxLogin); err != nil {
			return err
		}
		switch {
		case q.Error != nil:
			return q.Error
		case q.Result != nil:
			return sasl.Finished(x)
		case q.Challenge == nil:
			return errors.New("what answers is no mail server of this kind")
		}
		response, err := x.Next(*q.Challenge)
		if err != nil {
			return err
		}
		say = answer{Response: &response}
	}
}

// admit is the server's side of a login. An error ends the connection.
func (s *Server) admit(ctx context.Context, l *line) error {
	ctx, cancel := context.WithTimeout(ctx, l.limits.Login)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.conn.Close() })()
	l.conn.SetReadDeadline(time.Time{}) // the context has it
	mechanisms := s.Doorkeeper.Mechanisms(ctx)
	if err := l.writeJSON(offer{Mechanisms: mechanisms}); err != nil {
		return err
	}
	refuse := func(err error) error {
		told := &Error{Kind: Failed, Text: "the login failed"}
		if !errors.As(err, &told) && errors.Is(err, sasl.ErrResponse) {
			told = &Error{Kind: Invalid, Text: err.Error()}
		}
		s.report("login", err)
		l.writeJSON(question{Error: told})
		return io.EOF
	}
	var said answer
	if err := l.readJSON(&said, maxLogin); err != nil {
		return err
	}
	mechanism := strings.ToUpper(said.Mechanism)
	if !slices.Contains(mechanisms, mechanism) {
		return refuse(&Error{Kind: Unsupported, Text: "the mechanisms are " + strings.Join(mechanisms, " ")})
	}
	x := s.Doorkeeper.Begin(ctx, mechanism)
	for {
		var response []byte
		if said.Response != nil {
			response = append([]byte{}, *said.Response...) // empty is not none
		}
		challenge, done, err := x.Next(response)
		if err != nil {
			return refuse(err)
		}
		if ctx.Err() != nil {
			return ctx.Err() // too late
		}
		if done {
			s.report("login", nil)
			return l.writeJSON(question{Result: &struct{}{}})
		}
		if challenge == nil {
			challenge = []byte{}
		}
		if err := l.writeJSON(question{Challenge: &challenge}); err != nil {
			return err
		}
		said = answer{}
		if err := l.readJSON(&said, maxLogin); err != nil {
			return err
		}
		if said.Response == nil {
			return refuse(fmt.Errorf("%w: none", sasl.ErrResponse))
		}
	}
}
