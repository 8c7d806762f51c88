package mailserver

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// ErrBackup says that a file is no backup, or not a whole one.
var ErrBackup = errors.New("not a whole backup of Postern")

// maxMark bounds the description that a backup begins with.
const maxMark = 1 << 20

// Restore makes a data folder of what Backup wrote. The folder must be missing
// or empty; it appears when everything is in it and on the disk, and not before.
// The report is Check's: what was wrong when the backup was made still is.
func Restore(ctx context.Context, r io.Reader, dir string) (maildrop.Report, error) {
	if dir == "" {
		return maildrop.Report{}, errors.New("no data folder was given")
	}
	if names, err := os.ReadDir(dir); err == nil && len(names) > 0 {
		return maildrop.Report{}, fmt.Errorf("%s is not empty; a backup is restored into a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return maildrop.Report{}, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return maildrop.Report{}, err
	}
	if err := maildrop.MakeFolder(filepath.Dir(dir)); err != nil {
		return maildrop.Report{}, err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".restoring-")
	if err != nil {
		return maildrop.Report{}, err
	}
	defer os.RemoveAll(temporary) // nothing, when all went well
	if err := unpack(ctx, tar.NewReader(r), temporary); err != nil {
		return maildrop.Report{}, err
	}
	report, err := maildrop.Check(ctx, filepath.Join(temporary, mailFolder), false)
	if err != nil {
		return report, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return report, err
	}
	if err := os.Rename(temporary, dir); err != nil {
		return report, err
	}
	return report, syncFolder(filepath.Dir(dir))
}

// unpack writes the files of a backup, each flushed, and then the folders.
func unpack(ctx context.Context, in *tar.Reader, dir string) error {
	if err := readMark(in); err != nil {
		return err
	}
	folders := map[string]bool{dir: true}
	for {
		h, err := in.Next() // io.EOF: the end of a tar is not that of a backup
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return broken(err)
		}
		if h.Name == backupEnd {
			break
		}
		name := filepath.FromSlash(h.Name)
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			return fmt.Errorf("%w: it has %.100q", ErrBackup, h.Name)
		}
		path := filepath.Join(dir, name)
		for d := filepath.Dir(path); !folders[d]; d = filepath.Dir(d) {
			folders[d] = true
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := unpackFile(in, path, h); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, mailFolder, "content"), 0o700); err != nil {
		return err
	}
	for d := range folders {
		if err := syncFolder(d); err != nil {
			return err
		}
	}
	return nil
}

func readMark(in *tar.Reader) error {
	h, err := in.Next()
	if err != nil {
		return broken(err)
	}
	if h.Name != backupMark {
		return ErrBackup
	}
	var mark backupInfo
	text, err := io.ReadAll(io.LimitReader(in, maxMark))
	if err == nil {
		err = json.Unmarshal(text, &mark)
	}
	switch {
	case err != nil:
		return broken(err)
	case mark.Format != backupFormat:
		return fmt.Errorf("%w: its format is %d, this Postern knows %d", ErrBackup, mark.Format, backupFormat)
	}
	return nil
}

func unpackFile(in io.Reader, path string, h *tar.Header) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, in); err != nil {
		err = broken(err)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && !h.ModTime.IsZero() {
		err = os.Chtimes(path, h.ModTime, h.ModTime)
	}
	return err
}

// broken makes ErrBackup of what reading a tar says of its end.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return err
}

// Report is what Check has seen: of the mail, and of the files beside it.
type Report struct {
	maildrop.Report
	Files, FileOctets int64 // files and folders
}

// Check is maildrop.Check of a data folder, and that of the files beside the mail, if there are any; ErrDataInUse while a server runs.
func Check(ctx context.Context, dir string, files Files, mend bool) (r Report, err error) {
	if _, err := os.Stat(dir); err != nil {
		return r, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	mail := filepath.Join(dir, mailFolder)
	if r.Report, err = maildrop.Check(ctx, mail, mend); err != nil || files == nil {
		return r, err
	}
	ids, err := maildrop.Identities(ctx, mail)
	if err != nil { // of a damaged index, which the report has
		return r, nil
	}
	r.FileOctets, r.Files, err = files.Check(mend, func(id string) bool { return ids[id] }, func(kind, where, wrong, remedy string, mended bool) {
		r.Findings = append(r.Findings, maildrop.Finding{Problem: maildrop.Problem(kind), What: path.Join(FilesFolder, where), Detail: wrong, Remedy: remedy, Mended: mended})
	})
	return r, err
}
