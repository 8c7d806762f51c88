package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is wrong with a file is said in words, with the line.
func TestFileErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"\nlisten = \"127.0.0.1:1\"\nlissten = 1\n", []string{":3", "lissten", "; listen is one"}},
		{"smtps = 1\n", []string{":1", "; smtp is one"}},
		{"colour = \"red\"\n", []string{":1", "colour", "postern help"}},
		{"smtp = 1\nsmtp = 2\n", []string{":2", "smtp", "twice"}},
		{"listen\n", []string{":1", "name = "}},
		{"\n\nhostname = mail.example.org\n", []string{":3", "quotes", `hostname = "…"`}},
		{"listen = 127.0.0.1:8080\n", []string{":1", "quotes"}},
		{"[mail]\nsmtp = \"off\"\n", []string{":1", "mail", "table"}},
		{"mail.smtp = \"off\"\n", []string{":1", "mail.smtp"}},
		{"data = { a = 1 }\n", []string{":1", "data", "string in quotes"}},
		{"allow = [1, 2]\n", []string{":1", "allow", "list of strings"}},
		{"listen = 80.5\n", []string{":1", "whole number"}},
		{"demo = \"perhaps\"\n", []string{":1", "perhaps", "true or false"}},
		{"# one\nallow = [\n  \"a.example:995\",\n  \"b.example\",\n]\n", []string{":2", "b.example", "host:port"}},
		{"data = \"" + strings.Repeat("x", maxFile) + "\"", []string{"too long"}},
		{"token = \"a\\u0000b\"\n", []string{":1", "***", "text"}},
		{"certificate = \"c.pem\"\n", []string{":1", "--key"}},
	} {
		file := filepath.Join(t.TempDir(), "postern.toml")
		write(t, file, c.text)
		_, err := Parse([]string{"--config", file}, environment(nil))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.40q: %v; want an *Error", c.text, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%.40q: %q does not say %q", c.text, err, w)
			}
		}
	}
}

// Everything that is wrong is said at once.
func TestEveryErrorIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postern.toml")
	write(t, file, "lissten = 1\nsmtp = \"here\"\nlog = \"loud\"\n")
	_, err := Parse([]string{"--config", file, "--demo", "--mail=false"}, environment(map[string]string{"POSTERN_POP3": "x"}))
	for _, w := range []string{":1", ":2", ":3", "POSTERN_POP3", "--demo"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %s", err, w)
		}
	}
}

// A secret comes from its file, the way it was said last.
func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		write(t, p, content)
		return p
	}
	one, two, none := path("one", "first\n"), path("two", "a:second\n# nobody's\nb:third\n"), path("none", "\n")
	file := path("postern.toml", "token-file = '"+one+"'\n")
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{args: []string{"--config", file}, want: "first"},
		{args: []string{"--config", file}, env: map[string]string{"POSTERN_TOKEN_FILE": two}, want: "a:second\n# nobody's\nb:third"},
		{args: []string{"--config", file}, env: map[string]string{"POSTERN_TOKEN": "third"}, want: "third"},
		{args: []string{"--token", "a:first", "--token", "second"}, want: "a:first\nsecond"},
		{args: []string{"--token-file", one}, env: map[string]string{"POSTERN_TOKEN": "third"}, want: "first"},
	} {
		got, err := Parse(c.args, environment(c.env))
		if err != nil || got.Token != c.want {
			t.Errorf("%q %v: %q, %v; want %q", c.args, c.env, got.Token, err, c.want)
		}
	}
	for _, args := range [][]string{{"--token-file", none}, {"--token", "a", "--token-file", one}, {"--listen-file", one}} {
		if _, err := Parse(args, environment(nil)); err == nil {
			t.Errorf("%q passes", args)
		}
	}
}

// The example says nothing but the defaults, and says them as they must be written.
func TestExample(t *testing.T) {
	var b strings.Builder
	if err := Example(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "example.toml")
	load := func(text string) (Config, error) {
		write(t, file, text)
		return Parse([]string{"--config", file}, environment(nil))
	}
	want := defaults()
	want.File, want.Domains = file, []string{"postern.test"}
	got, err := load(b.String())
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("as it is: %v %s", err, d)
	}
	uncommented, seen := "", 0
	for line := range strings.Lines(b.String()) {
		name, _, ok := strings.Cut(strings.TrimPrefix(line, "# "), " = ")
		// Some say nothing by default that could be said.
		if !ok || strings.Contains(name, " ") || strings.Contains(line, `= ""`) && name != "dev" || name == "acme-directory" {
			if ok && !strings.Contains(name, " ") {
				seen++
			}
			continue
		}
		uncommented += strings.TrimPrefix(line, "# ")
		seen++
	}
	got, err = load(uncommented)
	if d := cmp.Diff(want, got, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, ",") })); d != "" || err != nil {
		t.Errorf("with the comments taken off: %v %s\n%s", err, d, uncommented)
	}
	c := defaults()
	if n := len(settings(&c)) + 1; seen != n {
		t.Errorf("it shows %d settings of %d", seen, n)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"listen", "smtp", "submission", "submissions", "pop3", "domain"}
	for word, want := range map[string]string{
		"lisen": "listen", "lsiten": "listen", "submision": "submission", "domains": "domain", "pop": "pop3", "colour": "", "x": "", "": "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z]{0,8}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		switch d := distance(a, b); {
		case d != distance(b, a), (d == 0) != (a == b), d > max(len(a), len(b)):
			t.Fatalf("%q to %q is %d, and back %d", a, b, d, distance(b, a))
		}
	})
}

// Whatever is in the file, it is read or refused in words.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"listen = 1\n", "allow = [\"a:1\"]\n[x]\ny = 1\n", "a.b.c = { d = 1 }", "x = 1979-05-27", "\"listen\" = '''\n1'''", "[[x]]\n"} {
		f.Add([]byte(s))
	}
	file := filepath.Join(f.TempDir(), "fuzz.toml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Skip(err)
		}
		if _, err := Parse([]string{"--config", file}, environment(nil)); err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Reason == "" {
				t.Errorf("%v", err)
			}
		}
	})
}
