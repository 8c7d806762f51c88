package mailserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/shared/sasl"
)

// UserError says why an account cannot be made.
type UserError struct {
	Email  string
	Reason string
}

func (e *UserError) Error() string { return fmt.Sprintf("account %q: %s", e.Email, e.Reason) }

// Admin looks after the accounts of the server, while it runs.
func (s *Server) Admin() *Admin { return s.admin }

// EnsureUser makes the account if it is missing, and else sees that it has this
// name (an empty one leaves the name as it is) and password.
func (s *Server) EnsureUser(ctx context.Context, a Account) error {
	r, err := s.admin.record(a.Email, a.Name)
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
func (a *Admin) record(address, name string) (account.Record, error) {
	email := account.Canonical(address)
	user, domain := cutAddress(email)
	switch {
	case !a.ours(domain):
		return account.Record{}, &UserError{address, a.notOurs()}
	case user == "" || len(user) > 64 || user[0] == '.' || strings.HasSuffix(user, ".") || strings.Contains(user, "..") ||
		strings.Trim(user, "abcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+-/=?^_`{|}~") != "":
		return account.Record{}, &UserError{address, "the part before the @ has letters a to z, digits, and single dots, hyphens and the like"}
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return account.Record{}, &UserError{address, "the name has a control character"}
	}
	return account.Record{Account: account.Account{Email: email, Name: strings.TrimSpace(name)}}, nil
}

func (a *Admin) ours(domain string) bool { return slices.Contains(a.domains, domain) }

func (a *Admin) notOurs() string {
	return fmt.Sprintf("its domain is not one of this server's (%s)", strings.Join(a.domains, ", "))
}
