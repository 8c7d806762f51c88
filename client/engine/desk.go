package engine

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/wire"
)

// desk is where an account that looks after its mail server does so. It has two connections, made when they are first
// needed: on one the page waits for changes, on the other everything else is asked. They end when nobody has used
// them for a while.
type desk struct {
	account  *account
	ask      *counter
	watch    *counter
	shutting chan struct{}
	once     sync.Once
}

// deskIdle is how long a connection is kept that nobody uses: a page that looks at the queue asks each few seconds.
const deskIdle = 30 * time.Second

func newDesk(a *account) *desk {
	d := &desk{account: a, shutting: make(chan struct{})}
	d.ask, d.watch = newCounter(d), newCounter(d)
	return d
}

// hangUp ends both connections: what they were signed in by may not hold any more.
func (d *desk) hangUp() {
	d.ask.hangUp()
	d.watch.hangUp()
}

// shut ends both for good.
func (d *desk) shut() {
	d.once.Do(func() { close(d.shutting) })
	d.hangUp()
}

// counter is one of the connections.
type counter struct {
	desk *desk
	turn chan struct{} // holds a token while somebody is served

	mu     sync.Mutex
	client *control.Client
	used   uint64 // counts uses
}

func newCounter(d *desk) *counter { return &counter{desk: d, turn: make(chan struct{}, 1)} }

func (c *counter) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}

// serve has fn ask the server. A connection that has been idle may have ended meanwhile: then it is asked once more,
// over a new one. What can be asked twice is the same the second time.
func (c *counter) serve(ctx context.Context, fn func(*control.Client) error) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	case <-c.desk.shutting:
		return errClosed
	}
	for {
		client, fresh, err := c.connected(ctx)
		if err != nil {
			return err
		}
		err = fn(client)
		usable := client.Usable()
		c.release(client, usable)
		if usable || fresh || ctx.Err() != nil {
			return err
		}
	}
}

// connected is the connection there is, or a fresh one.
func (c *counter) connected(ctx context.Context) (client *control.Client, fresh bool, err error) {
	c.mu.Lock()
	c.used++
	client = c.client
	c.mu.Unlock()
	if client != nil {
		return client, false, nil
	}
	password, err := c.desk.account.credentials(ctx, maildropDoor)
	if err != nil {
		return nil, false, err
	}
	if client, err = c.desk.account.login(password).openDesk(ctx); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.desk.shutting:
		client.Close()
		return nil, false, errClosed
	default:
	}
	c.client = client
	return client, true, nil
}

// release keeps the connection for a while, if it is of use.
func (c *counter) release(client *control.Client, usable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != client { // hung up meanwhile
		client.Close()
		return
	}
	if !usable {
		client.Close()
		c.client = nil
		return
	}
	used := c.used
	go func() {
		select {
		case <-c.desk.account.e.Clock.After(deskIdle):
		case <-c.desk.shutting:
			return // which hangs up
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.used == used && c.client != nil {
			c.client.Close()
			c.client = nil
		}
	}()
}

// openDesk connects to the mail server's service for administrators and signs in.
func (l *login) openDesk(ctx context.Context) (*control.Client, error) {
	to, err := l.deskEndpoint()
	if err != nil {
		return nil, err
	}
	conn, err := l.e.connect(ctx, to, nil)
	if err != nil {
		return nil, err
	}
	client := control.NewClient(conn, control.Limits{Idle: l.e.Limits.Answer, Login: l.e.Limits.Answer})
	if err := client.Login(ctx, sasl.Credentials{User: l.email, Password: l.password}); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// deskEndpoint is the service for administrators of the gateway's own server that is home to the account.
func (l *login) deskEndpoint() (endpoint, error) {
	none := &api.Problem{Code: api.CodeNotAdministrator, Detail: l.email, Technical: "its mail server is none that can be looked after from here"}
	w := l.e.Gateway.State().Welcome
	if w == nil {
		return endpoint{}, &api.Problem{Code: api.CodeGatewayOffline}
	}
	own := home(w, l.email)
	if own == nil || l.servers.POP3.Host != "" {
		return endpoint{}, none
	}
	for _, s := range own.Services {
		if s.Name != wire.Control {
			continue
		}
		o := trust.Options{ServerName: own.Hostname, Roots: l.e.Roots}
		if own.Fingerprint != "" {
			o.Pins = []string{own.Fingerprint}
		}
		open := wire.Open{Service: wire.Control}
		if own != w.Embedded {
			open.Server = own.Hostname
		}
		return endpoint{open: open, address: net.JoinHostPort(own.Hostname, strconv.Itoa(s.Port)), security: api.TLS, tls: trust.Config(o)}, nil
	}
	return endpoint{}, none
}

// setAdmin takes note of whether the account looks after its mail server.
func (a *account) setAdmin(admin bool) {
	a.mu.Lock()
	changed := a.admin != admin
	a.admin = admin
	a.mu.Unlock()
	if changed {
		a.announce()
	}
}

// atDesk has fn ask the account's mail server, on one of its desk's connections.
func (e *Engine) atDesk(ctx context.Context, id api.AccountID, at func(*desk) *counter, fn func(*control.Client) error) error {
	a, err := e.account(id)
	if err != nil {
		return err
	}
	if err = at(a.desk).serve(ctx, fn); err != nil {
		return a.deskProblem(err)
	}
	return nil
}

// deskProblem puts an error of the desk as the page needs it.
func (a *account) deskProblem(err error) *api.Problem {
	var told *control.Error
	if errors.As(err, &told) && errors.Unwrap(told) == nil { // the server's own words
		p := &api.Problem{Code: api.CodeServerRefused, Detail: told.Text, Technical: string(told.Kind)}
		switch told.Kind {
		case control.Denied:
			p.Code, p.Detail, p.Technical = api.CodeNotAdministrator, a.email, told.Text
		case control.NotFound:
			p.Code = api.CodeNoSuchMessage
		case control.Invalid:
			p.Code = api.CodeBadRequest
		}
		return p
	}
	if errors.Is(err, control.ErrGone) {
		err = errors.Join(net.ErrClosed, err)
	}
	p := a.login("").place(api.POP3).problem(err)
	return &p
}

func askCounter(d *desk) *counter   { return d.ask }
func watchCounter(d *desk) *counter { return d.watch }
