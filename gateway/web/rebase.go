package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// rebase is the page for a path below the root. Its files name each other relatively but for two: index.html, which is
// shown at every place of the page (/mail/inbox/42) and so names its files from the root on, and sw.js, which has
// index.html's hash. And an id of the manifest is never relative.
func rebase(files fs.FS, base string) (fs.FS, error) {
	old, err := fs.ReadFile(files, indexName)
	if errors.Is(err, fs.ErrNotExist) {
		return files, errUnbuilt
	}
	if err != nil {
		return nil, err
	}
	index := bytes.ReplaceAll(bytes.ReplaceAll(old, []byte(`="/`), []byte(`="`+base)), []byte(`="`+base+`/`), []byte(`="//`))
	changed := make(map[string]*changedFile)
	put := func(name string, content []byte) error {
		info, err := fs.Stat(files, name)
		if err != nil {
			return err
		}
		changed[name] = &changedFile{info, content}
		var zipped bytes.Buffer
		w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is one
		_, err = w.Write(content)
		if err = errors.Join(err, w.Close()); err == nil {
			changed[name+".gz"] = &changedFile{info, zipped.Bytes()}
		}
		return err
	}
	if err := put(indexName, index); err != nil {
		return nil, err
	}
	for name, change := range map[string]func(string) string{
		"sw.js":                func(s string) string { return strings.ReplaceAll(s, integrity(old), integrity(index)) },
		"manifest.webmanifest": func(s string) string { return strings.Replace(s, `"id": "/"`, fmt.Sprintf(`"id": %q`, base), 1) },
	} {
		text, err := fs.ReadFile(files, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = put(name, []byte(change(string(text))))
		}
		if err != nil {
			return nil, err
		}
	}
	return overlay{files, changed}, nil
}

// integrity is a hash as Subresource Integrity writes it.
func integrity(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// overlay is files with some of them changed. Of a changed one there is no brotli, which this machine cannot make.
type overlay struct {
	files   fs.FS
	changed map[string]*changedFile
}

func (o overlay) Open(name string) (fs.File, error) {
	if c := o.changed[name]; c != nil {
		return &openFile{c, bytes.NewReader(c.content)}, nil
	}
	if o.changed[strings.TrimSuffix(name, path.Ext(name))] != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return o.files.Open(name)
}

// changedFile is a file as it was, but for its content.
type changedFile struct {
	fs.FileInfo
	content []byte
}

func (c *changedFile) Size() int64 { return int64(len(c.content)) }

type openFile struct {
	info *changedFile
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }
