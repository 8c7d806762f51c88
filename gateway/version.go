package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"runtime/debug"
)

// printVersion writes the version, what it was built with, and the hashes of the programs that it gives to browsers: who
// builds the same sources with the same Go gets the same, and a browser's copy can be compared.
func printVersion(page fs.FS, out io.Writer) error {
	if _, err := fmt.Fprintf(out, "postern %s\nbuilt with %s\n", version(), runtime.Version()); err != nil {
		return err
	}
	names, err := fs.Glob(page, "assets/*.wasm")
	if err != nil {
		return err
	}
	for _, name := range names {
		content, err := fs.ReadFile(page, name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "sha256 %x  %s\n", sha256.Sum256(content), name); err != nil {
			return err
		}
	}
	return nil
}

// version is what the build says of itself: a released version, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			commit = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	if commit == "" {
		return "(development)"
	}
	return "(" + commit + changed + ")"
}
