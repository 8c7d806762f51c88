package ftp

import (
	"strconv"
	"strings"
	"time"
)

// lister reads lines of LIST, for which RFC 959 gives no format: nearly all servers show them as ls -l of Unix or as dir of
// Windows does.
type lister struct {
	now      time.Time
	location *time.Location
}

// parse reads a line. noise is a line that is about no name at all.
func (l lister) parse(line string) (e Entry, noise, ok bool) {
	if strings.TrimSpace(line) == "" || isTotal(line) {
		return Entry{}, true, false
	}
	if e, ok = l.unix(line); ok {
		return e, false, true
	}
	e, ok = l.windows(line)
	return e, false, ok
}

// isTotal tells the line by which ls begins: "total 12".
func isTotal(line string) bool {
	word, count, _ := strings.Cut(line, " ")
	return strings.EqualFold(word, "total") && count != "" && strings.Trim(count, "0123456789.kKMGT ") == ""
}

// field is a word of a line and where it ends.
type field struct {
	text string
	end  int
}

// maxFields is how many words may come before the name. Owners and groups are names, which may have blanks, and not many.
const maxFields = 16

// fields parts the beginning of a line into words.
func fields(line string) (f []field) {
	for i := 0; i < len(line) && len(f) < maxFields; {
		for i < len(line) && line[i] == ' ' {
			i++
		}
		start := i
		for i < len(line) && line[i] != ' ' {
			i++
		}
		if i > start {
			f = append(f, field{line[start:i], i})
		}
	}
	return f
}

// unix reads "drwxr-xr-x 2 owner group 4096 Jan  1 12:00 name" and its kin: without a group, without a count of links, with
// "folder" for the size (NetPresenz), with rights between brackets (NetWare). The date is looked for, as what comes before it varies; the name is
// what comes after it and one blank, to the end.
func (l lister) unix(line string) (Entry, bool) {
	if len(line) < 10 {
		return Entry{}, false
	}
	e := Entry{Size: -1}
	switch line[0] {
	case '-':
		e.Kind = File
	case 'd':
		e.Kind = Folder
	case 'l':
		e.Kind = Link
	case 'b', 'c', 'p', 's', 'D':
		e.Kind = Other
	default:
		return Entry{}, false
	}
	f := fields(line)
	if len(f) < 5 {
		return Entry{}, false
	}
	e.Mode = f[0].text[1:]
	if mode := strings.TrimRight(e.Mode, "+@."); len(mode) != 9 && e.Mode != "" || strings.Trim(mode, "-rwxsStTlL") != "" {
		return Entry{}, false
	} else {
		e.Mode = mode
	}
	for i := 2; i < len(f); i++ {
		words, t, precision := l.date(f[i:])
		if words == 0 || !isNumber(f[i-1].text) && f[i-1].text != "folder" {
			continue
		}
		end := f[i+words-1].end
		if end+1 >= len(line) {
			return Entry{}, false // no name
		}
		e.Date, e.Modified, e.Precision = strings.TrimLeft(line[f[i-1].end:end], " "), t, precision
		e.Name = line[end+1:]
		size, sized := octets(f[i-1].text)
		if e.Kind == Link {
			e.Name, e.Target = splitLink(e.Name, size)
		}
		if e.Kind == File && sized && !strings.HasSuffix(f[i-2].text, ",") {
			e.Size = size
		}
		if i >= 4 {
			e.Owner = f[2].text
		} else if i == 3 && !isNumber(f[1].text) {
			e.Owner = f[1].text
		}
		return e, true
	}
	return Entry{}, false
}

// splitLink parts "name -> target", both of which may have an arrow of their own. The size of a link is the length of its target, where
// servers tell the truth.
func splitLink(s string, size int64) (name, target string) {
	const arrow = " -> "
	for from := 0; ; {
		i := strings.Index(s[from:], arrow)
		if i < 0 {
			break
		}
		if from += i; int64(len(s)-from-len(arrow)) == size && from > 0 {
			return s[:from], s[from+len(arrow):]
		}
		from++
	}
	if i := strings.Index(s, arrow); i > 0 {
		return s[:i], s[i+len(arrow):]
	}
	return s, ""
}

// date reads the words that begin f as a date and says how many they are; 0 if they are none. A month in a language that
// is not known makes a date whose time is not known.
func (l lister) date(f []field) (words int, t time.Time, precision time.Duration) {
	word := func(i int) string {
		if i < len(f) {
			return f[i].text
		}
		return ""
	}
	if t, err := time.ParseInLocation("2006-01-02", word(0), l.location); err == nil { // ls --time-style=long-iso, full-iso
		h, m, ok := clock(word(1))
		if !ok {
			return 0, time.Time{}, 0
		}
		words = 2
		if zone := word(2); len(zone) == 5 && (zone[0] == '+' || zone[0] == '-') && isNumber(zone[1:]) {
			words = 3
		}
		return words, time.Date(t.Year(), t.Month(), t.Day(), h, m, 0, 0, l.location), time.Minute
	}
	month, day := word(0), word(1) // as ls has them, in most languages
	if isNumber(strings.TrimRight(month, ".")) {
		month, day = strings.TrimRight(day, ".,"), strings.TrimRight(month, ".")
	}
	d, err := strconv.Atoi(strings.TrimRight(day, ".,"))
	if err != nil || d < 1 || d > 31 || !isWord(month) {
		return 0, time.Time{}, 0
	}
	m := monthNumber(month)
	if h, min, ok := clock(word(2)); ok {
		if m == 0 {
			return 3, time.Time{}, 0
		}
		return 3, l.recent(m, d, h, min), time.Minute
	}
	y, err := strconv.Atoi(word(2))
	if err != nil || y < 1900 || y > 9999 {
		return 0, time.Time{}, 0
	}
	if m == 0 {
		return 3, time.Time{}, 0
	}
	return 3, time.Date(y, m, d, 0, 0, 0, 0, l.location), 24 * time.Hour
}

// recent chooses the year of a date that comes without: ls leaves it out of what is younger than half a year. A day is allowed
// for, by which the server's clock or its zone may be ahead.
func (l lister) recent(m time.Month, d, h, min int) time.Time {
	now := l.now.In(l.location)
	t := time.Date(now.Year(), m, d, h, min, 0, 0, l.location)
	if t.After(now.Add(24 * time.Hour)) {
		t = time.Date(now.Year()-1, m, d, h, min, 0, 0, l.location)
	} else if t.Before(now.AddDate(-1, 0, 1)) {
		t = time.Date(now.Year()+1, m, d, h, min, 0, 0, l.location) // it is the first of January there
	}
	return t
}

func clock(s string) (hour, minute int, ok bool) {
	h, m, ok := strings.Cut(s, ":")
	m, _, _ = strings.Cut(m, ":") // seconds
	hour, err1 := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	return hour, minute, ok && err1 == nil && err2 == nil && len(h) <= 2 && len(m) == 2 && hour >= 0 && hour < 24 && minute >= 0 && minute < 60
}

// monthNumber reads an English month, short or in full; 0 for another word.
func monthNumber(s string) time.Month {
	if len(s) >= 3 {
		for m := time.January; m <= time.December; m++ {
			if name := m.String(); len(s) <= len(name) && strings.EqualFold(name[:len(s)], s) {
				return m
			}
		}
	}
	return 0
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isWord tells what may be a month: letters of any script, or their octets in any encoding.
func isWord(s string) bool {
	letters := 0
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case c >= 'a' && c <= 'z' || s[i] >= 0x80:
			letters++
		case s[i] >= '0' && s[i] <= '9' || s[i] == '.': // "1月", "févr."
		default:
			return false
		}
	}
	return letters > 0 && len(s) <= 24
}
