package ftp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// Kind is what an entry of a listing is.
type Kind int

// The kinds of entries. Unknown is a line that could not be read: it has no name, and its words are in Entry.Line.
const (
	Unknown Kind = iota
	File
	Folder
	Link
	Other // a device, a socket
)

func (k Kind) String() string {
	return [...]string{"unknown", "file", "folder", "link", "other"}[max(0, min(k, Other))]
}

// Entry is what a listing says of one name. What it does not say is zero, or -1.
type Entry struct {
	// Name is the name in the server's octets: UTF-8 if State.UTF8 says so, and even then maybe not. It may hold anything but a
	// line feed; [Entry.Shown] is fit to be seen, and [Entry.Path] to be sent.
	Name string
	Kind Kind
	Size int64 // octets; -1 if it is not said

	// Modified is when it was last changed, as exactly as Precision: a second (MLSD), a minute or a day (LIST); 0 if it is not
	// known. Date is how LIST says it, in words that may not be English.
	Modified  time.Time
	Precision time.Duration
	Date      string

	Target string // of a link, in the server's octets
	Mode   string // as Unix shows it, "rwxr-xr-t", or as octal digits (UNIX.mode); what there is of it is not relied on
	Owner  string
	Perm   string // what one may do with it, by letters: RFC 3659 section 7.5.5
	Unique string // the same for two names of one file: RFC 3659 section 7.5.2
	Line   string // of an Unknown, fit to be shown
}

// Shown returns the name fit to be shown.
func (e Entry) Shown() string {
	if e.Kind == Unknown {
		return e.Line
	}
	return printable.Line(e.Name)
}

// Usable reports whether the name can be sent back and means this entry alone: it is neither empty nor "." nor "..", and has no "/", no
// way up between backslashes, no line break and no NUL. No name of a server's making is a way out of the folder that it was listed in.
func (e Entry) Usable() bool {
	return e.Kind != Unknown && e.Name != "" && !strings.ContainsAny(e.Name, "/\r\n\x00") &&
		e.Name != "." && !slices.Contains(strings.Split(e.Name, `\`), "..")
}

// Path returns the entry's path, for commands, in the folder that was listed; "" stands for where one is. A name that is not
// usable is [ErrName].
func (e Entry) Path(dir string) (string, error) {
	if !e.Usable() {
		return "", fmt.Errorf("%w: %q", ErrName, e.Shown())
	}
	switch {
	case dir == "" && strings.HasPrefix(e.Name, "-"):
		return "./" + e.Name, nil // some servers take it for an option
	case dir == "":
		return e.Name, nil
	case strings.HasSuffix(dir, "/"):
		return dir + e.Name, nil
	}
	return dir + "/" + e.Name, nil
}
