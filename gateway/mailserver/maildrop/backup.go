package maildrop

import (
	"archive/tar"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Backup writes the store, as it is at one moment, while it goes on: a copy of
// the index, and the files that it names. Their names in the tar are those in the
// store's folder, under prefix.
//
// The moment is that of the copy. What is delivered later is not in it; the file
// of what is deleted later is kept until it is copied.
func (s *Store) Backup(ctx context.Context, w *tar.Writer, prefix string) error {
	defer s.pin()()
	index := filepath.Join(s.dir, "tmp", fmt.Sprintf("%s%d.db", backupPrefix, s.nextBackup.Add(1)))
	defer os.Remove(index)
	if err := copyIndex(ctx, s.dir, index); err != nil {
		return full(err)
	}
	if err := addFile(w, path.Join(prefix, "index.db"), index); err != nil {
		return err
	}
	ids, err := contentsOf(ctx, index)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.addContent(w, path.Join(prefix, "content", shardName(id), contentName(id)), id)
		if errors.Is(err, fs.ErrNotExist) {
			s.log.Error("a message's file is missing; the backup goes on without it", "file", s.contentPath(id))
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// backupPrefix begins the names of copies of the index in tmp.
const backupPrefix = "backup-"

// copyIndex writes the index, as the last commit left it, into a new file.
func copyIndex(ctx context.Context, dir, to string) error {
	os.Remove(to)
	db, err := openIndex(dir, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return errors.Join(err, db.Close())
}

// contentsOf lists the contents that an index, of any version that has been
// released, names.
func contentsOf(ctx context.Context, index string) (list []int64, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(index)+"?mode=ro&immutable=1")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return ids(ctx, db, "SELECT id FROM contents WHERE missing = 0 ORDER BY id")
}

// addContent puts a content into a tar: by its file, if it has one.
func (s *Store) addContent(w *tar.Writer, name string, id int64) error {
	octets, ok, err := s.fresh.read(id)
	if !ok {
		return addFile(w, name, s.contentPath(id))
	}
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(octets)), Mode: 0o600, ModTime: time.Now(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = w.Write(octets)
	return err
}

// addFile puts a file into a tar.
func addFile(w *tar.Writer, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Size: info.Size(), Mode: 0o600, ModTime: info.ModTime(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(w, io.LimitReader(f, info.Size()))
	return err
}

// isLeftover says whether a name in tmp is of this package: never acknowledged,
// or a copy of what is elsewhere.
func isLeftover(name string) bool {
	_, content := contentID(name)
	return content || strings.HasPrefix(name, backupPrefix)
}
