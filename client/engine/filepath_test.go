package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
)

func TestPathsCross(t *testing.T) {
	for path, want := range map[string]api.FilePath{
		"/pub/größe 1.txt": "/pub/größe 1.txt",
		"/50%":             "/50%25",
		"/a\x00\xff\xfe\n": "/a%00%FF%FE%0A",
		"\xc3":             "%C3",
		"/\uFFFD":          "/\uFFFD",
	} {
		if got := crossing(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	for _, bad := range []api.FilePath{"%", "%4", "/%zz", "%ff"} {
		if p, err := octets(bad); code(err) != api.CodeBadRequest {
			t.Errorf("%q: %q, %v", bad, p, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		path := string(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
		text, err := json.Marshal(crossing(path))
		if err != nil {
			t.Fatal(err)
		}
		var crossed api.FilePath
		if err := json.Unmarshal(text, &crossed); err != nil {
			t.Fatal(err)
		}
		if back, err := octets(crossed); err != nil || back != path {
			t.Fatalf("%q came back as %q, %v", path, back, err)
		}
	})
}

func TestNamesOfFiles(t *testing.T) {
	for _, bad := range []string{"", " ", ".", "..", "a/b", "/", `..\x`, "a\nb", "\x00", "\xff", "a\u2028", strings.Repeat("x", 256)} {
		if p, err := within("/pub", bad); code(err) != api.CodeBadName {
			t.Errorf("%q is at %q, %v", bad, p, err)
		}
	}
	if p, err := within("/", "größe"); p != "/größe" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	long := strings.Repeat("ö", 127)
	for name, want := range map[string]string{"a.txt": "a (2).txt", ".profile": ".profile (2)", "a": "a (2)", "x.tar.something-long": "x.tar.something-long (2)"} {
		if got := besides(name, 2); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := besides(long+".t", 999); len(got) > maxFileName || !strings.HasSuffix(got, "ö (999).t") {
		t.Errorf("%q of %d octets", got, len(got))
	}
	for path, want := range map[string][2]string{"/a/b": {"/a", "b"}, "/a": {"/", "a"}, "/a/": {"/", "a"}, "a": {"", "a"}, "a/b/": {"a", "b"}, "/": {"/", ""}} {
		if folder, name := parentOf(path); folder != want[0] || name != want[1] {
			t.Errorf("%q: %q and %q", path, folder, name)
		}
	}
	if c := crumbsOf("/a//b\xff"); len(c) != 3 || c[0] != (api.Crumb{Path: "/", Name: "/"}) || c[1].Path != "/a" || c[2] != (api.Crumb{Path: "/a//b%FF", Name: "b\uFFFD"}) {
		t.Errorf("%v", c)
	}
}
