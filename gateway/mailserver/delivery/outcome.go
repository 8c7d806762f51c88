package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/smtp"
)

// refusal is a peer's reply as a result.
func refusal(e *smtp.Error) *Result {
	r := &Result{Outcome: Failed, Code: e.Code, Enhanced: e.Enhanced, Text: printable.Short(e.Text, maxText)}
	if e.Temporary() {
		r.Outcome = Deferred
	}
	if r.Enhanced == "" {
		r.Enhanced = fmt.Sprintf("%d.0.0", e.Code/100)
	}
	return r
}

// verdict is what an error of a transaction means for those recipients whose fate is not known from their own replies.
type verdict struct {
	result *Result
	over   bool // nothing else is to be tried in this attempt: the result is theirs
}

// judge reads the error of [smtp.Client.Send].
func judge(ctx context.Context, err error) verdict {
	var (
		refused *smtp.Error
		large   *smtp.TooLargeError
		lacks   *smtp.UnsupportedError
	)
	switch {
	case errors.Is(err, smtp.ErrUnknown):
		r := finding(451, "4.4.2", "cut before the answer to the message came: it may have been delivered (%v)", err)
		r.Outcome = Unknown
		return verdict{r, true}
	case errors.As(err, &refused):
		// 421 is about the server (RFC 5321 section 3.8); a temporary refusal of MAIL often is, too, and another MX may know
		// better. All else is about the message.
		elsewhere := refused.Code == 421 || refused.Command == "MAIL" && refused.Temporary()
		return verdict{refusal(refused), !elsewhere}
	case errors.As(err, &large):
		return verdict{finding(552, "5.3.4", "the message has %d octets, and the server takes %d", large.Size, large.Limit), true}
	case errors.As(err, &lacks) && lacks.Extension == "SMTPUTF8":
		return verdict{finding(553, "5.6.7", "the server has no SMTPUTF8, which %s needs", lacks.For), true}
	case errors.As(err, &lacks):
		return verdict{finding(554, "5.6.3", "the server has no %s, which %s needs", lacks.Extension, lacks.For), true}
	case errors.Is(err, smtp.ErrArgument):
		return verdict{finding(554, "5.6.0", "%v", err), true}
	case ctx.Err() != nil:
		return verdict{finding(451, "4.4.2", "given up: %v", context.Cause(ctx)), true}
	}
	return verdict{finding(451, "4.4.2", "the connection failed: %v", err), false}
}

// hopeful orders the reasons for which several servers were of no use: the one that says most about when it is worth trying
// again is told.
func hopeful(r *Result) int {
	switch {
	case r == nil:
		return 0
	case r.Outcome == Failed && r.Local:
		return 1
	case r.Outcome == Failed:
		return 2
	case r.Local:
		return 3
	}
	return 4
}
