package maildrop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// files looks at the folders.
func (c *checker) files(context.Context) error {
	c.found = map[int64]os.FileInfo{}
	if entries, err := os.ReadDir(filepath.Join(c.store.dir, "unclaimed")); err == nil {
		c.report.Unclaimed = len(entries)
	}
	entries, err := os.ReadDir(filepath.Join(c.store.dir, "tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name := path.Join("tmp", e.Name())
		if !isLeftover(e.Name()) {
			c.find(Finding{Problem: StrangeFile, What: name, Detail: "it is not of this server, and left alone"})
			continue
		}
		c.find(Finding{Problem: Leftover, What: name, Remedy: "removed: it was never acknowledged", mend: func(context.Context, *sql.Tx) error {
			return c.store.disk.Remove(filepath.Join(c.store.dir, name))
		}})
	}
	shards, err := os.ReadDir(filepath.Join(c.store.dir, "content"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, shard := range shards {
		if !shard.IsDir() {
			c.strange(path.Join("content", shard.Name()), shard)
			continue
		}
		entries, err := os.ReadDir(filepath.Join(c.store.dir, "content", shard.Name()))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := c.file(shard.Name(), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// strange is what this package did not name.
func (c *checker) strange(name string, e os.DirEntry) {
	f := Finding{Problem: StrangeFile, What: name, Detail: "it has not the name of a message"}
	if e.Type().IsRegular() {
		f.Remedy, f.mend = toUnclaimed, func(context.Context, *sql.Tx) error { return c.unclaimed(name) }
	}
	c.find(f)
}

func (c *checker) file(shard string, e os.DirEntry) error {
	name := path.Join("content", shard, e.Name())
	id, ok := contentID(e.Name())
	if !ok || !e.Type().IsRegular() {
		c.strange(name, e)
		return nil
	}
	if shardName(id) == shard {
		info, err := e.Info()
		c.found[id] = info
		return err
	}
	c.find(Finding{Problem: MisplacedFile, What: name, Remedy: "moved to its folder if it is what is missing there, else to unclaimed/", mend: func(ctx context.Context, tx *sql.Tx) error {
		return c.replace(ctx, tx, id, name)
	}})
	return nil
}

// replace puts a misplaced file where it belongs, if a row wants it and it is
// what was written.
func (c *checker) replace(ctx context.Context, tx *sql.Tx, id int64, name string) error {
	var size int64
	var sum []byte
	err := tx.QueryRowContext(ctx, "SELECT size, sha256 FROM contents WHERE id = ?", id).Scan(&size, &sum)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	wanted := err == nil
	if _, err := os.Lstat(c.store.contentPath(id)); err == nil {
		wanted = false
	}
	if wanted {
		detail, err := damage(filepath.Join(c.store.dir, name), size, sum)
		if err != nil {
			return err
		}
		wanted = detail == ""
	}
	if !wanted {
		return c.unclaimed(name)
	}
	if err := c.store.disk.Mkdir(c.store.shardDir(id)); err != nil {
		return err
	}
	return errors.Join(c.store.disk.Rename(filepath.Join(c.store.dir, name), c.store.contentPath(id)), c.store.disk.SyncDir(c.store.shardDir(id)))
}

// damage says how a file differs from what was written; "" if it does not.
func damage(name string, size int64, sum []byte) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	switch {
	case err != nil:
		return "", err
	case n != size:
		return fmt.Sprintf("it has %d octets, and %d were written", n, size), nil
	case !bytes.Equal(h.Sum(nil), sum):
		return "its SHA-256 is not that of what was written", nil
	}
	return "", nil
}

// contents compares the rows of contents with the files.
func (c *checker) contents(ctx context.Context) error {
	type content struct {
		id, size int64
		sum      []byte
		missing  bool
		named    bool
	}
	rows, err := c.tx.QueryContext(ctx, `SELECT id, size, sha256, missing,
		EXISTS (SELECT 1 FROM messages WHERE content = c.id) OR EXISTS (SELECT 1 FROM queue WHERE content = c.id) FROM contents c ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	known := map[int64]bool{}
	for rows.Next() {
		var k content
		if err := rows.Scan(&k.id, &k.size, &k.sum, &k.missing, &k.named); err != nil {
			return err
		}
		known[k.id] = true
		c.report.Contents++
		name := c.name(k.id)
		_, there := c.found[k.id]
		if !k.named {
			c.find(Finding{Problem: UnnamedContent, What: fmt.Sprintf("row %d of contents", k.id), Detail: "no message and no queue has it", Remedy: "the row goes; its file is moved to unclaimed/",
				mend: func(ctx context.Context, tx *sql.Tx) error {
					if there {
						if err := c.unclaimed(name); err != nil {
							return err
						}
					}
					return exec("DELETE FROM contents WHERE id = ?", k.id)(ctx, tx)
				}})
			continue
		}
		if !there {
			if k.missing {
				c.report.Missing++
				continue
			}
			c.find(Finding{Problem: MissingFile, What: name, Remedy: "its row is marked; if the file comes back, so does the message", mend: exec("UPDATE contents SET missing = 1 WHERE id = ?", k.id)})
			continue
		}
		detail, err := damage(c.store.contentPath(k.id), k.size, k.sum)
		if err != nil {
			return err
		}
		switch {
		case detail != "":
			c.find(Finding{Problem: DamagedFile, What: name, Detail: detail, Remedy: "moved to unclaimed/, and its row marked as missing it", mend: func(ctx context.Context, tx *sql.Tx) error {
				if err := c.unclaimed(name); err != nil {
					return err
				}
				return exec("UPDATE contents SET missing = 1 WHERE id = ?", k.id)(ctx, tx)
			}})
		case k.missing:
			c.find(Finding{Problem: ReturnedFile, What: name, Remedy: "its row is not marked any more", mend: exec("UPDATE contents SET missing = 0 WHERE id = ?", k.id)})
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return c.unnamed(ctx, known)
}

// unnamed are the files without a row of contents. One that a message or the
// queue names all the same is described anew; see references.
func (c *checker) unnamed(ctx context.Context, known map[int64]bool) error {
	for id, info := range c.found {
		if known[id] {
			continue
		}
		name := c.name(id)
		var named bool
		if err := c.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE content = ?1) OR EXISTS (SELECT 1 FROM queue WHERE content = ?1)", id).Scan(&named); err != nil {
			return err
		}
		if !named {
			c.find(Finding{Problem: UnnamedFile, What: name, Remedy: toUnclaimed, mend: func(context.Context, *sql.Tx) error { return c.unclaimed(name) }})
			continue
		}
		c.find(Finding{Problem: DanglingRow, What: fmt.Sprintf("row %d of contents", id), Detail: "it is not there, but its file is, and rows that name it", Remedy: "made again from the file",
			mend: func(ctx context.Context, tx *sql.Tx) error {
				text, err := os.ReadFile(c.store.contentPath(id))
				if err != nil {
					return err
				}
				sum := sha256.Sum256(text)
				return exec("INSERT INTO contents (id, size, sha256, received) VALUES (?, ?, ?, ?)", id, len(text), sum[:], info.ModTime().UnixMicro())(ctx, tx)
			}})
	}
	return nil
}

func (c *checker) name(id int64) string { return path.Join("content", shardName(id), contentName(id)) }
