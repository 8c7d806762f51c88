package wirejson

import (
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// nearly is a text that is a time of RFC 3339, or would be but for a character.
func nearly(t *rapid.T) string {
	at := time.Unix(rapid.Int64Range(-62167219200, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds"))
	at = at.In(time.FixedZone("", 60*rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "zone")))
	b := []byte(at.Format(rapid.SampledFrom([]string{time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.0000000000000Z07:00"}).Draw(t, "layout")))
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0:
			b[i] = "0123456789-+:.,TtZz "[rapid.IntRange(0, 19).Draw(t, "character")]
		case 1:
			b = append(b[:i], b[i+1:]...)
		default:
			b = append(b[:i+1], b[i:]...)
		}
	}
	return string(b)
}

// form is RFC 3339, section 5.6, but for how far the numbers of date and time go.
var form = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func sameTime(t *rapid.T, s string) {
	var want time.Time
	err := want.UnmarshalText([]byte(s))
	got, ok := parseTime(s)
	// UnmarshalText also takes hours of one digit, a comma for the point, and a zone a day away.
	if ok != (err == nil && form.MatchString(s)) {
		t.Fatalf("%q: %v; UnmarshalText: %v", s, ok, err)
	}
	if _, zone := got.Zone(); ok {
		if _, wanted := want.Zone(); !got.Equal(want) || zone != wanted || got.Location().String() != want.Location().String() {
			t.Fatalf("%q is %v; want %v", s, got, want)
		}
	}
}

func TestTimesAreThoseOfUnmarshalText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { sameTime(t, nearly(t)) })
	for _, s := range []string{
		"", "Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+23:60", "2026-01-01T00:00:00-00:00", "2026-01-01T1:00:00Z", "2026-01-01 00:00:00Z",
	} {
		rapid.Check(t, func(t *rapid.T) { sameTime(t, s) })
	}
}

func FuzzTime(f *testing.F) { f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { sameTime(t, nearly(t)) })) }
