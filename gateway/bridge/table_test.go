package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// BenchmarkTable measures the gateway beside a bare relay from WebSocket to TCP and beside websockify, all in
// processes of their own on loopback, and prints one table. Run it by `task bench`.
func BenchmarkTable(b *testing.B) {
	t := &table{B: b, targets: []string{serveTCP(b, source), serveTCP(b, sink), serveTCP(b, echo)}}
	for _, what := range []struct {
		words   string
		measure func(relay relayer) float64
		unit    string
	}{
		{"down, one stream", t.down, "MB/s"},
		{"up, one stream", t.up, "MB/s"},
		{"32 octets there and back", t.roundTrips, "a second"},
	} {
		t.compare(what.words, what.unit, what.measure)
	}
	t.memory()
	t.figures.Print(os.Stdout)
	for b.Loop() { // the table is the result; the framework only wants to have been asked
	}
}

type table struct {
	*testing.B
	targets []string
	figures mailtest.Table
}

// block is what is written at a time.
const block = 64 << 10

// source sends for as long as somebody takes it.
func source(c *net.TCPConn) {
	p := make([]byte, block)
	for {
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

// sink acknowledges each block by one byte.
func sink(c *net.TCPConn) {
	p := make([]byte, block)
	for {
		if _, err := io.ReadFull(c, p); err != nil {
			return
		}
		if _, err := c.Write(p[:1]); err != nil {
			return
		}
	}
}

// relayer opens a connection to one of the targets.
type relayer struct {
	name    string
	dial    func(target int) (net.Conn, error)
	session func() (io.Closer, error) // the gateway's: without a target
	memory  func() int                // octets
}

const (
	toSource = iota
	toSink
	toEcho
)

func (t *table) relayers() (list []relayer) {
	bare := startRelay(t, "bare", t.targets...)
	list = append(list, relayer{"bare relay", func(i int) (net.Conn, error) {
		ws, _, err := websocket.Dial(t.Context(), fmt.Sprint(bare.url, "/", i), nil)
		if err != nil {
			return nil, err
		}
		ws.SetReadLimit(-1)
		return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
	}, nil, func() int { return bare.memory(t) }})
	own := startRelay(t, "gateway", t.targets...)
	services := []wire.ServiceName{wire.POP3, wire.SMTP, wire.Submission}
	list = append(list, relayer{"gateway", func(i int) (net.Conn, error) {
		s, err := own.session(t)
		if err != nil {
			return nil, err
		}
		c, err := s.Open(t.Context(), wire.Open{Service: services[i]})
		if err != nil {
			return nil, err
		}
		return withSession{c, s}, nil
	}, func() (io.Closer, error) { return own.session(t) }, func() int { return own.memory(t) }})
	if w, ok := startWebsockify(t, t.targets); ok {
		list = append(list, w)
	}
	return list
}

// withSession ends its session with it.
type withSession struct {
	net.Conn
	session *tunnel.Session
}

func (c withSession) Close() error { return errors.Join(c.Conn.Close(), c.session.Close()) }

func (p *relayProcess) session(t testing.TB) (*tunnel.Session, error) {
	ws, _, err := websocket.Dial(t.Context(), p.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return nil, err
	}
	return tunnel.Client(t.Context(), wsconn.New(ws), wire.Hello{Version: wire.Version, Client: "bench"}, nil)
}

// compare measures the relays in turns, three times, and takes the best of each.
func (t *table) compare(what, unit string, measure func(relayer) float64) {
	best := map[string]float64{}
	relayers := t.relayers()
	for range 3 {
		for _, r := range relayers {
			best[r.name] = max(best[r.name], measure(r))
		}
	}
	for _, r := range relayers {
		ratio, against := "", ""
		if r.name != "bare relay" {
			ratio, against = fmt.Sprintf("%.2f", best[r.name]/best["bare relay"]), "bare relay"
		}
		t.figures.Add(what+", "+r.name, fmt.Sprintf("%.0f %s", best[r.name], unit), ratio, against)
	}
}

func (t *table) open(r relayer, target int) net.Conn {
	c, err := r.dial(target)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	return c
}

const bulk = 512 << 20

func (t *table) down(r relayer) float64 {
	c := t.open(r, toSource)
	defer c.Close()
	began := time.Now()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(c, bulk), make([]byte, block)); err != nil {
		t.Fatal(err)
	}
	return bulk / 1e6 / time.Since(began).Seconds()
}

func (t *table) up(r relayer) float64 {
	c := t.open(r, toSink)
	defer c.Close()
	began := time.Now()
	taken := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, c, bulk/block)
		taken <- err
	}()
	p := make([]byte, block)
	for range bulk / block {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	return bulk / 1e6 / time.Since(began).Seconds()
}

func (t *table) roundTrips(r relayer) float64 {
	const count = 20_000
	c := t.open(r, toEcho)
	defer c.Close()
	p := make([]byte, 32)
	began := time.Now()
	for range count {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, p); err != nil {
			t.Fatal(err)
		}
	}
	return count / time.Since(began).Seconds()
}

// memory is what connections cost on which nothing happens.
func (t *table) memory() {
	each := func(r relayer, count int, open func() (io.Closer, error)) int {
		before := r.memory()
		list := make([]io.Closer, count)
		var wg sync.WaitGroup
		for i := range list {
			c, err := open()
			if err != nil {
				t.Fatal(err)
			}
			list[i] = c
		}
		time.Sleep(time.Second) // until the last of them is at rest
		held := r.memory() - before
		for _, c := range list {
			wg.Go(func() { _ = c.Close() })
		}
		wg.Wait()
		return held / count >> 10
	}
	const count = 1000
	relayers, third := t.relayers(), t.relayers()[1]
	bare := each(relayers[0], count, func() (io.Closer, error) { return relayers[0].dial(toEcho) })
	idle := each(relayers[1], count, relayers[1].session)
	used := each(third, count, func() (io.Closer, error) { return third.dial(toEcho) })
	t.figures.Add("memory of an idle connection, bare relay", fmt.Sprintf("%d KB", bare), "", "")
	t.figures.Add("memory of an idle session", fmt.Sprintf("%d KB", idle), fmt.Sprintf("%+d KB", idle-bare), "bare relay")
	t.figures.Add("memory of a session with an idle stream", fmt.Sprintf("%d KB", used), fmt.Sprintf("%+d KB", used-bare), "bare relay")
	if len(relayers) < 3 {
		t.figures.Add("websockify", "not installed", "", "")
		return
	}
	theirs := each(relayers[2], websockifyConnections, func() (io.Closer, error) { return relayers[2].dial(toEcho) })
	t.figures.Add("memory of an idle connection, websockify", fmt.Sprintf("%d KB", theirs), fmt.Sprintf("%+d KB", theirs-bare), "bare relay")
}
