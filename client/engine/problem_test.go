package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

func TestProblems(t *testing.T) {
	for _, test := range []struct {
		err    error
		want   api.Code
		detail string
	}{
		{tunnel.ErrOffline, api.CodeGatewayOffline, ""},
		{tunnel.ErrSessionClosed, api.CodeGatewayOffline, ""},
		{tunnel.ErrTooMany, api.CodeGatewayBusy, ""},
		{tunnel.ErrReset, api.CodeServerClosed, ""},
		{&wire.RefusedError{Reason: wire.Denied, Detail: "pop.example.org:995"}, api.CodeTargetRefused, "pop.example.org:995"},
		{&wire.RefusedError{Reason: wire.NoSuchHost, Detail: "h"}, api.CodeServerUnreachable, "h"},
		{&wire.RefusedError{Reason: wire.Unreachable}, api.CodeServerUnreachable, ""},
		{&wire.RefusedError{Reason: wire.Timeout}, api.CodeServerTimeout, ""},
		{&wire.RefusedError{Reason: wire.TooMany}, api.CodeGatewayBusy, ""},
		{&wire.RefusedError{Reason: wire.TooFast, Detail: "d"}, api.CodeGatewayBusy, "d"},
		{&wire.RefusedError{Reason: wire.Idle, Detail: "d"}, api.CodeGatewayCut, "d"},
		{&net.OpError{Op: "read", Err: &wire.RefusedError{Reason: wire.Expired}}, api.CodeGatewayCut, ""},
		{&net.OpError{Op: "read", Err: &wire.RefusedError{Reason: wire.NotMail, Detail: "d"}}, api.CodeServerProtocol, ""},
		{&wire.RefusedError{Reason: wire.Draining}, api.CodeGatewayOffline, ""},
		{&wire.RefusedError{Reason: "of a later version"}, api.CodeGatewayRefused, ""},
		{&trust.CertificateError{Reason: "expired"}, api.CodeCertificate, ""},
		{tls.RecordHeaderError{Msg: "not TLS"}, api.CodeServerProtocol, ""},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, api.CodeServerProtocol, ""},

		{&pop3.Error{Command: "PASS", Text: "no"}, api.CodeWrongPassword, ""},
		{&pop3.Error{Command: "USER", Text: "who?"}, api.CodeWrongPassword, ""},
		{&pop3.Error{Command: "PASS", Code: "AUTH"}, api.CodeWrongPassword, ""},
		{&pop3.Error{Command: "PASS", Code: "IN-USE", Text: "busy"}, api.CodeMaildropLocked, "busy"},
		{&pop3.Error{Command: "PASS", Code: "LOGIN-DELAY"}, api.CodeServerRefused, ""},
		{&pop3.Error{Command: "PASS", Code: "SYS/TEMP"}, api.CodeServerRefused, ""},
		{&pop3.Error{Command: "LIST", Text: "no"}, api.CodeServerRefused, "no"},
		{pop3.ErrProtocol, api.CodeServerProtocol, ""},
		{pop3.ErrTooLong, api.CodeServerProtocol, ""},
		{pop3.ErrUnsupported, api.CodeServerRefused, ""},
		{pop3.ErrArgument, api.CodeBadRequest, ""},

		{&smtp.Error{Code: 535, Command: "AUTH", Text: "no"}, api.CodeWrongPassword, ""},
		{&smtp.Error{Code: 454, Command: "AUTH"}, api.CodeServerRefused, ""},
		{&smtp.Error{Code: 550, Command: "RCPT"}, api.CodeRecipientRefused, ""},
		{&smtp.Error{Code: 554, Command: "."}, api.CodeMessageRefused, ""},
		{&smtp.Error{Code: 554, Enhanced: "5.3.4", Command: "."}, api.CodeTooLarge, ""},
		{&smtp.Error{Code: 552, Command: "MAIL"}, api.CodeTooLarge, ""},
		{&smtp.Error{Code: 421, Command: "EHLO"}, api.CodeServerRefused, ""},
		{&smtp.RecipientsError{Refused: []smtp.RecipientError{{Recipient: "a@b", Err: &smtp.Error{Code: 550, Text: "nobody"}}, {Recipient: "c@d"}}}, api.CodeRecipientRefused, "a@b (nobody); c@d"},
		{&smtp.TooLargeError{Size: 30_000_001, Limit: 20 << 20}, api.CodeTooLarge, "20 MB"},
		{smtp.ErrUnknown, api.CodeServerClosed, ""},
		{smtp.ErrProtocol, api.CodeServerProtocol, ""},
		{smtp.ErrPlaintext, api.CodeServerRefused, ""},
		{smtp.ErrTooLong, api.CodeServerProtocol, ""},
		{sasl.ErrChallenge, api.CodeServerProtocol, ""},
		{sasl.ErrServerProof, api.CodeServerRefused, "welcome, but could not prove that it knows the password: somebody else may answer in its place"},
		{fmt.Errorf("%w: AUTH: %w", smtp.ErrProtocol, sasl.ErrServerProof), api.CodeServerRefused, "welcome, but could not prove that it knows the password: somebody else may answer in its place"},

		{io.EOF, api.CodeServerClosed, ""},
		{io.ErrUnexpectedEOF, api.CodeServerClosed, ""},
		{net.ErrClosed, api.CodeServerClosed, ""},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, api.CodeServerClosed, ""},
		{os.ErrDeadlineExceeded, api.CodeServerTimeout, ""},
		{context.DeadlineExceeded, api.CodeServerTimeout, ""},
		{context.Canceled, api.CodeCanceled, ""},

		{store.ErrFull, api.CodeStorageFull, ""},
		{store.ErrCorrupt, api.CodeStorage, ""},
		{store.ErrNoMessage, api.CodeNoSuchMessage, ""},
		{store.ErrNoBlob, api.CodeNoSuchMessage, ""},
		{store.ErrClosed, api.CodeCanceled, ""},
		{store.ErrTooLarge, api.CodeTooLarge, ""},
		{storing(errors.New("input/output error")), api.CodeStorage, ""},
		{storing(store.ErrFull), api.CodeStorageFull, ""},

		{&api.Problem{Code: api.CodePasswordNeeded, Detail: "d"}, api.CodePasswordNeeded, "d"},
		{errors.New("anything"), api.CodeInternal, ""},
	} {
		for _, err := range []error{test.err, fmt.Errorf("while doing this: %w", test.err)} {
			p := problemOf(err)
			if p.Code != test.want || p.Detail != test.detail {
				t.Errorf("%v: %s %q, want %s %q", err, p.Code, p.Detail, test.want, test.detail)
			}
		}
	}
	if problemOf(nil) != nil || storing(nil) != nil || asError(nil) != nil {
		t.Error("nothing is no problem")
	}
}

func TestGatewayProblems(t *testing.T) {
	for _, test := range []struct {
		err  error
		want api.Code
	}{
		{nil, api.CodeGatewayOffline},
		{errors.New("connection refused"), api.CodeGatewayOffline},
		{&wire.RefusedError{Reason: wire.BadToken}, api.CodeTokenNeeded},
		{&wire.RefusedError{Reason: wire.NoLogin}, api.CodeLoginNeeded},
		{&wire.RefusedError{Reason: wire.LockedOut}, api.CodeLockedOut},
		{&wire.RefusedError{Reason: wire.TooMany}, api.CodeGatewayBusy},
		{&wire.RefusedError{Reason: wire.TooFast}, api.CodeGatewayBusy},
		{&wire.RefusedError{Reason: "of a later version"}, api.CodeGatewayRefused},
		{fmt.Errorf("x: %w", &wire.RefusedError{Reason: wire.BadVersion}), api.CodeGatewayRefused},
		{&wire.RefusedError{Reason: wire.Draining}, api.CodeGatewayOffline},
	} {
		if p := gatewayProblem(test.err); p.Code != test.want {
			t.Errorf("%v: %v", test.err, p)
		}
	}
}
