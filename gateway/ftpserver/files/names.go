package files

import (
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// temporary begins the names of what will take another's name. No client sees or uses such a name.
const temporary = ".postern-upload-"

// usable says why a name cannot be that of a file or folder; nil if it can. Names are UTF-8 of any script.
func (l Limits) usable(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return nameError("it names no file")
	case len(name) > l.Name:
		return nameError("a name has at most %d octets", l.Name)
	case !utf8.ValidString(name):
		return nameError("it is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return nameError("it has a control character")
	case strings.HasPrefix(name, temporary):
		return nameError("the server uses such names itself")
	case !filepath.IsLocal(name) || filepath.Base(name) != name: // Windows has separators and reserved names of its own
		return nameError("this server's system does not allow it")
	}
	return nil
}

// fits says why a folder cannot be at a path, when what is in it goes so deep and so many octets further; nil if it can.
func (l Limits) fits(at string, deep, long int) error {
	switch {
	case 1+strings.Count(at, "/")+deep > l.Depth:
		return nameError("folders are at most %d deep", l.Depth)
	case 1+len(at)+long > l.Path:
		return nameError("a path has at most %d octets", l.Path)
	}
	return nil
}

// split gives the names of a path from the user's folder down: none for "/". Dots are resolved before anything is looked at, and
// ".." at the top stays there, as in a shell.
func (l Limits) split(p string) ([]string, error) {
	if len(p) > l.Path {
		return nil, nameError("a path has at most %d octets", l.Path)
	}
	p = path.Clean("/" + p)
	if p == "/" {
		return nil, nil
	}
	if err := l.fits(p[1:], 0, 0); err != nil {
		return nil, err
	}
	names := strings.Split(p[1:], "/")
	for _, name := range names {
		if err := l.usable(name); err != nil {
			return nil, err
		}
	}
	return names, nil
}
