package mailserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/sasl"
)

// ErrUserExists is what AddUser answers when the address is taken.
var ErrUserExists = maildrop.ErrAccountExists

// UserError says why an account cannot be made.
type UserError struct {
	Email  string
	Reason string
}

func (e *UserError) Error() string { return fmt.Sprintf("account %q: %s", e.Email, e.Reason) }

// AddUser makes an account; ErrUserExists if there is one.
func (s *Server) AddUser(ctx context.Context, a Account) error {
	r, err := s.record(a)
	if err != nil {
		return err
	}
	if r, err = withPassword(r, a.Password); err != nil {
		return err
	}
	return s.store.AddAccount(r)
}

// EnsureUser makes the account if it is missing, and else sees that it has this
// name (an empty one leaves the name as it is) and password.
func (s *Server) EnsureUser(ctx context.Context, a Account) error {
	r, err := s.record(a)
	if err != nil {
		return err
	}
	old, ok, err := s.store.Account(ctx, r.Email)
	if err != nil {
		return err
	}
	if ok && r.Name == "" {
		r.Name = old.Name
	}
	if ok && old.Name == r.Name && old.SCRAM != "" {
		if same, err := account.Verify(old.Hash, a.Password); same && err == nil {
			return nil
		}
	}
	if r, err = withPassword(r, a.Password); err != nil {
		return err
	}
	return s.store.SetAccount(r)
}

// withPassword fills in what is kept of a password.
func withPassword(r account.Record, password string) (account.Record, error) {
	hash, err := account.Hash(password, account.DefaultParams())
	if err != nil {
		return r, &UserError{r.Email, err.Error()}
	}
	r.Hash, r.SCRAM = hash, sasl.NewKeys(password, 0).String()
	return r, nil
}

// Introduce says for whom a program on this machine, the gateway, connects from
// that address, so that wrong passwords count as that client's. It holds until
// forget is called.
func (s *Server) Introduce(from net.Addr, client netip.Addr) (forget func()) {
	return s.gate.Introduce(from, client)
}

// record checks what is given of an account. A local-part is a dot-atom (RFC
// 5322 §3.2.3) of ASCII: what every form and every program takes.
func (s *Server) record(a Account) (account.Record, error) {
	email := account.Canonical(a.Email)
	user, domain := cutAddress(email)
	switch {
	case !s.domains[domain]:
		return account.Record{}, &UserError{a.Email, fmt.Sprintf("its domain is not one of this server's (%s)", strings.Join(s.cfg.Domains, ", "))}
	case user == "" || len(user) > 64 || user[0] == '.' || strings.HasSuffix(user, ".") || strings.Contains(user, "..") ||
		strings.Trim(user, "abcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+-/=?^_`{|}~") != "":
		return account.Record{}, &UserError{a.Email, "the part before the @ has letters a to z, digits, and single dots, hyphens and the like"}
	case strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return account.Record{}, &UserError{a.Email, "the name has a control character"}
	}
	return account.Record{Account: account.Account{Email: email, Name: strings.TrimSpace(a.Name)}}, nil
}
