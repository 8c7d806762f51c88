package mailserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/gateway/mailserver/pop3d"
	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
)

// post is the store as smtpd sees it.
type post struct {
	store   *maildrop.Store
	domains map[string]bool
	queued  func()               // is called when the queue has got something
	stored  func(smtpd.Envelope) // is called when a message is in the maildrops and the queue
}

var _ smtpd.Post = post{}

func (p post) Lookup(ctx context.Context, address string) (mailboxes []string, local bool, err error) {
	email := account.Canonical(address)
	if _, domain := cutAddress(email); !p.domains[domain] {
		return nil, false, nil
	}
	mailboxes, err = p.store.Resolve(ctx, email)
	if errors.Is(err, maildrop.ErrNoAccount) {
		err = smtpd.ErrNoMailbox
	}
	return mailboxes, true, err
}

func (p post) Owns(ctx context.Context, user, address string) (bool, error) {
	return p.store.Owns(ctx, user, account.Canonical(address))
}

func (p post) Full(ctx context.Context, mailbox string, size int64) (bool, error) {
	return p.store.Full(ctx, mailbox, size)
}

func cutAddress(email string) (user, domain string) {
	i := strings.LastIndexByte(email, '@')
	if i < 0 {
		return email, ""
	}
	return email[:i], email[i+1:]
}

func (p post) Room(size int64) error { return full(p.store.Room(size)) }

func (p post) Create() (smtpd.Incoming, error) {
	in, err := p.store.Create()
	if err != nil {
		return nil, full(err)
	}
	return incoming{in, p}, nil
}

type incoming struct {
	*maildrop.Incoming
	post post
}

func (in incoming) Write(b []byte) (int, error) {
	n, err := in.Incoming.Write(b)
	return n, full(err)
}

func (in incoming) Deliver(ctx context.Context, env smtpd.Envelope) error {
	to := maildrop.Envelope{From: env.From, Local: env.Mailboxes(), UTF8: env.UTF8, Return: env.Return, EnvelopeID: env.EnvelopeID, Trace: env.Trace}
	for _, r := range env.Remote {
		to.Remote = append(to.Remote, maildrop.Recipient{Address: r.Address, Notify: r.Notify, Original: r.Original})
	}
	err := full(in.Incoming.Deliver(ctx, to))
	if err != nil {
		return err
	}
	if len(to.Remote) > 0 {
		in.post.queued()
	}
	in.post.stored(env)
	return nil
}

func full(err error) error {
	if errors.Is(err, maildrop.ErrFull) {
		return fmt.Errorf("%w: %w", smtpd.ErrFull, err)
	}
	return err
}

// drops is the store as pop3d sees it.
type drops struct{ store *maildrop.Store }

var _ pop3d.Maildrops = drops{}

func (d drops) Lock(ctx context.Context, email string) (pop3d.Maildrop, error) {
	locked, err := d.store.Lock(ctx, email)
	switch {
	case errors.Is(err, maildrop.ErrInUse):
		return nil, pop3d.ErrInUse
	case err != nil:
		return nil, err
	}
	return drop{locked}, nil
}

type drop struct{ *maildrop.Drop }

func (d drop) Messages() []pop3d.Message {
	list := make([]pop3d.Message, len(d.Drop.Messages()))
	for i, m := range d.Drop.Messages() {
		list[i] = pop3d.Message{UID: m.UID, Size: m.Size}
	}
	return list
}

func (d drop) Open(index int) (io.ReadCloser, error) {
	r, err := d.Drop.Open(d.Drop.Messages()[index])
	if errors.Is(err, maildrop.ErrDamaged) {
		err = fmt.Errorf("%w: %w", pop3d.ErrDamaged, err)
	}
	return r, err
}

func (d drop) Remove(ctx context.Context, indexes []int) error {
	var messages []maildrop.Message
	for _, i := range indexes {
		messages = append(messages, d.Drop.Messages()[i])
	}
	return d.Drop.Remove(ctx, messages)
}
