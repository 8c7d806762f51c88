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
	"time"
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

// FuzzSession sends anything at all, in each state, and asserts that the server
// never panics, never hangs, and answers in well-formed lines.
func FuzzSession(f *testing.F) {
	states := []string{
		"", "EHLO x\r\n", "EHLO x\r\nMAIL FROM:<a@b.test>\r\n", "EHLO x\r\n" + envelope, "EHLO x\r\n" + envelope + "DATA\r\na: b\r\n", "EHLO x\r\n" + envelope + "BDAT 6\r\na: b\r\n",
	}
	for i := range states {
		for _, seed := range []string{
			"EHLO y\r\nMAIL FROM:<>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\nx: y\r\n\r\nz\r\n.\r\nQUIT\r\n", "BDAT 3 LAST\r\nx\r\nRSET\r\nBDAT 99999\r\n", "\r\n.\r\n", "\n.\r\nNOOP\n", "AUTH PLAIN =\r\nSTARTTLS\r\nxx",
			"MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME SMTPUTF8 AUTH=<>\r\nRCPT TO:<postmaster>\r\n", strings.Repeat("A", 3000) + "\n", "QUIT\r\nMAIL FROM:<>\r\n",
			"DKIM-Signature: v=1; a=ed25519-sha256; d=postern.test; s=key; h=from; bh=YQ==; b=YQ==\r\nFrom: a@bad.test\r\nAuthentication-Results: mail.postern.test; x=y\r\n\r\n.\r\n",
		} {
			f.Add(byte(i), []byte(seed))
		}
	}
	answer := regexp.MustCompile(`^[2345][0-9][0-9][ -][^\r\n]*\r\n$`)
	f.Fuzz(func(t *testing.T, state byte, input []byte) {
		cfg := config(&fakePost{}, tls.Certificate{})
		cfg.Idle, cfg.TLS, cfg.Logger = time.Second, nil, slog.New(panics{t: t})
		evaluating(&cfg)
		srv := New(cfg)
		l := &onePipe{conn: make(chan net.Conn, 1), ended: make(chan struct{})}
		here, there := net.Pipe()
		l.conn <- there
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		here.SetDeadline(time.Now().Add(20 * time.Second))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.WriteString(here, states[int(state)%len(states)])
			here.Write(input)
			io.WriteString(here, "\r\n.\r\nQUIT\r\n")
		}()
		in := bufio.NewReader(here)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("the session hung: %v", err)
				}
				if line != "" {
					t.Errorf("the last line is cut: %q", line)
				}
				break
			}
			if !answer.MatchString(line) {
				t.Errorf("answer %q is not well-formed", line)
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
	})
}
