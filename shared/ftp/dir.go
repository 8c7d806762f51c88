package ftp

import (
	"strings"
	"time"
)

// windowsTimes are how dir shows dates and times, for time.Parse, by what Windows and its servers are set to.
var windowsTimes = []string{
	"01-02-06 03:04PM", "01-02-2006 03:04PM", "01-02-06 15:04", "01-02-2006 15:04",
	"2006-01-02 15:04", "2006-01-02 03:04PM", "01/02/2006 03:04PM", "01/02/2006 15:04", "02.01.2006 15:04",
}

// windows reads "01-16-02  11:14AM       <DIR>          name" and "06-05-03  03:19PM             1973 name".
func (l lister) windows(line string) (Entry, bool) {
	f := fields(line)
	if len(f) < 4 || line[0] < '0' || line[0] > '9' {
		return Entry{}, false
	}
	words := 2
	when := f[0].text + " " + strings.ToUpper(f[1].text)
	if half := strings.ToUpper(f[2].text); half == "AM" || half == "PM" {
		when, words = when+half, 3
	}
	e := Entry{Size: -1, Precision: time.Minute, Date: strings.TrimSpace(line[:f[words-1].end])}
	for _, layout := range windowsTimes {
		t, err := time.ParseInLocation(layout, when, l.location)
		if err == nil {
			e.Modified = t
			break
		}
	}
	if e.Modified.IsZero() || len(f) < words+2 {
		return Entry{}, false
	}
	// The sizes are set to the right, and the name comes one blank after them; <DIR> to the left, and the blanks are many.
	rest := line[f[words].end:]
	switch what := f[words].text; {
	case strings.EqualFold(what, "<DIR>"):
		e.Kind, e.Name = Folder, strings.TrimLeft(rest, " ")
	case strings.EqualFold(what, "<SYMLINK>"), strings.EqualFold(what, "<SYMLINKD>"), strings.EqualFold(what, "<JUNCTION>"):
		e.Kind, e.Name = Link, strings.TrimLeft(rest, " ")
		if name, target, ok := strings.Cut(e.Name, " ["); ok && strings.HasSuffix(target, "]") {
			e.Name, e.Target = name, strings.TrimSuffix(target, "]")
		}
	default:
		size, ok := octets(what)
		if !ok {
			return Entry{}, false
		}
		e.Kind, e.Size, e.Name = File, size, rest[1:]
	}
	return e, e.Name != ""
}
