package ftp

import (
	"strconv"
	"strings"
	"time"
)

// parseFacts reads a line of MLSD or MLST: "type=file;size=1;modify=20200101000000; name". See RFC 3659 section 7.2. ok is false if it is
// no such line; self tells that it is about the folder listed or the one above, which are no entries of it.
func parseFacts(line string) (e Entry, self, ok bool) {
	facts, name, ok := strings.Cut(line, " ")
	if !ok || name == "" || facts != "" && !strings.HasSuffix(facts, ";") {
		return Entry{}, false, false
	}
	e = Entry{Name: name, Kind: Other, Size: -1}
	typed := false
	for fact := range strings.SplitSeq(facts, ";") {
		key, value, ok := strings.Cut(fact, "=")
		if !ok {
			continue
		}
		switch strings.ToLower(key) {
		case "type":
			typed = true
			self = e.setType(value)
		case "size":
			if n, ok := octets(value); ok {
				e.Size = n
			}
		case "modify":
			if t, ok := parseTime(value); ok {
				e.Modified, e.Precision = t, time.Second
			}
		case "perm":
			e.Perm = value
		case "unique":
			e.Unique = value
		case "unix.mode":
			e.Mode = value
		case "unix.ownername":
			e.Owner = value
		case "unix.owner", "unix.uid":
			if e.Owner == "" {
				e.Owner = value
			}
		}
	}
	if !typed {
		e.Kind = File
	}
	if e.Kind != File {
		e.Size = -1 // of a folder it means nothing
	}
	return e, self, true
}

// setType reads the fact type. RFC 3659 section 7.5.1 has the types of systems be "OS.name=type".
//
// QUIRK: links are "OS.unix=slink:target", "OS.unix=slink" or "OS.unix=symlink".
func (e *Entry) setType(value string) (self bool) {
	lower := strings.ToLower(value)
	switch lower {
	case "file":
		e.Kind = File
	case "dir":
		e.Kind = Folder
	case "cdir", "pdir":
		e.Kind = Folder
		return true
	}
	if kind, ok := strings.CutPrefix(lower, "os.unix="); ok && (strings.HasPrefix(kind, "slink") || strings.HasPrefix(kind, "symlink")) {
		e.Kind = Link
		_, e.Target, _ = strings.Cut(value, ":")
	}
	return false
}

// octets reads a size. Commas between thousands are passed over, as some servers of Windows have them.
func octets(s string) (int64, bool) {
	n, err := strconv.ParseUint(strings.ReplaceAll(s, ",", ""), 10, 63)
	return int64(n), err == nil && n <= maxOctets && s[0] != '+'
}
