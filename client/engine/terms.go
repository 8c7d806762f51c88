package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
)

// serverTerms are what a server says of itself: RFC 2449 section 6.
type serverTerms struct {
	canWatch     bool // X-POSTERN-WAIT
	canTop       bool // TOP may be tried: it was announced, or nothing was
	announcesTop bool
	loginDelay   time.Duration // between two logins, at least (section 6.5)
	expire       int           // the days after which it deletes mail; negative: it does not, or has not said so (section 6.7)
}

const mostLoginDelay = 24 * time.Hour // more than any server means

// learnTerms asks for the server's capabilities.
func (f *fetch) learnTerms(ctx context.Context) error {
	f.expire = pop3.ExpireUnsaid
	caps, err := f.session.Capa(ctx)
	if refusal(err) != nil { // a server from before RFC 2449
		f.canTop = true
		return nil
	}
	if err != nil {
		return err
	}
	_, admin := caps.Args("X-POSTERN-ADMIN")
	f.account.setAdmin(admin && f.settings.Servers.POP3.Host == "")
	f.canWatch, f.canTop, f.announcesTop = caps.Wait, caps.Top, caps.Top
	f.loginDelay, f.expire = min(caps.LoginDelay, mostLoginDelay), caps.Expire
	return nil
}

// expiry warns of a server that deletes mail by itself. What is here stays; what is here only in part does not become
// whole any more.
func (f *fetch) expiry() *api.Problem {
	switch {
	case f.expire < 0:
		return nil
	case f.expire == 0:
		return &api.Problem{Code: api.CodeExpires, Detail: "as soon as it was fetched", Technical: "EXPIRE 0"}
	case f.expire == 1:
		return &api.Problem{Code: api.CodeExpires, Detail: "after a day", Technical: "EXPIRE 1"}
	}
	return &api.Problem{Code: api.CodeExpires, Detail: fmt.Sprintf("after %d days", f.expire), Technical: fmt.Sprintf("EXPIRE %d", f.expire)}
}

// refusal is the server's -ERR, if that is what err is.
func refusal(err error) *pop3.Error {
	var refused *pop3.Error
	errors.As(err, &refused)
	return refused
}
