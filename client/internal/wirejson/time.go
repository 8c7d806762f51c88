package wirejson

import (
	"strings"
	"time"
)

// appendTime writes RFC 3339, whose year has four digits.
func appendTime(b []byte, t time.Time) ([]byte, error) {
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, &UnsupportedError{"a year outside of 0..9999"}
	}
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		t = t.UTC() // RFC 3339 has offsets of whole minutes below a day
	}
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"'), nil
}

// parseTime reads a time of RFC 3339, section 5.6, as time.Time.UnmarshalText does, in 1 KB of the page where that with
// all the layouts that it knows takes 5. What is finer than a nanosecond is left out.
func parseTime(s string) (t time.Time, ok bool) {
	const date = "0000-00-00T00:00:00"
	if len(s) < len(date) {
		return t, false
	}
	f, ok := numbers(s[:len(date)], date)
	if !ok {
		return t, false
	}
	year, month, day, hour, minute, second := f[0], f[1], f[2], f[3], f[4], f[5]
	s = s[len(date):]
	nanoseconds := 0
	if strings.HasPrefix(s, ".") {
		digits := len(s) - 1 - len(strings.TrimLeft(s[1:], "0123456789"))
		if digits == 0 {
			return t, false
		}
		for i := 1; i <= 9; i++ {
			nanoseconds *= 10
			if i <= digits {
				nanoseconds += int(s[i] - '0')
			}
		}
		s = s[1+digits:]
	}
	offset, utc := 0, s == "Z"
	if !utc {
		z, ok := numbers(s, "+00:00")
		if !ok {
			if z, ok = numbers(s, "-00:00"); !ok {
				return t, false
			}
		}
		if z[0] > 23 || z[1] > 59 {
			return t, false
		}
		if offset = z[0]*3600 + z[1]*60; s[0] == '-' {
			offset = -offset
		}
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanoseconds, time.UTC)
	if month > 12 || hour > 23 || minute > 59 || second > 59 || int(t.Month()) != month || t.Day() != day {
		return time.Time{}, false // the 30th of February is the 2nd of March to time.Date
	}
	if utc {
		return t, true
	}
	t = t.Add(-time.Duration(offset) * time.Second).Local()
	if _, here := t.Zone(); here != offset {
		t = t.In(time.FixedZone("", offset))
	}
	return t, true
}

// numbers reads the numbers of a text of a form, in which 0 stands for a digit and all else for itself.
func numbers(s, form string) (f [6]int, ok bool) {
	if len(s) != len(form) {
		return f, false
	}
	at := 0
	for i := range len(s) {
		switch digit := s[i] - '0'; {
		case form[i] == '0' && digit <= 9:
			f[at] = 10*f[at] + int(digit)
		case form[i] == '0' || s[i] != form[i]:
			return f, false
		case i > 0:
			at++
		}
	}
	return f, true
}
