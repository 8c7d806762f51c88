package bridge

import (
	"bufio"
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// ftpHost makes a gateway that reaches a server of FTP on loopback under the name ftp.example, and its port 50123, which f serves. dial,
// if there is one, is called before a data connection is made.
func ftpHost(t testing.TB, l Limits, f func(*net.TCPConn), dial func()) (gateway, *tunnel.Conn) {
	t.Helper()
	control := serveTCP(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "220 ready\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	data := serveTCP(t, f)
	g := start(t, Config{
		Policy: Policy{Allow: rules(t, "ftp.example:21")}, Access: members, Limits: l, Resolver: names{"ftp.example": {"93.184.216.34"}},
		Dialer: dialerFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			to := map[string]string{"93.184.216.34:21": control, "93.184.216.34:50123": data}[address]
			if to == data && dial != nil {
				dial()
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		}),
	})
	conn, err := g.sessionOf(t, member).Open(t.Context(), wire.Open{Service: wire.FTP, Host: "ftp.example", Port: 21})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return g, conn.(*tunnel.Conn)
}

type dialerFunc func(ctx context.Context, network, address string) (net.Conn, error)

func (f dialerFunc) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return f(ctx, network, address)
}

// A data connection that stands still ends sooner than a session of mail, and the control connection beside it does not.
func TestIdleData(t *testing.T) {
	_, control := ftpHost(t, Limits{DataIdleTimeout: 100 * time.Millisecond}, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }, nil)
	data, err := control.OpenData(t.Context(), 50123)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(data); reason(err) != wire.Idle {
		t.Errorf("%v", err)
	}
	_ = data.Close()
	_ = control.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := control.Read(make([]byte, 1)); reason(err) != "" {
		t.Errorf("the control connection: %v", err)
	}
}

// A control connection that ends while a data connection is being made takes it along.
func TestControlEndsMeanwhile(t *testing.T) {
	arrived, goOn, got := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	g, control := ftpHost(t, Limits{}, func(c *net.TCPConn) {
		p, _ := io.ReadAll(c)
		got <- string(p)
	}, func() { close(arrived); <-goOn })
	refused := make(chan error, 1)
	go func() {
		_, err := control.OpenData(t.Context(), 50123)
		refused <- err
	}()
	<-arrived
	_ = control.Close()
	eventually(t, "the control connection ends", func() bool { return g.Stats().Streams == 0 })
	close(goOn)
	if err := <-refused; reason(err) != wire.Denied {
		t.Errorf("%v", err)
	}
	if p := <-got; p != "" {
		t.Errorf("%q got through", p)
	}
	eventually(t, "what was held for it is given back", func() bool { return g.Stats().Targets == 0 })
}

// A session that goes on holds nothing of control connections that have ended.
func TestControlsAreForgotten(t *testing.T) {
	g, control := ftpHost(t, Limits{}, func(*net.TCPConn) {}, nil)
	held := func() (n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for s := range g.sessions {
			s.mu.Lock()
			n += len(s.controls)
			s.mu.Unlock()
		}
		return n
	}
	if n := held(); n != 1 {
		t.Errorf("%d are held", n)
	}
	_ = control.Close()
	eventually(t, "it is forgotten", func() bool { return held() == 0 })
	if n := g.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// Data connections have a rate of their own, and do not take from that of other streams.
func TestRatesOfData(t *testing.T) {
	g, control := ftpHost(t, Limits{NewStreamsPerMinute: 2, NewStreamsPerTarget: 1}, func(*net.TCPConn) {}, nil)
	n := 0
	for ; n < 100; n++ {
		data, err := control.OpenData(t.Context(), 50123)
		if reason(err) == wire.TooFast {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(data)
		_ = data.Close()
		eventually(t, "it ends", func() bool { return g.Stats().Streams == 1 })
	}
	if n != dataConnections {
		t.Errorf("%d data connections, want %d", n, dataConnections)
	}
}

// A gateway says that it can where it can.
func TestCapabilityOfData(t *testing.T) {
	some := func(context.Context, net.Addr, int) (net.Conn, error) { return nil, io.EOF }
	for name, test := range map[string]struct {
		c   Config
		can bool
	}{
		"nothing":       {Config{}, false},
		"mail":          {Config{Embedded: pop3("127.0.0.1:1")}, false},
		"files":         {Config{Embedded: []Embedded{{Info: wire.Embedded{Hostname: "a.test"}, Data: some}}}, true},
		"other servers": {Config{Policy: Policy{Mode: reach.Mail}, Access: members}, true},
	} {
		b, err := New(test.c)
		if err != nil {
			t.Fatal(err)
		}
		if can := slices.Contains(b.welcome("").Capabilities, wire.CapFTPData); can != test.can {
			t.Errorf("%s: %v", name, can)
		}
	}
}
