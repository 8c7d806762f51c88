package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
)

// onePipe is a listener that has one connection to give.
type onePipe struct {
	conn  chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (l *onePipe) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}
func (l *onePipe) Close() error   { l.once.Do(func() { close(l.ended) }); return nil }
func (l *onePipe) Addr() net.Addr { return &net.TCPAddr{} }

// panics fails the test when go-smtp reports one: it recovers from them.
type panics struct {
	slog.Handler
	t *testing.T
}

func (p panics) Enabled(context.Context, slog.Level) bool { return true }
func (p panics) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		p.t.Error(r.Message)
	}
	return nil
}
func (p panics) WithAttrs([]slog.Attr) slog.Handler { return p }

// way is how a client comes in.
type way int

const (
	byWorld    way = iota // in the clear, to the server of the world
	inClear               // in the clear, to that of users: STARTTLS is offered
	byStartTLS            // the same, after STARTTLS
	byTLS                 // by implicit TLS, to that of users
)

// approach leads a connection to a state in which a client can say something.
type approach struct {
	name  string
	how   way
	lines string
}

var approaches = []approach{
	{"greeted", byWorld, ""},
	{"after EHLO", byWorld, "EHLO x\r\n"},
	{"after MAIL", byWorld, "EHLO x\r\nMAIL FROM:<a@b.test>\r\n"},
	{"after RCPT", byWorld, "EHLO x\r\n" + envelope},
	{"in DATA", byWorld, "EHLO x\r\n" + envelope + "DATA\r\na: b\r\n"},
	{"between chunks", byWorld, "EHLO x\r\n" + envelope + "BDAT 6\r\na: b\r\n"},
	{"within a chunk", byWorld, "EHLO x\r\n" + envelope + "BDAT 60\r\na: b\r\n"},
	{"a user in the clear", inClear, ""},
	{"a user in the clear, after EHLO", inClear, "EHLO x\r\n"},
	{"after STARTTLS", byStartTLS, ""},
	{"after STARTTLS and EHLO", byStartTLS, "EHLO x\r\n"},
	{"a user after STARTTLS", byStartTLS, "EHLO x\r\n" + aliceLogin},
	{"under TLS", byTLS, ""},
	{"under TLS, after EHLO", byTLS, "EHLO x\r\n"},
	{"in PLAIN", byTLS, "EHLO x\r\nAUTH PLAIN\r\n"},
	{"in LOGIN, the name", byTLS, "EHLO x\r\nAUTH LOGIN\r\n"},
	{"in LOGIN, the password", byTLS, "EHLO x\r\nAUTH LOGIN YQ==\r\n"},
	{"in SCRAM, the first message", byTLS, "EHLO x\r\nAUTH SCRAM-SHA-256\r\n"},
	{"in SCRAM, the proof", byTLS, "EHLO x\r\nAUTH SCRAM-SHA-256 biwsbj1hbGljZUBwb3N0ZXJuLnRlc3Qscj14\r\n"},
	{"a user", byTLS, "EHLO x\r\n" + aliceLogin},
	{"a user's DATA", byTLS, "EHLO x\r\n" + aliceLogin + "MAIL FROM:<alice@postern.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nFrom: alice@postern.test\r\n"},
}

// FuzzSession sends anything at all, in each state, and asserts that the server
// never panics, never hangs, and answers in well-formed lines; that it has taken
// what it says that it has, for those for whom it may, and that nothing in it
// could make two messages of one (bare CR, bare LF).
func FuzzSession(f *testing.F) {
	for i := range approaches {
		for _, seed := range []string{
			"EHLO y\r\nMAIL FROM:<>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\nx: y\r\n\r\nz\r\n.\r\nQUIT\r\n", "BDAT 3 LAST\r\nx\r\nRSET\r\nBDAT 99999\r\n", "\r\n.\r\n", "\n.\r\nNOOP\n", "AUTH PLAIN =\r\nSTARTTLS\r\nxx",
			"MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME SMTPUTF8 AUTH=<>\r\nRCPT TO:<postmaster>\r\n", strings.Repeat("A", 3000) + "\n", "QUIT\r\nMAIL FROM:<>\r\n",
			"DKIM-Signature: v=1; a=ed25519-sha256; d=postern.test; s=key; h=from; bh=YQ==; b=YQ==\r\nFrom: a@bad.test\r\nAuthentication-Results: mail.postern.test; x=y\r\n\r\n.\r\n",
			"AGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQ=\r\nMAIL FROM:<bob@postern.test>\r\n", "*\r\n=\r\n\r\n", "Yz1iaXdzLHI9eCxwPUFBQUE=\r\n", "c2VjcmV0\r\nAUTH PLAIN x\r\n",
		} {
			f.Add(byte(i), []byte(seed))
		}
	}
	certificates := &tls.Config{Certificates: []tls.Certificate{mailtest.SelfSigned(f)}}
	f.Fuzz(func(t *testing.T, state byte, input []byte) {
		synctest.Test(t, func(t *testing.T) { // so that silence takes no time, and nothing may be left running
			fuzzSession(t, approaches[int(state)%len(approaches)], input, certificates)
		})
	})
}

var answerLine = regexp.MustCompile(`^[2345][0-9][0-9][ -][^\r\n]*\r\n$`)

func fuzzSession(t *testing.T, approach approach, input []byte, certificates *tls.Config) {
	post := &fakePost{}
	cfg := config(post, tls.Certificate{})
	cfg.Idle, cfg.TLS, cfg.Logger = 200*time.Millisecond, nil, slog.New(panics{t: t})
	if approach.how == byWorld {
		evaluating(&cfg)
	} else {
		cfg.Submission, cfg.Implicit, cfg.TLS, cfg.Spool = true, approach.how == byTLS, certificates, t.TempDir()
	}
	srv := New(cfg)
	l := &onePipe{conn: make(chan net.Conn, 1), ended: make(chan struct{})}
	here, there := net.Pipe()
	l.conn <- there
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	here.SetDeadline(time.Now().Add(20 * time.Second))
	encrypt := func() { here = tls.Client(here, &tls.Config{InsecureSkipVerify: true}) }
	if approach.how == byTLS {
		encrypt()
	}
	in := bufio.NewReader(here)
	until := func(answer string) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, answer) {
				return
			}
		}
	}
	until("220 ") // the greeting
	if approach.how == byStartTLS {
		io.WriteString(here, "EHLO x\r\n")
		until("250 ")
		io.WriteString(here, "STARTTLS\r\n")
		until("220 ")
		encrypt()
		in = bufio.NewReader(here)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(here, approach.lines)
		here.Write(input)
		io.WriteString(here, "\r\n.\r\nQUIT\r\n")
	}()
	accepted := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: the session hung: %v", approach.name, err)
			}
			if line != "" {
				t.Errorf("%s: the last line is cut: %q", approach.name, line)
			}
			break
		}
		if !answerLine.MatchString(line) {
			t.Errorf("%s: answer %q is not well-formed", approach.name, line)
		}
		if strings.HasPrefix(line, "250 2.0.0 OK ") {
			accepted++
		}
		if strings.HasPrefix(line, "220 ") { // to STARTTLS: what follows is no handshake, and may wait for the rest of one
			break
		}
	}
	here.Close()
	<-sent
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	<-served
	taken := post.all()
	if len(taken) != accepted {
		t.Errorf("%s: %d messages are said to be taken, and %d are", approach.name, accepted, len(taken))
	}
	for _, m := range taken {
		switch alone := strings.NewReplacer("\r\n", "").Replace(m.text); {
		case approach.how == inClear:
			t.Errorf("%s: somebody who has not logged in sends to %v, %v", approach.name, m.Local, m.Remote)
		case approach.how == byWorld && len(m.Remote) > 0:
			t.Errorf("%s: relayed to %v", approach.name, m.Remote)
		case len(m.Local)+len(m.Remote) == 0:
			t.Errorf("%s: to nobody", approach.name)
		case strings.ContainsAny(alone, "\r\n"): // what another server could take for the end of a line, and of the message
			t.Errorf("%s: CR or LF stands alone in %q", approach.name, m.text)
		}
	}
}
