package mailtest

import (
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

func (s *pop3Session) mechanisms() []string {
	if s.Mechanisms == nil {
		return []string{"PLAIN", "LOGIN"}
	}
	return s.Mechanisms
}

// authorize answers a command in AUTHORIZATION; false ends the session.
func (s *pop3Session) authorize(verb, args string) bool {
	switch {
	case verb == "STLS" && s.TLS != nil && !s.utf8:
		s.reply("+OK")
		s.w.Flush()
		s.use(tls.Server(s.conn, s.TLS))
	case verb == "UTF8" && s.UTF8:
		s.utf8 = true
		s.reply("+OK")
	case verb == "USER" && !s.NoUser:
		s.user = args
		s.reply("+OK")
	case verb == "PASS" && s.user != "":
		want, ok := s.Password[s.user]
		s.decide(s.user, ok && want == args)
	case verb == "APOP" && s.APOP != "":
		user, digest, _ := strings.Cut(args, " ")
		password, ok := s.Password[user]
		sum := md5.Sum([]byte(s.APOP + password))
		s.decide(user, ok && hex.EncodeToString(sum[:]) == digest)
	case verb == "AUTH":
		return s.auth(args)
	default:
		s.reply("-ERR not in this state")
	}
	return true
}

// auth is RFC 5034.
func (s *pop3Session) auth(args string) bool {
	mechanism, initial, hasInitial := strings.Cut(args, " ")
	mechanism = strings.ToUpper(mechanism)
	watched := &watchedAccounts{accounts: accounts{passwords: s.Password, tokens: s.Tokens, forged: s.Forged}}
	x := watched.exchange(mechanism)
	if x == nil || !slices.Contains(s.mechanisms(), mechanism) {
		s.reply("-ERR no such mechanism")
		return true
	}
	var response []byte
	if hasInitial {
		var ok bool
		if response, ok = unbase64(strings.TrimPrefix(initial, "=")); !ok || len(args)+len("AUTH \r\n") > 255 {
			s.reply("-ERR that is no initial response")
			return true
		}
	}
	for {
		challenge, verdict := x.next(response)
		watched.note(mechanism, response)
		if verdict != undecided {
			s.decide(watched.user, verdict == accepted)
			return true
		}
		s.reply("+ %s", base64.StdEncoding.EncodeToString(challenge))
		line, ok := s.line()
		if !ok {
			return false
		}
		valid := true
		if !s.faulty("+", func() bool {
			if response, valid = unbase64(line); !valid {
				s.reply("-ERR cancelled")
			}
			return true
		}) {
			return false
		}
		if !valid {
			return true
		}
	}
}

// watchedAccounts knows whose login an exchange is.
type watchedAccounts struct {
	accounts
	user string
}

func (w *watchedAccounts) note(mechanism string, response []byte) {
	if w.user != "" || response == nil {
		return
	}
	text := string(response)
	switch mechanism {
	case "PLAIN":
		if parts := strings.Split(text, "\x00"); len(parts) == 3 {
			w.user = parts[1]
		}
	case "LOGIN":
		w.user = text
	case "CRAM-MD5":
		w.user = text[:max(0, strings.LastIndexByte(text, ' '))]
	case "SCRAM-SHA-256":
		user, _, _ := strings.Cut(strings.TrimPrefix(text, "n,,n="), ",")
		w.user = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user)
	case "OAUTHBEARER":
		user, _, _ := strings.Cut(strings.TrimPrefix(text, "n,a="), ",")
		w.user = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user)
	case "XOAUTH2":
		w.user, _, _ = strings.Cut(strings.TrimPrefix(text, "user="), "\x01")
	}
}

func unbase64(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if b == nil {
		b = []byte{}
	}
	return b, err == nil
}

// decide ends an attempt to log in.
func (s *pop3Session) decide(user string, right bool) {
	drop := s.Maildrop[user]
	if !right || drop == nil {
		s.reply("-ERR [AUTH] wrong user or password")
		return
	}
	drop.mu.Lock()
	defer drop.mu.Unlock()
	if drop.locked {
		s.reply("-ERR [IN-USE] another session has the maildrop")
		return
	}
	if s.LoginDelay > 0 && time.Since(drop.login) < s.LoginDelay {
		s.reply("-ERR [LOGIN-DELAY] not so soon")
		return
	}
	drop.locked, drop.login = true, time.Now()
	s.drop, s.msgs, s.deleted = drop, drop.messages, make([]bool, len(drop.messages))
	s.reply("+OK %d messages", len(s.msgs))
}

// lang is RFC 6856 section 3.
func (s *pop3Session) lang(args string) {
	if args == "" {
		s.lines(s.Langs...)
		return
	}
	for _, l := range s.Langs {
		if tag, _, _ := strings.Cut(l, " "); strings.EqualFold(tag, args) || args == "*" {
			s.reply("+OK %s", l)
			return
		}
	}
	s.reply("-ERR no such language")
}

// beyondASCII reports whether the header of a message has octets beyond ASCII.
func beyondASCII(content []byte) bool {
	header, _, _ := bytes.Cut(content, []byte("\r\n\r\n"))
	return bytes.ContainsFunc(header, func(r rune) bool { return r > '~' })
}
