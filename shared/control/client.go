package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrGone says that the server closed the connection in the place of an answer.
var ErrGone = errors.New("the server went away before it answered")

// Client asks a server over one connection, one thing at a time.
type Client struct {
	line *line
	dead error // after which nothing can be asked any more
}

var (
	_ Operations = (*Client)(nil)
	_ Queue      = (*Client)(nil)
	_ World      = (*Client)(nil)
)

// NewClient speaks over a connection; it does no I/O.
func NewClient(conn net.Conn, limits Limits) *Client { return &Client{line: newLine(conn, limits)} }

// Usable says whether anything can be asked any more.
func (c *Client) Usable() bool { return c.dead == nil }

// Close ends the connection, if it has not ended already.
func (c *Client) Close() error {
	if err := c.line.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// ask sends a request, and the octets of in if there are any; what the server
// streams goes to out, and its answer to result. After an error that is no
// *Error, the connection is of no more use.
func (c *Client) ask(ctx context.Context, op string, args any, in io.Reader, out io.Writer, result any) error {
	if c.dead != nil {
		return c.dead
	}
	err := c.exchange(ctx, op, args, in, out, result)
	var told *Error
	if err == nil || errors.As(err, &told) {
		return err
	}
	c.Close()
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrGone
	}
	c.dead = Wrap(Failed, fmt.Errorf("asking the server that runs: %w", err))
	return c.dead
}

func (c *Client) exchange(ctx context.Context, op string, args any, in io.Reader, out io.Writer, result any) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	if err := c.line.writeJSON(request{Version, op, text}); err != nil {
		return err
	}
	// Meanwhile, because a server that refuses may do so before it has read all.
	sent := make(chan error, 1)
	if in == nil {
		sent <- nil
	} else {
		go func() {
			s := &sender{line: c.line}
			_, err := io.Copy(s, in)
			if err == nil {
				err = s.end()
			} else if s.err == nil {
				c.Close() // the source failed: the server must not take what came for all
			}
			sent <- err
		}()
	}
	c.line.conn.SetReadDeadline(time.Time{}) // an operation takes its time
	var r response
	err = c.line.readJSON(&r, c.line.limits.Response)
	if err == nil && r.Stream {
		if out == nil {
			return errChunks
		}
		if _, err = io.Copy(out, &receiver{line: c.line}); err == nil {
			c.line.conn.SetReadDeadline(time.Time{})
			r = response{}
			err = c.line.readJSON(&r, c.line.limits.Response)
		}
	}
	failed := <-sent
	switch {
	case r.Error != nil && err == nil:
		return r.Error // the reason why no more was taken
	case failed != nil:
		return failed
	case err != nil:
		return err
	case result != nil:
		return json.Unmarshal(r.Result, result)
	}
	return nil
}

func (c *Client) AddUser(ctx context.Context, u NewUser) error {
	return c.ask(ctx, "user.add", u, nil, nil, nil)
}

func (c *Client) SetPassword(ctx context.Context, email, password string) error {
	return c.ask(ctx, "user.password", passwordArgs{email, password}, nil, nil, nil)
}

func (c *Client) RenameUser(ctx context.Context, from, to string) error {
	return c.ask(ctx, "user.rename", renameArgs{from, to}, nil, nil, nil)
}

func (c *Client) RemoveUser(ctx context.Context, email string, withMail bool) error {
	return c.ask(ctx, "user.remove", removeArgs{email, withMail}, nil, nil, nil)
}

func (c *Client) Users(ctx context.Context) (list []User, err error) {
	err = c.ask(ctx, "user.list", nothing{}, nil, nil, &list)
	return list, err
}

func (c *Client) SetQuota(ctx context.Context, email string, q Quota) error {
	return c.ask(ctx, "user.quota", quotaArgs{email, q}, nil, nil, nil)
}

func (c *Client) SetFilesQuota(ctx context.Context, email string, octets int64) error {
	return c.ask(ctx, "user.files", filesQuotaArgs{email, octets}, nil, nil, nil)
}

func (c *Client) SetDisabled(ctx context.Context, email string, disabled bool) error {
	return c.ask(ctx, "user.disable", disableArgs{email, disabled}, nil, nil, nil)
}

func (c *Client) SetAdmin(ctx context.Context, email string, admin bool) error {
	return c.ask(ctx, "user.admin", adminArgs{email, admin}, nil, nil, nil)
}

func (c *Client) AddAlias(ctx context.Context, address string, accounts []string) error {
	return c.ask(ctx, "alias.add", Alias{address, accounts}, nil, nil, nil)
}

func (c *Client) RemoveAlias(ctx context.Context, address string, accounts []string) error {
	return c.ask(ctx, "alias.remove", Alias{address, accounts}, nil, nil, nil)
}

func (c *Client) Aliases(ctx context.Context) (a Addresses, err error) {
	err = c.ask(ctx, "alias.list", nothing{}, nil, nil, &a)
	return a, err
}

func (c *Client) SetCatchAll(ctx context.Context, domain, account string) error {
	return c.ask(ctx, "catchall", CatchAll{domain, account}, nil, nil, nil)
}

func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.ask(ctx, "backup", nothing{}, nil, w, nil)
}

func (c *Client) Export(ctx context.Context, email string, w io.Writer) error {
	return c.ask(ctx, "export", accountArgs{email}, nil, w, nil)
}

func (c *Client) Import(ctx context.Context, email string, r io.Reader) (n Imported, err error) {
	err = c.ask(ctx, "import", accountArgs{email}, r, nil, &n)
	return n, err
}

func (c *Client) ListQueue(ctx context.Context, f QueueFilter) (rows []QueueRow, err error) {
	err = c.ask(ctx, "queue.list", f, nil, nil, &rows)
	return rows, err
}

func (c *Client) ShowQueue(ctx context.Context, id int64) (d QueueDetail, err error) {
	err = c.ask(ctx, "queue.show", showArgs{id}, nil, nil, &d)
	return d, err
}

func (c *Client) ChangeQueue(ctx context.Context, a QueueAction, f QueueFilter) (int, error) {
	var n changed
	err := c.ask(ctx, "queue.change", changeArgs{a, f}, nil, nil, &n)
	return n.Rows, err
}

func (c *Client) ViewQueue(ctx context.Context, f QueueFilter) (v QueueView, err error) {
	err = c.ask(ctx, "queue.view", f, nil, nil, &v)
	return v, err
}

func (c *Client) WatchQueue(ctx context.Context, since uint64) (uint64, error) {
	var w watched
	err := c.ask(ctx, "queue.watch", watched{since}, nil, nil, &w)
	return w.Revision, err
}

func (c *Client) ShowWorld(ctx context.Context) (w WorldState, err error) {
	err = c.ask(ctx, "world.show", nothing{}, nil, nil, &w)
	return w, err
}

func (c *Client) SetFault(ctx context.Context, f Fault) (w WorldState, err error) {
	err = c.ask(ctx, "world.fault", f, nil, nil, &w)
	return w, err
}

func (c *Client) SetClock(ctx context.Context, change ClockChange) (w WorldState, err error) {
	err = c.ask(ctx, "world.clock", change, nil, nil, &w)
	return w, err
}
