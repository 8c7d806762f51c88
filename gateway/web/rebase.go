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
// shown at every place of the page (/mail/inbox/42) and so names its files from the root on, and the manifest, whose id is
// never relative; and sw.js has the hashes of both.
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
	hashes := []string{integrity(old), integrity(index)}
	// In this order: the service worker has the manifest's hash, too.
	for _, f := range []struct {
		name   string
		change func(string) string
	}{
		{"manifest.webmanifest", func(s string) string { return strings.Replace(s, `"id": "/"`, fmt.Sprintf(`"id": %q`, base), 1) }},
		{"sw.js", func(s string) string { return strings.NewReplacer(hashes...).Replace(s) }},
	} {
		text, err := fs.ReadFile(files, f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		content := []byte(f.change(string(text)))
		if err == nil {
			err = put(f.name, content)
		}
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, integrity(text), integrity(content))
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
