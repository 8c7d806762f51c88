package ftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
)

// dialData has the server listen, and opens a connection to where it does: EPSV (RFC 2428), or PASV where that is refused or its port
// does not answer, as it is when something on the way knows the older command alone.
//
// Only the port is taken from the server's answer. RFC 2577 section 3 tells what becomes of it otherwise.
func (c *Client) dialData(ctx context.Context) (net.Conn, error) {
	if c.options.Dial == nil {
		return nil, fmt.Errorf("%w: Options.Dial is not set", ErrState)
	}
	if c.tls != nil && !c.State().Private && !c.options.AllowPlaintextData {
		return nil, ErrPlaintext
	}
	if !c.noEPSV {
		conn, named, err := c.reach(ctx, "EPSV", c.epsv)
		if err == nil || !named && !refusedBy(err) || named && (c.link.failure() != nil || ctx.Err() != nil) {
			return conn, err
		}
		c.noEPSV = true
	}
	conn, _, err := c.reach(ctx, "PASV", c.pasv)
	return conn, err
}

// mostPorts is how many ports a server is asked for one data connection, while Options.Dial would have another.
const mostPorts = 3

// reach opens a connection to the port that a command names.
func (c *Client) reach(ctx context.Context, command string, port func() (int, error)) (conn net.Conn, named bool, err error) {
	for tries := 1; ; tries++ {
		p, err := port()
		if err != nil {
			return nil, false, err
		}
		conn, err = c.open(ctx, p, command)
		var refused interface{ AnotherPort() bool }
		if err == nil || tries == mostPorts || !errors.As(err, &refused) || !refused.AnotherPort() || c.link.failure() != nil || ctx.Err() != nil {
			return conn, true, err
		}
	}
}

// open dials, and counts. That nobody answers is [ErrNoData].
func (c *Client) open(ctx context.Context, port int, by string) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	c.link.dialling(cancel)
	conn, err := c.options.Dial(limited, port)
	c.link.dialling(nil)
	if err == nil && conn == nil {
		err = errors.New("no connection")
	}
	c.opened++
	if err != nil {
		c.trace(Exchange{Note: true, Data: c.opened, Line: fmt.Sprintf("not opened, port %d (%s): %v", port, by, err)})
		if c.link.failure() == nil && ctx.Err() != nil { // no reply is owed: the session goes on
			return nil, fmt.Errorf("%w: %w", ErrAborted, ctx.Err())
		}
		if limited.Err() == context.DeadlineExceeded && c.link.failure() == nil {
			err = fmt.Errorf("no answer within %v: %w", c.options.Timeout, err)
		}
		return nil, fmt.Errorf("%w: port %d (%s): %w", ErrNoData, port, by, err)
	}
	c.trace(Exchange{Note: true, Data: c.opened, Line: fmt.Sprintf("opened, port %d (%s)", port, by)})
	return conn, nil
}

func (c *Client) epsv() (port int, err error) {
	r, err := c.want(2, "EPSV")
	if err != nil {
		return 0, err
	}
	port, elsewhere, ok := parseEPSV(r.last())
	if !ok || r.code != 229 {
		return 0, c.link.fail(fmt.Errorf("%w: EPSV answered \"%d %.80s\"", ErrProtocol, r.code, printable.Line(r.last())))
	}
	if elsewhere != "" {
		c.note("EPSV names %s: its port is taken, and no host", elsewhere)
	}
	return port, nil
}

// parseEPSV reads "Entering Extended Passive Mode (|||6446|)". The delimiter is any character of 33 to 126.
//
// QUIRK: RFC 2428 section 3 has net-prt and net-addr be empty. Where they are not, the address is told.
func parseEPSV(text string) (port int, elsewhere string, ok bool) {
	_, text, ok = strings.Cut(text, "(")
	if !ok || len(text) < 5 || text[0] < 33 || text[0] > 126 {
		return 0, "", false
	}
	f := strings.SplitN(text, text[:1], 5)
	if len(f) != 5 || !strings.HasPrefix(f[4], ")") {
		return 0, "", false
	}
	port, ok = portNumber(f[3])
	return port, printable.Short(f[2], 60), ok
}

func (c *Client) pasv() (port int, err error) {
	r, err := c.want(2, "PASV")
	if err != nil {
		return 0, err
	}
	host, port, ok := parsePASV(r.last())
	if !ok || r.code != 227 {
		return 0, c.link.fail(fmt.Errorf("%w: PASV answered \"%d %.80s\"", ErrProtocol, r.code, printable.Line(r.last())))
	}
	if c.peer() != host {
		c.note("PASV names %v: its port is taken, and no host", host)
	}
	return port, nil
}

// peer is the server's address, if the connection knows it: a tunnel knows a name.
func (c *Client) peer() netip.Addr {
	remote := c.link.conn.RemoteAddr()
	if remote == nil {
		return netip.Addr{}
	}
	there, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Addr{}
	}
	return there.Addr().Unmap()
}

// parsePASV finds six numbers between commas, wherever they are, as RFC 1123 section 4.1.2.6 advises.
func parsePASV(text string) (host netip.Addr, port int, ok bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' || i > 0 && text[i-1] >= '0' && text[i-1] <= '9' {
			continue
		}
		if n, ok := sixNumbers(text[i:]); ok && (n[4] != 0 || n[5] != 0) {
			return netip.AddrFrom4([4]byte(n[:4])), int(n[4])<<8 | int(n[5]), true
		}
	}
	return netip.Addr{}, 0, false
}

func sixNumbers(text string) (n [6]byte, ok bool) {
	for i := range n {
		digits := 0
		for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
			digits++
		}
		v, err := strconv.ParseUint(text[:digits], 10, 8)
		if err != nil {
			return n, false
		}
		n[i], text = byte(v), text[digits:]
		if i < len(n)-1 {
			if text, ok = strings.CutPrefix(text, ","); !ok {
				return n, false
			}
			text = strings.TrimLeft(text, " ")
		}
	}
	return n, true
}

func portNumber(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && n > 0 && s[0] != '+'
}
