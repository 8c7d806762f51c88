package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/wire"
)

// A whole session at the most talkative level: people sign in, send, fetch, get mail back, mistype their passwords, and are
// refused. Nothing of it is in the log by which one could tell who they are, or what they wrote.
func TestLogNamesNobody(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			p := serveOn(t, "--demo", "--data", filepath.Join(t.TempDir(), "data"), "--log", "debug", "--log-format", format, "--token", "very-secret-token", "--deliver=true")
			url := p.find(`Page +(http://localhost:\d+)`)
			submission := p.find(`Submission +(127\.0\.0\.1:\d+)`)
			in := p.find(`SMTP +(127\.0\.0\.1:\d+)`)
			pop := p.find(`POP3 +(127\.0\.0\.1:\d+)`)
			unverified := &tls.Config{InsecureSkipVerify: true} // self-signed, on loopback

			// By the tunnel, without and with the token.
			if s, err := dial(t, url); err == nil {
				s.Close()
				t.Error("a session without the token")
			}
			s, err := dialAs(t, url, wire.Hello{Client: "eve@client.example", Token: "very-secret-token"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Open(t.Context(), wire.Open{Service: wire.POP3S, Host: "pop.elsewhere.example", Port: 995}); err == nil {
				t.Error("a stream to a stranger")
			}
			stream, err := s.Open(t.Context(), wire.Open{Service: wire.POP3})
			if err != nil {
				t.Fatal(err)
			}
			c := pop3.New(stream, nil)
			if err := c.Login(t.Context(), "alice@postern.test", "my other password"); err == nil {
				t.Error("a wrong password is right")
			}
			c.Close()
			s.Close()

			// Sent to a neighbour, to the other server, and to nobody there.
			as := func(password string) smtp.Auth { return plain{"alice@postern.test", password} }
			text := "Subject: confidential subject\r\nX-Header: confidential header\r\nFrom: alice@postern.test\r\n\r\nconfidential body\r\n"
			send := func(auth smtp.Auth, to ...string) error {
				client, err := smtp.Dial(submission)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.StartTLS(unverified); err != nil {
					t.Fatal(err)
				}
				if err := client.Auth(auth); err != nil {
					return err
				}
				if err := client.Mail("alice@postern.test"); err != nil {
					return err
				}
				for _, r := range to {
					if err := client.Rcpt(r); err != nil {
						return err
					}
				}
				w, err := client.Data()
				if err != nil {
					return err
				}
				if _, err := io.WriteString(w, text); err != nil {
					return err
				}
				return w.Close()
			}
			if err := send(as("alice-postern"), "bob@postern.test", "carol@elsewhere.test", "nobody-at-all@elsewhere.test"); err != nil {
				t.Fatal(err)
			}
			if err := send(as("typed the wrong password")); err == nil {
				t.Error("a wrong password is right")
			}
			if err := send(plain{"password in the name's place", "x"}); err == nil {
				t.Error("a wrong name is right")
			}
			if err := send(as("alice-postern"), "unknown-neighbour@postern.test"); err == nil {
				t.Error("an unknown neighbour gets mail")
			}
			// From the world, refused and cut off.
			if conn, err := net.Dial("tcp", in); err == nil {
				fmt.Fprint(conn, "EHLO stranger.example\r\nMAIL FROM:<mallory@stranger.example>\r\nRCPT TO:<relay@far.example>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\nSubject: confidential subject\r\n\r\nconfidential body")
				conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
			p.await("the report", func() bool {
				for _, m := range maildropOf(t, pop, "alice@postern.test", "alice-postern") {
					if strings.Contains(m, "nobody-at-all@elsewhere.test") {
						return true
					}
				}
				return false
			})
			maildropOf(t, pop, "bob@postern.test", "bob-postern")
			p.end()

			log := p.stderr.String()
			for _, must := range []string{"message accepted", "login refused", "queue: ", "session opened", "stream refused", "address-"} {
				if !strings.Contains(log, must) {
					t.Errorf("%q is not in the log: it is not what this test is about", must)
				}
			}
			for _, never := range []string{
				"@", "alice", "bob", "carol", "nobody-at-all", "mallory", "relay", "unknown-neighbour", "client.example",
				"confidential", "X-Header", "very-secret-token", "my other password", "typed the wrong", "password in", "YWxpY2U",
			} {
				if i := strings.Index(log, never); i >= 0 {
					t.Errorf("%q is in the log: …%s…", never, log[max(0, i-150):min(len(log), i+100)])
				}
			}
		})
	}
}

// plain is SASL PLAIN; that of net/smtp wants a certificate that it can verify.
type plain struct{ user, password string }

func (p plain) Start(*smtp.ServerInfo) (string, []byte, error) {
	return "PLAIN", []byte("\x00" + p.user + "\x00" + p.password), nil
}
func (plain) Next([]byte, bool) ([]byte, error) { return nil, nil }
