package ftp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// line puts a path after a command. The path is the caller's: what a listing names, [Entry.Path] makes one.
func line(command, path string) (string, error) {
	if path == "" || strings.ContainsAny(path, "\r\n\x00") {
		return "", fmt.Errorf("%w: path %q", ErrArgument, path)
	}
	return command + " " + path, nil
}

// onPath is simple for a command with a path.
func (c *Client) onPath(ctx context.Context, command, path string) (reply, error) {
	l, err := line(command, path)
	if err != nil {
		return reply{}, err
	}
	return c.simple(ctx, l, inside)
}

// Pwd answers where one is, in the server's words. See RFC 959 section 4.1.3.
func (c *Client) Pwd(ctx context.Context) (dir string, err error) {
	err = c.session(ctx, "PWD", inside, func() error {
		dir, err = c.pwd()
		return err
	})
	return dir, err
}

func (c *Client) pwd() (string, error) {
	r, err := c.want(2, "PWD")
	if err == nil {
		err = c.arrived(r)
	}
	return c.State().Dir, err
}

// arrived reads the answer to PWD.
func (c *Client) arrived(r reply) error {
	dir, ok := quotedPath(r.last())
	if !ok {
		return c.link.fail(fmt.Errorf("%w: PWD answered %.80q", ErrProtocol, printable.Line(r.last())))
	}
	c.become(func(s *State) { s.Dir = dir })
	return nil
}

// quotedPath reads the path of a 257, between quotation marks, of which those in it are doubled: RFC 959 appendix II.
//
// QUIRK: pure-ftpd doubles none: one that is followed by neither a blank nor the end is taken for part of the path. A path
// without any is taken up to the first blank.
func quotedPath(text string) (string, bool) {
	if strings.HasPrefix(text, "/") {
		path, _, _ := strings.Cut(text, " ")
		return path, true
	}
	_, rest, ok := strings.Cut(text, `"`)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		if rest[i] == '"' {
			switch {
			case i+1 == len(rest) || rest[i+1] == ' ':
				return b.String(), b.Len() > 0
			case rest[i+1] == '"':
				i++
			}
		}
		b.WriteByte(rest[i])
	}
	return "", false
}

// Cwd goes to a folder and answers where that is. See RFC 959 section 4.1.1.
func (c *Client) Cwd(ctx context.Context, path string) (dir string, err error) {
	l, err := line("CWD", path)
	if err != nil {
		return "", err
	}
	return c.move(ctx, l)
}

// Cdup goes to the folder above and answers where that is. See RFC 959 section 4.1.1.
func (c *Client) Cdup(ctx context.Context) (dir string, err error) { return c.move(ctx, "CDUP") }

func (c *Client) move(ctx context.Context, line string) (dir string, err error) {
	err = c.session(ctx, verb(line), inside, func() error {
		if _, err := c.want(2, line); err != nil {
			return err
		}
		c.become(func(s *State) { s.Dir = "" })
		dir, err = c.pwd()
		return err
	})
	return dir, err
}

// Mkd makes a folder and answers its path in the server's words, or path if it has none. See RFC 959 section 4.1.3.
func (c *Client) Mkd(ctx context.Context, path string) (made string, err error) {
	r, err := c.onPath(ctx, "MKD", path)
	if err != nil {
		return "", err
	}
	if made, ok := quotedPath(r.last()); ok && r.code == 257 {
		return made, nil
	}
	return path, nil
}

// Rmd removes a folder, which must be empty. See RFC 959 section 4.1.3.
func (c *Client) Rmd(ctx context.Context, path string) error {
	_, err := c.onPath(ctx, "RMD", path)
	return err
}

// Dele removes a file. See RFC 959 section 4.1.3.
func (c *Client) Dele(ctx context.Context, path string) error {
	_, err := c.onPath(ctx, "DELE", path)
	return err
}

// Rename gives a file or folder another path: RNFR and RNTO. Servers differ in what becomes of a file that has that
// path already; most replace it. See RFC 959 section 4.1.3.
func (c *Client) Rename(ctx context.Context, from, to string) error {
	old, err1 := line("RNFR", from)
	new, err2 := line("RNTO", to)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return c.session(ctx, "RNFR", inside, func() error {
		if _, err := c.want(3, old); err != nil {
			return err
		}
		c.become(func(s *State) { s.Phase, s.RenameFrom = Renaming, from })
		defer c.become(func(s *State) { s.Phase, s.RenameFrom = Ready, "" }) // RFC 959: RNFR counts for the next command alone
		_, err := c.want(2, new)
		return err
	})
}

// maxOctets is a petabyte: no file is longer.
const maxOctets = 1 << 50

// Size answers the size of a file in octets. See RFC 3659 section 4.
func (c *Client) Size(ctx context.Context, path string) (n int64, err error) {
	l, err := line("SIZE", path)
	if err != nil {
		return 0, err
	}
	err = c.session(ctx, "SIZE", inside, func() error {
		n, err = c.size(l)
		return err
	})
	return n, err
}

// size asks in TYPE I: the size of a text depends on the type.
func (c *Client) size(line string) (int64, error) {
	if err := c.image(); err != nil {
		return 0, err
	}
	r, err := c.want(2, line)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(r.last()), 10, 63)
	if err != nil || r.code != 213 || n > maxOctets {
		return 0, c.link.fail(fmt.Errorf("%w: SIZE answered %.80q", ErrProtocol, printable.Line(r.last())))
	}
	return int64(n), nil
}

// image has data be octets as they are (TYPE I, RFC 959 section 3.1.1.3).
func (c *Client) image() error {
	if c.State().Type == "I" {
		return nil
	}
	_, err := c.want(2, "TYPE I")
	if err == nil {
		c.become(func(s *State) { s.Type = "I" })
	}
	return err
}

// Mdtm answers when a file was last changed, to the second or better. See RFC 3659 section 3.
func (c *Client) Mdtm(ctx context.Context, path string) (time.Time, error) {
	r, err := c.onPath(ctx, "MDTM", path)
	if err != nil {
		return time.Time{}, err
	}
	t, ok := parseTime(strings.TrimSpace(r.last()))
	if !ok || r.code != 213 {
		return time.Time{}, fmt.Errorf("ftp: MDTM answered %.80q, which is no time", printable.Line(r.last()))
	}
	return t, nil
}

// Mfmt sets when a file was last changed, to the second, where the server has a way to. See draft-somers-ftp-mfxx section 3.
//
// QUIRK: vsftpd takes MDTM with a time before the path instead, and does not announce it. Another server looks for a file of
// that name, and refuses.
func (c *Client) Mfmt(ctx context.Context, path string, t time.Time) error {
	path, err := line(t.UTC().Format(timeFormat), path)
	if err != nil {
		return err
	}
	return c.session(ctx, "MFMT", inside, func() error {
		command := "MFMT "
		if !c.features.MFMT {
			if !c.features.MDTM {
				return fmt.Errorf("%w: MFMT", ErrUnsupported)
			}
			command = "MDTM "
		}
		_, err := c.want(2, command+path)
		if refusedBy(err) && !c.features.MFMT {
			return fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return err
	})
}

const timeFormat = "20060102150405"

// parseTime reads the time-val of RFC 3659 section 2.3: fourteen digits and maybe a fraction, in UTC.
//
// QUIRK: servers that were written when the year was "19" and two digits said 19100 for 2000 (RFC 3659 section 3.1).
func parseTime(s string) (time.Time, bool) {
	if len(s) >= 15 && strings.HasPrefix(s, "191") && s[14] != '.' {
		if year, err := strconv.Atoi(s[2:5]); err == nil {
			s = strconv.Itoa(1900+year) + s[5:]
		}
	}
	t, err := time.Parse(timeFormat, s) // it takes a fraction
	return t, err == nil
}
