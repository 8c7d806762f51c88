package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
	"github.com/postern-mail/postern/shared/wire"
)

// Engine keeps the mail accounts of one browser profile. It answers calls from the moment it is made; fetching and
// sending go on while Run runs.
type Engine struct {
	Config
	registry *registry
	secrets  *keyring.Ring
	events   subscribers

	transfers *transfers    // of files
	signing   chan struct{} // holds a token while a SignIn or SignOut is under way: they change who is there

	mu        sync.Mutex
	accounts  []*account // in the order of sign-in
	sites     []*site    // in the order in which they were added
	running   context.Context
	stop      context.CancelFunc
	closed    bool
	ended     chan struct{} // closed when Run has returned; nil before it
	preparing *task         // of Prepare; it began once
	token     string        // the access token that the gateway was given last
	tokenShut bool          // a question for one is a no to it; while it is tried it is not yet
	tokenRead bool          // from the vault, and tried, if there is one
	welcome   *wire.Welcome // the last one: a page without the gateway still knows its domains
}

var (
	_ api.Service = (*Engine)(nil)
	_ api.Source  = (*Engine)(nil)
)

var errClosed = &api.Problem{Code: api.CodeCanceled, Technical: "the engine has ended"}

// New opens the registry and the mailboxes. A mailbox that cannot be opened does not fail the others: its account says
// so.
func New(c Config) (*Engine, error) {
	if c.FS == nil || c.Gateway == nil {
		return nil, errors.New("engine: Config needs FS and Gateway")
	}
	e := &Engine{Config: c.withDefaults(), signing: make(chan struct{}, 1)}
	e.secrets = keyring.New(e.Vault, e.cost)
	var err error
	if e.registry, err = openRegistry(e.FS); err != nil {
		return nil, fmt.Errorf("engine: the registry of accounts: %w", err)
	}
	if err := e.registry.removeOrphans(e.FS); err != nil {
		e.Logf("removing what no account names: %v", err)
	}
	for _, rec := range e.registry.records() {
		a := newAccount(e, rec)
		a.openBox()
		e.accounts = append(e.accounts, a)
	}
	if err = e.openSites(); err == nil {
		e.transfers, err = openTransfers(e)
	}
	if err != nil {
		for _, a := range e.accounts {
			a.close()
		}
		return nil, errors.Join(fmt.Errorf("engine: %w", err), e.registry.close())
	}
	return e, nil
}

// Run fetches and sends until ctx ends or Close is called, then waits for what is under way to end, and closes the
// mailboxes. It runs once.
func (e *Engine) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	e.mu.Lock()
	if e.closed || e.running != nil {
		e.mu.Unlock()
		return errors.New("engine: Run runs once")
	}
	e.running, e.stop, e.ended = ctx, stop, make(chan struct{})
	accounts := e.accounts
	e.mu.Unlock()
	defer close(e.ended)

	learning := startTask(ctx, func(ctx context.Context) {
		e.learnVault(ctx)
		e.presentToken(ctx)
	})
	unsubscribe := e.followGateway()
	for _, a := range accounts {
		a.start(ctx, nil)
	}
	transferring := startTask(ctx, e.transfers.keepTransferring)
	<-ctx.Done()
	unsubscribe()
	learning.stop()
	transferring.stop()
	e.prepared()
	e.shut()
	return nil
}

// Close ends Run, if it runs, and closes the mailboxes. What was answered as stored is on the device.
func (e *Engine) Close() error {
	e.mu.Lock()
	stop, ended := e.stop, e.ended
	e.mu.Unlock()
	if ended != nil {
		stop()
		<-ended
		return nil
	}
	e.shut()
	return nil
}

// shut stops the accounts and closes every mailbox.
func (e *Engine) shut() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	accounts, sites := e.accounts, e.sites
	e.mu.Unlock()
	for _, a := range accounts {
		a.close()
	}
	for _, s := range sites {
		s.close()
	}
	e.transfers.close()
	if err := e.registry.close(); err != nil {
		e.Logf("registry: %v", err)
	}
}

// account answers the account of that ID.
func (e *Engine) account(id api.AccountID) (*account, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	for _, a := range e.accounts {
		if a.id == id {
			return a, nil
		}
	}
	return nil, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("no account %q", id)}
}

// mailbox answers the account of that ID if its mailbox could be opened.
func (e *Engine) mailbox(id api.AccountID) (*account, error) {
	a, err := e.account(id)
	if err != nil {
		return nil, err
	}
	if a.box == nil {
		return nil, a.broken
	}
	return a, nil
}

func (e *Engine) all() []*account {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*account(nil), e.accounts...)
}

// Status answers from memory.
func (e *Engine) Status(context.Context) (api.Status, error) {
	s := api.Status{Version: e.Version, Gateway: e.gateway(), Accounts: []api.Account{}, Vault: e.secrets.State()}
	for _, a := range e.all() {
		s.Accounts = append(s.Accounts, a.snapshot())
	}
	for _, site := range e.allSites() {
		s.Sites = append(s.Sites, site.snapshot())
	}
	s.Transfers = e.transfers.snapshots()
	return s, nil
}

// SyncNow starts fetching. Without a session to the gateway it tries to get one, and fetching follows; one that seems
// to be there is asked for a sign of life.
func (e *Engine) SyncNow(_ context.Context, id api.AccountID) error {
	accounts := e.all()
	if id != "" {
		a, err := e.mailbox(id)
		if err != nil {
			return err
		}
		accounts = []*account{a}
	}
	e.Gateway.Kick()
	for _, a := range accounts {
		a.syncNow()
	}
	return nil
}

// Reconnect tries the gateway now.
func (e *Engine) Reconnect(context.Context) error {
	e.Gateway.Kick()
	return nil
}
