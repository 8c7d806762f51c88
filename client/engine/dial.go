package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// login is what it takes to get into the servers of one account. Each attempt is a conversation in the account's
// transcript.
type login struct {
	e        *Engine
	account  *account // which may not be one of the engine's yet
	email    string
	password string
	servers  api.Servers
}

func (l *login) begin(p api.Protocol, to endpoint) *wireRecorder {
	rec := l.account.wire.begin(p, to.address)
	rec.conceal(l.password)
	return rec
}

// openMaildrop connects and logs in: a session in TRANSACTION, which the caller closes.
func (a *account) openMaildrop(ctx context.Context) (*pop3.Client, error) {
	password, err := a.credentials(ctx, maildropDoor)
	if err != nil {
		return nil, err
	}
	return a.login(password).openMaildrop(ctx)
}

// openSubmission connects and authenticates: a session that takes messages, which the caller closes.
func (a *account) openSubmission(ctx context.Context, o *smtp.Options) (*smtp.Client, error) {
	password, err := a.credentials(ctx, submissionDoor)
	if err != nil {
		return nil, err
	}
	return a.login(password).openSubmission(ctx, o)
}

func (a *account) login(password string) *login {
	return &login{e: a.e, account: a, email: a.email, password: password, servers: a.settings().Servers}
}

// atServer adds to an error of a conversation what the person has to know: which server, or which address. The gateway is
// blamed for a connection that went with its session. What err is otherwise, smtp.ErrUnknown above all, it stays.
func (a *account) atServer(p api.Protocol, err error) error {
	return a.login("").failed(p, a.wire.latest(p), err)
}

// openMaildrop tries a maildrop in use again for a moment, as it may be held by our own last session, whose end has not
// reached the server.
func (l *login) openMaildrop(ctx context.Context) (*pop3.Client, error) {
	for try := 0; ; try++ {
		c, err := l.logInMaildrop(ctx)
		if err == nil || try == len(inUsePauses) || problemOf(err).Code != api.CodeMaildropLocked {
			return c, err
		}
		select {
		case <-l.e.Clock.After(inUsePauses[try]):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *login) logInMaildrop(ctx context.Context) (*pop3.Client, error) {
	to, err := l.place(api.POP3).endpoint()
	if err != nil {
		return nil, err
	}
	rec := l.begin(api.POP3, to)
	conn, err := l.e.connect(ctx, to, rec)
	if err != nil {
		return nil, l.failed(api.POP3, rec, err)
	}
	o := &pop3.Options{Timeout: l.e.Limits.Answer, MaxMessage: l.e.Limits.Message, AllowPlaintextAuth: to.security == api.Plain}
	if rec != nil {
		o.Trace = rec.pop3
	}
	c := pop3.New(conn, o)
	if to.security == api.STARTTLS {
		err = secured(c.STLS(ctx, to.tls), c.TLS, rec)
	}
	if err == nil {
		_, err = c.Auth(ctx, sasl.Credentials{User: to.user, Password: l.password}, to.auth)
	}
	if err != nil {
		c.Close()
		return nil, l.failed(api.POP3, rec, err)
	}
	return c, nil
}

func (l *login) openSubmission(ctx context.Context, o *smtp.Options) (*smtp.Client, error) {
	to, err := l.place(api.SMTP).endpoint()
	if err != nil {
		return nil, err
	}
	rec := l.begin(api.SMTP, to)
	conn, err := l.e.connect(ctx, to, rec)
	if err != nil {
		return nil, l.failed(api.SMTP, rec, err)
	}
	options := *o
	options.AllowPlaintextAuth = to.security == api.Plain
	if rec != nil {
		options.Trace = rec.smtp
	}
	c := smtp.New(conn, &options)
	if to.security == api.STARTTLS {
		err = secured(c.StartTLS(ctx, to.tls), c.TLS, rec)
	}
	if err == nil {
		_, err = c.Auth(ctx, sasl.Credentials{User: to.user, Password: l.password}, to.auth)
	}
	if err != nil {
		c.Close()
		return nil, l.failed(api.SMTP, rec, err)
	}
	return c, nil
}

// connect opens a stream to an endpoint, with TLS about it if that comes first. The transcript ends with the stream.
func (e *Engine) connect(ctx context.Context, to endpoint, rec *wireRecorder) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Limits.Dial)
	defer cancel()
	stream, err := e.Gateway.Open(ctx, to.open)
	if err != nil {
		return nil, fmt.Errorf("opening %v: %w", to.open, err)
	}
	rec.note("Connected")
	conn := net.Conn(&recorded{Conn: stream, rec: rec})
	if to.security != api.TLS {
		return conn, nil
	}
	sealed := tls.Client(conn, to.tls)
	if err := sealed.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %v: %w", to.open, err)
	}
	rec.tls(sealed.ConnectionState())
	return sealed, nil
}

// recorded is a stream whose end is the end of its transcript.
type recorded struct {
	net.Conn
	rec *wireRecorder
}

func (c *recorded) Close() error {
	c.rec.end(nil)
	return c.Conn.Close()
}

// secured reads the outcome of STLS or STARTTLS. A server that does not offer it, or refuses it, has no TLS, or somebody on
// the way hides it: either way nothing more is said to it (RFC 3207 section 6, RFC 2595 section 2.1).
func secured(err error, state func() (tls.ConnectionState, bool), rec *wireRecorder) error {
	var pop *pop3.Error
	var submission *smtp.Error
	switch {
	case err == nil:
		s, _ := state()
		rec.tls(s)
		return nil
	case errors.Is(err, pop3.ErrUnsupported), errors.Is(err, smtp.ErrUnsupported),
		errors.As(err, &pop) && pop.Command == "STLS", errors.As(err, &submission) && submission.Command == "STARTTLS":
		return fmt.Errorf("%w: %w", errNoTLS, err)
	}
	return err
}

// errNoTLS says that the account wants TLS and the server offers none.
var errNoTLS = errors.New("the server offers no encryption, or somebody on the way hides it")

// failed tells what an error of a conversation is, and ends its transcript with it.
func (l *login) failed(p api.Protocol, rec *wireRecorder, err error) error {
	f := l.place(p).failure(rec, err, l.account.box != nil)
	rec.end(f.problem)
	return f
}

// failure is what an error of a conversation is. It names the conversation if somebody can ask for its transcript.
func (p place) failure(rec *wireRecorder, err error, kept bool) *failure {
	problem := p.problem(err)
	problem.Technical, problem.Detail = rec.masked(problem.Technical), rec.masked(problem.Detail)
	if kept {
		problem = *rec.linked(&problem)
	}
	return &failure{text: rec.masked(problem.Error() + ": " + err.Error()), problem: &problem, err: err}
}

// failure is a problem and the error that it is about. Its text goes into logs, so that a server that repeats the password does not
// put it there.
type failure struct {
	text    string
	problem *api.Problem
	err     error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return []error{f.problem, f.err} }
