package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// An upload goes to a name of its own and gets the right one when it is whole: so there is never a file of that name which is a
// part of one, and the file that it replaces stays until then. Nobody else writes to that name, so what the server has of it is
// what was sent.

// upload sends the file, or the rest of it.
func (t *transfer) upload(ctx context.Context, x *siteSession) error {
	rec := t.record()
	temp, err := octets(rec.Temp)
	if err != nil {
		return err
	}
	if rec.Whole {
		there, _, err := x.fileThere(ctx, temp)
		if err != nil {
			return err
		}
		return t.name(ctx, x, temp, there)
	}
	from, err := t.has(ctx, x, temp)
	if err != nil {
		return err
	}
	lost := from == 0 && t.sent() > 0
	if err := t.keep(func(r *transferRecord) { r.Begun, r.Anew = true, r.Anew || lost }); err != nil {
		return err
	}
	t.mu.Lock()
	t.done = from
	t.rate.begin(t.e.Clock.Now(), from)
	t.mu.Unlock()
	if from < rec.Size || rec.Size == 0 {
		if err := t.send(ctx, x, temp, from); err != nil {
			return err
		}
	}
	size, err := x.sizeOf(ctx, temp)
	switch {
	case err != nil:
		return err
	case size >= 0 && size != rec.Size && from > 0: // QUIRK: some servers take REST and begin at another octet
		if err := t.keep(func(r *transferRecord) { r.NoRest = true }); err != nil {
			return err
		}
		return t.startOver(ctx, x, temp)
	case size >= 0 && size < rec.Size:
		return fmt.Errorf("%w: the server has %d octets of %d", ftp.ErrTruncated, size, rec.Size)
	case size > rec.Size:
		return t.startOver(ctx, x, temp)
	}
	if err := t.keepTime(ctx, x, temp); err != nil {
		return err
	}
	if err := t.keep(func(r *transferRecord) { r.Whole = true }); err != nil {
		return err
	}
	return t.name(ctx, x, temp, true)
}

// sent is how much was handed to the network in this run.
func (t *transfer) sent() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done
}

// has is how much the server has of the file, to go on from. What it does not tell is nothing.
func (t *transfer) has(ctx context.Context, x *siteSession, temp string) (int64, error) {
	rec := t.record()
	if !rec.Begun || rec.NoRest {
		return 0, nil
	}
	size, err := x.sizeOf(ctx, temp)
	if errors.Is(err, ftp.ErrNoFile) {
		return 0, nil
	}
	if err != nil || size > rec.Size {
		return 0, err
	}
	return max(size, 0), nil
}

// sizeOf is the size of a file; -1 if the server does not tell.
func (x *siteSession) sizeOf(ctx context.Context, path string) (int64, error) {
	size, err := x.Size(ctx, path)
	if err == nil {
		return size, nil
	}
	if isFTPRefusal(err) && x.features.MLST {
		e, err := x.Stat(ctx, path)
		return e.Size, err
	}
	if isFTPRefusal(err) && !errors.Is(err, ftp.ErrNoFile) {
		return -1, nil
	}
	return 0, err
}

// send sends the file from an octet on.
func (t *transfer) send(ctx context.Context, x *siteSession, temp string, from int64) error {
	source, err := t.source(ctx, from)
	if err != nil {
		return err
	}
	r := &counting{t: t, r: source, at: from}
	_, err = x.Stor(ctx, temp, from, r)
	var refused *ftp.Error
	if errors.As(err, &refused) && refused.Command == "REST" && r.at == from { // it appends, perhaps
		_, err = x.Appe(ctx, temp, r)
	}
	if errors.Is(err, errNoFeed) {
		return errNoFeed
	}
	return err
}

// source is the file from an octet on.
func (t *transfer) source(ctx context.Context, from int64) (io.Reader, error) {
	if t.feed != nil {
		return t.feed.read(ctx, from), nil
	}
	rec := t.record()
	_, data, err := t.e.partOf(ctx, &rec)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != rec.Size {
		return nil, errFileChanged
	}
	return bytes.NewReader(data[from:]), nil
}

// counting counts what is read of a file.
type counting struct {
	t  *transfer
	r  io.Reader
	at int64
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.at += int64(n)
	if n > 0 {
		c.t.progress(c.at)
	}
	return n, err
}

// keepTime gives what was sent the time that the file has here, where the server has a way to.
func (t *transfer) keepTime(ctx context.Context, x *siteSession, temp string) error {
	file := t.record().File
	if file == nil || file.Modified.IsZero() {
		return nil
	}
	err := x.Mfmt(ctx, temp, file.Modified)
	if isFTPRefusal(err) {
		return nil
	}
	t.mu.Lock()
	t.timed = err == nil
	t.mu.Unlock()
	return err
}

// startOver removes what is not a part of the file.
func (t *transfer) startOver(ctx context.Context, x *siteSession, temp string) error {
	if err := x.Dele(ctx, temp); err != nil && !isFTPRefusal(err) {
		return err
	}
	if err := t.keep(func(r *transferRecord) { r.Begun, r.Anew = false, true }); err != nil {
		return err
	}
	return t.again()
}

// PutChunk takes a piece of an upload's file from a page, and answers which one is wanted next.
func (e *Engine) PutChunk(ctx context.Context, r api.PutChunk, data []byte) (api.Wanted, error) {
	t, err := e.transfers.find(r.ID)
	if err != nil {
		return api.Wanted{}, err
	}
	if t.feed == nil {
		return api.Wanted{}, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("transfer %d takes no file from a page", r.ID)}
	}
	if len(data) > api.MaxChunk {
		return api.Wanted{}, &api.Problem{Code: api.CodeTooLarge, Technical: strconv.Itoa(len(data)) + " octets in one piece"}
	}
	want, err := t.feed.put(ctx, r.Offset, data)
	return want, asError(problemOf(err))
}
