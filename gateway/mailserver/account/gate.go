package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/shared/endsite"
	"github.com/postern-mail/postern/shared/sasl"
)

var (
	// ErrDenied is the one answer to a wrong name and to a wrong password.
	ErrDenied = errors.New("account: name or password is wrong")
	// ErrBusy says that too many passwords wait to be checked; try later.
	ErrBusy = errors.New("account: too many logins at once")
)

// Account is a user who has shown the right password.
type Account struct {
	Email string // canonical, see Canonical
	Name  string
	Admin bool // may look after the server
}

// Record is an account as the store keeps it.
type Record struct {
	Account
	Hash     string // PHC string
	SCRAM    string // keys of SCRAM-SHA-256, RFC 5803; "" until a password is seen in the clear
	Disabled bool   // nobody signs in to it
}

// Lookup finds an account by its canonical address; ok is false when there is
// none, and err is for a store that cannot answer.
type Lookup func(ctx context.Context, email string) (r Record, ok bool, err error)

// Options of a Gate; nil and zero values are the defaults.
type Options struct {
	// Hashers is how many argon2id computations run at once: each holds 19 MiB.
	// Default: one for each processor, at most 4.
	Hashers int
	// Wait is how long a login may queue for its place's turn and for a hasher.
	// Default: 10 seconds, which is shorter than any client's patience.
	Wait time.Duration
	// Delay comes after a failure and doubles with each further one from the
	// same place, up to 8 times. Default: 500 ms. Negative: none.
	Delay time.Duration
	// Remember is how long a checked password is known without argon2id, so
	// that a client which polls each minute costs a hash a quarter of an hour.
	// Default: 15 minutes. Negative: never.
	Remember time.Duration
	// Params of the hash that unknown names are checked against.
	Params Params
	// SaltKey makes up the salts that SCRAM shows for names that do not exist. It
	// must be secret, and the same after a restart, as the salts of accounts are.
	// Default: a random one, which is for tests.
	SaltKey []byte
	// Iterations of SCRAM keys. Default: sasl.DefaultIterations.
	Iterations int
	// Upgrade keeps the SCRAM keys of an account that has none, made of a password
	// that was right. It is called before the login is answered. Nil: not kept.
	Upgrade func(ctx context.Context, r Record)
	// Keyed says whether every account has SCRAM keys. Nil: they have.
	Keyed func(ctx context.Context) (bool, error)

	now func() time.Time
}

// Gate checks names and passwords for every protocol of the server.
//
// An unknown name costs the same computation as a known one, the memory of
// argon2id is bounded, and one password at a time is checked for a place: a
// failure is answered late and holds the place's turn until then. So guessing is
// no faster over many connections, nor by hanging up before the answer.
type Gate struct {
	lookup Lookup
	opts   Options
	slots  chan struct{}
	dummy  string // a hash that no password has, for names that do not exist
	key    []byte // of remembered passwords; made anew in each process
	keyed  atomic.Bool

	mu         sync.Mutex
	remembered map[[sha256.Size]byte]time.Time
	failures   map[string]failure
	turns      map[string]*turn
	introduced map[netip.AddrPort]netip.Addr
}

// turn is a place's, while there is somebody who has it or waits for it.
type turn struct {
	taken  chan struct{} // holds one, or those of a site
	people int
}

type failure struct {
	count int
	last  time.Time
}

const (
	maxRemembered = 10_000           // accounts that poll at once; past that the oldest answers cost a hash again
	maxFailures   = 10_000           // places that fail at once; past that the record starts anew
	forgetAfter   = 15 * time.Minute // a place that has stopped guessing
	maxDoublings  = 4                // 500 ms, 1, 2, 4, 8 s
)

// NewGate makes a gate over the accounts that lookup finds.
func NewGate(lookup Lookup, o *Options) (*Gate, error) {
	if o == nil {
		o = &Options{}
	}
	opts := *o
	if opts.Hashers <= 0 {
		opts.Hashers = min(runtime.GOMAXPROCS(0), 4)
	}
	if opts.Wait <= 0 {
		opts.Wait = 10 * time.Second
	}
	if opts.Delay == 0 {
		opts.Delay = 500 * time.Millisecond
	}
	if opts.Remember == 0 {
		opts.Remember = 15 * time.Minute
	}
	if opts.Params == (Params{}) {
		opts.Params = DefaultParams()
	}
	if opts.Iterations == 0 {
		opts.Iterations = sasl.DefaultIterations
	}
	if opts.SaltKey == nil {
		opts.SaltKey = []byte(rand.Text())
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	g := &Gate{
		lookup:     lookup,
		opts:       opts,
		slots:      make(chan struct{}, opts.Hashers),
		key:        make([]byte, 32),
		remembered: map[[sha256.Size]byte]time.Time{},
		failures:   map[string]failure{},
		turns:      map[string]*turn{},
		introduced: map[netip.AddrPort]netip.Addr{},
	}
	rand.Read(g.key)
	var err error
	g.dummy, err = Hash(rand.Text(), opts.Params)
	return g, err
}

// Canonical is the form in which addresses are kept and compared: trimmed and
// in lower case. RFC 5321 §2.4 lets the receiving host decide that local-parts
// do not differ by case; every large provider so decides.
func Canonical(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// Authenticate checks a name and password that came from remote. It returns
// ErrDenied after the delay that the failures of that place have earned.
func (g *Gate) Authenticate(ctx context.Context, remote net.Addr, user, password string) (Account, error) {
	return g.authenticate(ctx, remote, user, password, anybody)
}

// anybody is whom the gate lets in where every account is welcome.
func anybody(Record) bool { return true }

// authenticate lets in whom admits, too. Of who is not admitted the password is
// checked all the same, and never remembered: it costs what a wrong one does.
func (g *Gate) authenticate(ctx context.Context, remote net.Addr, user, password string, admits func(Record) bool) (Account, error) {
	email := Canonical(user)
	rec, ok, err := g.lookup(ctx, email)
	if err != nil {
		return Account{}, err
	}
	phc := rec.Hash
	if ok = ok && !rec.Disabled; !ok {
		phc = g.dummy
	}
	ok = ok && admits(rec)
	mark := g.mark(email, phc, password)
	if ok && g.remembers(mark) {
		g.forgive(email)
		return rec.Account, nil
	}
	from := places(g.origin(remote), email)
	queue, cancel := context.WithTimeoutCause(ctx, g.opts.Wait, ErrBusy)
	defer cancel()
	done, err := g.await(queue, from)
	if err != nil {
		return Account{}, err
	}
	defer done()
	right, err := g.verify(queue, phc, password)
	if err != nil {
		return Account{}, err
	}
	if ok && right {
		g.upgrade(ctx, rec, password)
		g.remember(mark)
		g.forgive(email)
		return rec.Account, nil
	}
	g.delay(ctx, from)
	return Account{}, ErrDenied
}

// await waits for the turn of each place; done gives them to the next.
func (g *Gate) await(ctx context.Context, places []string) (done func(), err error) {
	all := make([]func(), 0, len(places))
	done = func() {
		for _, end := range all {
			end()
		}
	}
	for i, place := range places {
		end, err := g.awaitOne(ctx, place, room(i))
		if err != nil {
			done()
			return nil, err
		}
		all = append(all, end)
	}
	return done, nil
}

// room is how many passwords are checked at a time for the places of one login: for a site, as for so many clients.
func room(i int) int {
	if i > 0 {
		return endsite.ClientsOfSite
	}
	return 1
}

func (g *Gate) awaitOne(ctx context.Context, place string, room int) (done func(), err error) {
	g.mu.Lock()
	t := g.turns[place]
	if t == nil {
		t = &turn{taken: make(chan struct{}, room)}
		g.turns[place] = t
	}
	t.people++
	g.mu.Unlock()
	leave := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if t.people--; t.people == 0 {
			delete(g.turns, place)
		}
	}
	select {
	case t.taken <- struct{}{}:
		return func() { <-t.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// verify runs argon2id in one of the slots.
func (g *Gate) verify(ctx context.Context, phc, password string) (bool, error) {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	defer func() { <-g.slots }()
	return Verify(phc, password)
}

// mark names a right password without keeping it: a MAC under a key that dies
// with the process, over the stored hash too, so that a changed password
// forgets the old one.
func (g *Gate) mark(email, phc, password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, g.key)
	for _, s := range []string{email, phc, password} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		mac.Write([]byte(s))
	}
	return [sha256.Size]byte(mac.Sum(nil))
}

func (g *Gate) remembers(mark [sha256.Size]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.remembered[mark]
	return ok && g.opts.now().Before(until)
}

func (g *Gate) remember(mark [sha256.Size]byte) {
	if g.opts.Remember < 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.opts.now()
	if len(g.remembered) >= maxRemembered {
		for m, until := range g.remembered {
			if !now.Before(until) {
				delete(g.remembered, m)
			}
		}
		if len(g.remembered) >= maxRemembered {
			clear(g.remembered)
		}
	}
	g.remembered[mark] = now.Add(g.opts.Remember)
}

// Introduce says for whom a program on this machine connects from that address:
// the gateway, for somebody far away. It holds until forget is called.
func (g *Gate) Introduce(from net.Addr, client netip.Addr) (forget func()) {
	at, ok := addrPort(from)
	if !ok || !client.IsValid() {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.introduced[at] = client
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.introduced, at)
	}
}

// origin is where a connection comes from in truth.
func (g *Gate) origin(remote net.Addr) net.Addr {
	at, ok := addrPort(remote)
	if !ok {
		return remote
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if client, ok := g.introduced[at]; ok {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, at.Port()))
	}
	return remote
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	if a == nil {
		return netip.AddrPort{}, false
	}
	at, err := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), err == nil
}

// places are what failures are counted by. On loopback, where programs of this
// machine come from, that is the account, or one user's typing errors would
// slow down all; elsewhere it is the client's network (see package endsite), and
// his site's, who may have many.
func places(remote net.Addr, email string) []string {
	at, ok := addrPort(remote)
	if !ok || at.Addr().IsLoopback() {
		return []string{account(email)}
	}
	client := endsite.Client(at.Addr())
	list := []string{client.String()}
	if site := endsite.Site(client); site != client {
		list = append(list, site.String())
	}
	return list
}

// forgive forgets the typing errors of a user who got it right. A network
// address is not forgiven, or whoever has one account could go on guessing at
// the others' by logging in between.
func (g *Gate) forgive(email string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.failures, account(email))
}

func account(email string) string { return "account " + email }

// delay counts a failure and sleeps for it, outside of the slots.
func (g *Gate) delay(ctx context.Context, places []string) {
	if g.opts.Delay < 0 {
		return
	}
	g.mu.Lock()
	now := g.opts.now()
	if len(g.failures) >= maxFailures {
		clear(g.failures)
	}
	doublings := 0
	for i, p := range places {
		f := g.failures[p]
		if now.Sub(f.last) > forgetAfter {
			f.count = 0
		}
		doublings = max(doublings, f.count/room(i))
		f.count++
		f.last = now
		g.failures[p] = f
	}
	wait := g.opts.Delay << min(doublings, maxDoublings)
	g.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
