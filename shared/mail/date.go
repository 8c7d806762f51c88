package mail

import (
	"strconv"
	"strings"
	"time"
)

// zones are the names of RFC 5322 section 4.3 and a few that servers write, in minutes east of Greenwich.
var zones = map[string]int{
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "west": 60, "bst": 60, "cet": 60, "met": 60, "mez": 60, "cest": 120, "mest": 120, "mesz": 120,
	"eet": 120, "eest": 180, "msk": 180, "ist": 330, "jst": 540, "kst": 540, "hkt": 480, "sgt": 480,
	"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
}

const months = "janfebmaraprmayjunjulaugsepoctnovdec"

// parseDate reads a date-time of RFC 5322 section 3.3 and what is sent for one: without a weekday, with the month first
// or in digits, without seconds, with a zone's name, with a comment. What cannot be a date, or lies outside of 1970 to
// 9999, is the zero time.
func parseDate(b []byte) time.Time {
	if len(b) > 200 {
		return time.Time{}
	}
	text, _ := splitComments(b)
	s := strings.ToLower(string(text))
	var nums []int // day and year, and the month when it is in digits, in the order they came
	var width []int
	month, hour, minute, second, clock, zone, zoned := 0, 0, 0, 0, false, 0, false
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		switch {
		case strings.Contains(w, ":") && !clock:
			if i := strings.IndexByte(w, 't'); i > 0 && strings.Count(w[:i], "-") == 2 { // RFC 3339
				for p := range strings.SplitSeq(w[:i], "-") {
					n, _ := strconv.Atoi(p)
					nums, width = append(nums, n), append(width, len(p))
				}
				w = w[i+1:]
			}
			if i := strings.IndexAny(w, "+-z"); i > 0 {
				zone, zoned = parseZone(w[i:])
				w = w[:i]
			}
			p := strings.Split(w, ":")
			if len(p) < 2 || len(p) > 3 {
				return time.Time{}
			}
			var err1, err2, err3 error
			hour, err1 = strconv.Atoi(p[0])
			minute, err2 = strconv.Atoi(p[1])
			if len(p) == 3 {
				sec, _, _ := strings.Cut(p[2], ".")
				second, err3 = strconv.Atoi(sec)
			}
			if err1 != nil || err2 != nil || err3 != nil {
				return time.Time{}
			}
			clock = true
		case clock && !zoned && (w[0] == '+' || w[0] == '-'):
			zone, zoned = parseZone(w)
		case w == "pm" && hour < 12:
			hour += 12
		case w == "am" && hour == 12:
			hour = 0
		default:
			for p := range strings.FieldsFuncSeq(w, func(r rune) bool { return r == '-' || r == '/' || r == '.' }) {
				if n, err := strconv.Atoi(p); err == nil && n >= 0 {
					nums, width = append(nums, n), append(width, len(p))
					continue
				}
				if z, ok := parseZone(p); ok && clock {
					if !zoned {
						zone, zoned = z, true
					}
				} else if len(p) >= 3 && month == 0 {
					if i := strings.Index(months, p[:3]); i >= 0 && i%3 == 0 {
						month = i/3 + 1
					}
				}
			}
		}
	}
	day, year, yearWidth := 0, 0, 0
	switch {
	case month > 0 && len(nums) >= 2 && width[0] < 4:
		day, year, yearWidth = nums[0], nums[1], width[1]
	case month > 0 && len(nums) >= 2:
		day, year, yearWidth = nums[1], nums[0], width[0]
	case month == 0 && len(nums) >= 3 && width[0] == 4:
		year, yearWidth, month, day = nums[0], 4, nums[1], nums[2]
	case month == 0 && len(nums) >= 3 && width[2] == 4:
		day, month, year, yearWidth = nums[0], nums[1], nums[2], 4
	default:
		return time.Time{}
	}
	switch { // RFC 5322 section 4.3
	case yearWidth <= 2 && year < 50:
		year += 2000
	case yearWidth <= 3:
		year += 1900
	}
	if year < 1970 || year > 9998 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60 || hour < 0 || minute < 0 || second < 0 {
		return time.Time{}
	}
	loc := time.UTC
	if zone != 0 {
		loc = time.FixedZone("", zone*60)
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, loc)
}

// parseZone reads +hhmm, +hh:mm, +hh or a name; one that cannot be is UTC.
func parseZone(s string) (minutes int, ok bool) {
	if m, ok := zones[s]; ok {
		return m, true
	}
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	d := strings.ReplaceAll(s[1:], ":", "")
	if len(d) > 4 {
		d = d[:4]
	}
	n, err := strconv.Atoi(d)
	if err != nil || n < 0 {
		return 0, false
	}
	if len(d) <= 2 {
		n *= 100
	}
	m := n/100*60 + n%100
	if m >= 24*60 || n%100 > 59 {
		return 0, true
	}
	if s[0] == '-' {
		m = -m
	}
	return m, true
}
