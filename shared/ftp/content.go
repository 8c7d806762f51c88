package ftp

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Retr writes a file to w, from the octet from on (REST, RFC 3659 section 5), and answers how many octets w took. size is
// that of the whole file, as a listing or Size told, and -1 if it is not known: a file that ends before is
// [ErrTruncated]. Where TLS did not end properly and size is not known, the server is asked for it, and what cannot be shown to
// be whole is ErrTruncated.
//
// When ctx ends, or w fails, the transfer is broken off ([ErrAborted], and the cause); the session goes on if the server comes to terms
// within Options.AbortTimeout. What w took is good, and from plus its number is where to go on.
func (c *Client) Retr(ctx context.Context, path string, from, size int64, w io.Writer) (n int64, err error) {
	l, err := line("RETR", path)
	if err == nil && from < 0 {
		err = fmt.Errorf("%w: from octet %d", ErrArgument, from)
	}
	if err != nil {
		return 0, err
	}
	err = c.session(ctx, "RETR", inside, func() error {
		t, err := c.begin(ctx, l, from, false)
		if err != nil {
			return err
		}
		if n, err = t.download(w); err != nil {
			return t.breakOff(err)
		}
		if err := t.finish(); err != nil {
			return err
		}
		if t.cut && size < 0 {
			if size, err = c.size("SIZE " + path); err != nil {
				return fmt.Errorf("%w: TLS was not ended properly, and the size is not known: %w", ErrTruncated, err)
			}
		}
		if size >= 0 && from+n < size {
			return fmt.Errorf("%w: %d octets of %d", ErrTruncated, from+n, size)
		}
		return nil
	})
	return n, err
}

func (t *transfer) download(w io.Writer) (n int64, err error) {
	p := make([]byte, dataBuffer)
	for {
		have, err := t.Read(p)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		took, err := w.Write(p[:have])
		n += int64(max(took, 0))
		if err == nil && took < have {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, fmt.Errorf("%w: %w", ErrAborted, err)
		}
	}
}

// stopped says of the end of a context that it broke off a transfer.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrAborted, err)
	}
	return err
}

// Stor stores what r gives as a file, which is replaced if there is one; or, with from, goes on in one that is there from that octet
// on (REST). It answers how many octets were handed to the network: how many the server has, Size tells.
//
// When ctx ends, or r fails, the transfer is broken off as in [Client.Retr], and a part of the file is there. So it is after
// most other errors, too.
func (c *Client) Stor(ctx context.Context, path string, from int64, r io.Reader) (n int64, err error) {
	return c.store(ctx, "STOR", path, from, r)
}

// Appe is Stor at the end of a file, whether there is one or not. See RFC 959 section 4.1.3.
func (c *Client) Appe(ctx context.Context, path string, r io.Reader) (n int64, err error) {
	return c.store(ctx, "APPE", path, 0, r)
}

func (c *Client) store(ctx context.Context, command, path string, from int64, r io.Reader) (n int64, err error) {
	l, err := line(command, path)
	if err == nil && from < 0 {
		err = fmt.Errorf("%w: from octet %d", ErrArgument, from)
	}
	if err != nil {
		return 0, err
	}
	err = c.session(ctx, command, inside, func() error {
		t, err := c.begin(ctx, l, from, true)
		if err != nil {
			return err
		}
		err = t.takeIn(r)
		n = t.octets
		if err != nil {
			return t.breakOff(err)
		}
		return t.finish()
	})
	return n, err
}

func (t *transfer) takeIn(r io.Reader) error {
	p := make([]byte, dataBuffer)
	for empty := 0; ; {
		n, end := r.Read(p)
		if n > 0 {
			empty = 0
			if _, err := t.Write(p[:n]); err != nil {
				return err
			}
		}
		switch {
		case end == io.EOF:
			return nil
		case end != nil:
			return fmt.Errorf("%w: %w", ErrAborted, end)
		case n == 0:
			if empty++; empty >= maxEmptyReads {
				return fmt.Errorf("%w: %w", ErrAborted, io.ErrNoProgress)
			}
		}
	}
}
