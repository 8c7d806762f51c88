package ftpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	library "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

// driver is what the library asks about a session.
type driver struct{ *session }

var (
	_ library.MainDriver                         = (*driver)(nil)
	_ library.MainDriverExtensionPassiveWrapper  = (*driver)(nil)
	_ library.MainDriverExtensionPostAuthMessage = (*driver)(nil)
)

// GetSettings are those of a server with one session. What it decides about time, TLS and addresses is decided before.
func (d *driver) GetSettings() (*library.Settings, error) {
	const never = 1 << 28 // seconds
	return &library.Settings{
		Listener: &oneConn{conn: d.session}, IdleTimeout: never, ConnectionTimeout: never,
		DisableSite: true, DisableActiveMode: true, DisableSTAT: true,
		DefaultTransferType: library.TransferTypeBinary, PasvConnectionsCheck: library.IPMatchDisabled,
	}, nil
}

func (d *driver) ClientConnected(library.ClientContext) (string, error) {
	return d.srv.cfg.Hostname + " Postern FTP ready", nil
}

func (d *driver) ClientDisconnected(library.ClientContext) { close(d.gone) }

func (d *driver) AuthUser(_ library.ClientContext, user, password string) (library.ClientDriver, error) {
	who, err := d.srv.cfg.Users.Authenticate(d.ctx, d.raw.RemoteAddr(), user, password)
	if err != nil {
		d.srv.counts.refused.Add(1)
		d.spare(err)
		switch {
		case errors.Is(err, ErrDenied):
			d.log.Info("ftp: login refused") // and not who: people type their password there
		case !errors.Is(err, ErrBusy) && !errors.Is(err, context.Canceled):
			d.log.Error("ftp: cannot check a password", "error", err)
		}
		return nil, err
	}
	if !d.srv.enterSession(who.ID) {
		d.spare(errTooMany)
		return nil, errTooMany
	}
	folder, err := d.srv.cfg.Files.Folder(who.ID, who.Quota)
	if err != nil {
		d.srv.leaveSession(who.ID)
		d.log.Error("ftp: cannot open a folder", "error", err)
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.user, d.folder = who, folder
	if who.Still != nil {
		d.recheck = time.AfterFunc(d.srv.cfg.Limits.Recheck, d.look)
	}
	return &tree{d.session, folder}, nil
}

// spare lets a client that could not sign in try again, as the mail protocols do: some wrong passwords, each of which is answered
// later than the one before, and as often as it likes when it is not the password. The library would close the connection.
func (d *driver) spare(err error) {
	if errors.Is(err, ErrDenied) {
		d.wrong++
	}
	if d.wrong >= d.srv.cfg.Limits.WrongPasswords || errors.Is(err, context.Canceled) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spared = true
}

var errListings = errors.New("too many listings at once; try again later")

var errTooMany = errors.New("too many connections of this account")

// PostAuthMessage is what the client is told of its login.
func (d *driver) PostAuthMessage(_ library.ClientContext, _ string, err error) string {
	switch {
	case err == nil:
		return "welcome"
	case errors.Is(err, ErrDenied):
		return "name or password is wrong"
	case errors.Is(err, ErrBusy):
		return "too many logins at once; try again in a minute"
	case errors.Is(err, errTooMany):
		return err.Error()
	}
	return "the server cannot sign you in now"
}

func (d *driver) GetTLSConfig() (*tls.Config, error) {
	return nil, errors.New("TLS is begun before the library")
}

// WrapPassiveListener gives the library the data connection that was prepared. What it has opened itself, at every address of
// this machine and any port, is closed to the network at once; the library only needs it to be there.
func (d *driver) WrapPassiveListener(l net.Listener) (net.Listener, error) {
	deafen(l)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.setup == nil {
		l.Close()
		return nil, errNoData
	}
	return d.setup, nil
}

// tree is a user's folder for the library.
type tree struct {
	s      *session
	folder *files.Folder
}

var (
	_ library.ClientDriver                        = (*tree)(nil)
	_ library.ClientDriverExtensionFileList       = (*tree)(nil)
	_ library.ClientDriverExtentionFileTransfer   = (*tree)(nil)
	_ library.ClientDriverExtensionRemoveDir      = (*tree)(nil)
	_ library.ClientDriverExtensionAvailableSpace = (*tree)(nil)
)

// told notes an error for the verdict on a transfer, logs what only the operator can mend, and makes the library choose the
// right code of those that it knows.
func (t *tree) told(err error) error {
	if err == nil {
		return nil
	}
	if transfer := t.s.current(); transfer != nil {
		transfer.fail(err)
		return err
	}
	switch {
	case errors.Is(err, files.ErrFailed):
		t.s.log.Error("ftp: the files cannot be used", "error", err)
		return files.ErrFailed
	case errors.Is(err, files.ErrQuota), errors.Is(err, files.ErrTooMany):
		return worded{err, library.ErrStorageExceeded}
	case errors.Is(err, files.ErrName):
		return worded{err, library.ErrFileNameNotAllowed}
	}
	return err
}

// worded is an error in our words that the library takes for one of its own.
type worded struct{ words, is error }

func (e worded) Error() string   { return e.words.Error() }
func (e worded) Unwrap() []error { return []error{e.words, e.is} }

func (t *tree) Stat(name string) (os.FileInfo, error) {
	e, err := t.folder.Stat(name)
	if transfer := t.s.current(); transfer != nil {
		transfer.looked(e, err)
	} else if err == nil && e.IsDir() && t.s.last == "SIZE" { // RFC 3659 section 4: of files
		err = files.ErrNotFile
	}
	if err != nil {
		return nil, t.told(err)
	}
	return e, nil
}

func (t *tree) ReadDir(name string) ([]os.FileInfo, error) {
	list, err := t.folder.List(name)
	if transfer := t.s.current(); err == nil && transfer != nil {
		if !t.s.srv.enterListing(t.s.user.ID, len(list)) {
			return nil, t.told(errListings)
		}
		transfer.listed = len(list)
	}
	return list, t.told(err)
}

func (t *tree) Mkdir(name string, _ os.FileMode) error { return t.told(t.folder.Mkdir(name)) }
func (t *tree) Remove(name string) error               { return t.told(t.folder.Remove(name)) }
func (t *tree) RemoveDir(name string) error            { return t.told(t.folder.RemoveFolder(name)) }
func (t *tree) Rename(from, to string) error           { return t.told(t.folder.Rename(from, to)) }
func (t *tree) Chtimes(name string, _, modified time.Time) error {
	return t.told(t.folder.Touch(name, modified))
}

// GetAvailableSpace is what the quota leaves.
func (t *tree) GetAvailableSpace(string) (int64, error) {
	free, ok := t.folder.Free()
	if !ok {
		return 0, errors.New("there is no quota")
	}
	return free, nil
}

// GetHandle opens a file for a transfer.
func (t *tree) GetHandle(name string, flags int, _ int64) (library.FileTransfer, error) {
	transfer := t.s.current()
	if transfer == nil {
		return nil, t.told(files.ErrFailed)
	}
	if flags&os.O_WRONLY == 0 {
		file, err := t.folder.Open(name, transfer.channel.from)
		if err != nil {
			return nil, t.told(err)
		}
		return &download{file, transfer}, nil
	}
	from := files.From(transfer.channel.from)
	if flags&os.O_APPEND != 0 {
		from = files.End
	}
	upload, err := t.folder.Upload(name, from, transfer.channel.close)
	if err != nil {
		return nil, t.told(err)
	}
	return &incoming{upload, transfer}, nil
}

// download is a file that is sent.
type download struct {
	file     *os.File
	transfer *transfer
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		d.transfer.fail(files.ErrFailed)
	}
	return n, err
}

func (d *download) Write([]byte) (int, error)          { return 0, os.ErrInvalid }
func (d *download) Seek(n int64, _ int) (int64, error) { return n, nil } // it was opened there
func (d *download) Close() error                       { return d.file.Close() }

// incoming is a file that is received.
type incoming struct {
	upload   *files.Upload
	transfer *transfer
}

func (u *incoming) Read([]byte) (int, error)           { return 0, os.ErrInvalid }
func (u *incoming) Seek(n int64, _ int) (int64, error) { return n, nil } // it begins there

func (u *incoming) Write(p []byte) (int, error) {
	if len(p) == 0 { // the library's way to see whether it works
		return 0, nil
	}
	n, err := u.upload.Write(p)
	if err != nil {
		u.transfer.fail(err)
	}
	return n, err
}

// TransferError is the library's word for a cut.
func (u *incoming) TransferError(err error) { u.upload.Cut(err) }

func (u *incoming) Close() error {
	err := u.upload.Close()
	switch {
	case err == nil:
	case files.IsCut(err):
		u.transfer.left(u.upload.Received())
	default:
		u.transfer.fail(err)
	}
	return err
}

// What the library's interface has, and no command of ours leads to.

func (t *tree) Name() string                       { return "files" }
func (t *tree) Create(string) (afero.File, error)  { return nil, os.ErrInvalid }
func (t *tree) Open(string) (afero.File, error)    { return nil, os.ErrInvalid }
func (t *tree) MkdirAll(string, os.FileMode) error { return os.ErrInvalid }
func (t *tree) RemoveAll(string) error             { return os.ErrInvalid }
func (t *tree) Chmod(string, os.FileMode) error    { return os.ErrInvalid }
func (t *tree) Chown(string, int, int) error       { return os.ErrInvalid }
func (t *tree) OpenFile(string, int, os.FileMode) (afero.File, error) {
	return nil, os.ErrInvalid
}
