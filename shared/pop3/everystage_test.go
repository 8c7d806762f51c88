package pop3_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

// An answer that is cut off, stalls, or is split at any octet, at every stage.
func TestEveryStageAtEveryOctet(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			start, length := int64(len(strings.Join(s.preamble(), ""))), int64(len(strings.Join(s.answers, "")))
			attempt := func(f mailtest.Faults) error {
				t.Helper()
				c := pop3.New(mailtest.Connect(t, talker(append(s.preamble(), s.answers...)...), &f), nil)
				defer c.Close()
				s.reach(t, c)
				err := s.run(t.Context(), c)
				if err != nil && c.State() != pop3.Closed {
					t.Errorf("%+v: state %v after %v", f, c.State(), err)
				}
				if (s.name == "QUIT") != errors.Is(err, pop3.ErrUnconfirmed) && err != nil {
					t.Errorf("%+v: %v", f, err)
				}
				return err
			}
			for i := range length {
				if err := attempt(mailtest.Faults{CutAfter: start + i}); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("cut after %d octets: %v", i, err)
				}
				if err := attempt(mailtest.Faults{SplitAt: []int64{start + i}}); err != nil {
					t.Errorf("split after %d octets: %v", i, err)
				}
			}
			if err := attempt(mailtest.Faults{Packet: 1}); err != nil {
				t.Errorf("octet by octet: %v", err)
			}
			synctest.Test(t, func(t *testing.T) { // where time costs nothing
				for i := range length {
					c := pop3.New(mailtest.Connect(t, talker(append(s.preamble(), s.answers...)...), &mailtest.Faults{StallAfter: start + i}), nil)
					s.reach(t, c)
					if err := s.run(t.Context(), c); !errors.Is(err, os.ErrDeadlineExceeded) || c.State() != pop3.Closed {
						t.Errorf("stall after %d octets: %v, state %v", i, err, c.State())
					}
				}
			})
		})
	}
}

// typed reports whether an error is one of those that a caller can tell apart.
func typed(err error) bool {
	var refused *pop3.Error
	for _, known := range []error{pop3.ErrProtocol, pop3.ErrTooLong, pop3.ErrState, pop3.ErrUnsupported, io.ErrUnexpectedEOF,
		sasl.ErrChallenge, sasl.ErrServerProof} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &refused)
}

// Rubbish in the place of each answer, at every stage.
func TestEveryStageRubbish(t *testing.T) {
	for _, s := range stages() {
		for name, rubbish := range map[string]string{
			"NUL":                   "\x00\x00\r\n",
			"NUL in the status":     "+OK\x00\r\n",
			"bare CR":               "+OK\rmore\r+OK\r\n",
			"8-bit":                 "\xff\xfe\x80\x81\r\n",
			"an empty line":         "\r\n",
			"bare LF, empty":        "\n",
			"end of a listing":      ".\r\n",
			"small letters":         "+ok\r\n",
			"half a word":           "+O\r\n",
			"another protocol":      "250 2.0.0 OK\r\n",
			"a third protocol":      "* OK [CAPABILITY IMAP4rev1]\r\n",
			"a refusal in rubbish":  "-ERR [\xff\x00] \x1b[31m\xff\r bare\r\n",
			"a refusal with a code": "-ERR [SYS/TEMP] later\r\n",
			"a code without end":    "-ERR [IN-USE\r\n",
		} {
			for k := range s.answers {
				t.Run(fmt.Sprint(s.name, "/", name, "/", k), func(t *testing.T) {
					answers := append(append(append(s.preamble(), s.answers[:k]...), rubbish), s.answers[k+1:]...)
					c := pop3.New(mailtest.Connect(t, talker(answers...), nil), &pop3.Options{Timeout: 10 * time.Second})
					defer c.Close()
					s.reach(t, c)
					err := s.run(t.Context(), c)
					var refused *pop3.Error
					switch {
					case errors.As(err, &refused):
						for _, r := range refused.Text + refused.Code {
							if r < ' ' || r == 0x7f {
								t.Errorf("control character in %q", refused.Text)
							}
						}
					case err == nil && strings.HasPrefix(s.name, "DELE ahead") && strings.HasPrefix(rubbish, "-ERR"):
					case err == nil || !typed(err) || c.State() != pop3.Closed:
						t.Errorf("%v, state %v", err, c.State())
					}
				})
			}
		}
	}
}

// An answer that comes twice: the second is nobody's, and is not taken for the answer to the next command.
func TestEveryStageOutOfTurn(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			answers := append(s.preamble(), s.answers...)
			answers[len(answers)-1] += "+OK but nobody asked\r\n"
			c := pop3.New(mailtest.Connect(t, talker(append(answers, "+OK\r\n")...), nil), &pop3.Options{Timeout: 10 * time.Second})
			defer c.Close()
			s.reach(t, c)
			err := s.run(t.Context(), c)
			if err == nil && c.State() != pop3.Closed {
				_, err = c.Capa(t.Context())
			}
			if c.State() != pop3.Closed || err != nil && !errors.Is(err, pop3.ErrProtocol) {
				t.Errorf("%v, state %v", err, c.State())
			}
		})
	}
}

// floodMemory is what a flood of any kind may make the client allocate, beside its buffer of 128 KiB: nothing that grows
// with the flood, but a listing of 1,000 lines at most, here, and some errors.
const floodMemory = 512 << 10

// Floods in the place of each answer, at every stage: lines of 100 MB, and lines without end.
func TestEveryStageFlood(t *testing.T) {
	floods := map[string]string{
		"a line of 100 MB":             strings.Repeat("x", 64<<10),
		"a line of 100 MB of status":   strings.Repeat("+OK 1 1 ", 8<<10),
		"a challenge of 100 MB":        "+ " + strings.Repeat("QUJD", 16<<10),
		"NUL for ever":                 strings.Repeat("\x00", 64<<10),
		"CR for ever":                  strings.Repeat("\r", 64<<10),
		"8-bit for ever":               strings.Repeat("\xff", 64<<10),
		"empty lines for ever":         strings.Repeat("\r\n", 32<<10),
		"bare LF for ever":             strings.Repeat("\n", 64<<10),
		"consent for ever":             strings.Repeat("+OK\r\n", 16<<10),
		"consent, then a line":         "+OK\r\n" + strings.Repeat("1", 64<<10),
		"consent, then listings":       "+OK\r\n" + strings.Repeat("1 1\r\n", 16<<10),
		"consent, then negative ones":  "+OK\r\n" + strings.Repeat("-1 -1\r\n", 8<<10),
		"consent, then huge ones":      "+OK\r\n" + strings.Repeat("99999999999999999999 99999999999999999999\r\n", 2<<10),
		"challenges for ever":          strings.Repeat("+ QUJD\r\n", 8<<10),
		"challenges of nothing":        strings.Repeat("+ \r\n", 16<<10),
		"refusals for ever":            strings.Repeat("-ERR no\r\n", 8<<10),
		"consent, then stuffed dots":   "+OK\r\n" + strings.Repeat("..\r\n", 16<<10),
		"consent, then bare CR and LF": "+OK\r\n" + strings.Repeat(".\r.\n", 16<<10),
	}
	for _, s := range stages() {
		for name, flood := range floods {
			for k := range s.answers {
				pieces := append(s.preamble(), s.answers[:k]...)
				conn := &segments{packet: 64 << 10, now: []byte(pieces[0]), endless: []byte(flood)}
				for _, p := range pieces[1:] {
					conn.pieces = append(conn.pieces, []byte(p))
				}
				c := pop3.New(conn, &pop3.Options{MaxListing: 1000, MaxMessage: 2 << 20})
				s.reach(t, c)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := s.run(t.Context(), c)
				runtime.ReadMemStats(&after)
				if err == nil && c.State() != pop3.Closed { // satisfied by the first line of the flood
					err = c.Noop(t.Context())
					if errors.Is(err, pop3.ErrState) {
						_, err = c.Capa(t.Context())
					}
				}
				if !typed(err) && !(err == nil && c.State() == pop3.Closed) {
					t.Errorf("%s, answer %d, %s: %v", s.name, k, name, err)
				}
				if grown := after.TotalAlloc - before.TotalAlloc; grown > floodMemory {
					t.Errorf("%s, answer %d, %s: %d octets were allocated", s.name, k, name, grown)
				}
				c.Close()
			}
		}
	}
}

// The handshake after STLS, cut or stalled anywhere, or answered by rubbish, ends the session, and nothing was said under it.
func TestSTLSHandshake(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	config := &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
	server := mailtest.NewPOP3()
	server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
	start := func(t *testing.T, f *mailtest.Faults, timeout time.Duration) (*pop3.Client, error) {
		c := pop3.New(mailtest.Connect(t, server, f), &pop3.Options{Timeout: timeout})
		t.Cleanup(func() { c.Close() })
		return c, c.STLS(t.Context(), config)
	}
	greeting := int64(len("+OK ready\r\n+OK\r\n"))
	for at := greeting; ; at += 41 {
		c, err := start(t, &mailtest.Faults{CutAfter: at}, time.Minute)
		if err == nil {
			if at < greeting+500 {
				t.Errorf("cut after %d octets and no error", at)
			}
			break
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || c.State() != pop3.Closed {
			t.Errorf("cut after %d octets: %v, state %v", at, err, c.State())
		}
		if c, err := start(t, &mailtest.Faults{SplitAt: []int64{at}}, time.Minute); err != nil || c.State() != pop3.Authorization {
			t.Errorf("split after %d octets: %v", at, err)
		}
	}
	for _, at := range []int64{greeting, greeting + 100, greeting + 500} {
		if c, err := start(t, &mailtest.Faults{StallAfter: at}, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) || c.State() != pop3.Closed {
			t.Errorf("stalled after %d octets: %v, state %v", at, err, c.State())
		}
	}
	for name, rubbish := range map[string]string{
		"NUL":                      strings.Repeat("\x00", 100),
		"POP3 in plain text":       "-ERR no TLS today, sorry\r\n",
		"8-bit":                    strings.Repeat("\xff", 1000),
		"a record of the most":     "\x16\x03\x03\xff\xff" + strings.Repeat("\x00", 1<<16),
		"an alert":                 "\x15\x03\x03\x00\x02\x02\x28",
		"a hello of no known kind": "\x16\x03\x03\x00\x04\x02\x00\x00\x00",
	} {
		conn := mailtest.Connect(t, mailtest.ServerFunc(func(conn net.Conn) {
			io.WriteString(conn, "+OK\r\n")
			conn.Read(make([]byte, 100)) // STLS
			io.WriteString(conn, "+OK\r\n")
			conn.Read(make([]byte, 10)) // the client's hello has begun: this cannot be taken for an injection
			io.WriteString(conn, rubbish)
			io.Copy(io.Discard, conn)
		}), nil)
		c := pop3.New(conn, &pop3.Options{Timeout: 10 * time.Second})
		if err := c.STLS(t.Context(), config); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || c.State() != pop3.Closed {
			t.Errorf("%s: %v, state %v", name, err, c.State())
		}
	}
}
