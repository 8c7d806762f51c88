package smtp_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

const token = "ya29.a-token"

// account is a server with an account by password and by token, and what the client says and hears.
func account(t *testing.T, server *mailtest.SMTP, o smtp.Options) (*smtp.Client, *strings.Builder) {
	server.Password["jörg, d="] = "pässwörd"
	server.Tokens = map[string]string{"bob": token, "long": strings.Repeat("t", 2000)}
	var trace strings.Builder
	o.Trace = func(e smtp.Exchange) {
		who := "S "
		if e.Sent {
			who = "C "
		}
		trace.WriteString(who + e.Stage + " " + e.Line + "\n")
	}
	client := smtp.New(mailtest.Connect(t, server, nil), &o)
	t.Cleanup(func() {
		client.Close()
		if v := server.Violations(); v != nil {
			t.Errorf("violations: %q\n%s", v, trace.String())
		}
	})
	return client, &trace
}

// Each mechanism logs in, is refused with a wrong secret and may be tried again, and its secrets are in no trace.
func TestMechanisms(t *testing.T) {
	for _, c := range []struct {
		mechanism string
		user      string
		right     sasl.Credentials
		wrong     sasl.Credentials
	}{
		{"PLAIN", "bob", sasl.Credentials{Password: "bob-pw"}, sasl.Credentials{Password: "nope"}},
		{"LOGIN", "bob", sasl.Credentials{Password: "bob-pw"}, sasl.Credentials{Password: "nope"}},
		{"CRAM-MD5", "bob", sasl.Credentials{Password: "bob-pw"}, sasl.Credentials{Password: "nope"}},
		{"SCRAM-SHA-256", "bob", sasl.Credentials{Password: "bob-pw"}, sasl.Credentials{Password: "nope"}},
		{"OAUTHBEARER", "bob", sasl.Credentials{Token: token}, sasl.Credentials{Token: "nope"}},
		{"XOAUTH2", "bob", sasl.Credentials{Token: token}, sasl.Credentials{Token: "nope"}},
		{"OAUTHBEARER", "long", sasl.Credentials{Token: strings.Repeat("t", 2000)}, sasl.Credentials{Token: strings.Repeat("u", 2000)}},
		{"PLAIN", "jörg, d=", sasl.Credentials{Password: "pässwörd"}, sasl.Credentials{Password: "nope"}},
		{"SCRAM-SHA-256", "jörg, d=", sasl.Credentials{Password: "pässwörd"}, sasl.Credentials{Password: "nope"}},
	} {
		t.Run(c.mechanism+" "+c.user, func(t *testing.T) {
			server := mailtest.NewSMTP()
			server.Mechanisms = []string{c.mechanism}
			client, trace := account(t, server, smtp.Options{AllowPlaintextAuth: true})
			c.right.User, c.wrong.User = c.user, c.user
			_, err := client.Auth(t.Context(), c.wrong, "")
			var refused *smtp.Error
			if !errors.As(err, &refused) || refused.Code != 535 || refused.Command != "AUTH" || refused.Explain() != "The name or the password is wrong." {
				t.Fatalf("with a wrong secret: %v", err)
			}
			mechanism, err := client.Auth(t.Context(), c.right, "")
			if err != nil || mechanism != c.mechanism {
				t.Fatalf("%s, %v\n%s", mechanism, err, trace)
			}
			for _, secret := range []string{c.right.Password, c.right.Token, "nope"} {
				for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
					if len(secret) > 0 && strings.Contains(trace.String(), form) {
						t.Errorf("%q in\n%s", form, trace)
					}
				}
			}
			if !strings.Contains(trace.String(), "C AUTH AUTH "+c.mechanism) || !strings.Contains(trace.String(), "S AUTH 235") || !strings.Contains(trace.String(), "****") {
				t.Errorf("the trace is\n%s", trace)
			}
		})
	}
}

// The safest is taken, or the one that was asked for; without TLS, none that shows the password.
func TestMechanismChoice(t *testing.T) {
	all := []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"}
	password := sasl.Credentials{User: "bob", Password: "bob-pw"}
	for _, c := range []struct {
		name      string
		offered   []string
		cr        sasl.Credentials
		plaintext bool
		only      string
		want      string
		err       error
	}{
		{"the safest", all, password, true, "", "SCRAM-SHA-256", nil},
		{"without TLS", []string{"PLAIN", "CRAM-MD5"}, password, false, "", "CRAM-MD5", nil},
		{"without TLS, nothing safe", []string{"PLAIN", "LOGIN"}, password, false, "", "", smtp.ErrPlaintext},
		{"the one asked for", all, password, true, "LOGIN", "LOGIN", nil},
		{"the one asked for, without TLS", all, password, false, "PLAIN", "", smtp.ErrPlaintext},
		{"the one asked for is not there", []string{"PLAIN"}, password, true, "CRAM-MD5", "", smtp.ErrUnsupported},
		{"a token", all, sasl.Credentials{User: "bob", Token: token}, true, "", "OAUTHBEARER", nil},
		{"a token, without TLS", all, sasl.Credentials{User: "bob", Token: token}, false, "", "", smtp.ErrPlaintext},
		{"a token and no mechanism for it", []string{"PLAIN"}, sasl.Credentials{User: "bob", Token: token}, true, "", "", smtp.ErrUnsupported},
		{"unknown", []string{"GSSAPI"}, password, true, "", "", smtp.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewSMTP()
			server.Mechanisms = c.offered
			client, trace := account(t, server, smtp.Options{AllowPlaintextAuth: c.plaintext})
			got, err := client.Auth(t.Context(), c.cr, c.only)
			if c.err != nil {
				if !errors.Is(err, c.err) || strings.Contains(trace.String(), "C AUTH") {
					t.Errorf("%v\n%s", err, trace)
				}
			} else if err != nil || got != c.want {
				t.Errorf("%s, %v", got, err)
			}
			if err := client.Noop(t.Context()); err != nil {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// A server that does not know the password cannot have the client believe that it does.
func TestImpostor(t *testing.T) {
	server := mailtest.NewSMTP()
	server.Mechanisms, server.Forged = []string{"SCRAM-SHA-256"}, true
	client, _ := account(t, server, smtp.Options{AllowPlaintextAuth: true})
	err := logIn(client, t.Context(), "bob", "bob-pw")
	if !errors.Is(err, sasl.ErrServerProof) || !errors.Is(err, smtp.ErrProtocol) {
		t.Errorf("a wrong proof: %v", err)
	}
	if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
		t.Errorf("NOOP after it: %v", err)
	}
	client = script(t, &smtp.Options{AllowPlaintextAuth: true}, say("220 ready\r\n"), converse("EHLO localhost", "250-mail\r\n250 AUTH SCRAM-SHA-256"),
		mailtest.HearLine(), say("235 welcome\r\n"), mailtest.HearClose())
	if err := logIn(client, t.Context(), "bob", "bob-pw"); !errors.Is(err, sasl.ErrServerProof) {
		t.Errorf("no proof: %v", err)
	}
}

// What is no AUTH.
func TestAuthNonsense(t *testing.T) {
	begin := func(mechanism string) mailtest.Step {
		return func(s *mailtest.Scripted) error {
			if err := say("220 ready\r\n")(s); err != nil {
				return err
			}
			return converse("EHLO localhost", "250-mail\r\n250 AUTH "+mechanism)(s)
		}
	}
	for _, c := range []struct {
		name, mechanism string
		steps           []mailtest.Step
	}{
		{"not base64", "LOGIN", []mailtest.Step{hear("AUTH LOGIN"), say("334 !!!\r\n"), hear("*"), say("501 cancelled\r\n"), mailtest.HearClose()}},
		{"a challenge too many", "PLAIN", []mailtest.Step{mailtest.HearLine(), say("334 bW9yZT8=\r\n"), hear("*"), say("501 cancelled\r\n"), mailtest.HearClose()}},
		{"no reply", "PLAIN", []mailtest.Step{mailtest.HearLine(), say("welcome\r\n"), mailtest.HearClose()}},
		{"a reply of another kind", "PLAIN", []mailtest.Step{mailtest.HearLine(), say("354 go on\r\n"), mailtest.HearClose()}},
		{"a salt without end", "SCRAM-SHA-256", []mailtest.Step{mailtest.HearLine(), say("334 " + strings.Repeat("A", 4000))}},
		{"ten million rounds", "SCRAM-SHA-256", []mailtest.Step{mailtest.HearLine(),
			say("334 " + base64.StdEncoding.EncodeToString([]byte("r=x,s=c2FsdA==,i=10000000")) + "\r\n"), hear("*"), say("501 cancelled\r\n"), mailtest.HearClose()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := script(t, &smtp.Options{AllowPlaintextAuth: true}, append([]mailtest.Step{begin(c.mechanism)}, c.steps...)...)
			if err := logIn(client, t.Context(), "bob", "bob-pw"); !errors.Is(err, smtp.ErrProtocol) && !errors.Is(err, smtp.ErrTooLong) {
				t.Errorf("%v", err)
			}
			if err := client.Noop(t.Context()); !errors.Is(err, smtp.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// Extensions are read whatever their case, and what is no number is no limit.
func TestExtensions(t *testing.T) {
	client := script(t, nil, say("220 ready\r\n"), converse("EHLO localhost",
		"250-mail SIZE\r\n250-size -1\r\n250-8bitmime\r\n250-PIPELINING\r\n250-SIZE 99999999999999999999\r\n250-AUTH=LOGIN\r\n250-auth plain LOGIN\r\n250-DSN\r\n250-X-\x01\xff\r\n250 CHUNKING"),
		mailtest.HearClose())
	e, err := client.Extensions(t.Context())
	client.Close()
	if err != nil || e.Size != 0 || !e.EightBitMIME || !e.Pipelining || !e.DSN || !e.Chunking || e.SMTPUTF8 || e.StartTLS || e.EnhancedStatusCodes ||
		strings.Join(e.Auth, " ") != "LOGIN PLAIN" || len(e.Lines) != 9 || !bytes.Equal([]byte(e.Lines[7]), []byte("X- \uFFFD")) {
		t.Errorf("%+v, %v", e, err)
	}
}
