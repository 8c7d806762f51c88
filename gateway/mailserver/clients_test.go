package mailserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run runs a program of others against the server; it is skipped where it is
// not installed.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed; shared/mailtest/testbed/install installs it", program)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const letter = "From: Alice <alice@postern.test>\r\nTo: bob@postern.test\r\nSubject: a letter\r\n\r\nHello.\r\n.\r\n..\r\nGrüße, 会議\r\n"

// arrived asserts that bob has one message, that it ends so, and deletes it.
func arrived(t *testing.T, s *Server, end string) {
	t.Helper()
	got := s.fetch(t, bob)
	if len(got) != 1 {
		t.Fatalf("bob has %q", got)
	}
	for _, text := range got {
		if !strings.HasSuffix(text, end) {
			t.Errorf("bob got %q, which should end in %q", text, end)
		}
	}
}

func deliverLetter(t *testing.T, s *Server) {
	t.Helper()
	s.submit(t, alice, letter, bob)
}

func TestCurl(t *testing.T) {
	user := func(name string) []string {
		return []string{"--silent", "--show-error", "--insecure", "--user", name + ":" + password}
	}
	send := []string{"--mail-from", alice, "--mail-rcpt", bob}
	t.Run("smtp", func(t *testing.T) {
		s := start(t, testConfig(t.TempDir()))
		run(t, "curl", append(append(user(alice), send...), "--ssl-reqd", "--upload-file", write(t, letter), "smtp://"+s.Addr(Submission).String())...)
		arrived(t, s, letter)
	})
	t.Run("smtp to the mx", func(t *testing.T) {
		s := start(t, testConfig(t.TempDir()))
		run(t, "curl", append(send, "--silent", "--show-error", "--upload-file", write(t, letter), "smtp://"+s.Addr(SMTP).String())...)
		arrived(t, s, letter)
	})
	t.Run("smtps with LF in the file", func(t *testing.T) {
		s := start(t, testConfig(t.TempDir()))
		run(t, "curl", append(append(user(alice), send...), "--upload-file", write(t, "Subject: x\n\nunix\nlines\n"), "smtps://"+s.Addr(Submissions).String())...)
		arrived(t, s, "Subject: x\r\n\r\nunix\r\nlines\r\n\r\n") // curl ends what does not end in CRLF
	})
	for service, args := range map[string][]string{POP3: nil, POP3 + " STLS": {"--ssl-reqd"}, POP3S: nil} {
		t.Run(service, func(t *testing.T) {
			s := start(t, testConfig(t.TempDir()))
			deliverLetter(t, s)
			service, _, _ := strings.Cut(service, " ")
			url := service + "://" + s.Addr(service).String()
			if got := run(t, "curl", append(append(user(bob), args...), url)...); !strings.HasPrefix(got, "1 ") {
				t.Errorf("listing %q", got)
			}
			if got := run(t, "curl", append(append(user(bob), args...), url+"/1")...); !strings.HasSuffix(got, letter) {
				t.Errorf("message %q", got)
			}
			run(t, "curl", append(append(user(bob), args...), "--list-only", "--request", "DELE", url+"/1")...)
			if got := s.fetch(t, bob); len(got) != 0 {
				t.Errorf("after DELE: %q", got)
			}
		})
	}
}

func TestSwaks(t *testing.T) {
	for service, flag := range map[string]string{Submission: "--tls", Submissions: "--tls-on-connect"} {
		for _, mechanism := range []string{"PLAIN", "LOGIN"} {
			s := start(t, testConfig(t.TempDir()))
			out := run(t, "swaks", "--server", s.Addr(service).String(), flag, "--auth", mechanism, "--auth-user", alice, "--auth-password", password,
				"--from", alice, "--to", bob, "--body", "sent by swaks", "--pipeline")
			if !strings.Contains(out, "250 2.0.0 OK") {
				t.Errorf("%s", out)
			}
			arrived(t, s, "\r\n\r\nsent by swaks\r\n\r\n\r\n")
		}
	}
	s := start(t, testConfig(t.TempDir()))
	cmd := exec.Command("swaks", "--server", s.Addr(SMTP).String(), "--from", "carol@elsewhere.test", "--to", "dan@elsewhere.test")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "550 5.7.1") {
		t.Errorf("the MX relays: %v\n%s", err, out)
	}
}

func TestMpop(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	deliverLetter(t, s)
	dir := t.TempDir()
	config := func(service, starttls, keep string) string {
		_, port, _ := strings.Cut(s.Addr(service).String(), ":")
		return write(t, fmt.Sprintf(`account default
host 127.0.0.1
port %s
user %s
password "%s"
tls on
tls_starttls %s
tls_fingerprint %s
keep %s
uidls_file %s/uidls
delivery mbox %s/mbox
`, port, bob, password, starttls, colons(s.Fingerprint()), keep, dir, dir))
	}
	run(t, "mpop", "-C", config(POP3, "on", "on"))
	mbox, err := os.ReadFile(filepath.Join(dir, "mbox"))
	must(t, err)
	if !strings.Contains(string(mbox), "Grüße, 会議") {
		t.Errorf("mbox %q", mbox)
	}
	out := run(t, "mpop", "-C", config(POP3S, "off", "off"))
	after, _ := os.ReadFile(filepath.Join(dir, "mbox"))
	if string(after) != string(mbox) {
		t.Errorf("mpop fetched it again: unique-ids differ\n%s", out)
	}
	if got := s.fetch(t, bob); len(got) != 0 {
		t.Errorf("mpop deleted, and it is there: %q", got)
	}
}

// colons writes a fingerprint as mpop wants it.
func colons(hex string) string {
	var pairs []string
	for i := 0; i < len(hex); i += 2 {
		pairs = append(pairs, hex[i:i+2])
	}
	return strings.Join(pairs, ":")
}

func TestFetchmail(t *testing.T) {
	for service, options := range map[string]string{POP3: "sslproto TLS1.2+ no sslcertck", POP3S: "ssl no sslcertck"} {
		s := start(t, testConfig(t.TempDir()))
		for range 3 {
			deliverLetter(t, s)
		}
		mbox := filepath.Join(t.TempDir(), "mbox")
		_, port, _ := strings.Cut(s.Addr(service).String(), ":")
		rc := write(t, fmt.Sprintf("poll 127.0.0.1 service %s protocol pop3 uidl\n user %q password %q fetchall no keep %s\n mda \"cat >> %s\"\n", port, bob, password, options, mbox))
		run(t, "fetchmail", "-f", rc, "--nosyslog", "--pidfile", rc+".pid")
		got, err := os.ReadFile(mbox)
		must(t, err)
		if n := strings.Count(string(got), "Grüße, 会議"); n != 3 {
			t.Errorf("%s: fetchmail got %d of 3 messages: %q", service, n, got)
		}
		if left := s.fetch(t, bob); len(left) != 0 {
			t.Errorf("%s: fetchmail deleted, and it is there: %q", service, left)
		}
	}
}

func TestPython(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	port := func(service string) string { _, p, _ := strings.Cut(s.Addr(service).String(), ":"); return p }
	script := write(t, `
import smtplib, poplib, ssl, sys
from email.message import EmailMessage
smtp, smtps, pop, pops, password = sys.argv[1:]
context = ssl._create_unverified_context()
m = EmailMessage()
m["From"], m["To"], m["Subject"] = "alice@postern.test", "bob@postern.test", "Grüße"
m.set_content("first line\n.\n.dot\n会議\n")

with smtplib.SMTP("127.0.0.1", int(smtp)) as c:
    try:
        c.login("alice@postern.test", password)
        sys.exit("a password was taken in the clear")
    except smtplib.SMTPNotSupportedError:
        pass
    c.starttls(context=context)
    c.login("alice@postern.test", password)
    assert c.send_message(m) == {}
    assert c.sendmail("alice@postern.test", ["bob@postern.test", "nobody@postern.test"], "Subject: 2\n\ntwo\n").keys() == {"nobody@postern.test"}
with smtplib.SMTP_SSL("127.0.0.1", int(smtps), context=context) as c:
    c.login("alice@postern.test", password)
    assert c.send_message(m) == {}

p = poplib.POP3("127.0.0.1", int(pop))
assert "X-POSTERN-WAIT" in p.capa() and "PIPELINING" in p.capa()
p.stls(context)
p.user("bob@postern.test"); p.pass_(password)
assert p.stat()[0] == 3, p.stat()
uids = [u.split()[1] for u in p.uidl()[1]]
assert len(set(uids)) == 3
lines = p.retr(1)[1]
i = lines.index(b"")
assert b"\n".join(lines[i+1:]).count(b"\n") >= 3, lines
assert p.top(2, 0)[1][-1] == b""
p.dele(2)
p.rset()
p.dele(3)
p.quit()

p = poplib.POP3_SSL("127.0.0.1", int(pops), context=context)
p.user("bob@postern.test"); p.pass_(password)
assert [u.split()[1] for u in p.uidl()[1]] == uids[:2]
q = poplib.POP3("127.0.0.1", int(pop))
q.user("bob@postern.test")
try:
    q.pass_(password)
    sys.exit("two sessions have the maildrop")
except poplib.error_proto as e:
    assert b"[IN-USE]" in e.args[0], e
p.quit()
print("done")
`)
	if out := run(t, "python3", script, port(Submission), port(Submissions), port(POP3), port(POP3S), password); !strings.Contains(out, "done") {
		t.Error(out)
	}
}

func TestGetmail(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	deliverLetter(t, s)
	host, port, _ := strings.Cut(s.Addr(POP3S).String(), ":")
	dir := t.TempDir()
	mbox := filepath.Join(dir, "letter")
	must(t, os.WriteFile(filepath.Join(dir, "rc"), []byte(fmt.Sprintf("[retriever]\ntype = SimplePOP3SSLRetriever\nserver = %s\nport = %s\nusername = %s\npassword = %s\n"+
		"[destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = (\"%s\",)\nallow_root_commands = true\n[options]\ndelete = true\ndelivered_to = false\nreceived = false\n", host, port, bob, password, mbox)), 0o600))
	run(t, "getmail", "--getmaildir", dir, "--rcfile", "rc")
	got, err := os.ReadFile(mbox)
	must(t, err)
	if !strings.Contains(string(got), "Subject: a letter\n\nHello.\n.\n..\nGr\u00fc\u00dfe, \u4f1a\u8b70\n") {
		t.Errorf("getmail got %q", got)
	}
	if got := s.fetch(t, bob); len(got) != 0 {
		t.Errorf("after it deleted: %q", got)
	}
}

func TestSMTPSource(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	run(t, "smtp-source", "-s", "5", "-m", "50", "-l", "3000", "-f", "carol@elsewhere.test", "-t", bob, s.Addr(SMTP).String())
	if got := s.fetch(t, bob); len(got) != 50 {
		t.Errorf("%d messages of 50", len(got))
	}
}
