package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// operation is one of the protocol: it reads its arguments, and may read a
// stream or write one.
type operation struct {
	run   func(ctx context.Context, s *Server, args json.RawMessage, in io.Reader, out func() (io.Writer, error)) (any, error)
	takes bool // octets
	waits bool // it ends when who asked has gone
}

type nothing struct{}

// The arguments of the operations.
type (
	passwordArgs struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	renameArgs struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	removeArgs struct {
		Email    string `json:"email"`
		WithMail bool   `json:"withMail,omitempty"`
	}
	quotaArgs struct {
		Email string `json:"email"`
		Quota Quota  `json:"quota"`
	}
	filesQuotaArgs struct {
		Email  string `json:"email"`
		Octets int64  `json:"octets"`
	}
	disableArgs struct {
		Email    string `json:"email"`
		Disabled bool   `json:"disabled"`
	}
	adminArgs struct {
		Email string `json:"email"`
		Admin bool   `json:"admin"`
	}
	accountArgs struct {
		Email string `json:"email"`
	}
	showArgs struct {
		ID int64 `json:"id"`
	}
	changeArgs struct {
		Action QueueAction `json:"action"`
		Filter QueueFilter `json:"filter"`
	}
	changed struct {
		Rows int `json:"rows"`
	}
	watched struct {
		Revision uint64 `json:"revision"`
	}
)

// operations are all there are, by the names that requests use.
var operations = map[string]operation{
	"user.add": call(func(ctx context.Context, o Operations, a NewUser) error { return o.AddUser(ctx, a) }),
	"user.password": call(func(ctx context.Context, o Operations, a passwordArgs) error {
		return o.SetPassword(ctx, a.Email, a.Password)
	}),
	"user.rename": call(func(ctx context.Context, o Operations, a renameArgs) error { return o.RenameUser(ctx, a.From, a.To) }),
	"user.remove": call(func(ctx context.Context, o Operations, a removeArgs) error {
		return o.RemoveUser(ctx, a.Email, a.WithMail)
	}),
	"user.list":  ask(func(ctx context.Context, o Operations, _ nothing) ([]User, error) { return o.Users(ctx) }),
	"user.quota": call(func(ctx context.Context, o Operations, a quotaArgs) error { return o.SetQuota(ctx, a.Email, a.Quota) }),
	"user.files": call(func(ctx context.Context, o Operations, a filesQuotaArgs) error {
		return o.SetFilesQuota(ctx, a.Email, a.Octets)
	}),
	"user.disable": call(func(ctx context.Context, o Operations, a disableArgs) error {
		return o.SetDisabled(ctx, a.Email, a.Disabled)
	}),
	"user.admin": call(func(ctx context.Context, o Operations, a adminArgs) error { return o.SetAdmin(ctx, a.Email, a.Admin) }),

	"alias.add": call(func(ctx context.Context, o Operations, a Alias) error { return o.AddAlias(ctx, a.Address, a.Accounts) }),
	"alias.remove": call(func(ctx context.Context, o Operations, a Alias) error {
		return o.RemoveAlias(ctx, a.Address, a.Accounts)
	}),
	"alias.list": ask(func(ctx context.Context, o Operations, _ nothing) (Addresses, error) { return o.Aliases(ctx) }),
	"catchall": call(func(ctx context.Context, o Operations, a CatchAll) error {
		return o.SetCatchAll(ctx, a.Domain, a.Account)
	}),

	"backup": give(func(ctx context.Context, o Operations, _ nothing, w io.Writer) error { return o.Backup(ctx, w) }),
	"export": give(func(ctx context.Context, o Operations, a accountArgs, w io.Writer) error {
		return o.Export(ctx, a.Email, w)
	}),
	"import": take(func(ctx context.Context, o Operations, a accountArgs, r io.Reader) (Imported, error) {
		return o.Import(ctx, a.Email, r)
	}),

	"queue.list": queue(func(ctx context.Context, q Queue, a QueueFilter) ([]QueueRow, error) { return q.ListQueue(ctx, a) }),
	"queue.show": queue(func(ctx context.Context, q Queue, a showArgs) (QueueDetail, error) { return q.ShowQueue(ctx, a.ID) }),
	"queue.change": queue(func(ctx context.Context, q Queue, a changeArgs) (changed, error) {
		n, err := q.ChangeQueue(ctx, a.Action, a.Filter)
		return changed{n}, err
	}),
	"queue.view": queue(func(ctx context.Context, q Queue, a QueueFilter) (QueueView, error) { return q.ViewQueue(ctx, a) }),
	"queue.watch": waiting(queue(func(ctx context.Context, q Queue, a watched) (watched, error) {
		n, err := q.WatchQueue(ctx, a.Revision)
		return watched{n}, err
	})),

	"world.show":  world(func(ctx context.Context, w World, _ nothing) (WorldState, error) { return w.ShowWorld(ctx) }),
	"world.fault": world(func(ctx context.Context, w World, a Fault) (WorldState, error) { return w.SetFault(ctx, a) }),
	"world.clock": world(func(ctx context.Context, w World, a ClockChange) (WorldState, error) { return w.SetClock(ctx, a) }),
}

// parse reads arguments.
func parse[A any](text json.RawMessage) (a A, err error) {
	if len(text) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, &Error{Kind: Invalid, Text: fmt.Sprintf("arguments that are none: %v", err)}
	}
	return a, nil
}

func ask[A, R any](f func(context.Context, Operations, A) (R, error)) operation {
	return operation{run: func(ctx context.Context, s *Server, args json.RawMessage, _ io.Reader, _ func() (io.Writer, error)) (any, error) {
		a, err := parse[A](args)
		if err != nil {
			return nil, err
		}
		return f(ctx, s.Operations, a)
	}}
}

func call[A any](f func(context.Context, Operations, A) error) operation {
	return ask(func(ctx context.Context, o Operations, a A) (nothing, error) { return nothing{}, f(ctx, o, a) })
}

func give[A any](f func(context.Context, Operations, A, io.Writer) error) operation {
	return operation{run: func(ctx context.Context, s *Server, args json.RawMessage, _ io.Reader, out func() (io.Writer, error)) (any, error) {
		a, err := parse[A](args)
		if err != nil {
			return nil, err
		}
		return nothing{}, f(ctx, s.Operations, a, &late{open: out})
	}}
}

// late begins the stream with its first octet: what fails before it has a plain
// answer.
type late struct {
	open func() (io.Writer, error)
	w    io.Writer
}

func (l *late) Write(p []byte) (n int, err error) {
	if l.w == nil {
		if l.w, err = l.open(); err != nil {
			return 0, err
		}
	}
	return l.w.Write(p)
}

func take[A, R any](f func(context.Context, Operations, A, io.Reader) (R, error)) operation {
	return operation{takes: true, run: func(ctx context.Context, s *Server, args json.RawMessage, in io.Reader, _ func() (io.Writer, error)) (any, error) {
		a, err := parse[A](args)
		if err != nil {
			return nil, err
		}
		return f(ctx, s.Operations, a, in)
	}}
}

var (
	errNoQueue = errors.New("this server delivers to no other: it has no queue to look after")
	errNoWorld = errors.New("this server is in the real world: only that of serve --demo can be changed")
)

func queue[A, R any](f func(context.Context, Queue, A) (R, error)) operation {
	return operation{run: func(ctx context.Context, s *Server, args json.RawMessage, _ io.Reader, _ func() (io.Writer, error)) (any, error) {
		if s.Queue == nil {
			return nil, Wrap(Unsupported, errNoQueue)
		}
		a, err := parse[A](args)
		if err != nil {
			return nil, err
		}
		return f(ctx, s.Queue, a)
	}}
}

// waiting says that an operation may take long for nobody.
func waiting(o operation) operation {
	o.waits = true
	return o
}

func world[A, R any](f func(context.Context, World, A) (R, error)) operation {
	return operation{run: func(ctx context.Context, s *Server, args json.RawMessage, _ io.Reader, _ func() (io.Writer, error)) (any, error) {
		if s.World == nil {
			return nil, Wrap(Unsupported, errNoWorld)
		}
		a, err := parse[A](args)
		if err != nil {
			return nil, err
		}
		return f(ctx, s.World, a)
	}}
}
