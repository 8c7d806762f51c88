package bundle

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// write makes out hold the page and nothing else. Files that are the same are not touched; index.html, which makes the
// others known, comes after them, and the service worker last. Then what is left of an older page goes.
func write(out string, r *Result) error {
	wanted := make(map[string]bool)
	put := func(name string, content []byte) error {
		if content == nil {
			return nil
		}
		wanted[name] = true
		file := filepath.Join(out, filepath.FromSlash(name))
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, content) {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return replace(file, content)
	}
	all := func(when func(source string) bool) error {
		for _, f := range r.Files {
			if !when(f.Source) {
				continue
			}
			for suffix, content := range map[string][]byte{".br": f.Brotli, ".gz": f.Gzip, "": f.Content} {
				if err := put(f.Name+suffix, content); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, when := range []func(string) bool{
		func(s string) bool { return s != indexPage && s != serviceWorker },
		func(s string) bool { return s == indexPage },
		func(s string) bool { return s == serviceWorker },
	} {
		if err := all(when); err != nil {
			return err
		}
	}
	return filepath.WalkDir(out, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(out, file)
		if err != nil || wanted[filepath.ToSlash(name)] {
			return err
		}
		return os.Remove(file)
	})
}

// replace writes a file whole or not at all: a gateway in development reads while we write.
func replace(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".writing-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if e := f.Chmod(0o644); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
