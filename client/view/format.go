package view

import (
	"strconv"
	"time"
)

// Clock is the time of day.
func Clock(t time.Time) string { return t.Format("15:04") }

// ListDate is a date as a list shows it: the time today, the weekday in the six days before, "3 Feb" in the same year,
// else with the year. Both are in the user's zone.
func ListDate(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	days := dayNumber(now) - dayNumber(t)
	switch {
	case days == 0:
		return Clock(t)
	case days == 1:
		return "Yesterday"
	case days > 1 && days < 7:
		return t.Format("Monday")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// FullDate is a date with its time and zone, for the reader and for tips.
func FullDate(t time.Time) string {
	if t.IsZero() {
		return "no date"
	}
	s := t.Format("Monday, 2 January 2006, 15:04")
	if name, off := t.Zone(); name == "" || name[0] == '+' || name[0] == '-' || name == "Local" {
		return s + " " + offset(off)
	} else if off == 0 {
		return s + " " + name
	} else {
		return s + " " + name + " (" + offset(off) + ")"
	}
}

func offset(seconds int) string {
	if seconds == 0 {
		return "UTC"
	}
	sign := "+"
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	h, m := seconds/3600, seconds/60%60
	s := "UTC" + sign + strconv.Itoa(h)
	if m != 0 {
		s += ":" + strconv.Itoa(m/10) + strconv.Itoa(m%10)
	}
	return s
}

// dayNumber counts days on the calendar of the time's zone.
func dayNumber(t time.Time) int {
	return int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func sameDay(a, b time.Time) bool { return dayNumber(a) == dayNumber(b) }

// Size is a number of octets for people.
func Size(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(max(n, 0), 10) + " B"
	case n < 999_500:
		return strconv.FormatInt((n+500)/1000, 10) + " KB"
	case n < 99_950_000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
	case n < 999_500_000:
		return strconv.FormatInt((n+500_000)/1_000_000, 10) + " MB"
	}
	return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB"
}

// Number writes n with a comma between thousands.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count is a number with its noun: "1 message", "2 messages".
func Count(n int, noun string) string { return Number(n) + " " + plural(n, noun) }

func plural(n int, noun string) string {
	if n == 1 || n == -1 {
		return noun
	}
	return noun + "s"
}

// CJK says whether a text is mostly Chinese, Japanese or Korean, which is set with more room between its lines.
func CJK(s string) bool {
	wide, all := 0, 0
	for _, r := range s {
		if r <= ' ' {
			continue
		}
		all++
		if r >= 0x2E80 && r <= 0x9FFF || r >= 0xAC00 && r <= 0xD7AF || r >= 0xF900 && r <= 0xFAFF || r >= 0xFF00 && r <= 0xFFEF || r >= 0x20000 && r <= 0x3FFFF {
			wide++
		}
		if all == 2000 {
			break
		}
	}
	return wide*3 > all
}

// ReaderDate is a date with its time, as the reading pane shows it: the weekday and time in this week, else the day.
// FullDate has the zone.
func ReaderDate(t, now time.Time) string {
	if t.IsZero() {
		return "no date"
	}
	days := dayNumber(now) - dayNumber(t)
	switch {
	case days == 0:
		return "Today " + t.Format("15:04 ") + zoneName(t)
	case days == 1:
		return "Yesterday " + t.Format("15:04 ") + zoneName(t)
	case t.Year() == now.Year():
		return t.Format("Mon 2 Jan, 15:04 ") + zoneName(t)
	}
	return t.Format("2 Jan 2006, 15:04 ") + zoneName(t)
}

func zoneName(t time.Time) string {
	name, off := t.Zone()
	if name == "" || name[0] == '+' || name[0] == '-' || name == "Local" {
		return offset(off)
	}
	return name
}
