package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// problemOf is an error of any layer beneath as the page needs it. It is nil for nil.
func problemOf(err error) *api.Problem {
	if err == nil {
		return nil
	}
	var own *api.Problem
	if errors.As(err, &own) {
		return own
	}
	code, detail := classify(err)
	return &api.Problem{Code: code, Detail: detail, Technical: err.Error(), Means: explain(err)}
}

// explain is what the status code of a server's refusal says, in a sentence.
func explain(err error) string {
	var (
		pop        *pop3.Error
		recipients *smtp.RecipientsError
		submission *smtp.Error
		files      *ftp.Error
	)
	switch {
	case errors.As(err, &pop):
		return pop.Explain()
	case errors.As(err, &recipients) && len(recipients.Refused) > 0:
		return recipients.Refused[0].Err.Explain()
	case errors.As(err, &submission):
		return submission.Explain()
	case errors.As(err, &files):
		return files.Explain()
	}
	return ""
}

// classify goes from the most particular to the least: a TLS alert arrives within a net.OpError, a timeout within a
// protocol error.
func classify(err error) (code api.Code, detail string) {
	var (
		refused     *wire.RefusedError
		certificate *trust.CertificateError
		pop         *pop3.Error
		recipients  *smtp.RecipientsError
		submission  *smtp.Error
		large       *smtp.TooLargeError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		files       *ftp.Error
		data        *dataError
	)
	switch {
	case errors.As(err, &data) && !errors.Is(err, tunnel.ErrOffline) && !errors.Is(err, tunnel.ErrSessionClosed):
		return data.code()
	case errors.As(err, &refused):
		return classifyGateway(refused)
	case errors.Is(err, sasl.ErrServerProof): // before what SMTP makes of it: nobody is to try the next server with the password
		return api.CodeServerRefused, "welcome, but could not prove that it knows the password: somebody else may answer in its place"
	case errors.Is(err, sasl.ErrNoMechanism), errors.Is(err, sasl.ErrUnsupported):
		return api.CodeNoMechanism, offered(err)
	case errors.Is(err, errNoTLS):
		return api.CodeNoTLS, ""
	case errors.As(err, &certificate):
		return api.CodeCertificate, ""
	case errors.As(err, &pop):
		return classifyPOP3(pop)
	case errors.As(err, &recipients):
		return api.CodeRecipientRefused, refusals(recipients.Refused)
	case errors.As(err, &submission):
		return classifySMTP(submission)
	case errors.As(err, &files):
		return classifyFTP(files)
	case errors.As(err, &large):
		return api.CodeTooLarge, megabytes(large.Limit)
	case errors.Is(err, tunnel.ErrOffline), errors.Is(err, tunnel.ErrSessionClosed):
		return api.CodeGatewayOffline, ""
	case errors.As(err, &record), errors.As(err, &alert):
		return api.CodeServerProtocol, ""
	case errors.Is(err, tunnel.ErrTooMany):
		return api.CodeGatewayBusy, ""
	case errors.Is(err, store.ErrFull):
		return api.CodeStorageFull, ""
	case errors.Is(err, store.ErrNoMessage), errors.Is(err, store.ErrNoBlob):
		return api.CodeNoSuchMessage, ""
	case errors.Is(err, store.ErrClosed):
		return api.CodeCanceled, ""
	case errors.Is(err, store.ErrCorrupt):
		return api.CodeStorage, ""
	case errors.Is(err, errStore):
		return api.CodeStorage, ""
	case errors.Is(err, context.Canceled):
		return api.CodeCanceled, ""
	case isTimeout(err):
		return api.CodeServerTimeout, ""
	case errors.Is(err, store.ErrTooLarge):
		return api.CodeTooLarge, ""
	case errors.Is(err, pop3.ErrUnsupported), errors.Is(err, smtp.ErrUnsupported), errors.Is(err, smtp.ErrPlaintext):
		return api.CodeServerRefused, ""
	case errors.Is(err, pop3.ErrArgument), errors.Is(err, smtp.ErrArgument):
		return api.CodeBadRequest, ""
	case errors.Is(err, ftp.ErrTruncated):
		return api.CodeTruncated, ""
	case errors.Is(err, ftp.ErrUnsupported):
		return api.CodeServerCannot, ""
	case errors.Is(err, ftp.ErrArgument), errors.Is(err, ftp.ErrName):
		return api.CodeBadName, ""
	case errors.Is(err, smtp.ErrUnknown), isClosed(err):
		return api.CodeServerClosed, ""
	case errors.Is(err, pop3.ErrProtocol), errors.Is(err, smtp.ErrProtocol), errors.Is(err, pop3.ErrTooLong), errors.Is(err, smtp.ErrTooLong),
		errors.Is(err, ftp.ErrProtocol), errors.Is(err, ftp.ErrTooLong),
		errors.Is(err, sasl.ErrChallenge):
		return api.CodeServerProtocol, ""
	}
	return api.CodeInternal, ""
}

// gatewayProblem is why there is no session.
func gatewayProblem(err error) *api.Problem {
	var refused *wire.RefusedError
	if errors.As(err, &refused) && refused.Reason != wire.Draining {
		p := &api.Problem{Code: api.CodeGatewayRefused, Detail: refused.Detail, Technical: err.Error()}
		switch refused.Reason {
		case wire.BadToken:
			p.Code = api.CodeTokenNeeded
		case wire.NoLogin:
			p.Code = api.CodeLoginNeeded
		case wire.LockedOut:
			p.Code = api.CodeLockedOut
		case wire.TooMany, wire.TooFast:
			p.Code = api.CodeGatewayBusy
		}
		return p
	}
	p := &api.Problem{Code: api.CodeGatewayOffline}
	if err != nil {
		p.Technical = err.Error()
	}
	return p
}

// classifyGateway reads the gateway's refusal of a stream.
func classifyGateway(e *wire.RefusedError) (api.Code, string) {
	switch e.Reason {
	case wire.Denied:
		return api.CodeTargetRefused, e.Detail
	case wire.NoSuchHost, wire.Unreachable:
		return api.CodeServerUnreachable, e.Detail
	case wire.Timeout:
		return api.CodeServerTimeout, e.Detail
	case wire.Draining:
		return api.CodeGatewayOffline, e.Detail
	case wire.TooMany, wire.TooFast:
		return api.CodeGatewayBusy, e.Detail
	case wire.Idle, wire.Expired:
		return api.CodeGatewayCut, e.Detail
	case wire.NotMail:
		return api.CodeServerProtocol, "" // whose host is named then
	}
	return api.CodeGatewayRefused, e.Detail
}

// classifyPOP3 reads a -ERR. A refusal of USER or PASS without a response code is about the password: RFC 1939 knows
// no other, and few servers have the codes of RFC 3206.
func classifyPOP3(e *pop3.Error) (api.Code, string) {
	switch {
	case e.Code == "IN-USE":
		return api.CodeMaildropLocked, e.Text
	case e.Code == "AUTH", e.Code == "" && (e.Command == "PASS" || e.Command == "USER" || e.Command == "AUTH"):
		return api.CodeWrongPassword, ""
	}
	return api.CodeServerRefused, e.Text
}

// classifySMTP reads a reply of 4yz or 5yz. See RFC 4954 section 6 for those to AUTH, RFC 3463 for enhanced codes.
func classifySMTP(e *smtp.Error) (api.Code, string) {
	switch {
	case e.Code == 535 || e.Code == 538 || e.Code == 534:
		return api.CodeWrongPassword, ""
	case isTooLarge(e):
		return api.CodeTooLarge, "" // the limit, if only it had named it
	case strings.HasPrefix(e.Command, "RCPT"):
		return api.CodeRecipientRefused, e.Text
	case aboutMessage(e):
		return api.CodeMessageRefused, e.Text
	}
	return api.CodeServerRefused, e.Text
}

// classifyFTP reads a reply of 4yz or 5yz.
func classifyFTP(e *ftp.Error) (api.Code, string) {
	text := e.Text()
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(text), w) })
	}
	switch {
	case e.Is(ftp.ErrNeedsTLS) && says("reuse", "resum"):
		return api.CodeTLSReuse, ""
	case e.Is(ftp.ErrNeedsTLS):
		return api.CodeServerWantsTLS, ""
	case e.Is(ftp.ErrNotLoggedIn) && says("too many", "maximum", "connections"):
		return api.CodeServerBusy, text
	case e.Is(ftp.ErrNotLoggedIn) && (e.Command == "PASS" || e.Command == "USER"):
		return api.CodeWrongPassword, ""
	}
	for _, k := range []struct {
		kind error
		code api.Code
	}{
		{ftp.ErrNoRoom, api.CodeServerFull}, {ftp.ErrExists, api.CodeFileExists}, {ftp.ErrNotAllowed, api.CodeFileNotAllowed},
		{ftp.ErrNoFile, api.CodeNoSuchFile}, {ftp.ErrBusy, api.CodeServerBusy}, {ftp.ErrUnsupported, api.CodeServerCannot},
	} {
		if e.Is(k.kind) {
			return k.code, text
		}
	}
	if e.Is(ftp.ErrNoData) {
		return api.CodeNoData, ""
	}
	return api.CodeServerRefused, text
}

// aboutMessage tells a refusal of this message from one of the session (EHLO, AUTH, the greeting).
func aboutMessage(e *smtp.Error) bool {
	switch word, _, _ := strings.Cut(e.Command, " "); word {
	case "MAIL", "RCPT", "DATA", "BDAT", ".":
		return true
	}
	return false
}

// refusals puts recipients and the server's words into a sentence's worth of text.
func refusals(refused []smtp.RecipientError) string {
	return enumerate(len(refused), func(i int) (addr, words string) {
		if r := refused[i]; r.Err != nil {
			return r.Recipient, r.Err.Text
		}
		return refused[i].Recipient, ""
	})
}

func enumerate(n int, at func(i int) (addr, words string)) string {
	const most = 5 // a list of hundreds helps nobody
	var b strings.Builder
	for i := range n {
		if i == most {
			fmt.Fprintf(&b, "; %d more", n-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		addr, words := at(i)
		b.WriteString(addr)
		if words != "" {
			b.WriteString(" (" + words + ")")
		}
	}
	return b.String()
}

// offered is what a server announced of ways to log in, where an error tells.
func offered(err error) string {
	_, ways, _ := strings.Cut(err.Error(), "the server offers ")
	return ways
}

// errStore marks an error of the mailbox that has no kind of its own: the device failed to read or write.
var errStore = errors.New("the mail could not be written to this device")

// storing marks err as the mailbox's, unless it is known for what it is.
func storing(err error) error {
	if err == nil {
		return nil
	}
	if code, _ := classify(err); code != api.CodeInternal {
		return err
	}
	var own *api.Problem
	if errors.As(err, &own) {
		return err
	}
	return fmt.Errorf("%w: %w", errStore, err)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

func isClosed(err error) bool {
	var op *net.OpError
	var refused *wire.RefusedError
	if errors.As(err, &refused) {
		return refused.Reason == wire.Idle || refused.Reason == wire.Expired
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, tunnel.ErrReset) ||
		errors.Is(err, pop3.ErrState) || errors.Is(err, smtp.ErrState) || errors.Is(err, ftp.ErrState) || errors.As(err, &op)
}

// megabytes is a limit for a sentence.
func megabytes(octets int64) string { return fmt.Sprintf("%d MB", octets>>20) }
