package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// account is one mail account: its mailbox on this device, and the two tasks that fetch and send while the engine runs.
type account struct {
	e     *Engine
	id    api.AccountID
	email string

	wire *wireLog
	desk *desk

	reachable atomic.Bool // there may be a way to the servers again: what could not be sent for want of one is tried now

	box     *store.Mailbox // nil when it could not be opened: broken says why
	broken  *api.Problem
	texts   *texts
	opened  *openedCache
	outbox  sync.Mutex // held while a message in the outbox changes its state
	rests   rests      // messages of which the rest is waited for
	copies  copies
	toFetch chan struct{}
	toSend  chan struct{}
	toWarm  chan struct{}

	tasks    sync.Mutex // guards the four below
	running  context.Context
	fetching *task
	sending  *task
	warming  *task

	mu        sync.Mutex // guards what follows; never held while emitting
	rec       record
	password  string
	looked    bool        // in the vault
	keepLater bool        // the password, when the vault is unlocked
	refused   [doors]bool // by the server, the password: only the user can go on from there
	awaits    bool        // the gateway, to fetch
	sync      api.Sync
	admin     bool                 // it looks after its mail server
	progress  map[store.ID]float64 // of messages being sent
	inFlight  store.ID             // the message on the wire
	unsettled map[store.ID]settlement
	mailSize  mailSize
}

// newAccount makes an account without a mailbox: it can speak to servers.
func newAccount(e *Engine, rec record) *account {
	a := &account{
		e: e, id: rec.ID, email: rec.Email, rec: rec,
		toFetch: make(chan struct{}, 1), toSend: make(chan struct{}, 1), toWarm: make(chan struct{}, 1),
		sync: api.Sync{State: api.SyncIdle}, texts: newTexts(e.Limits.Texts), opened: newOpenedCache(),
		progress: make(map[store.ID]float64), unsettled: make(map[store.ID]settlement),
	}
	a.wire, a.desk = newWireLog(a), newDesk(a)
	return a
}

// openBox opens the mailbox and takes up what the last run left. If that fails, the account says so.
func (a *account) openBox() {
	e := a.e
	fs, err := e.FS.Sub(accountFolder(a.id))
	if err == nil {
		a.box, err = store.Open(fs, &store.Options{Now: e.Clock.Now})
	}
	if err == nil {
		if err = a.recoverOutbox(); err != nil {
			a.box.Close()
			a.box = nil
		}
	}
	if err != nil {
		e.Logf("account %s: its mailbox cannot be opened: %v", a.id, err)
		a.broken = problemOf(storing(err))
		a.sync = api.Sync{State: api.SyncError, Problem: a.broken}
		return
	}
	a.sync.Last = a.lastFetch()
	a.recallSize()
}

// start begins fetching and sending, under ctx, with a session that is in TRANSACTION already if first is not nil.
func (a *account) start(ctx context.Context, first *pop3.Client) {
	a.tasks.Lock()
	defer a.tasks.Unlock()
	if a.box == nil || a.running != nil {
		if first != nil {
			first.Close()
		}
		return
	}
	a.running = ctx
	a.fetching = startTask(ctx, func(ctx context.Context) { a.keepFetching(ctx, first) })
	a.sending = startTask(ctx, a.keepSending)
	a.warming = startTask(ctx, a.warmTexts)
}

// pauseFetching ends the POP3 session, if there is one, until resumeFetching.
func (a *account) pauseFetching() {
	a.tasks.Lock()
	defer a.tasks.Unlock()
	a.fetching.stop()
	a.fetching = nil
}

// resumeFetching begins anew, with a session that is in TRANSACTION already if c is not nil.
func (a *account) resumeFetching(c *pop3.Client) {
	a.tasks.Lock()
	defer a.tasks.Unlock()
	if a.running == nil || a.fetching != nil || a.running.Err() != nil {
		if c != nil {
			c.Close()
		}
		return
	}
	a.fetching = startTask(a.running, func(ctx context.Context) { a.keepFetching(ctx, c) })
}

// close ends the tasks and closes the mailbox.
func (a *account) close() {
	a.tasks.Lock()
	defer a.tasks.Unlock()
	a.fetching.stop()
	a.sending.stop()
	a.warming.stop()
	a.wire.close()
	a.desk.shut()
	if a.box == nil {
		return
	}
	if err := a.box.Close(); err != nil {
		a.e.Logf("account %s: closing its mailbox: %v", a.id, err)
	}
}

// snapshot is the account as a page sees it.
func (a *account) snapshot() api.Account {
	a.mu.Lock()
	settings := a.rec.settings()
	s := api.Account{
		ID: a.id, Email: a.email, Name: a.rec.Name, HasPassword: a.hasPassword(), Kept: a.rec.Kept, Sealed: sealed(settings.Servers), Sync: a.sync,
		Admin: a.admin, Label: settings.Label, Servers: settings.Servers, Identities: settings.Identities,
		LargestMail: a.mailSize.largest(),
	}
	a.mu.Unlock()
	s.Files = a.offersFiles()
	for _, f := range api.Folders {
		folder := api.Folder{ID: f}
		if a.box != nil {
			c := a.box.Counts(store.Folder(f))
			folder.Total, folder.Unread, folder.Revision = c.Total, c.Unread, c.Revision
		}
		s.Folders = append(s.Folders, folder)
	}
	if a.box != nil {
		if c := a.box.Counts(junk); c != (store.Counts{}) { // there has been some
			s.Folders = append(s.Folders, api.Folder{ID: api.Junk, Total: c.Total, Unread: c.Unread, Revision: c.Revision})
		}
	}
	s.Sync.OnServer = a.onServer(&s.Sync)
	return s
}

// announce tells every page the account's present state. It is called without any lock of the account held.
func (a *account) announce() {
	a.e.events.emit(func() api.Event {
		s := a.snapshot()
		return api.Event{Account: &s}
	})
}

// update changes the mailbox and tells of it.
func (a *account) update(fn func(tx *store.Tx) error) error {
	if err := a.box.Update(fn); err != nil {
		return storing(err)
	}
	a.announce()
	return nil
}

// setSync changes the state of fetching and tells of it.
func (a *account) setSync(change func(s *api.Sync)) {
	a.mu.Lock()
	change(&a.sync)
	a.mu.Unlock()
	a.announce()
}

// gatewayHere takes up what had to wait for the gateway. If it was away, mail may have come meanwhile.
func (a *account) gatewayHere(wasAway bool) {
	a.mu.Lock()
	awaits := a.awaits
	a.mu.Unlock()
	if wasAway || awaits {
		ask(a.toFetch)
	}
	if wasAway {
		a.reachable.Store(true)
	}
	ask(a.toSend)
}

// awaitsGateway says whether there is none to fetch by; then its coming asks for a fetch.
func (a *account) awaitsGateway() bool {
	a.mu.Lock()
	a.awaits = true // before looking: or it could come in between
	a.mu.Unlock()
	if !a.e.online() {
		return true
	}
	a.mu.Lock()
	a.awaits = false
	a.mu.Unlock()
	return false
}

// syncNow is the user's wish to fetch; a password that was refused is tried once more.
func (a *account) syncNow() {
	if a.box == nil {
		return
	}
	a.forgive()
	a.reachable.Store(true) // who asks knows why: he is in another network, say
	if !a.e.online() {
		a.setSync(func(s *api.Sync) {
			s.State, s.Problem = api.SyncError, gatewayProblem(a.e.Gateway.State().Err)
		})
	}
	ask(a.toFetch)
	ask(a.toSend)
}

// ask leaves a token for a task to find; one is enough.
func ask(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// task is a goroutine that can be ended and waited for.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func startTask(ctx context.Context, run func(context.Context)) *task {
	ctx, cancel := context.WithCancel(ctx)
	t := &task{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer cancel()
		run(ctx)
	}()
	return t
}

func (t *task) stop() {
	if t != nil {
		t.cancel()
		<-t.done
	}
}
