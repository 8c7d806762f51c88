package mailserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/gateway/mailserver/queue"
	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
)

// Sending says how mail for other domains leaves.
type Sending struct {
	// Delivery is how servers are found and spoken to. The names that this server
	// has are filled in here, and the queue's clock; without Policies, those of
	// MTA-STS are asked for by the same Resolver and Dialer.
	Delivery delivery.Config
	Schedule queue.Schedule
	Limits   queue.Limits
	Clock    queue.Clock // nil: the system's
}

// now is the clock by which the queue's rows are stamped: the queue's own.
func (c *Config) now() func() time.Time {
	if c.Sending == nil || c.Sending.Clock == nil {
		return time.Now
	}
	return c.Sending.Clock.Now
}

// sender is what makes mail leave.
type sender struct {
	deliverer *delivery.Deliverer
	queue     *queue.Queue
	policies  *mtasts.Cache // nil: the configuration has its own, or none are kept to
}

// newSender is nil where mail is to wait.
func (s *Server) newSender() *sender {
	if s.cfg.Sending == nil {
		return nil
	}
	c := s.cfg.Sending.Delivery
	c.Hostname = s.cfg.Hostname
	if c.Now == nil {
		c.Now = s.cfg.now()
	}
	var policies *mtasts.Cache
	if c.Policies == nil && c.Resolver != nil {
		policies = delivery.NewPolicies(c)
		c.Policies = policies
	}
	d := delivery.New(c)
	return &sender{policies: policies, deliverer: d, queue: queue.New(queue.Config{
		Store: s.store, Deliverer: d, Hostname: s.cfg.Hostname, Postmaster: s.postmaster(), Lookup: s.lookupSender, Clock: s.cfg.Sending.Clock,
		Logger: s.log.With("service", "queue"), Schedule: s.cfg.Sending.Schedule, Limits: s.cfg.Sending.Limits,
	})}
}

func (s *Server) postmaster() string { return "postmaster@" + s.cfg.Domains[0] }

// lookupSender says where a report goes.
func (s *Server) lookupSender(ctx context.Context, address string) ([]string, bool, error) {
	boxes, local, err := post{store: s.store, domains: s.domains}.Lookup(ctx, address)
	if errors.Is(err, smtpd.ErrNoMailbox) {
		err = fmt.Errorf("%w: %s", maildrop.ErrNoAccount, address)
	}
	return boxes, local, err
}

// Events tells of what comes of attempts to deliver: see [queue.Queue.Subscribe]. A
// server that sends nothing has none: events is nil.
func (s *Server) Events(hold int) (events <-chan queue.Event, cancel func()) {
	if s.sender == nil {
		return nil, func() {}
	}
	return s.sender.queue.Subscribe(hold)
}

// Wake has the queue look at what is due: its clock was put forward, maybe while it
// reckoned how long to wait.
func (s *Server) Wake() { s.sender.kick() }

// kick says that the queue has something new.
func (s *sender) kick() {
	if s != nil {
		s.queue.Kick()
	}
}
