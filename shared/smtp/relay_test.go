package smtp_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/smtp"
)

// A server that passes a message on asks for each recipient what it was asked for: RFC 3461 section 5.2.1.
func TestRequestsOfRecipients(t *testing.T) {
	server := open(func(s *mailtest.SMTP) { s.DSN, s.Anybody = true, true })
	client, _ := connect(t, server, nil)
	receipt, err := client.Send(t.Context(), smtp.Envelope{
		To: []string{"a@example.test", "b@example.test", "c@example.test", "d@example.test", "büro@example.test"},
		DSN: &smtp.DSN{Return: "HDRS", EnvelopeID: "an id", Recipients: []smtp.RecipientDSN{
			{},
			{Notify: []string{"NEVER"}},
			{Notify: []string{"SUCCESS", "DELAY"}, Original: "rfc822;first+one@example.org"},
			{Original: `utf-8;b\x{FC}ro=@example.org`},
			{Original: "utf-8;büro@example.org"},
		}},
	}, strings.NewReader("Subject: x\r\n\r\nx\r\n"))
	if err != nil || !receipt.DSN || receipt.Code != 250 || receipt.Enhanced != "2.0.0" || receipt.Text != "queued as 1" {
		t.Fatalf("%+v, %v", receipt, err)
	}
	want := []string{"", "NOTIFY=NEVER", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Bone@example.org", `ORCPT=utf-8;büro\x{3D}@example.org`, "ORCPT=utf-8;büro@example.org"}
	got := server.Received()[0]
	if !slices.Equal(got.Rcpt, want) || !strings.Contains(got.Params, "RET=HDRS ENVID=an+20id") || got.From != "" {
		t.Errorf("%q, MAIL %q", got.Rcpt, got.Params)
	}
	for _, d := range []smtp.DSN{
		{Recipients: []smtp.RecipientDSN{{}, {}}},
		{Recipients: []smtp.RecipientDSN{{Notify: []string{"SOMETIMES"}}}},
		{Recipients: []smtp.RecipientDSN{{Original: "a@example.org"}}},
		{Recipients: []smtp.RecipientDSN{{Original: "rf c;a@example.org"}}},
		{Recipients: []smtp.RecipientDSN{{Original: "rfc822;"}}},
		{Recipients: []smtp.RecipientDSN{{Original: "rfc822;a\r\nDATA"}}},
		{Recipients: []smtp.RecipientDSN{{Original: "utf-8;\xff"}}},
	} {
		if _, err := client.Send(t.Context(), smtp.Envelope{To: []string{"a@example.test"}, DSN: &d}, strings.NewReader("\r\n")); !errors.Is(err, smtp.ErrArgument) {
			t.Errorf("%+v: %v", d.Recipients, err)
		}
	}
}

// Who was refused before a message was is told, too: their fate differs from that of the others.
func TestRefusedBeforeAnError(t *testing.T) {
	for name, c := range map[string]struct {
		stage string
		fault mailtest.SMTPFault
		open  bool
	}{
		"MAIL refused":    {"MAIL", mailtest.SMTPFault{Reply: "451 4.3.0 later\r\n"}, true},
		"DATA refused":    {"DATA", mailtest.SMTPFault{Reply: "451 4.3.0 later\r\n"}, true},
		"message refused": {".", mailtest.SMTPFault{Reply: "554 5.6.0 no\r\n"}, true},
		"cut":             {".", mailtest.SMTPFault{Cut: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := open(func(s *mailtest.SMTP) {
				s.Pipelining = true
				s.Fault = func(stage string) *mailtest.SMTPFault {
					if stage == c.stage {
						return &c.fault
					}
					return nil
				}
			})
			client, _ := connect(t, server, nil)
			receipt, err := client.Send(t.Context(), smtp.Envelope{To: []string{"bob@example.test", "nobody@example.test", "nobody@example.test"}}, strings.NewReader("\r\nx"))
			if c.stage == "MAIL" { // what is said to RCPT then is about the sender
				if err == nil || receipt != nil || !client.Open() {
					t.Errorf("%+v, %v", receipt, err)
				}
				return
			}
			if err == nil || receipt == nil || receipt.Code != 0 || len(receipt.Refused) != 2 || receipt.Refused[0].Index != 1 || receipt.Refused[1].Index != 2 || receipt.Refused[0].Err.Enhanced != "5.1.1" {
				t.Errorf("%+v, %v", receipt, err)
			}
			if errors.Is(err, smtp.ErrUnknown) != c.fault.Cut || client.Open() != c.open {
				t.Errorf("%v; open: %t", err, client.Open())
			}
		})
	}
}
