package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest"
)

// world is a DNS and an internet in memory, for one test. Nothing leaves it.
type world struct {
	t    *testing.T
	mx   map[string][]*net.MX
	ip   map[string][]string
	txt  map[string][]string
	fail map[string]error           // what a look-up of that name comes to
	peer map[string]mailtest.Server // by address and port; what is not there refuses connections
	slow map[string]bool            // addresses that never answer

	mu      sync.Mutex
	asked   map[string]int // look-ups by name
	dialled []string
	all     int // connections open now
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, mx: map[string][]*net.MX{}, ip: map[string][]string{}, txt: map[string][]string{}, fail: map[string]error{},
		peer: map[string]mailtest.Server{}, slow: map[string]bool{}, asked: map[string]int{},
	}
}

// domain gives a domain MX hosts: "10 mx1.example.org 192.0.2.1 2001:db8::1".
func (w *world) domain(name string, hosts ...string) {
	for _, h := range hosts {
		words := strings.Fields(h)
		var pref uint16
		fmt.Sscan(words[0], &pref)
		w.mx[name] = append(w.mx[name], &net.MX{Host: words[1] + ".", Pref: pref})
		if len(words) > 2 {
			w.ip[words[1]] = words[2:]
		}
	}
}

// serve puts a server at port 25 of an address.
func (w *world) serve(address string, s mailtest.Server) {
	w.peer[netip.AddrPortFrom(netip.MustParseAddr(address), 25).String()] = s
}

// stranger is a server that takes mail for everybody from everybody.
func stranger(mend ...func(*mailtest.SMTP)) *mailtest.SMTP {
	s := &mailtest.SMTP{OpenMail: true, Anybody: true, DSN: true, Pipelining: true, Size: 10 << 20}
	for _, m := range mend {
		m(s)
	}
	return s
}

// one is a world of one domain, one host and one server.
func one(t *testing.T, mend ...func(*mailtest.SMTP)) (*world, *mailtest.SMTP) {
	w := newWorld(t)
	s := stranger(mend...)
	w.domain("example.org", "10 mx.example.org 192.0.2.1")
	w.serve("192.0.2.1", s)
	return w, s
}

// deliverer makes a Deliverer of this world, closed at the end of the test.
func (w *world) deliverer(mend ...func(*Config)) *Deliverer {
	c := Config{Hostname: "mail.postern.test", Resolver: w, Dialer: w, Refuse: func(netip.Addr) string { return "" }}
	for _, m := range mend {
		m(&c)
	}
	d := New(c)
	w.t.Cleanup(d.Close)
	return d
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// errDNS is a DNS that does not answer.
var errDNS = &net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}

func (w *world) ask(ctx context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[name]++
	if err := w.fail[name]; err != nil {
		return err
	}
	return ctx.Err()
}

func (w *world) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if err := w.ask(ctx, "MX "+name); err != nil {
		return nil, err
	}
	if w.mx[name] == nil {
		return nil, notFound(name)
	}
	var list []*net.MX
	for _, mx := range w.mx[name] {
		list = append(list, &net.MX{Host: mx.Host, Pref: mx.Pref})
	}
	return list, nil
}

func (w *world) LookupIPAddr(ctx context.Context, name string) (list []net.IPAddr, err error) {
	if err := w.ask(ctx, name); err != nil {
		return nil, err
	}
	for _, a := range w.ip[name] {
		list = append(list, net.IPAddr{IP: net.ParseIP(a)})
	}
	if list == nil {
		return nil, notFound(name)
	}
	return list, nil
}

func (w *world) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := w.ask(ctx, "TXT "+name); err != nil {
		return nil, err
	}
	if w.txt[name] == nil {
		return nil, notFound(name)
	}
	return w.txt[name], nil
}

func (w *world) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, address)
	server, slow := w.peer[address], w.slow[address]
	w.mu.Unlock()
	if slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if server == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all++
	return &counted{Conn: mailtest.Connect(w.t, server, nil), world: w}, nil
}

// counted tells its world when it closes.
type counted struct {
	net.Conn
	world *world
	once  sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.world.mu.Lock()
		defer c.world.mu.Unlock()
		c.world.all--
	})
	return c.Conn.Close()
}

// open answers how many connections are.
func (w *world) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// dials answers what was dialled so far.
func (w *world) dials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialled)
}

const hello = "From: a@postern.test\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nhello\r\n"

// message is one of that content, from a@postern.test.
func message(content string, to ...string) Message {
	m := Message{From: "a@postern.test", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
	for _, r := range to {
		m.Recipients = append(m.Recipients, Recipient{Address: r})
	}
	return m
}

// said answers a transcript as text.
func said(t Transcript) string {
	var b bytes.Buffer
	for _, l := range t {
		fmt.Fprintf(&b, "%c %s\n", l.Who, l.Text)
	}
	return b.String()
}

// want compares a result with "outcome code enhanced", where the code may be left out.
func want(t *testing.T, r Result, outcome string, transcript Transcript) {
	t.Helper()
	got := fmt.Sprintf("%s %d %s", r.Outcome, r.Code, r.Enhanced)
	short := fmt.Sprintf("%s %s", r.Outcome, r.Enhanced)
	if got != outcome && short != outcome && r.Outcome.String() != outcome {
		t.Errorf("%s (%s), want %s\n%s", got, r.Text, outcome, said(transcript))
	}
	if strings.ContainsFunc(r.Text, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		t.Errorf("not printable: %q", r.Text)
	}
}

var errBroken = errors.New("the disk is broken")

// dialerFunc is a function as a Dialer.
type dialerFunc func(address string) (net.Conn, error)

func (f dialerFunc) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	return f(address)
}
