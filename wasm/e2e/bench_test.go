package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// benchMessages is the size of the mailbox of BenchmarkTable: what DESIGN's list and the downloads are about.
const benchMessages = 10_000

// table is what the benchmark prints: a line for a measurement, and its ratio to the line it names.
type table struct{ rows [][4]string }

func (t *table) add(what, value, ratio, against string) {
	t.rows = append(t.rows, [4]string{what, value, ratio, against})
}

func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nmeasured\tvalue\tratio\tto")
	for _, r := range t.rows {
		fmt.Fprintln(tw, strings.Join(r[:], "\t"))
	}
	tw.Flush()
}

// BenchmarkTable measures the whole and prints one table. Run it by `task bench`; it takes its peers in the same run,
// because figures of different runs on a noisy machine say nothing together.
func BenchmarkTable(b *testing.B) {
	g := startGateway(b)
	deliver(b, g.Addr("submission"), "alice@postern.test", g.password("alice"), "bob@postern.test", benchMessages)
	var t table
	benchDownload(b, g, &t)
	benchBrowser(b, g, &t)
	t.print(os.Stdout)
	for b.Loop() { // the table is the result; the framework only wants to have been asked
	}
}

// benchDownload fetches the mailbox by shared/pop3: straight to the server, and through WebSocket, tunnel and bridge.
func benchDownload(b *testing.B, g *gateway, t *table) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	session := dialTunnel(ctx, b, g)
	defer session.Close()
	pin := session.Welcome().Embedded.Fingerprint
	direct := func() (net.Conn, error) { return net.Dial("tcp", g.Addr("pop3s")) }
	tunnelled := func() (net.Conn, error) { return session.Open(ctx, wire.Open{Service: "pop3s"}) }
	rate := func(dial func() (net.Conn, error)) float64 {
		c, err := dial()
		if err != nil {
			b.Fatal(err)
		}
		return download(ctx, b, tls.Client(c, trust.Config(trust.Options{ServerName: "localhost", Pins: []string{pin}})), g.password("bob"))
	}
	rate(direct) // warm the server's caches for both
	base := rate(direct)
	through := rate(tunnelled)
	t.add("POP3 over TLS, direct", fmt.Sprintf("%.0f messages/s", base), "1.00", "")
	t.add("POP3 over TLS, through the tunnel", fmt.Sprintf("%.0f messages/s", through), fmt.Sprintf("%.2f", through/base), "direct")
}

func dialTunnel(ctx context.Context, b testing.TB, g *gateway) *tunnel.Session {
	c, _, err := websocket.Dial(ctx, strings.Replace(g.URL(), "http", "ws", 1)+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		b.Fatal(err)
	}
	s, err := tunnel.Client(ctx, wsconn.New(c), wire.Hello{Version: wire.Version, Client: "bench"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// download answers messages per second.
func download(ctx context.Context, b testing.TB, conn net.Conn, password string) float64 {
	c := pop3.New(conn, nil)
	defer c.Close()
	if _, err := c.Capa(ctx); err != nil {
		b.Fatal(err)
	}
	if err := c.Login(ctx, "bob@postern.test", password); err != nil {
		b.Fatal(err)
	}
	list, err := c.List(ctx)
	if err != nil {
		b.Fatal(err)
	}
	start, n := time.Now(), 0
	err = c.RetrAll(ctx, list, func(_ int, body io.Reader) error {
		n++
		_, err := io.Copy(io.Discard, body)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	if n < benchMessages {
		b.Fatalf("%d messages of %d", n, benchMessages)
	}
	if err := c.Quit(ctx); err != nil {
		b.Fatal(err)
	}
	return float64(n) / took.Seconds()
}

// benchBrowser measures what a person waits for: the first load and the second, the first fetch, and how the list
// scrolls.
func benchBrowser(b *testing.B, g *gateway, t *table) {
	w := startBrowser(b, "bench")
	ready := `performance.getEntriesByName("postern-ready")[0]?.startTime ?? -1`
	watch := `new MutationObserver((_, o) => { if (document.querySelector('[data-ready="true"]')) { performance.mark("postern-ready"); o.disconnect() } }).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"]})`
	w.run(network.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(watch).Do(ctx)
		return err
	}))
	w.Go(g.URL())
	var first, paint, second float64
	w.Eval(ready, &first)
	w.Eval(`performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1`, &paint)
	var wire struct {
		Bytes float64
		Files int
	}
	w.Eval(`(es => ({Bytes: es.reduce((n, e) => n + (e.encodedBodySize || 0), 0), Files: es.length}))([...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")])`, &wire)
	t.add("first load: bytes on the wire (page)", fmt.Sprintf("%.2f MB in %d files", wire.Bytes/1e6, wire.Files), "", "")
	t.add("first load: navigation to first paint of the shell", fmt.Sprintf("%.0f ms", paint), "", "")
	t.add("first load: navigation to the page", fmt.Sprintf("%.0f ms", first), "1.00", "")

	start := time.Now()
	w.SignInDemo("bob")
	w.within(5*time.Minute, "all messages are here", fmt.Sprintf(`+%s.dataset.total >= %d && %s.dataset.state === "idle"`, q("message-list"), benchMessages, q("sync-state")))
	took := time.Since(start)
	t.add("first fetch in Chromium, stored and listed", fmt.Sprintf("%.0f messages/s", float64(benchMessages)/took.Seconds()), "", "")

	w.Until("the page can start offline", `navigator.serviceWorker.ready.then(r => !!r.active)`)
	w.Reload()
	w.Eval(ready, &second)
	t.add("second load: navigation to the inbox of 10,000", fmt.Sprintf("%.0f ms", second), fmt.Sprintf("%.2f", second/first), "first load")

	var frames struct {
		FPS, Worst float64
		Height     float64
	}
	w.Eval(scroll, &frames)
	b.Log(mustJSON(frames))
	t.add("scrolling 10,000 messages", fmt.Sprintf("%.1f frames/s", frames.FPS), fmt.Sprintf("%.2f", frames.FPS/60), "60 frames/s")
	t.add("  longest frame", fmt.Sprintf("%.0f ms", frames.Worst), "", "")
}

// scroll moves the list by 40 px a frame for five seconds and counts the frames that the page managed to make.
const scroll = `new Promise(done => {
	let el = document.querySelector('[data-testid="message-list"]');
	while (el && !(el.scrollHeight > el.clientHeight + 1000 && /auto|scroll/.test(getComputedStyle(el).overflowY))) el = el.parentElement ?? null;
	el ??= [...document.querySelectorAll('[data-testid="message-list"], [data-testid="message-list"] *')].find(e => e.scrollHeight > e.clientHeight + 1000);
	if (!el) return done({FPS: 0, Worst: -1, Height: -1});
	let n = 0, worst = 0, t0 = 0, last = 0;
	requestAnimationFrame(function step(t) {
		if (t0 === 0) t0 = t; else worst = Math.max(worst, t - last);
		last = t; n++;
		el.scrollTop += 40;
		if (t - t0 < 5000) return requestAnimationFrame(step);
		done({FPS: (n - 1) / (t - t0) * 1000, Worst: worst, Height: el.scrollHeight});
	});
})`

func mustJSON(v any) string { b, _ := json.Marshal(v); return string(b) }
