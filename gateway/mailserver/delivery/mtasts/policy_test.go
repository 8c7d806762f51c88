package mtasts

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// example is the policy of RFC 8461 section 3.2.
const example = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n"

func TestParse(t *testing.T) {
	week := 604800 * time.Second
	const head, tail = "version: STSv1\nmode: enforce\n", "max_age: 604800\n"
	for name, c := range map[string]struct {
		file string
		want Policy // the zero value is an error
	}{
		"the example":        {example, Policy{Enforce, []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, week}},
		"LF alone":           {strings.ReplaceAll(example, "\r", ""), Policy{Enforce, []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, week}},
		"no last line end":   {strings.TrimSpace(example), Policy{Enforce, []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, week}},
		"testing":            {"version: STSv1\nmode: testing\nmx: a.test\n" + tail, Policy{Testing, []string{"a.test"}, week}},
		"none needs no host": {"version: STSv1\nmode: none\n" + tail, Policy{None, nil, week}},
		"any order":          {"max_age: 604800\nmx: a.test\nmode: enforce\nversion: STSv1\n", Policy{Enforce, []string{"a.test"}, week}},
		"blanks":             {"version:STSv1\nmode \t: \tenforce \nmx:\ta.test\t\n\n" + tail, Policy{Enforce, []string{"a.test"}, week}},
		"unknown keys":       {head + "mx: a.test\nx-more_1.2: a: b\n" + tail, Policy{Enforce, []string{"a.test"}, week}},
		"the first counts":   {head + "mx: a.test\nmode: none\nversion: STSv2\n" + tail + "max_age: 1\n", Policy{Enforce, []string{"a.test"}, week}},
		"upper case, a dot":  {head + "mx: A.Test.\n" + tail, Policy{Enforce, []string{"a.test"}, week}},
		"A-labels":           {head + "mx: xn--bcher-kva.test\n" + tail, Policy{Enforce, []string{"xn--bcher-kva.test"}, week}},
		"no age":             {head + "mx: a.test\nmax_age: 0\n", Policy{Enforce, []string{"a.test"}, 0}},
		"a year at most":     {head + "mx: a.test\nmax_age: 99999999999\n", Policy{Enforce, []string{"a.test"}, 31557600 * time.Second}},

		"nothing":             {"", Policy{}},
		"a page":              {"<!DOCTYPE html>\n<title>Not found</title>\n", Policy{}},
		"no version":          {"mode: enforce\nmx: a.test\n" + tail, Policy{}},
		"another version":     {"version: STSv2\nmode: enforce\nmx: a.test\n" + tail, Policy{}},
		"no mode":             {"version: STSv1\nmx: a.test\n" + tail, Policy{}},
		"another mode":        {"version: STSv1\nmode: Enforce\nmx: a.test\n" + tail, Policy{}},
		"no host":             {head + tail, Policy{}},
		"no max_age":          {head + "mx: a.test\n", Policy{}},
		"a negative max_age":  {head + "mx: a.test\nmax_age: -1\n", Policy{}},
		"a fraction":          {head + "mx: a.test\nmax_age: 1.5\n", Policy{}},
		"a huge max_age":      {head + "mx: a.test\nmax_age: 99999999999999999999\n", Policy{}},
		"an empty host":       {head + "mx:\n" + tail, Policy{}},
		"an asterisk within":  {head + "mx: a.*.test\n" + tail, Policy{}},
		"an asterisk alone":   {head + "mx: *\n" + tail, Policy{}},
		"two asterisks":       {head + "mx: *.*.test\n" + tail, Policy{}},
		"half a label":        {head + "mx: m*.test\n" + tail, Policy{}},
		"an empty label":      {head + "mx: a..test\n" + tail, Policy{}},
		"a long label":        {head + "mx: " + strings.Repeat("a", 64) + ".test\n" + tail, Policy{}},
		"a long name":         {head + "mx: " + strings.Repeat("a.", 128) + "test\n" + tail, Policy{}},
		"UTF-8 in a host":     {head + "mx: bücher.test\n" + tail, Policy{}},
		"a list in a line":    {head + "mx: a.test, b.test\n" + tail, Policy{}},
		"a line without key":  {head + "mx: a.test\nmore\n" + tail, Policy{}},
		"an empty key":        {head + "mx: a.test\n: more\n" + tail, Policy{}},
		"a key that is long":  {head + "mx: a.test\n" + strings.Repeat("k", 33) + ": more\n" + tail, Policy{}},
		"more than 64 KiB":    {head + "mx: a.test\n" + tail + strings.Repeat("\n", 64<<10), Policy{}},
		"more hosts than any": {head + strings.Repeat("mx: a.test\n", 1001) + tail, Policy{}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(c.file))
			if !reflect.DeepEqual(p, c.want) && !(err != nil && c.want.Mode == NoPolicy) || (err == nil) != (c.want.Mode != NoPolicy) {
				t.Errorf("%+v, %v; want %+v", p, err, c.want)
			}
			if err != nil && !reflect.DeepEqual(p, Policy{}) {
				t.Errorf("an error, and %+v", p)
			}
		})
	}
	if p, err := Parse([]byte(head + strings.Repeat("mx: a.test\n", 1000) + tail)); err != nil || len(p.MX) != 1000 {
		t.Errorf("1,000 hosts: %d, %v", len(p.MX), err)
	}
}

func TestMatches(t *testing.T) {
	p := Policy{Mode: Enforce, MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "Mail.Example.COM": true, "mail.example.com.": true,
		"a.example.net": true, "A.EXAMPLE.NET.": true,
		"a.b.example.net": false, "example.net": false, ".example.net": false, "aexample.net": false,
		"a.mail.example.com": false, "example.com": false, "mail.example.com.evil.test": false, "a.example.net.evil.test": false,
		"*.example.net": true, "": false, ".": false,
	} {
		if got := p.Matches(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	if (Policy{}).Matches("a.test") {
		t.Error("no policy matches")
	}
}

func TestReadRecord(t *testing.T) {
	for _, c := range []struct {
		records []string
		id      string // empty: none
	}{
		{[]string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"}, // RFC 8461 section 3.1
		{[]string{"v=STSv1;id=1"}, "1"},
		{[]string{"v=STSv1 ; id = 1 ; more=x"}, "1"},
		{[]string{"v=STSv1; more=x; id=1;"}, "1"},
		{[]string{"v=spf1 -all", "v=STSv1; id=1;"}, "1"},
		{[]string{"v=STSv10; id=2;", "v=STSv1; id=1;"}, "1"},
		{[]string{"v=STSv1; id=" + strings.Repeat("a", 32)}, strings.Repeat("a", 32)},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"v=STSv1; id=1;", "v=STSv1; id=1;"}, ""}, // more than one is none
		{[]string{"v=STSv2; id=1;"}, ""},
		{[]string{"v=stsv1; id=1;"}, ""},
		{[]string{"id=1; v=STSv1;"}, ""},
		{[]string{"v=STSv1;"}, ""},
		{[]string{"v=STSv1; id=;"}, ""},
		{[]string{"v=STSv1; id=a-b;"}, ""},
		{[]string{"v=STSv1; id=é;"}, ""},
		{[]string{"v=STSv1; id=" + strings.Repeat("a", 33)}, ""},
		{[]string{"v=STSv1; ID=1;"}, ""},
	} {
		if id, ok := readRecord(c.records); ok != (c.id != "") || ok && id != c.id {
			t.Errorf("%q: %q, %v", c.records, id, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("version: STSv1\nmode: none\nmax_age: 1"))
	f.Add([]byte("version: STSv1\nmode: testing\nmx: *.a.test.\nmax_age: 99999999999"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			if !reflect.DeepEqual(p, Policy{}) {
				t.Fatalf("%v, and %+v", err, p)
			}
			return
		}
		if p.MaxAge < 0 || p.MaxAge > maxMaxAge*time.Second || len(p.MX) > maxMX || p.Mode != None && len(p.MX) == 0 {
			t.Fatalf("%+v", p)
		}
		// What was read reads the same again, written out.
		var again strings.Builder
		fmt.Fprintf(&again, "version: STSv1\nmode: %s\nmax_age: %d\n", p.Mode, p.MaxAge/time.Second)
		for _, mx := range p.MX {
			if !p.Matches(strings.Replace(mx, "*", "a", 1)) {
				t.Fatalf("%q does not match itself", mx)
			}
			fmt.Fprintf(&again, "mx: %s\n", mx)
		}
		if again.Len() > maxPolicy {
			return
		}
		if q, err := Parse([]byte(again.String())); err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%+v, %+v, %v", p, q, err)
		}
	})
}
