package ftp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
)

const masked = "****"

// refusedBy reports whether an error is a server's refusal after which the session goes on.
func refusedBy(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Code != 421
}

// Login logs in by USER and PASS (RFC 959 section 4.1.1), asks what the server can do (FEAT), has data connections be under TLS if
// the control connection is (PBSZ and PROT), has the server speak UTF-8 if it can, and asks where one is (PWD).
//
// Without TLS, and without Options.AllowPlaintextAuth, it is [ErrPlaintext]. A server that wants an account too is
// [ErrAccount]. If data connections cannot be under TLS the error is the refusal of PBSZ or PROT, and one is logged in.
func (c *Client) Login(ctx context.Context, user, password string) error {
	return c.session(ctx, "USER", []Phase{Opening}, func() error {
		if c.tls == nil && !c.options.AllowPlaintextAuth {
			return ErrPlaintext
		}
		if user == "" || strings.ContainsAny(user+password, "\r\n\x00") {
			return fmt.Errorf("%w: user name or password", ErrArgument)
		}
		if err := c.identify(user, password); err != nil {
			return err
		}
		c.become(func(s *State) { s.Phase, s.User = Ready, user })
		if err := c.feat(); err != nil { // again: servers tell more to those whom they know
			return err
		}
		if c.tls != nil {
			if err := c.protect(); err != nil {
				return err
			}
		}
		if c.features.UTF8 {
			// RFC 2640 has UTF-8 as soon as FEAT says so. QUIRK: some servers want to be told, by a draft that never became an
			// RFC; some of the others refuse it and speak UTF-8 all the same.
			if _, err := c.want(2, "OPTS UTF8 ON"); err != nil && !refusedBy(err) {
				return err
			}
			c.become(func(s *State) { s.UTF8 = true })
		}
		if _, err := c.pwd(); err != nil && !refusedBy(err) {
			return err
		}
		return nil
	})
}

func (c *Client) identify(user, password string) error {
	r, err := c.ask("USER "+user, "")
	if err != nil {
		return err
	}
	if r.code == 331 {
		r, err = c.ask("PASS "+password, "PASS "+masked)
		if err != nil {
			return err
		}
		return c.expect(2, "PASS", r)
	}
	return c.expect(2, "USER", r)
}

// Features is what a server announces by FEAT. See RFC 2389 section 3.
type Features struct {
	UTF8    bool     // RFC 2640
	MLST    bool     // MLST and MLSD, RFC 3659 section 7
	Size    bool     // RFC 3659 section 4
	MDTM    bool     // RFC 3659 section 3
	MFMT    bool     // draft-somers-ftp-mfxx
	Restart bool     // REST in STREAM mode, RFC 3659 section 5
	AuthTLS bool     // RFC 4217
	Lines   []string // each feature as announced, in order
}

// Features answers what the server announces; after [Client.Login] it is known already. A server without FEAT announces nothing.
func (c *Client) Features(ctx context.Context) (Features, error) {
	err := c.session(ctx, "FEAT", []Phase{Opening, Ready}, func() error {
		if c.features != nil {
			return nil
		}
		return c.feat()
	})
	if err != nil {
		return Features{}, err
	}
	f := *c.features
	f.Lines = append([]string(nil), f.Lines...)
	return f, nil
}

func (c *Client) feat() error {
	r, err := c.want(2, "FEAT")
	if err != nil && !refusedBy(err) {
		return err
	}
	f := &Features{}
	if err == nil && len(r.lines) > 2 {
		for _, line := range r.lines[1 : len(r.lines)-1] {
			f.add(strings.TrimSpace(printable.Line(line)))
		}
	}
	c.features = f
	return nil
}

func (f *Features) add(line string) {
	words := strings.Fields(strings.ToUpper(line))
	if len(words) == 0 {
		return
	}
	f.Lines = append(f.Lines, line)
	second := strings.Join(words[1:], " ")
	switch words[0] {
	case "UTF8":
		f.UTF8 = true
	case "MLST", "MLSD":
		f.MLST = true
	case "SIZE":
		f.Size = true
	case "MDTM":
		f.MDTM = true
	case "MFMT":
		f.MFMT = true
	case "REST":
		f.Restart = second == "STREAM"
	case "AUTH":
		f.AuthTLS = f.AuthTLS || strings.Contains(second, "TLS")
	}
}
