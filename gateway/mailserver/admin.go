package mailserver

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/control"
)

// Admin looks after the accounts, their addresses and their mail: those of a
// server that runs (Server.Admin), or of a folder that no server uses
// (Administer).
type Admin struct {
	dir     string
	domains []string
	store   *maildrop.Store
	files   Files                     // nil: there are none
	lock    *os.File                  // of a folder that no server uses
	tryNow  func(ctx context.Context) // rows of the queue are due by hand; nil: nobody sends them
	// giveBack returns what waits to the senders; nil where no mail is sent.
	giveBack func(ctx context.Context, f maildrop.Filter) (int, error)
	// resting is until when a destination is left alone; nil where no mail is sent.
	resting func(destination string) time.Time
	now     func() time.Time
}

var _ control.Operations = (*Admin)(nil)

// Administer opens the data folder of a server that does not run; ErrDataInUse if
// it does. It needs Dir, Domains and Logger of the configuration.
func Administer(ctx context.Context, cfg Config) (*Admin, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	store, err := maildrop.Open(ctx, filepath.Join(cfg.Dir, mailFolder), &maildrop.Options{Logger: cfg.Logger})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return newAdmin(cfg, store, lock), nil
}

func newAdmin(cfg Config, store *maildrop.Store, lock *os.File) *Admin {
	a := &Admin{dir: cfg.Dir, store: store, files: cfg.Files, lock: lock, now: cfg.now()}
	for _, d := range cfg.Domains {
		a.domains = append(a.domains, strings.ToLower(d))
	}
	return a
}

// Close ends what Administer began.
func (a *Admin) Close() error {
	if a.lock == nil {
		return nil
	}
	return errors.Join(a.store.Close(), a.lock.Close())
}

// answer tells an administrator what an error is about, and whom, if that is not
// in its text.
func answer(err error, about ...string) error {
	if errors.Is(err, maildrop.ErrNoAccount) && len(about) > 0 && !strings.Contains(err.Error(), about[0]) {
		err = fmt.Errorf("%w: %s", err, about[0])
	}
	var user *UserError
	for kind, list := range map[control.Kind][]error{
		control.Exists:   {maildrop.ErrAccountExists, maildrop.ErrAddressTaken},
		control.NotFound: {maildrop.ErrNoAccount, maildrop.ErrNoAlias, maildrop.ErrNotQueued},
		control.InUse:    {maildrop.ErrInUse, maildrop.ErrSettled},
		control.HasMail:  {maildrop.ErrHasMail},
	} {
		for _, e := range list {
			if errors.Is(err, e) {
				return control.Wrap(kind, err)
			}
		}
	}
	if errors.As(err, &user) {
		return control.Wrap(control.Invalid, err)
	}
	return control.Wrap(control.Failed, err)
}

// AddUser makes an account; its address is neither another's nor an alias.
func (a *Admin) AddUser(_ context.Context, u control.NewUser) error {
	r, err := a.record(u.Email, u.Name)
	if err == nil {
		r, err = withPassword(r, u.Password)
	}
	if err == nil {
		err = a.store.AddAccount(r)
	}
	return answer(err)
}

// SetPassword changes a password.
func (a *Admin) SetPassword(_ context.Context, email, password string) error {
	r, err := withPassword(account.Record{Account: account.Account{Email: account.Canonical(email)}}, password)
	if err == nil {
		err = a.store.SetPassword(r.Email, r.Hash, r.SCRAM)
	}
	return answer(err, email)
}

// RenameUser gives an account another address.
func (a *Admin) RenameUser(_ context.Context, from, to string) error {
	r, err := a.record(to, "")
	if err == nil {
		err = a.store.Rename(account.Canonical(from), r.Email)
	}
	return answer(err, from)
}

// RemoveUser removes an account, if it has mail or files only when they are to go, too.
func (a *Admin) RemoveUser(ctx context.Context, email string, withMail bool) error {
	return answer(a.removeUser(ctx, account.Canonical(email), withMail), email)
}

func (a *Admin) removeUser(ctx context.Context, email string, withMail bool) error {
	if a.files == nil {
		return a.store.RemoveAccount(ctx, email, withMail)
	}
	id, err := a.store.Identify(ctx, email)
	if err != nil {
		return err
	}
	if !withMail {
		has, err := a.files.Holds(id)
		if err == nil && has {
			err = filesError{}
		}
		if err != nil {
			return err
		}
	}
	if err := a.store.RemoveAccount(ctx, email, withMail); err != nil {
		return err
	}
	// Nobody gets at them any more, and nobody else will have that ID.
	if err := a.files.Remove(id); err != nil {
		return fmt.Errorf("the account is removed, but its files in %s stay: %w", filepath.Join(a.dir, FilesFolder, id), err)
	}
	return nil
}

// filesError says that an account has files: to who removes it that is the same as mail.
type filesError struct{}

func (filesError) Error() string        { return "the account has files in its folder" }
func (filesError) Is(target error) bool { return target == maildrop.ErrHasMail }

// Users lists the accounts by address.
func (a *Admin) Users(ctx context.Context) ([]control.User, error) {
	users, err := a.store.Users(ctx)
	var list []control.User
	for _, u := range users {
		list = append(list, control.User{Email: u.Email, Name: u.Name, Created: u.Created, Disabled: u.Disabled, Admin: u.Admin, SCRAM: u.SCRAM,
			Messages: u.Messages, Octets: u.Octets, Quota: control.Quota(u.Quota), FilesQuota: u.FilesQuota})
	}
	return list, answer(err)
}

// SetQuota bounds a maildrop; it deletes nothing.
func (a *Admin) SetQuota(_ context.Context, email string, q control.Quota) error {
	if q.Octets < 0 || q.Messages < 0 {
		return answer(&UserError{email, "a quota is no less than nothing"})
	}
	return answer(a.store.SetQuota(account.Canonical(email), maildrop.Quota(q)), email)
}

// SetFilesQuota bounds the files of an account; it deletes nothing.
func (a *Admin) SetFilesQuota(_ context.Context, email string, octets int64) error {
	if octets < control.NoLimit {
		return answer(&UserError{email, "a quota is no less than nothing"})
	}
	return answer(a.store.SetFilesQuota(account.Canonical(email), octets), email)
}

// SetDisabled lets nobody sign in to an account, or lets them again.
func (a *Admin) SetDisabled(_ context.Context, email string, disabled bool) error {
	return answer(a.store.SetDisabled(account.Canonical(email), disabled), email)
}

// SetAdmin lets who has an account look after the server from a page, or no longer.
func (a *Admin) SetAdmin(_ context.Context, email string, admin bool) error {
	return answer(a.store.SetAdmin(account.Canonical(email), admin), email)
}

// AddAlias lets an address stand for accounts.
func (a *Admin) AddAlias(_ context.Context, address string, accounts []string) error {
	r, err := a.record(address, "")
	if err == nil && len(accounts) == 0 {
		err = &UserError{address, "an alias stands for one account at least"}
	}
	if err == nil {
		err = a.store.AddAlias(r.Email, canonical(accounts)...)
	}
	return answer(err)
}

// RemoveAlias takes accounts, or all, from an alias.
func (a *Admin) RemoveAlias(_ context.Context, address string, accounts []string) error {
	return answer(a.store.RemoveAlias(account.Canonical(address), canonical(accounts)...))
}

func canonical(addresses []string) (list []string) {
	for _, a := range addresses {
		list = append(list, account.Canonical(a))
	}
	return list
}

// Aliases lists what leads to accounts.
func (a *Admin) Aliases(ctx context.Context) (control.Addresses, error) {
	var all control.Addresses
	aliases, err := a.store.Aliases(ctx)
	if err != nil {
		return all, answer(err)
	}
	for _, x := range aliases {
		all.Aliases = append(all.Aliases, control.Alias(x))
	}
	catchalls, err := a.store.CatchAlls(ctx)
	for _, c := range catchalls {
		all.CatchAlls = append(all.CatchAlls, control.CatchAll(c))
	}
	return all, answer(err)
}

// SetCatchAll gives an account what nobody else of a domain gets.
func (a *Admin) SetCatchAll(_ context.Context, domain, email string) error {
	domain = strings.ToLower(domain)
	if email != "" && !a.ours(domain) {
		return answer(&UserError{"*@" + domain, a.notOurs()})
	}
	return answer(a.store.SetCatchAll(domain, account.Canonical(email)), email)
}

// Export writes a tar of an account's messages.
func (a *Admin) Export(ctx context.Context, email string, w io.Writer) error {
	return answer(a.store.Export(ctx, account.Canonical(email), w), email)
}

// Import takes such a tar.
func (a *Admin) Import(ctx context.Context, email string, r io.Reader) (n control.Imported, err error) {
	n.Added, n.Skipped, err = a.store.Import(ctx, account.Canonical(email), r)
	if err != nil && n.Added > 0 {
		err = fmt.Errorf("%w; %d messages were added before that, and importing again leaves them alone", err, n.Added)
	}
	return n, answer(err, email)
}

// mailFolder, of the data folder, is the store's.
const mailFolder = "mail"

// backupMark is the first file of a backup.
const backupMark = "postern-backup.json"

// backupEnd is the last one, and empty: a tar that was cut between two files
// looks whole.
const backupEnd = "postern-backup-end"

// backupFormat is the version of what follows.
const backupFormat = 1

type backupInfo struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	Domains []string  `json:"domains"`
}

// Backup writes a tar of the data folder, as it is at one moment, while the
// server goes on. It has the keys and the hashes of the passwords: it is as
// secret as the folder.
func (a *Admin) Backup(ctx context.Context, w io.Writer) error {
	out := tar.NewWriter(w)
	mark, err := json.Marshal(backupInfo{backupFormat, time.Now().UTC(), a.domains})
	if err == nil {
		err = out.WriteHeader(&tar.Header{Name: backupMark, Size: int64(len(mark)), Mode: 0o600, ModTime: time.Now()})
	}
	if err == nil {
		_, err = out.Write(mark)
	}
	if err == nil {
		err = a.backupRest(out)
	}
	if err == nil {
		err = a.store.Backup(ctx, out, mailFolder)
	}
	if err == nil && a.files != nil {
		err = a.files.Backup(ctx, out, FilesFolder)
	}
	if err == nil {
		err = out.WriteHeader(&tar.Header{Name: backupEnd, Mode: 0o600, ModTime: time.Now()})
	}
	if err == nil {
		err = out.Close()
	}
	return answer(err)
}

// backupRest is the folder without mail and files: certificates, keys, marks. A folder
// within it that another server has, of a demo world, has a backup of its own.
func (a *Admin) backupRest(out *tar.Writer) error {
	return filepath.WalkDir(a.dir, func(name string, e fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(a.dir, name)
		if err = errors.Join(err, rerr); err != nil {
			return err
		}
		switch {
		case e.IsDir() && (rel == mailFolder || rel == FilesFolder || rel != "." && isData(name)):
			return fs.SkipDir
		case !e.Type().IsRegular(), rel == lockName, strings.HasSuffix(rel, ".new"):
			return nil
		}
		text, err := os.ReadFile(name) // small, and whole or not at all: see writeDurably
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: filepath.ToSlash(rel), Size: int64(len(text)), Mode: 0o600, ModTime: time.Now()}); err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	})
}
