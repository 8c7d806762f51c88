package mailserver

import (
	"archive/tar"
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// What other servers of the gateway share with this one: its users, its certificate, its disk.

// Identity is a user who has shown the right password.
type Identity struct {
	ID         string // for ever: it outlives a change of address, and is never another's
	Account    account.Account
	FilesQuota int64 // octets of files beside the mail; 0: as all others, -1: no limit

	hash string // of the password that was shown
}

// SignIn checks a name and password that came from remote, as the mail protocols do: by the same Gate, so that wrong passwords
// count together. Its errors are account.ErrDenied and account.ErrBusy.
func (s *Server) SignIn(ctx context.Context, remote net.Addr, user, password string) (Identity, error) {
	who, err := s.gate.Authenticate(ctx, remote, user, password)
	if err != nil {
		return Identity{}, err
	}
	id, err := s.store.Identify(ctx, who.Email)
	if err != nil {
		return Identity{}, err
	}
	is, err := s.store.Standing(ctx, id)
	return Identity{ID: id, Account: who, FilesQuota: is.FilesQuota, hash: is.Hash}, err
}

// Still says whether somebody who has signed in may go on, and how he stands now: the account is there and not disabled, and its
// password is the one that was shown.
func (s *Server) Still(ctx context.Context, who Identity) (now Identity, still bool, err error) {
	is, err := s.store.Standing(ctx, who.ID)
	if errors.Is(err, maildrop.ErrNoAccount) {
		return who, false, nil
	}
	if err != nil {
		return who, false, err
	}
	who.FilesQuota = is.FilesQuota
	return who, !is.Disabled && is.Hash == who.hash, nil
}

// Identify is the ID of an account.
func (s *Server) Identify(ctx context.Context, email string) (string, error) {
	return s.store.Identify(ctx, account.Canonical(email))
}

// TLS shows the server's certificate, whichever that is at the time.
func (s *Server) TLS() *tls.Config { return s.shown.config() }

// Room answers an error when so many octets more would leave less of the disk free than mail needs.
func (s *Server) Room(octets int64) error { return s.store.Room(octets) }

// Files are those that users keep beside their mail, by the IDs of accounts. A server does not look into them.
type Files interface {
	// Backup writes all of them into a tar, their names under prefix.
	Backup(ctx context.Context, w *tar.Writer, prefix string) error
	// Holds says whether a user has any.
	Holds(id string) (bool, error)
	// Remove deletes a user's.
	Remove(id string) error
	// Check looks through all of them, which nobody may have open, and counts them. Known says whether an ID is an account's. Found is
	// told what should not be there: see maildrop.Finding.
	Check(mend bool, known func(id string) bool, found func(kind, where, wrong, remedy string, mended bool)) (octets, files int64, err error)
}

// FilesFolder, of the data folder, is where they are.
const FilesFolder = "files"
