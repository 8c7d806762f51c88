package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// tap keeps every octet of every connection, each direction of each by itself.
type tap struct {
	mu    sync.Mutex
	conns []*tapped
}

type tapped struct {
	net.Conn
	tap     *tap
	in, out []byte // what was read from the peer, and what was written to it
}

func (t *tap) on(c net.Conn) net.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &tapped{Conn: c, tap: t}
	t.conns = append(t.conns, k)
	return k
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.in = append(c.in, p[:n]...)
	return n, err
}

func (c *tapped) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.out = append(c.out, p[:n]...)
	return n, err
}

// CloseWrite keeps what a relay wants of a TCP connection.
func (c *tapped) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// each gives what was read and what was written, for each connection.
func (t *tap) each(fn func(in, out []byte)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		fn(c.in, c.out)
	}
}

// tappedListener taps what it accepts.
type tappedListener struct {
	net.Listener
	tap *tap
}

func (l tappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.tap.on(c), nil
}

// tappedDialer taps what it dials.
type tappedDialer struct{ tap *tap }

func (d tappedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return d.tap.on(c), nil
}

// payload is what is in the frames of one direction of a WebSocket, behind the HTTP header, unmasked. See RFC 6455
// section 5.2.
func payload(t *testing.T, stream []byte) (all []byte) {
	t.Helper()
	_, rest, ok := bytes.Cut(stream, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("no HTTP header in %d octets", len(stream))
	}
	for len(rest) >= 2 {
		if rest[0]&0x70 != 0 {
			t.Fatal("frames of an extension: what they hold would not be seen")
		}
		masked, n := rest[1]&0x80 != 0, uint64(rest[1]&0x7F)
		head := 2
		switch n {
		case 126:
			n, head = uint64(binary.BigEndian.Uint16(rest[2:])), 4
		case 127:
			n, head = binary.BigEndian.Uint64(rest[2:]), 10
		}
		var key [4]byte
		if masked {
			head += copy(key[:], rest[head:])
		}
		end := head + int(n)
		if end > len(rest) {
			return all // cut by the end
		}
		for i, c := range rest[head:end] {
			all = append(all, c^key[i%4])
		}
		rest = rest[end:]
	}
	return all
}

// gatewaySight is all that a gateway saw, in the four directions.
type gatewaySight struct {
	fromClient, toClient []byte   // out of the WebSocket
	toServer, fromServer []byte   // of all TCP connections
	asked                [][]byte // of each of them, what the client said
}

// mailServers are somebody's POP3 and SMTP servers, on loopback.
type mailServers struct {
	host                                 string
	pop3, pop3s, submission, submission2 int // plain and STARTTLS; TLS
	roots                                *x509.CertPool
	email, user, password                string
	recipient                            string
	deliver                              func(message []byte)
	received                             func(marker string) []byte // waits for it
}

func (s *mailServers) servers(security api.Security) *api.Servers {
	pop, smtp := s.pop3, s.submission
	if security == api.TLS {
		pop, smtp = s.pop3s, s.submission2
	}
	auth := ""
	if security == api.Plain {
		auth = "PLAIN" // what shows the password, or it could not be found
	}
	return &api.Servers{
		POP3: api.Server{Host: s.host, Port: pop, Security: security, User: s.user, Auth: auth},
		SMTP: api.Server{Host: s.host, Port: smtp, Security: security, User: s.user, Auth: auth},
	}
}

// throughARealGateway signs in, fetches a message and sends one, over a bridge as the gateway has it, and answers what
// that saw, and the two messages as they are.
func throughARealGateway(t *testing.T, servers *mailServers, security api.Security) (sight gatewaySight, fetched, sent []byte) {
	t.Helper()
	var webSockets, dialled tap
	rules := []bridge.Rule{}
	for _, port := range []int{servers.pop3, servers.pop3s, servers.submission, servers.submission2} {
		r, err := bridge.ParseRule(net.JoinHostPort(servers.host, fmt.Sprint(port)))
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	b, err := bridge.New(bridge.Config{Server: "test", Policy: bridge.Policy{Allow: rules}, Dialer: tappedDialer{&dialled}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.Path, b)
	gateway := httptest.NewUnstartedServer(mux)
	gateway.Listener = tappedListener{gateway.Listener, &webSockets}
	gateway.Start()
	dialer := &tunnel.Dialer{Hello: wire.Hello{Version: wire.Version, Client: "test"}, Connect: func(ctx context.Context) (tunnel.MessageConn, error) {
		c, _, err := websocket.Dial(ctx, gateway.URL+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			return nil, err
		}
		return wsconn.New(c), nil
	}}
	engine, err := New(Config{FS: store.NewMemFS(), Gateway: dialer, Roots: servers.roots, Poll: 100 * time.Millisecond, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 1)
	defer engine.Subscribe(func(api.Event) { ask(changed) })()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	online := make(chan struct{}, 1)
	defer dialer.Subscribe(func(s tunnel.State) {
		if s.Phase == tunnel.Online {
			select {
			case online <- struct{}{}:
			default:
			}
		}
	})()
	running.Go(func() { _ = dialer.Run(ctx) })
	select {
	case <-online: // until it has tried, an engine says that there is no gateway
	case <-time.After(30 * time.Second):
		t.Fatal("the gateway was not reached")
	}
	running.Go(func() { _ = engine.Run(ctx) })
	ended := false
	end := func() {
		if !ended {
			ended = true
			stop()
			running.Wait()
			_ = b.Shutdown(ctx)
			gateway.Close()
		}
	}
	defer end()

	fetched = []byte("From: Zacharias <zacharias@elsewhere.test>\r\nTo: <" + servers.email + ">\r\nSubject: The quince harvest\r\n" +
		"Message-ID: <quince-" + string(security) + "@elsewhere.test>\r\nDate: Thu, 1 Jan 2026 10:00:00 +0000\r\n\r\n" +
		"Forty baskets of quinces stand in the cellar.\r\nNobody but you may know of them.\r\n")
	servers.deliver(fetched)
	a, err := engine.SignIn(ctx, api.SignIn{Email: servers.email, Password: servers.password, Servers: servers.servers(security)})
	if err != nil {
		t.Fatalf("signing in: %v", err)
	}
	await := func(f api.FolderID, what string) api.Row {
		t.Helper()
		timeout := time.After(30 * time.Second)
		for {
			p, err := engine.List(ctx, api.ListQuery{Account: a.ID, Folder: f, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(p.Rows, func(r api.Row) bool { return r.Subject == what }); i >= 0 {
				return p.Rows[i]
			}
			select {
			case <-changed:
			case <-timeout:
				s, _ := engine.Status(ctx)
				out, _ := engine.List(ctx, api.ListQuery{Account: a.ID, Folder: api.Outbox, Limit: 100})
				t.Fatalf("no %q in %s: %+v, %+v", what, f, s.Accounts, out.Rows)
			}
		}
	}
	await(api.Inbox, "The quince harvest")
	subject := "The answer about jam " + string(security)
	_, err = engine.Send(ctx, api.Draft{Account: a.ID, To: to(servers.recipient), Subject: subject,
		Text: "All of it will be jam before the winter.\nBring sugar, and tell no gateway."})
	if err != nil {
		t.Fatal(err)
	}
	row := await(api.Sent, subject)
	if sent, err = engine.Source(ctx, api.MessageRef{Account: a.ID, ID: row.ID}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(servers.received(subject), []byte("Bring sugar")) {
		t.Error("the message did not arrive as it was sent")
	}
	end()

	webSockets.each(func(in, out []byte) {
		sight.fromClient, sight.toClient = append(sight.fromClient, payload(t, in)...), append(sight.toClient, payload(t, out)...)
	})
	dialled.each(func(in, out []byte) {
		sight.fromServer, sight.toServer = append(sight.fromServer, in...), append(sight.toServer, out...)
		sight.asked = append(sight.asked, out)
	})
	return sight, fetched, sent
}

// linesOf are the lines of a message that are long enough to be told from chance.
func linesOf(message []byte) (lines []string) {
	for line := range strings.SplitSeq(string(message), "\r\n") {
		if len(line) >= 12 && !strings.HasPrefix(line, "MIME-Version") && !strings.HasPrefix(line, "Content-") {
			lines = append(lines, line)
		}
	}
	return lines
}

// wantBlind wants a gateway to have seen nothing of what it carried, and with plain text, by the same search, all of it.
func wantBlind(t *testing.T, servers *mailServers, security api.Security) {
	sight, fetched, sent := throughARealGateway(t, servers, security)
	secrets := spoils(servers.email, servers.password)
	if servers.user != "" {
		secrets = append(secrets, spoils(servers.user+"\x00", servers.password)...) // a short name alone could be chance
		secrets = append(secrets, spoils(servers.user, servers.password)[2:]...)
	}
	mail := append(linesOf(fetched), linesOf(sent)...)
	if len(mail) < 10 {
		t.Fatalf("only %d lines to look for: %q", len(mail), mail)
	}
	seen := map[string][]byte{"client to gateway": sight.fromClient, "gateway to client": sight.toClient,
		"gateway to server": sight.toServer, "server to gateway": sight.fromServer}
	for where, octets := range seen {
		if len(octets) < 400 {
			t.Errorf("%s: only %d octets", where, len(octets))
		}
	}
	if security != api.Plain {
		for where, octets := range seen {
			if got := found(octets, append(secrets, mail...)); len(got) > 0 {
				t.Errorf("%s: %q", where, got)
			}
		}
		wantNothingBeforeTLS(t, sight.asked, security)
		return
	}
	for where, lines := range map[string][]string{
		"client to gateway": linesOf(sent), "gateway to server": linesOf(sent),
		"server to gateway": linesOf(fetched), "gateway to client": linesOf(fetched),
	} {
		if got := found(seen[where], lines); len(got) != len(lines) {
			t.Errorf("%s: of %d lines %d were found: the search does not find what is there", where, len(lines), len(got))
		}
		if strings.HasPrefix(where, "client") || strings.HasSuffix(where, "server") {
			if len(found(seen[where], secrets)) == 0 {
				t.Errorf("%s: neither name nor password was found, in plain text", where)
			}
		}
	}
}

// wantNothingBeforeTLS looks at what was said to a server before its TLS.
func wantNothingBeforeTLS(t *testing.T, asked [][]byte, security api.Security) {
	t.Helper()
	sealed := 0
	for _, said := range asked {
		if len(said) == 0 {
			continue // given up before the greeting came, as at the end
		}
		plain, _, ok := bytes.Cut(said, []byte{22, 3}) // a handshake record, RFC 8446 section 5.1
		if ok {
			sealed++
		} else {
			t.Errorf("a connection without TLS: %q", said)
		}
		for line := range bytes.Lines(plain) {
			switch string(line) {
			case "CAPA\r\n", "STLS\r\n", "EHLO localhost\r\n", "STARTTLS\r\n":
			default:
				t.Errorf("before TLS it was said: %q", line)
			}
		}
		if security == api.TLS && len(plain) > 0 {
			t.Errorf("before TLS from the first octet it was said: %q", plain)
		}
	}
	if sealed < 2 {
		t.Errorf("%d connections with TLS, want one to each server at least", sealed)
	}
}

// newMailServers are servers in memory, on loopback.
func newMailServers(t *testing.T) *mailServers {
	authority := mailtest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
	pop := &mailtest.POP3{Password: map[string]string{dora: doraPW}, Maildrop: map[string]*mailtest.Maildrop{dora: new(mailtest.Maildrop)}, TLS: config}
	post := &mailtest.SMTP{Password: pop.Password, Users: []string{alice}, TLS: config}
	port := func(s mailtest.Server) int {
		a, err := net.ResolveTCPAddr("tcp", mailtest.Listen(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return a.Port
	}
	return &mailServers{
		host: "127.0.0.1", pop3: port(pop), pop3s: port(sealedBy(config, pop)), submission: port(post), submission2: port(sealedBy(config, post)),
		roots: authority.Pool(), email: dora, password: doraPW, recipient: alice,
		deliver: pop.Maildrop[dora].Deliver,
		received: func(marker string) []byte {
			for _, r := range post.Received() {
				if bytes.Contains(r.Content, []byte(marker)) {
					return r.Content
				}
			}
			return nil
		},
	}
}

// The gateway, as it is in the field, sees neither who it is, nor the password, nor a word of the mail.
func TestTheGatewayIsBlind(t *testing.T) {
	for _, security := range []api.Security{api.TLS, api.STARTTLS, api.Plain} {
		t.Run(string(security), func(t *testing.T) { wantBlind(t, newMailServers(t), security) })
	}
}
