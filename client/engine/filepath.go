package engine

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/printable"
)

const hexDigits = "0123456789ABCDEF"

// crossing is a server's path in the form in which it crosses to the page: see api.FilePath.
func crossing(path string) api.FilePath {
	clean := utf8.ValidString(path) && !strings.ContainsFunc(path, escapedInPaths)
	if clean {
		return api.FilePath(path)
	}
	var b strings.Builder
	for len(path) > 0 {
		r, n := utf8.DecodeRuneInString(path)
		if r == utf8.RuneError && n == 1 || escapedInPaths(r) {
			for _, c := range []byte(path[:n]) {
				b.WriteByte('%')
				b.WriteByte(hexDigits[c>>4])
				b.WriteByte(hexDigits[c&15])
			}
		} else {
			b.WriteString(path[:n])
		}
		path = path[n:]
	}
	return api.FilePath(b.String())
}

// escapedInPaths are the characters that are not written as they are.
func escapedInPaths(r rune) bool { return r < ' ' || r == 0x7f || r == '%' }

// octets is what crossing was given.
func octets(path api.FilePath) (string, error) {
	if !strings.Contains(string(path), "%") {
		return string(path), nil
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		high, low := -1, -1
		if i+2 < len(path) {
			high, low = strings.IndexByte(hexDigits, path[i+1]), strings.IndexByte(hexDigits, path[i+2])
		}
		if high < 0 || low < 0 {
			return "", &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("no path: %.80q", path)}
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), nil
}

// parentOf is the folder that a path is in, and the name in it.
func parentOf(path string) (folder, name string) {
	path = trimSlash(path)
	i := strings.LastIndexByte(path, '/')
	switch {
	case i < 0:
		return "", path
	case i == 0:
		return "/", path[1:]
	}
	return path[:i], path[i+1:]
}

// trimSlash is a path without slashes at its end, but for the root.
func trimSlash(path string) string {
	for len(path) > 1 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	return path
}

// within is the path of a name in a folder, of a page's making; CodeBadName if no file can be called that.
func within(folder, name string) (string, error) {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }
	if utf8.ValidString(name) && !strings.ContainsFunc(name, bad) && strings.TrimSpace(name) != "" && len(name) <= maxFileName {
		if path, err := (ftp.Entry{Name: name, Kind: ftp.File}).Path(folder); err == nil {
			return path, nil
		}
	}
	return "", &api.Problem{Code: api.CodeBadName, Detail: printable.Short(name, 80)}
}

// maxFileName is how long a name may be, in octets, on nearly every server's disk.
const maxFileName = 255

// besides is name (2).txt for name.txt, and so on: the names to try for a file beside one that has its name.
func besides(name string, n int) string {
	stem, ext := splitExt(name)
	return shortenName(stem, len(ext)+8) + fmt.Sprintf(" (%d)", n) + ext
}

// splitExt takes what looks like an extension from a name.
func splitExt(name string) (stem, ext string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 10 {
		return name[:i], name[i:]
	}
	return name, ""
}

// shortenName makes room for some octets after a name.
func shortenName(name string, room int) string {
	n := min(len(name), maxFileName-room)
	for n > 0 && n < len(name) && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// crumbsOf are the folders on the way to a path.
func crumbsOf(path string) (crumbs []api.Crumb) {
	at := 0
	if strings.HasPrefix(path, "/") {
		crumbs = append(crumbs, api.Crumb{Path: "/", Name: "/"})
		at = 1
	}
	for at < len(path) {
		end := strings.IndexByte(path[at:], '/')
		if end < 0 {
			end = len(path)
		} else {
			end += at
		}
		if end > at {
			crumbs = append(crumbs, api.Crumb{Path: crossing(path[:end]), Name: printable.Line(path[at:end])})
		}
		at = end + 1
	}
	return crumbs
}
