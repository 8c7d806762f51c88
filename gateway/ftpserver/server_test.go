package ftpserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

func TestCommands(t *testing.T) {
	r := start(t, nil)
	r.write("notes.txt", "some notes\n")
	r.write("folder/inside.txt", "inside")
	c := r.login()
	for _, step := range []struct{ say, want string }{
		{"SYST", "215"}, {"NOOP", "200"}, {"CLNT test", "200"}, {"HELP", "214"}, {"STAT", "211"}, {"STAT notes.txt", "504"},
		{"PWD", `257 "/"`}, {"XPWD", `257 "/"`}, {"CDUP", "250"},
		{"TYPE I", "200"}, {"TYPE A", "200"}, {"type a n", "200"}, {"TYPE E", "504"}, {"MODE S", "200"}, {"MODE B", "504"}, {"STRU F", "200"}, {"STRU R", "504"},
		{"OPTS UTF8 ON", "200"}, {"OPTS MLST type;size;", "200 MLST OPTS"}, {"OPTS FOO", "501"}, {"ALLO 100", "202"}, {"ACCT x", "202"},
		{"SIZE notes.txt", "213 11"}, {"SIZE folder", "550"}, {"SIZE none", "550"}, {"MDTM notes.txt", "213 20"},
		{"MFMT 20200102030405 notes.txt", "213"}, {"MDTM notes.txt", "213 20200102030405"}, {"MFMT x notes.txt", "501"}, {"MFMT 20200102030405 none", "550"},
		{"MLST notes.txt", "250-"}, {"MLST none", "550"},
		{"CWD folder", "250"}, {"PWD", `257 "/folder"`}, {"CWD ..", "250"}, {"CWD ../../..", "250"}, {"PWD", `257 "/"`}, {"CWD notes.txt", "550"}, {"CWD none", "550"},
		{"CWD folder", "250"}, {"XCUP", "250"}, {"PWD", `257 "/"`},
		{"MKD a \"quoted\" one", `257`}, {"MKD folder", "550"}, {"MKD none/deeper", "550"}, {"RMD folder", "550"}, {"RMD a \"quoted\" one", "250"}, {"RMD notes.txt", "550"}, {"DELE folder", "550"},
		{"RNTO x", "503"}, {"RNFR none", "550"}, {"RNFR notes.txt", "350"}, {"RNTO other.txt", "250"}, {"RNFR other.txt", "350"}, {"NOOP", "200"}, {"RNTO x", "503"},
		{"RNFR folder", "350"}, {"RNTO folder/inside", "553"}, {"RNFR other.txt", "350"}, {"RNTO folder", "550"}, {"RNFR folder", "350"}, {"RNTO other.txt", "550"},
		{"DELE other.txt", "250"}, {"DELE other.txt", "550"}, {"DELE /", "550"}, {"RMD /", "550"},
		{"REST 5", "350"}, {"REST -5", "501"}, {"REST x", "501"}, {"REST 0", "350"},
		{"SITE CHMOD 777 folder", "502"}, {"SITE SYMLINK a b", "502"}, {"HASH folder", "502"}, {"COMB a b", "502"}, {"STOU", "502"}, {"REIN", "502"}, {"XYZZY", "502"},
		{"RETR folder/inside.txt", "425"}, {"LIST", "425"}, {"DELE", "501"}, {"AUTH TLS", "503"}, {"USER bob", "503"}, {"PASS x", "503"}, {"PROT P", "503"}, {"PBSZ 0", "503"},
		{"ABOR", "226"}, {"\xff\xf4\xff\xf2ABOR", "226"}, {"AVBL", "550"}, {"QUIT", "221"},
	} {
		c.ask(step.want, step.say)
	}
}

func TestFeatures(t *testing.T) {
	r := start(t, nil)
	answer := r.dial().ask("211", "FEAT")
	for _, f := range []string{" AUTH TLS\r\n", " EPSV\r\n", " MLST Type*;Size*;Modify*;\r\n", " UTF8\r\n", " REST STREAM\r\n"} {
		if !strings.Contains(answer, f) {
			t.Errorf("no%sin %q", f, answer)
		}
	}
}

func TestTransfers(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			c := r.dial()
			if secure {
				c.secure()
			}
			c.ask("331", "USER "+alice)
			c.ask("230", "PASS "+password)
			big := strings.Repeat("0123456789abcdef\r\n", 100_000)
			for _, content := range []string{"small\n", "", big} {
				c.want("226", c.put("STOR it", content))
				if got, last := c.get("RETR it"); got != content || !strings.HasPrefix(last, "226") {
					t.Errorf("%d octets came back of %d: %s", len(got), len(content), last)
				}
			}
			c.ask("350", "REST 5")
			if got, _ := c.get("RETR it"); got != big[5:] {
				t.Errorf("REST 5: %d octets", len(got))
			}
			c.want("226", c.put("STOR part", "0123456789"))
			c.ask("350", "REST 4")
			c.want("226", c.put("STOR part", "ABC")) // from there on, and no more behind it
			c.want("226", c.put("APPE part", "xyz"))
			c.want("226", c.put("APPE new", "new"))
			for name, want := range map[string]string{"part": "0123ABCxyz", "new": "new", "it": big} {
				if got := r.read(name); got != want {
					t.Errorf("%s: %.40q", name, got)
				}
			}
			c.ask("350", "REST 11")
			c.want("554", c.put("STOR part", "x"))
			c.ask("350", "REST 11")
			if _, last := c.get("RETR part"); !strings.HasPrefix(last, "554") {
				t.Error(last)
			}
			c.want("550", c.put("STOR none/it", "x"))
			c.want("553", c.put("STOR /", "x"))
			if list, last := c.get("NLST"); list != "it\r\nnew\r\npart\r\n" || !strings.HasPrefix(last, "226") {
				t.Errorf("%q %s", list, last)
			}
			c.ask("257", "MKD empty")
			for _, verb := range []string{"LIST", "NLST", "MLSD"} {
				if list, last := c.get(verb + " empty"); list != "" || !strings.HasPrefix(last, "226") {
					t.Errorf("%q %s", list, last)
				}
			}
			if list, _ := c.get("MLSD"); !strings.Contains(list, "Type=dir;Size=0;Modify=20") || !strings.Contains(list, "Type=file;Size=10;Modify=20") {
				t.Error(list)
			}
			if list, _ := c.get("LIST -la"); !strings.Contains(list, "drwx------ 1 ftp ftp") || !strings.Contains(list, " part\r\n") {
				t.Error(list)
			}
			if _, last := c.get("LIST none"); !strings.HasPrefix(last, "550") {
				t.Error(last)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	r := start(t, nil)
	for _, steps := range [][]string{
		{"PWD|530", "PASS x|503", "USER " + alice + "|331", "PASS wrong|530", "PASS " + password + "|503", "USER " + alice + "|331", "PASS " + password + "|230"},
		{"USER anonymous|331", "PASS me@|530", "USER root|331", "PASS x|530", "LIST|530", "USER " + alice + "|331", "PASS wrong|530", "|gone"},
		{"USER " + alice + "|331", "AUTH TLS|234", "|tls", "PASS " + password + "|503", "USER " + alice + "|331", "PASS " + password + "|230", "AUTH TLS|503", "CCC|502"},
		{"AUTH GSSAPI|504", "PROT P|503", "AUTH TLS|234", "|tls", "AUTH TLS|503", "PBSZ 0|200", "PROT C|200", "PROT P|200", "PROT S|536", "MIC x|502"},
		{"EPSV|530", "LIST|530", "STAT|530", "RETR /etc/passwd|530"},
	} {
		c := r.dial()
		for _, step := range steps {
			say, want, _ := strings.Cut(step, "|")
			switch want {
			case "gone":
				c.gone()
			case "tls":
				c.upgrade()
			default:
				c.ask(want, say)
			}
		}
	}
}

// What is said in the clear behind AUTH TLS was put there by somebody between, and is not taken for the client's.
func TestInjection(t *testing.T) {
	r := start(t, nil)
	c := r.dial()
	c.say("AUTH TLS\r\nUSER " + alice + "\r\nNOOP")
	c.want("234", c.hear())
	c.upgrade()
	c.ask("503", "PASS "+password)
}

// A password that came in the clear from elsewhere was read by others on the way.
func TestNoPasswordInTheClear(t *testing.T) {
	r := start(t, nil)
	s := &session{srv: r.server}
	for remote, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "192.0.2.1:1": false, "10.0.0.1:1": false} {
		s.remote = addrPort(t, remote)
		c := r.dial() // a connection, so that the session has one
		s.raw, s.conn = c.raw, c.raw
		if got := s.secret(); got != want {
			t.Errorf("%s: %v", remote, got)
		}
	}
}

func TestQuota(t *testing.T) {
	r := start(t, nil)
	r.people.quota = files.Quota{Octets: 1000, Files: 3}
	c := r.login()
	old := strings.Repeat("o", 600)
	c.want("226", c.put("STOR old", old))
	c.ask("213 400", "AVBL")
	for _, step := range []struct{ command, content, want string }{
		{"STOR new", strings.Repeat("n", 500), "552"},
		{"STOR old", strings.Repeat("n", 1100), "552"},
		{"APPE old", strings.Repeat("n", 500), "552"},
	} {
		if got := c.put(step.command, step.content); !strings.HasPrefix(got, "552 the quota is used up") {
			t.Errorf("%s: %s", step.command, got)
		}
		if got := r.entries(); fmt.Sprint(got) != "[old]" || r.read("old") != old {
			t.Errorf("%s: an upload that was refused has changed %v", step.command, got)
		}
		c.ask("213 400", "AVBL")
	}
	c.want("226", c.put("STOR old", strings.Repeat("n", 900))) // the old one's room counts
	c.ask("213 100", "AVBL")
	c.ask("250", "DELE old")
	c.ask("213 1000", "AVBL")
	c.ask("257", "MKD a")
	c.ask("257", "MKD b")
	c.want("226", c.put("STOR c", ""))
	c.ask("550", "MKD d")
	c.want("552", c.put("STOR d", ""))
	c.want("226", c.put("STOR c", "anew"))
	c.ask("250", "RMD a")
	c.ask("257", "MKD d")
	if f := r.server.Figures(); f.OverQuota != 4 {
		t.Errorf("%+v", f)
	}
}

func TestIdle(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) {
		c.Limits.Idle, c.Limits.Login = 100*time.Millisecond, 150*time.Millisecond
	})
	for name, c := range map[string]*talk{"before the login": r.dial(), "after it": r.login()} {
		if got := c.hear(); !strings.HasPrefix(got, "421") {
			t.Errorf("%s: %s", name, got)
		}
	}
	// A transfer is longer than the idle time, and nothing is said meanwhile.
	c := r.login()
	conn := c.open(c.epsv())
	c.ask("150", "STOR slow")
	for range 5 {
		time.Sleep(50 * time.Millisecond)
		conn.Write([]byte("x"))
	}
	conn.Close()
	c.want("226", c.hear())
	c.want("421", c.hear())
}

// The time for the login is for all of it: a stranger does not stay by talking.
func TestStrangersGo(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.Login = 200 * time.Millisecond })
	c := r.dial()
	began := time.Now()
	for time.Since(began) < patience {
		if _, err := fmt.Fprint(c.conn, "NOOP\r\n"); err != nil {
			return
		}
		answer, err := c.heard()
		if err != nil || strings.HasPrefix(answer, "421") {
			return
		}
		time.Sleep(10 * time.Millisecond) // a client that talks
	}
	t.Error("it stays")
}
