package engine

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mail/charset"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

const (
	alice   = "alice@postern.test"
	bob     = "bob@postern.test"
	alicePW = "alice-pw"
	bobPW   = "bob-pw"
)

// world is an engine with everything around it, in memory and in the bubble of a synctest: time passes when everybody
// waits. Only methods that say so let it pass.
type world struct {
	t       *testing.T
	fs      *store.MemFS
	gateway *fakeGateway
	vault   *memVault
	pop     *mailtest.POP3
	post    *postOffice
	limits  Limits
	over    store.FS // instead of fs
	batch   int      // 0: as it is
	room    func(context.Context) (int64, bool)
	prepare func(context.Context)

	*Engine
	seen recorder
	run  sync.WaitGroup
	stop context.CancelFunc
}

// inWorld runs fn in a bubble with an engine that runs.
func inWorld(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.halt()
		fn(t, w)
	})
}

func newWorld(t *testing.T) *world {
	pop := &mailtest.POP3{
		Password: map[string]string{alice: alicePW, bob: bobPW},
		Maildrop: map[string]*mailtest.Maildrop{alice: new(mailtest.Maildrop), bob: new(mailtest.Maildrop)},
		NoWait:   true,
	}
	post := &postOffice{password: pop.Password}
	w := &world{t: t, fs: store.NewMemFS(), vault: newMemVault(), pop: pop, post: post}
	w.gateway = newFakeGateway(t, map[wire.ServiceName]mailtest.Server{wire.POP3S: pop, wire.Submissions: post})
	return w
}

func (w *world) config() Config {
	c := Config{Mail: mail.Reader{Charsets: charset.Decode}, FS: w.fs, Gateway: w.gateway, Vault: w.vault, Version: "test", Limits: w.limits, Logf: w.logf, cost: cheap, batch: w.batch, Prepare: w.prepare, Room: w.room}
	if w.over != nil {
		c.FS = w.over
	}
	return c
}

// start makes an engine over what is on the disk and runs it.
func (w *world) start() {
	w.t.Helper()
	engine, err := New(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.runEngine(engine)
}

func (w *world) runEngine(engine *Engine) {
	w.Engine = engine
	w.seen = recorder{}
	engine.Subscribe(w.seen.record)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.run.Go(func() {
		if err := engine.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
}

// halt ends the engine, as a closing tab that has the time does.
func (w *world) halt() {
	w.stop()
	w.run.Wait()
}

// logf checks what no log may hold.
func (w *world) logf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	for _, secret := range []string{alicePW, bobPW, doraPW, "correct horse", "battery staple"} {
		if strings.Contains(line, secret) {
			w.t.Errorf("a password in the log: %s", line)
		}
	}
}

func (w *world) signIn(email string) api.Account {
	w.t.Helper()
	a, err := w.SignIn(w.t.Context(), api.SignIn{Email: email, Password: w.pop.Password[email], Keep: true})
	if err != nil {
		w.t.Fatalf("signing in as %s: %v", email, err)
	}
	synctest.Wait()
	return a
}

func (w *world) accountNow(id api.AccountID) api.Account {
	w.t.Helper()
	s, err := w.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(s.Accounts, func(a api.Account) bool { return a.ID == id })
	if i < 0 {
		w.t.Fatalf("no account %s", id)
	}
	return s.Accounts[i]
}

func (w *world) list(id api.AccountID, f api.FolderID) []api.Row {
	w.t.Helper()
	p, err := w.List(w.t.Context(), api.ListQuery{Account: id, Folder: f, Limit: api.MaxListLimit})
	if err != nil {
		w.t.Fatalf("listing %s: %v", f, err)
	}
	return p.Rows
}

func (w *world) only(id api.AccountID, f api.FolderID) api.Row {
	w.t.Helper()
	rows := w.list(id, f)
	if len(rows) != 1 {
		w.t.Fatalf("%d messages in %s, want one: %v", len(rows), f, rows)
	}
	return rows[0]
}

func code(err error) api.Code {
	if err == nil {
		return ""
	}
	return api.AsProblem(err).Code
}

func problemCode(p *api.Problem) api.Code {
	if p == nil {
		return ""
	}
	return p.Code
}

// letter is a message with little in it.
func letter(subject, text string) []byte {
	return []byte("From: Carol <carol@example.org>\r\nTo: <" + alice + ">\r\nSubject: " + subject +
		"\r\nDate: Thu, 1 Jan 2026 10:00:00 +0000\r\nMessage-ID: <" + subject + "@example.org>\r\n\r\n" + text + "\r\n")
}

// recorder keeps events in a form that tests compare.
type recorder struct {
	mu     sync.Mutex
	events []api.Event
}

func (r *recorder) record(e api.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []api.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// states are the states that a message on its way went through.
func (r *recorder) states(id api.MessageID) (states []api.OutboxState) {
	for _, e := range r.all() {
		if e.Outbox != nil && e.Outbox.Row.ID == id {
			if s := e.Outbox.Row.State; len(states) == 0 || states[len(states)-1] != s {
				states = append(states, s)
			}
		}
	}
	return states
}

func (r *recorder) newMail() (counts []int) {
	for _, e := range r.all() {
		if e.NewMail != nil {
			counts = append(counts, e.NewMail.Count)
		}
	}
	return counts
}

// memVault is a Vault in memory, which outlives engines.
type memVault struct {
	mu      sync.Mutex
	secrets map[string][]byte
	fail    error
	got     func() // called when a secret was read and is not yet answered
}

func newMemVault() *memVault { return &memVault{secrets: make(map[string][]byte)} }

func (v *memVault) Put(_ context.Context, name string, secret []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail != nil {
		return v.fail
	}
	v.secrets[name] = slices.Clone(secret)
	return nil
}

func (v *memVault) Get(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	secret, err, got := v.secrets[name], v.fail, v.got
	v.mu.Unlock()
	if got != nil {
		got()
	}
	return secret, err
}

func (v *memVault) Delete(_ context.Context, name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.secrets, name)
	return v.fail
}

// fakeGateway carries streams to servers in memory, inside TLS with a certificate that the Welcome names.
type fakeGateway struct {
	t   *testing.T
	tls *tls.Config

	mu        sync.Mutex
	servers   map[wire.ServiceName]mailtest.Server
	beside    map[string]neighbour // more servers of the gateway's own, by hostname
	elsewhere                      // servers that are not the gateway's own
	state     tunnel.State
	welcome   wire.Welcome
	subs      map[int]func(tunnel.State)
	last      int
	kicks     int
	presented []string           // tokens
	answer    func(token string) // to one that is presented
	telling   sync.Mutex         // held while a subscriber is told
	opened    []wire.ServiceName
	faults    func(service wire.ServiceName, n int) *mailtest.Faults // of the n-th stream to it, from 0
	refuse    error
	live      map[net.Conn]bool
	data      dataWay
}

// neighbour is a server beside the gateway's first.
type neighbour struct {
	servers map[wire.ServiceName]mailtest.Server
	tls     *tls.Config
}

// addBeside gives the gateway one more server of its own, with one account for trying out.
func (g *fakeGateway) addBeside(hostname, domain string, servers map[wire.ServiceName]mailtest.Server, demo wire.DemoAccount) {
	cert := mailtest.SelfSigned(g.t, hostname)
	sum := sha256.Sum256(cert.Certificate[0])
	info := wire.Embedded{Hostname: hostname, Domains: []string{domain}, Fingerprint: hex.EncodeToString(sum[:]), Demo: []wire.DemoAccount{demo}}
	for name := range servers {
		info.Services = append(info.Services, wire.Service{Name: name, Port: 2})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.welcome.Beside = append(g.welcome.Beside, info)
	if g.beside == nil {
		g.beside = map[string]neighbour{}
	}
	g.beside[hostname] = neighbour{servers, &tls.Config{Certificates: []tls.Certificate{cert}}}
}

func newFakeGateway(t *testing.T, servers map[wire.ServiceName]mailtest.Server) *fakeGateway {
	cert := mailtest.SelfSigned(t, "mail.postern.test")
	sum := sha256.Sum256(cert.Certificate[0])
	g := &fakeGateway{t: t, tls: &tls.Config{Certificates: []tls.Certificate{cert}}, servers: servers,
		subs: make(map[int]func(tunnel.State)), live: make(map[net.Conn]bool)}
	g.welcome = wire.Welcome{Version: wire.Version, Embedded: &wire.Embedded{
		Hostname: "mail.postern.test", Domains: []string{"postern.test"}, Fingerprint: hex.EncodeToString(sum[:]),
		Demo: []wire.DemoAccount{{Name: "Alice", Email: alice, Password: alicePW}},
	}}
	for name := range servers {
		g.welcome.Embedded.Services = append(g.welcome.Embedded.Services, wire.Service{Name: name, Port: 1})
	}
	g.state = tunnel.State{Phase: tunnel.Online, Welcome: &g.welcome}
	return g
}

func (g *fakeGateway) Open(ctx context.Context, o wire.Open) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Phase != tunnel.Online {
		return nil, tunnel.ErrOffline
	}
	if g.refuse != nil {
		return nil, g.refuse
	}
	n := 0
	for _, name := range g.opened {
		if name == o.Service {
			n++
		}
	}
	g.opened = append(g.opened, o.Service)
	behind, sealed := g.servers[o.Service], g.tls
	if o.Server != "" {
		behind, sealed = g.beside[o.Server].servers[o.Service], g.beside[o.Server].tls
	}
	if o.Service != wire.POP3S && o.Service != wire.Submissions && o.Service != wire.Control {
		sealed = nil
	}
	if o.Host != "" || o.Service == wire.Discovery {
		var err error
		if behind, sealed, err = g.find(ctx, o); err != nil {
			return nil, err
		}
	}
	var f *mailtest.Faults
	if g.faults != nil {
		f = g.faults(o.Service, n)
	}
	client, server := mailtest.Pipe(f)
	g.live[server] = true
	go func() {
		conn := server
		if sealed != nil {
			conn = tls.Server(server, sealed)
		}
		behind.ServeConn(conn)
		conn.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.live, server)
	}()
	if files, ok := behind.(*mailtest.FTP); ok {
		return &controlConn{Conn: client, g: g, files: files}, nil
	}
	return client, nil
}

// serve puts another server in a service's place.
func (g *fakeGateway) serve(name wire.ServiceName, s mailtest.Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.servers[name] = s
}

func (g *fakeGateway) State() tunnel.State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

func (g *fakeGateway) Subscribe(fn func(tunnel.State)) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last++
	id := g.last
	g.subs[id] = fn
	go g.tell(fn) // as a Dialer tells the present state, in its own time
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.subs, id)
	}
}

func (g *fakeGateway) Present(token string) {
	g.mu.Lock()
	g.presented = append(g.presented, token)
	answer := g.answer
	g.mu.Unlock()
	if answer != nil {
		go answer(token)
	}
}

func (g *fakeGateway) Kick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kicks++
}

// set changes the state, as a Dialer does; going offline cuts every stream.
func (g *fakeGateway) set(p tunnel.Phase) {
	g.setTo(p, errors.New("connection refused"))
}

// setTo is set, with the reason for being offline, which a Dialer keeps while it tries again.
func (g *fakeGateway) setTo(p tunnel.Phase, why error) {
	g.mu.Lock()
	g.state = tunnel.State{Phase: p}
	if p == tunnel.Connecting {
		g.state.Err = why
	}
	if p == tunnel.Online {
		g.state.Welcome = &g.welcome
	}
	if p == tunnel.Offline {
		g.state.Err = why
		for c := range g.live {
			c.Close()
		}
	}
	var fns []func(tunnel.State)
	for _, fn := range g.subs {
		fns = append(fns, fn)
	}
	g.mu.Unlock()
	for _, fn := range fns {
		g.tell(fn)
	}
}

// tell tells a subscriber of the state that there is, one at a time.
func (g *fakeGateway) tell(fn func(tunnel.State)) {
	g.telling.Lock()
	defer g.telling.Unlock()
	fn(g.State())
}

func (g *fakeGateway) streams(service wire.ServiceName) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range g.opened {
		if name == service {
			n++
		}
	}
	return n
}

func subjectOf(content string) string {
	_, rest, _ := strings.Cut(content, "Subject: ")
	subject, _, _ := strings.Cut(rest, "\r\n")
	return subject
}
