package ftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// List lists a folder, or where one is for "": by MLSD (RFC 3659 section 7) if the server has it, else by LIST. Entries come as
// they arrive, and none is held: a folder of a million names takes no more memory than one of ten. What goes wrong comes last,
// beside no entry; the entries before it are good, and perhaps not all.
//
// "." and ".." are left out. A line that cannot be read is an entry of the kind [Unknown]. When a loop ends early, the rest is
// read and dropped; what is more than 8 MB, or takes longer than Options.AbortTimeout, is broken off, as [Client.Retr] breaks
// off a transfer. The client cannot be used within the loop.
//
// Where TLS did not end properly, the last is [ErrTruncated].
func (c *Client) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		enough := false
		err := c.session(ctx, "LIST", inside, func() error {
			if strings.ContainsAny(dir, "\r\n\x00") {
				return fmt.Errorf("%w: path %q", ErrArgument, dir)
			}
			err := c.list(ctx, dir, func(e Entry) bool {
				enough = !yield(e, nil)
				return !enough
			})
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		})
		if err != nil && !enough {
			yield(Entry{}, err)
		}
	}
}

var errEnough = fmt.Errorf("%w: enough of the listing", ErrAborted)

// list gives entries to each until that has enough.
func (c *Client) list(ctx context.Context, dir string, each func(Entry) bool) error {
	if err := c.freshen(ctx); err != nil {
		return err
	}
	if c.features.MLST && !c.noMLSD {
		command := "MLSD"
		if dir != "" {
			command += " " + dir
		}
		t, err := c.begin(ctx, command, 0, false)
		var refused *Error
		if errors.As(err, &refused) && refused.Command == "MLSD" && refused.Is(ErrUnsupported) {
			c.noMLSD = true // QUIRK: some announce MLST and have it alone
		} else if err != nil {
			return err
		} else {
			return t.entries(each, func(line string) (Entry, bool, bool) {
				e, self, ok := parseFacts(line)
				return e, self || strings.TrimSpace(line) == "", ok
			})
		}
	}
	command := "LIST"
	if c.options.Hidden {
		command += " -a"
	}
	switch {
	case dir == "":
	case !strings.ContainsAny(dir, " *?[]{}~\\'\"") && dir[0] != '-':
		command += " " + dir
	default:
		// QUIRK: servers give the argument of LIST to ls or to a shell's rules: options, patterns and blanks have a meaning of their
		// own. CWD takes a path for what it is. Without a known way back there is no way there.
		back := c.State().Dir
		if back == "" {
			return fmt.Errorf("%w: LIST %q without knowing where one is", ErrState, dir)
		}
		if _, err := c.want(2, "CWD "+dir); err != nil {
			return err
		}
		c.become(func(s *State) { s.Dir = "" })
		err := c.listing(ctx, command, each)
		if c.link.failure() != nil {
			return err
		}
		c.link.resume() // what broke it off does not leave one elsewhere
		if _, stay := c.want(2, "CWD "+back); stay != nil {
			return errors.Join(err, stay)
		}
		c.become(func(s *State) { s.Dir = back })
		return err
	}
	return c.listing(ctx, command, each)
}

func (c *Client) listing(ctx context.Context, command string, each func(Entry) bool) error {
	t, err := c.begin(ctx, command, 0, false)
	if err != nil {
		return err
	}
	l := lister{c.options.Now(), c.options.Location}
	return t.entries(each, l.parse)
}

// entries reads a listing to its end.
func (t *transfer) entries(each func(Entry) bool, parse func(line string) (e Entry, noise, ok bool)) error {
	t.c.stale = true // until it has ended
	err := t.lines(func(line string) error {
		e, noise, ok := parse(line)
		switch {
		case noise || ok && (e.Name == "." || e.Name == ".."):
			return nil
		case !ok:
			e = Entry{Kind: Unknown, Size: -1, Line: printable.Line(line)}
		}
		if !each(e) {
			return errEnough
		}
		return nil
	})
	enough := errors.Is(err, errEnough)
	if err != nil && (!enough || !t.drain(mostDropped, t.c.options.AbortTimeout)) {
		return t.breakOff(err)
	}
	if err := t.finish(); err != nil {
		return err
	}
	t.c.stale = false
	if enough {
		return errEnough
	}
	if t.cut {
		return fmt.Errorf("%w: TLS was not ended properly", ErrTruncated)
	}
	return nil
}

// mostDropped is how much of a listing nobody wants is read nevertheless, in octets.
const mostDropped = 8 << 20

// drain reads to the end of the data and drops it, and tells whether the end came.
func (t *transfer) drain(most int64, within time.Duration) bool {
	var p [4 << 10]byte
	until := time.Now().Add(within)
	for most += t.octets; t.octets < most && time.Now().Before(until); {
		t.budget = min(t.budget, time.Until(until))
		if _, err := t.Read(p[:]); err != nil {
			return err == io.EOF
		}
	}
	return false
}

// nothing is the name of no file.
const nothing = ".postern-there-is-no-such-file"

// freshen has the server forget what is left of a listing that was broken off.
//
// QUIRK: pure-ftpd 1.0.50 begins its next listing with up to 64 KiB of the one that was broken off: names of one folder in another.
// A listing of nothing takes them.
func (c *Client) freshen(ctx context.Context) error {
	if !c.stale {
		return nil
	}
	t, err := c.begin(ctx, "LIST "+nothing, 0, false)
	if refusedBy(err) {
		c.stale = false
		return nil
	}
	if err != nil {
		return err
	}
	if !t.drain(mostDropped, c.options.AbortTimeout) {
		return t.breakOff(fmt.Errorf("%w: the listing of nothing has no end", ErrTooLong))
	}
	if err := t.finish(); err != nil && !refusedBy(err) {
		return err
	}
	c.stale = false
	return nil
}

// lines reads data as lines. One that is longer than Options.MaxLine, or more of them than Options.MaxEntries, is
// [ErrTooLong].
//
// QUIRK: RFC 959 section 3.1.1.1 ends lines with CRLF; a bare LF ends one too. A CR by itself is part of a name.
func (t *transfer) lines(each func(line string) error) error {
	o := &t.c.options
	var p [dataBuffer]byte
	start, end, count := 0, 0, 0
	for {
		n, err := t.Read(p[end:])
		if err != nil && err != io.EOF {
			return err
		}
		from := end
		end += n
		for {
			i := bytes.IndexByte(p[from:end], '\n')
			last := i < 0 && err == io.EOF && start < end
			if i < 0 && !last {
				break
			}
			stop := end
			if !last {
				stop = from + i
			}
			line := bytes.TrimSuffix(p[start:stop], []byte("\r"))
			if len(line) >= o.MaxLine {
				return fmt.Errorf("%w: a line of more than %d octets", ErrTooLong, o.MaxLine)
			}
			if count++; count > o.MaxEntries {
				return fmt.Errorf("%w: more than %d lines", ErrTooLong, o.MaxEntries)
			}
			start = min(stop+1, end)
			from = start
			if err := each(string(line)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if end-start >= o.MaxLine {
			return fmt.Errorf("%w: a line of more than %d octets", ErrTooLong, o.MaxLine)
		}
		end = copy(p[:], p[start:end])
		start = 0
	}
}

// Stat answers what the server says of one path, by MLST (RFC 3659 section 7); "" is where one is. The name is the last part
// of the path. A server without MLST is [ErrUnsupported].
func (c *Client) Stat(ctx context.Context, path string) (e Entry, err error) {
	l := "MLST"
	if path != "" {
		if l, err = line("MLST", path); err != nil {
			return Entry{}, err
		}
	}
	err = c.session(ctx, "MLST", inside, func() error {
		if !c.features.MLST {
			return fmt.Errorf("%w: MLST", ErrUnsupported)
		}
		r, err := c.want(2, l)
		if err != nil {
			return err
		}
		for _, line := range r.lines[1:] {
			var ok bool
			// RFC 3659 section 7.2 has a blank come before the facts. QUIRK: some send none, some send more.
			if e, _, ok = parseFacts(strings.TrimLeft(line, " ")); ok {
				if trimmed := strings.TrimRight(e.Name, "/"); trimmed != "" {
					e.Name = trimmed[strings.LastIndexByte(trimmed, '/')+1:]
				}
				return nil
			}
		}
		return c.link.fail(fmt.Errorf("%w: MLST answered %.80q", ErrProtocol, printable.Line(r.last())))
	})
	return e, err
}
