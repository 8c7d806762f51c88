package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/idn"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/wire"
)

// What settings may hold at most. They are written whole at each change, of any account.
const (
	maxLabel      = 100   // characters
	maxIdentities = 50    // more than anybody has; each is a line in a menu
	maxSignature  = 10000 // octets
	maxLogin      = 320   // octets of a login name: an address, and some
	maxLeaveDays  = 3650
)

// Settings answers what the user chose for an account.
func (e *Engine) Settings(_ context.Context, id api.AccountID) (api.Settings, error) {
	a, err := e.account(id)
	if err != nil {
		return api.Settings{}, err
	}
	return a.settings(), nil
}

// Configure proves other servers than before, then keeps the settings: all of them or none.
func (e *Engine) Configure(ctx context.Context, s api.Settings) (api.Settings, error) {
	if err := checkSettings(&s); err != nil {
		return api.Settings{}, err
	}
	if err := e.oneAtATime(ctx); err != nil {
		return api.Settings{}, problemOf(err)
	}
	defer func() { <-e.signing }()
	a, err := e.account(s.Account)
	if err != nil {
		return api.Settings{}, err
	}
	if err := e.configure(ctx, a, s); err != nil {
		return api.Settings{}, problemOf(err)
	}
	return a.settings(), nil
}

func (e *Engine) configure(ctx context.Context, a *account, s api.Settings) error {
	had := a.settings().Servers
	fetching, sending := had.POP3 != s.Servers.POP3, had.SMTP != s.Servers.SMTP
	if !fetching && !sending {
		return a.keepSettings(s)
	}
	if a.box == nil {
		return a.broken
	}
	password, err := a.secret(ctx)
	if err != nil {
		return err
	}
	if _, err := e.awaitGateway(ctx); err != nil {
		return err
	}
	l := a.login(password)
	l.servers = s.Servers
	var session *pop3.Client
	if fetching {
		a.pauseFetching() // two sessions would lock each other out of the maildrop
		defer func() { a.resumeFetching(session) }()
		if session, err = l.prove(ctx); err != nil {
			return err
		}
	}
	if sending {
		err = l.proveSubmission(ctx)
	}
	if err == nil {
		err = a.keepSettings(s)
	}
	if err != nil {
		closeSession(session)
		session = nil
		return err
	}
	a.forgive()
	a.reachable.Store(true)
	if fetching {
		ask(a.toFetch)
	}
	ask(a.toSend)
	return nil
}

// keepSettings makes settings durable, and the account's.
func (a *account) keepSettings(s api.Settings) error {
	return a.changeRecord(func(rec *record) {
		rec.moveTo(s.Servers)
		rec.Settings = s
	})
}

// changeRecord changes the account's entry in the registry, durably. Its callers hold e.signing.
func (a *account) changeRecord(change func(rec *record)) error {
	rec := a.registered()
	rec.Settings = rec.settings()
	moves := rec.Moves
	change(&rec)
	if err := a.e.registry.put(rec); err != nil {
		return storing(err)
	}
	if rec.Moves != moves {
		a.moved()
	}
	a.mu.Lock()
	a.rec = rec
	a.mu.Unlock()
	a.announce()
	return nil
}

// Trust pins a certificate, or unpins it, and goes on with what had to wait for that.
func (e *Engine) Trust(ctx context.Context, r api.Trust) error {
	pin, err := normalPin(r.Fingerprint)
	if err != nil {
		return err
	}
	if err := e.oneAtATime(ctx); err != nil {
		return problemOf(err)
	}
	defer func() { <-e.signing }()
	if isSite(r.Account) {
		return e.trustSite(r, pin)
	}
	a, err := e.account(r.Account)
	if err != nil {
		return err
	}
	s := a.settings()
	server := map[api.Protocol]*api.Server{api.POP3: &s.Servers.POP3, api.SMTP: &s.Servers.SMTP}[r.Protocol]
	if server == nil || server.Host == "" || server.Security == api.Plain {
		return &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("the account has no %q server whose certificate could be pinned", r.Protocol)}
	}
	server.Pin = pin
	if err := a.keepSettings(s); err != nil {
		return problemOf(err)
	}
	a.reachable.Store(true)
	ask(a.toFetch)
	ask(a.toSend)
	return nil
}

// checkSettings says what is wrong with settings, and brings the rest into the form in which they are kept.
func checkSettings(s *api.Settings) error {
	var err error
	if s.Servers, err = normalServers(s.Servers); err != nil {
		return err
	}
	s.Label = strings.TrimSpace(s.Label)
	switch {
	case utf8.RuneCountInString(s.Label) > maxLabel || !printableLine(s.Label):
		return badSetting("the account's name is too long, or has more than one line")
	case !slices.Contains([]api.Leave{api.LeaveAlways, api.LeaveDays, api.LeaveUntilErased, api.LeaveNever}, s.Leave):
		return badSetting(fmt.Sprintf("“%s” is nothing to do with mail on the server", s.Leave))
	case s.Leave == api.LeaveDays && (s.LeaveDays < 1 || s.LeaveDays > maxLeaveDays):
		return badSetting(fmt.Sprintf("mail can stay on the server for 1 to %d days", maxLeaveDays))
	case s.SizeCap < 0:
		return badSetting("a size below zero is none")
	case len(s.Identities) == 0:
		return badSetting("an account needs somebody whom its mail is from")
	case len(s.Identities) > maxIdentities:
		return badSetting(fmt.Sprintf("an account has at most %d identities", maxIdentities))
	}
	if s.Leave != api.LeaveDays {
		s.LeaveDays = 0
	}
	s.Identities = slices.Clone(s.Identities)
	for i := range s.Identities {
		if err := checkIdentity(&s.Identities[i], s.Identities[:i]); err != nil {
			return err
		}
	}
	return nil
}

func checkIdentity(id *api.Identity, before []api.Identity) error {
	addr, err := normalAddress(id.Addr)
	if err != nil {
		return err
	}
	id.Addr, id.Name = addr, strings.TrimSpace(id.Name)
	switch {
	case slices.ContainsFunc(before, func(o api.Identity) bool { return o.Addr == addr }):
		return badSetting(addr + " is there twice") // a draft names its identity by the address
	case !printableLine(id.Name) || !(mail.Address{Name: id.Name, Addr: addr}).Valid():
		return badSetting(fmt.Sprintf("“%s” cannot be a name in a message", id.Name))
	case len(id.Signature) > maxSignature || !utf8.ValidString(id.Signature):
		return badSetting("a signature is too long")
	}
	return nil
}

// normalServers brings servers into the form in which they are kept, or says what is wrong with them.
func normalServers(s api.Servers) (api.Servers, error) {
	var err error
	if s.POP3, err = normalServer(s.POP3, [2]int{995, 110}); err == nil {
		s.SMTP, err = normalServer(s.SMTP, [2]int{465, 587})
	}
	return s, err
}

// normalServer fills in what is unsaid: TLS, and the port that goes with the security.
func normalServer(s api.Server, ports [2]int) (api.Server, error) {
	s.Host = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s.Host), "."))
	if inner, ok := strings.CutPrefix(s.Host, "["); ok {
		s.Host = strings.TrimSuffix(inner, "]")
	}
	if s.Host == "" {
		return api.Server{}, nil
	}
	s.Host, _ = idn.ToASCII(s.Host)
	if err := wire.CheckHost(s.Host); err != nil {
		return s, badSetting(fmt.Sprintf("“%s” is no name of a server", s.Host))
	}
	s.Security = api.Security(strings.ToLower(string(s.Security)))
	if s.Security == "" {
		s.Security = api.TLS
	}
	if !slices.Contains([]api.Security{api.TLS, api.STARTTLS, api.Plain}, s.Security) {
		return s, badSetting(fmt.Sprintf("“%s” is no way to protect a connection", s.Security))
	}
	if s.Port == 0 {
		s.Port = ports[1]
		if s.Security == api.TLS {
			s.Port = ports[0]
		}
	}
	if s.Port < 1 || s.Port > 65535 {
		return s, badSetting(fmt.Sprintf("there is no port %d", s.Port))
	}
	if len(s.User) > maxLogin || !printableLine(s.User) {
		return s, badSetting("the login name is too long, or has characters that no server takes")
	}
	s.Auth = strings.ToUpper(s.Auth)
	if len(s.Auth) > 20 || strings.Trim(s.Auth, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" { // RFC 4422 section 3.1
		return s, badSetting(fmt.Sprintf("“%s” is no way to log in", s.Auth))
	}
	var err error
	if s.Pin, err = normalPin(s.Pin); err == nil && s.Security == api.Plain {
		s.Pin = ""
	}
	return s, err
}

// normalPin is a fingerprint in lower-case hex.
func normalPin(pin string) (string, error) {
	pin = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(pin))
	if pin != "" && (len(pin) != 64 || strings.Trim(pin, "0123456789abcdef") != "") {
		return "", badSetting("a fingerprint is a SHA-256 in hex")
	}
	return pin, nil
}

// printableLine says whether s is one line without control characters.
func printableLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' })
}

func badSetting(detail string) error {
	return &api.Problem{Code: api.CodeBadRequest, Detail: detail}
}

// proveSubmission logs in to the submission server, and out. A Problem says that it is this side.
func (l *login) proveSubmission(ctx context.Context) error {
	c, err := l.openSubmission(ctx, &smtp.Options{Timeout: l.e.Limits.Answer})
	if err != nil {
		return l.blameSubmission(err)
	}
	if announced, err := c.Extensions(ctx); err == nil && l.account != nil { // it is known already
		l.account.learnSize(func(mailSize) mailSize { return mailSize{Announced: announced.Size} })
	}
	ctx, cancel := context.WithTimeout(ctx, quitPatience)
	defer cancel()
	_ = c.Quit(ctx) // all that was asked is answered
	c.Close()
	return nil
}

// quitPatience is how long a server may take over a goodbye that nobody needs.
const quitPatience = 2 * time.Second

// blameSubmission says of a problem that it is about sending: the person sees one form with two servers.
func (l *login) blameSubmission(err error) error {
	p := *problemOf(err)
	host := l.place(api.SMTP).host()
	switch p.Code {
	case api.CodeWrongPassword:
		p.Detail = l.email + " at " + host + ", the server for sending,"
	case api.CodeServerRefused, api.CodeNoMechanism:
		p.Detail = host + ", the server for sending: " + p.Detail
	case api.CodeCanceled, api.CodeGatewayOffline, api.CodeCertificate:
	default:
		if !strings.Contains(p.Detail, host) {
			p.Detail = strings.TrimSuffix(host+": "+p.Detail, ": ")
		}
	}
	return &p
}
