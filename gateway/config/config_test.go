package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postern.toml")
	write(t, file, "# of the machine\n\nlisten = 1001\nsmtp='127.0.0.1:1002'\npop3 = \"off\"\nallow = [\n  \"a.example:995\", # the old one\n  'b.example:465',\n]\ngreylist = true\n")
	env := environment(map[string]string{"POSTERN_CONFIG": file, "POSTERN_SMTP": "127.0.0.1:2002", "POSTERN_POP3S": "127.0.0.1:2003"})
	got, err := Parse([]string{"serve", "--pop3s", "127.0.0.1:3003", "--demo"}, env)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Listen, want.SMTP, want.POP3S, want.POP3 = "127.0.0.1:1001", "127.0.0.1:2002", "127.0.0.1:3003", ""
	want.Allow = []string{"a.example:995", "b.example:465"}
	want.File, want.Greylist = file, true
	want.Demo, want.Domains = true, []string{"postern.test"}
	want.FTP, want.FTPAnyPort = "127.0.0.1:2121", true
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		args []string
		want Command
	}{
		{nil, Serve},
		{[]string{"--demo"}, Serve},
		{[]string{"serve"}, Serve},
		{[]string{"dns", "--data", "x"}, DNS},
		{[]string{"user", "add", "--data", "x", "a@b.example"}, UserAdd},
		{[]string{"user", "add", "a@b.example", "Name", "--data", "x"}, UserAdd},
		{[]string{"alias", "add", "a", "b", "c", "d"}, AliasAdd},
		{[]string{"user", "remove", "a", "--with-mail"}, UserRemove},
		{[]string{"fsck", "--mend"}, Fsck},
		{[]string{"backup", "-"}, Backup},
		{[]string{"version"}, Version},
		{[]string{"--version"}, Version},
		{[]string{"help"}, Help},
		{[]string{"-h"}, Help},
		{[]string{"serve", "--help"}, Help},
	} {
		got, err := Parse(c.args, environment(nil))
		if err != nil || got.Command != c.want {
			t.Errorf("%q: %q, %v; want %q", c.args, got.Command, err, c.want)
		}
	}
}

// A flag replaces a list of the environment, and repeats to make one of its own.
func TestLists(t *testing.T) {
	c, err := Parse([]string{"--origin", "https://A.example", "--origin=https://b.example:8443", "--allow", "[2001:db8::1]:995"},
		environment(map[string]string{"POSTERN_ORIGIN": "https://not.example", "POSTERN_DOMAIN": "one.example, Two.example."}))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"https://a.example", "https://b.example:8443"}, c.Origins); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"one.example", "two.example"}, c.Domains); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"[2001:db8::1]:995"}, c.Allow); d != "" {
		t.Error(d)
	}
}

func TestNetworks(t *testing.T) {
	c, err := Parse([]string{"--allow-network", "192.168.1.7/24, fd00::/8", "--trusted-proxy", "127.0.0.1"}, environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.AllowNetworks, c.TrustedProxies)
	if want := "[192.168.1.0/24 fd00::/8] [127.0.0.1/32]"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

func TestValues(t *testing.T) {
	c, err := Parse([]string{"--listen", "9000", "--smtp", "OFF", "--pop3=:2110", "--log=warn", "--demo=false"}, environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:9000" {
		t.Errorf("a port alone listens at %q; want the loopback interface", c.Listen)
	}
	if c.SMTP != "" || c.POP3 != ":2110" || c.LogLevel != slog.LevelWarn || c.Demo {
		t.Errorf("smtp %q, pop3 %q, log %v, demo %v", c.SMTP, c.POP3, c.LogLevel, c.Demo)
	}
	c, err = Parse([]string{"--mail=false"}, environment(nil))
	if err != nil || c.SMTP+c.Submission+c.Submissions+c.POP3+c.POP3S != "" {
		t.Errorf("without the mail server: %+v, %v; want every mail listener off", c, err)
	}
}

// An error names the setting where it was made, and says what it must be.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		want []string
	}{
		{args: []string{"--listen", "here"}, want: []string{"--listen", `"here"`, "host:port"}},
		{args: []string{"--listen", "127.0.0.1:65536"}, want: []string{"--listen", "host:port"}},
		{args: []string{"--listen", "127.0.0.1:08"}, want: []string{"--listen", "host:port"}},
		{env: map[string]string{"POSTERN_POP3": "127.0.0.1"}, want: []string{"POSTERN_POP3", "host:port"}},
		{args: []string{"--allow", "pop.example.org"}, want: []string{"--allow", "pop.example.org:995"}},
		{args: []string{"--policy", "all"}, want: []string{"--policy", "embedded, list or mail"}},
		{args: []string{"--user-header", "Remote-User"}, want: []string{"--user-header", "--trusted-proxy"}},
		{args: []string{"--user-proxy", "10.0.0.1"}, want: []string{"--user-proxy", "--user-header"}},
		{args: []string{"--limit-sessions", "many"}, want: []string{"--limit-sessions", "number"}},
		{args: []string{"--limit-sessions=-1"}, want: []string{"--limit-sessions", "0 or more"}},
		{args: []string{"--limit-bytes-per-second", "fast"}, want: []string{"--limit-bytes-per-second", "500MB"}},
		{args: []string{"--limit-session-time", "0s"}, want: []string{"--limit-session-time", "more than nothing"}},
		{args: []string{"--allow", "*:995,:995"}, want: []string{"--allow"}},
		{args: []string{"--origin", "mail.example.org"}, want: []string{"--origin", "https://"}},
		{args: []string{"--origin", "https://mail.example.org/path"}, want: []string{"--origin", "without a path"}},
		{args: []string{"--log", "loud"}, want: []string{"--log", "debug"}},
		{args: []string{"--demo=perhaps"}, want: []string{"demo", "true or false"}},
		{args: []string{"--demo", "--mail=false"}, want: []string{"--demo", "--mail=false"}},
		{args: []string{"--data="}, want: []string{"--data", "folder"}},
		{args: []string{"--allow-network", "192.168.1.0/33"}, want: []string{"--allow-network", "192.168.1.0/24"}},
		{args: []string{"--trusted-proxy", "proxy"}, want: []string{"--trusted-proxy", "address"}},
		{args: []string{"--domain", "a@b"}, want: []string{"--domain", "example.org"}},
		{args: []string{"--nonesuch"}, want: []string{"nonesuch", "postern help"}},
		{args: []string{"user"}, want: []string{"user", "add, passwd", "postern help"}},
		{args: []string{"user", "eat"}, want: []string{"user", "add, passwd", "postern help"}},
		{args: []string{"user", "--data", "x", "add"}, want: []string{"user", "add, passwd"}},
		{args: []string{"user", "add"}, want: []string{"user add", "postern user add ADDRESS [NAME]"}},
		{args: []string{"user", "passwd", "a", "b"}, want: []string{"b", "one too many", "postern user passwd ADDRESS"}},
		{args: []string{"user", "list", "--mend"}, want: []string{"mend", "postern help"}},
		{args: []string{"fsck", "--with-mail"}, want: []string{"with-mail"}},
		{args: []string{"server"}, want: []string{"server", "postern help"}},
		{args: []string{"serve", "demo"}, want: []string{"demo", "postern help"}},
		{args: []string{"--lisen", "1"}, want: []string{"--lisen", "--listen"}},
		{args: []string{"--certificate", "c.pem"}, want: []string{"--certificate", "--key"}},
		{env: map[string]string{"POSTERN_KEY": "k.pem"}, want: []string{"POSTERN_KEY", "--certificate"}},
		{args: []string{"--certificate", "c", "--key", "k", "--acme", "a.example"}, want: []string{"--acme", "--certificate"}},
		{args: []string{"--acme-email", "a@b.example"}, want: []string{"--acme-email", "--acme"}},
		{args: []string{"--acme", "a.example", "--acme-directory", "http://ca.example/"}, want: []string{"--acme-directory", "https://"}},
		{args: []string{"--http", ":80"}, want: []string{"--http", "--acme"}},
		{args: []string{"--plain-page"}, want: []string{"--plain-page", "certificate"}},
		{args: []string{"--base-path", "/a b/"}, want: []string{"--base-path", "/mail/"}},
		{args: []string{"--base-path", "/a/../b"}, want: []string{"--base-path", "/mail/"}},
		{args: []string{"--log-format", "xml"}, want: []string{"--log-format", "json"}},
		{args: []string{"--drain", "soon"}, want: []string{"--drain", "10m"}},
		{args: []string{"--token-file", "nowhere"}, want: []string{"--token-file", "nowhere", "no such file"}},
		{args: []string{"--ftp", "ftp.example"}, want: []string{"--ftp", "host:port"}},
		{args: []string{"--ftp", "2121", "--mail=false"}, want: []string{"--ftp", "--mail=false"}},
		{args: []string{"--ftp-passive", "20-30"}, want: []string{"--ftp-passive", "50000-50100"}},
		{args: []string{"--ftp-passive", "50100-50000"}, want: []string{"--ftp-passive", "50000-50100"}},
		{args: []string{"--ftp-passive", "50000"}, want: []string{"--ftp-passive", "50000-50100"}},
		{args: []string{"--ftp-public", "2001:db8::1", "--ftp-passive", "50000-50100"}, want: []string{"--ftp-public", "IPv4"}},
		{args: []string{"--ftp-public", "192.0.2.1"}, want: []string{"--ftp-public", "--ftp-passive"}},
		{args: []string{"--ftp-quota", "much"}, want: []string{"--ftp-quota", "500MB"}},
		{args: []string{"--config", "nowhere.toml"}, want: []string{"--config nowhere.toml", "no such file"}},
	} {
		_, err := Parse(c.args, environment(c.env))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q %v: %v; want an *Error", c.args, c.env, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q %v: %q does not say %q", c.args, c.env, err, w)
			}
		}
	}
}

// A secret is never printed.
func TestSecretIsMasked(t *testing.T) {
	_, err := Parse([]string{"--token", "open\x00sesame"}, environment(nil))
	if err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("error %q shows the token, or is none", err)
	}
}

// FTP is off but in a demo, where it can be turned off, too.
func TestFTP(t *testing.T) {
	for args, want := range map[string]string{"": "", "--demo": "127.0.0.1:2121", "--demo --ftp off": "", "--ftp 2121": "127.0.0.1:2121", "--demo --ftp 127.0.0.1:0": "127.0.0.1:0", "--mail=false": ""} {
		c, err := Parse(strings.Fields(args), environment(nil))
		if err != nil || c.FTP != want || c.FTPAnyPort != (args == "--demo") {
			t.Errorf("%s: %q %v %v", args, c.FTP, c.FTPAnyPort, err)
		}
	}
	c, err := Parse([]string{"--ftp-passive", "50000-50100", "--ftp-public", "192.0.2.1", "--ftp-quota", "5GB"}, environment(nil))
	if err != nil || c.FTPPassive != (Ports{50000, 50100}) || c.FTPPublic != "192.0.2.1" || c.FTPQuota != 5e9 {
		t.Errorf("%+v %v", c, err)
	}
}

// Flags stand where they like, until two hyphens say that there are no more.
func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
		mend bool
	}{
		{[]string{"alias", "add", "a", "--data", "x", "b", "--demo", "c"}, []string{"a", "b", "c"}, false},
		{[]string{"alias", "add", "--", "--data", "x"}, []string{"--data", "x"}, false},
		{[]string{"alias", "add", "a", "--", "--data"}, []string{"a", "--data"}, false},
		{[]string{"fsck", "--mend"}, nil, true},
	} {
		got, err := Parse(c.args, environment(nil))
		if d := cmp.Diff(c.want, got.Args); d != "" || err != nil || got.Mend != c.mend {
			t.Errorf("%q: %v %s", c.args, err, d)
		}
	}
}

// Help names every command.
func TestUsageOfCommands(t *testing.T) {
	var b strings.Builder
	if err := Usage(&b); err != nil {
		t.Fatal(err)
	}
	for _, k := range commands {
		if k.usage == "" || !strings.Contains(b.String(), "  "+k.String()+"\n        "+k.usage) {
			t.Errorf("help does not show %s", k)
		}
		for _, f := range k.flags {
			if !strings.Contains(k.usage, "--"+f) {
				t.Errorf("%s does not say what --%s is", k, f)
			}
		}
	}
}

// Help names every setting, its variable and its default.
func TestUsage(t *testing.T) {
	var b strings.Builder
	if err := Usage(&b); err != nil {
		t.Fatal(err)
	}
	c := defaults()
	for _, s := range settings(&c) {
		for _, w := range []string{"--" + s.name, Variable(s.name)} {
			if !strings.Contains(b.String(), w) {
				t.Errorf("help does not name %s", w)
			}
		}
	}
	if !strings.Contains(b.String(), "default 127.0.0.1:8080") {
		t.Error("help does not say where the page is by default")
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "5d": 120 * time.Hour, "1d12h": 36 * time.Hour, "0s": 0,
		"": -1, "d": -1, "5": -1, "-1h": -1, "-1d": -1, "1h5d": -1, "1d-1h": -1, "99999d": -1, "ever": -1,
	} {
		if got, err := Duration(text); got != want && err == nil || (err == nil) != (want >= 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	c, err := Parse([]string{"world", "fault", "a.test", "down", "--for", "1d"}, environment(nil))
	if err != nil || c.Command != WorldFault || c.For != 24*time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
	for args, want := range map[string]Command{"world": World, "world --data x": World, "world clock 60": WorldClock} {
		if c, err := Parse(strings.Fields(args), environment(nil)); err != nil || c.Command != want {
			t.Errorf("%q: %s, %v", args, c.Command, err)
		}
	}
}
