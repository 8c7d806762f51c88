package engine

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/smtp"
)

// connect opens a stream to an endpoint, with TLS about it if that comes first.
func (e *Engine) connect(ctx context.Context, to endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Limits.Dial)
	defer cancel()
	conn, err := e.Gateway.Open(ctx, to.open)
	if err != nil {
		return nil, fmt.Errorf("opening %v: %w", to.open, err)
	}
	if !to.implicit {
		return conn, nil
	}
	sealed := tls.Client(conn, to.tls)
	if err := sealed.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %v: %w", to.open, err)
	}
	return sealed, nil
}

// openMaildrop connects and logs in: a session in TRANSACTION, which the caller closes. A maildrop in use is tried
// again for a moment, as it may be our own last session whose end has not reached the server.
func (e *Engine) openMaildrop(ctx context.Context, email, password string) (*pop3.Client, error) {
	for try := 0; ; try++ {
		c, err := e.logInMaildrop(ctx, email, password)
		if err == nil || try == len(inUsePauses) || problemOf(err).Code != api.CodeMaildropLocked {
			return c, err
		}
		select {
		case <-e.Clock.After(inUsePauses[try]):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *Engine) logInMaildrop(ctx context.Context, email, password string) (*pop3.Client, error) {
	to, err := e.maildropEndpoint(email)
	if err != nil {
		return nil, err
	}
	conn, err := e.connect(ctx, to)
	if err != nil {
		return nil, e.atServer(email, err)
	}
	c := pop3.New(conn, &pop3.Options{Timeout: e.Limits.Answer, MaxMessage: e.Limits.Message})
	if !to.implicit {
		err = c.STLS(ctx, to.tls)
	}
	if err == nil {
		err = c.Login(ctx, email, password)
	}
	if err != nil {
		c.Close()
		return nil, e.atServer(email, err)
	}
	return c, nil
}

// openSubmission connects and authenticates: a session that takes messages, which the caller closes.
func (e *Engine) openSubmission(ctx context.Context, email, password string, o *smtp.Options) (*smtp.Client, error) {
	to, err := e.submissionEndpoint(email)
	if err != nil {
		return nil, err
	}
	conn, err := e.connect(ctx, to)
	if err != nil {
		return nil, e.atServer(email, err)
	}
	c := smtp.New(conn, o)
	if !to.implicit {
		err = c.StartTLS(ctx, to.tls)
	}
	if err == nil {
		err = c.Auth(ctx, email, password)
	}
	if err != nil {
		c.Close()
		return nil, e.atServer(email, err)
	}
	return c, nil
}

// atServer adds to an error of a conversation what the person has to know: which server, or which address. The gateway is
// blamed for a connection that went with its session. What err is otherwise, smtp.ErrUnknown above all, it stays.
func (e *Engine) atServer(email string, err error) error {
	p := *problemOf(err)
	switch p.Code {
	case api.CodeServerClosed, api.CodeServerTimeout:
		if !e.online() {
			p = api.Problem{Code: api.CodeGatewayOffline, Technical: p.Technical}
			break
		}
		fallthrough
	case api.CodeServerUnreachable, api.CodeServerProtocol, api.CodeCertificate:
		if w := e.Gateway.State().Welcome; p.Detail == "" && w != nil && w.Embedded != nil {
			p.Detail = w.Embedded.Hostname
		}
	case api.CodeWrongPassword, api.CodePasswordNeeded:
		p.Detail = email
	default:
		return err
	}
	return fmt.Errorf("%w: %w", &p, err)
}
