//go:build unix

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// benchMessages is the size of the mailbox of BenchmarkTable.
const benchMessages = 10_000

// far is the round trip of the second half of the downloads.
const far = 100 * time.Millisecond

// BenchmarkTable measures the whole and prints one table. Run it by `task bench`; it takes its peers in the same run,
// because figures of different runs on a noisy machine say nothing together. It wants Dovecot and Postfix; a peer that
// is not installed is left out.
func BenchmarkTable(b *testing.B) {
	b.Setenv("TMPDIR", "/dev/shm") // where the peers write, too: no disk has a say in it
	bed := testbed.Start(b)
	bench := benchWorld{B: b, bed: bed, gateway: startGateway(b, allow(bed)...)}
	g := mailtest.Generator{Seed: 42, Median: 8192, Attachments: 0.01}
	octets := 0
	bed.DeliverAll(b, "bob", func(yield func([]byte) bool) {
		for i := range benchMessages {
			m := g.Message(i)
			octets += len(m)
			if !yield(m) {
				return
			}
		}
	})
	postern.rate(b, bench.maildrop(0, false), benchMessages) // Dovecot builds its index at the first look

	bench.load()
	for _, roundTrip := range []time.Duration{0, far} {
		bench.downloads(roundTrip)
	}
	bench.table.Print(os.Stdout)
	fmt.Printf("%d messages, %d MB; a peer that would take an hour has fetched as many as its line says.\n", benchMessages, octets/1e6)
	for b.Loop() { // the table is the result; the framework only wants to have been asked
	}
}

// benchWorld is what is measured.
type benchWorld struct {
	*testing.B
	bed     *testbed.Bed
	gateway *gateway
	table   mailtest.Table
}

// maildrop is bob's, a round trip away.
func (w *benchWorld) maildrop(roundTrip time.Duration, sealed bool) maildrop {
	m := maildrop{bed: w.bed, port: w.bed.POP3, sealed: sealed}
	if sealed {
		m.port = w.bed.POP3S
	}
	if roundTrip > 0 {
		m.port = portOf(w, mailtest.Distant(w, w.bed.Address(m.port), roundTrip))
	}
	return m
}

func portOf(t testing.TB, address string) int {
	_, port, err := net.SplitHostPort(address)
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil {
		t.Fatal(address, err, err2)
	}
	return n
}

// downloads fetches the mailbox by every peer and by our client, natively and in Chromium. In Chromium the round trip is
// that between the browser and the gateway.
func (w *benchWorld) downloads(roundTrip time.Duration) {
	words := fmt.Sprintf(", %d ms", roundTrip.Milliseconds())
	base := map[bool]float64{}
	few := map[string]int{"fetchmail": 2000}
	if roundTrip > 0 {
		few = map[string]int{"fetchmail": 40, "curl": 80} // they wait for each answer, some of them twice
	}
	for _, sealed := range []bool{false, true} {
		how := words
		if sealed {
			how += ", TLS"
		}
		for _, p := range []peer{mpop, curl, fetchmail, postern} {
			if p.name == "curl" || p.name == "fetchmail" {
				if sealed {
					continue // the ratio to mpop is that without TLS
				}
			}
			if _, err := exec.LookPath(p.name); err != nil && p.name != postern.name {
				w.table.Add(p.name+how, "not installed", "", "")
				continue
			}
			n, part := benchMessages, ""
			if f := few[p.name]; f > 0 {
				n, part = f, fmt.Sprintf(" (%d messages)", f)
			}
			rate := p.rate(w.B, w.maildrop(roundTrip, sealed), n)
			if p.name == mpop.name {
				base[sealed] = rate
			}
			w.table.Rates(p.name+how+part, rate, base[sealed], mpop.name+how)
		}
	}
	for _, sealed := range []bool{false, true} {
		how := words
		if sealed {
			how += ", TLS"
		}
		rate, frames := w.inBrowser(roundTrip, sealed)
		w.table.Rates("Postern in Chromium"+how, rate, base[sealed], mpop.name+how)
		w.table.Add("  meanwhile the page draws", fmt.Sprintf("%.1f frames/s, the longest %.0f ms", frames.FPS, frames.Worst), fmt.Sprintf("%.2f", frames.FPS/60), "60 frames/s")
	}
}

// pace is how fast a page draws.
type pace struct{ FPS, Worst float64 }

// counting counts the frames that a page draws from the one after that with the first messages on.
const counting = `(() => {
	let n = 0, worst = 0, first = 0, last = 0;
	requestAnimationFrame(function step(t) {
		if (!first && !document.querySelector('[data-testid="message-row"]')) return requestAnimationFrame(step);
		if (first) worst = Math.max(worst, t - last); else first = t;
		last = t; n++;
		requestAnimationFrame(step);
	});
	globalThis.drawn = () => ({FPS: (n - 1) / (last - first) * 1000, Worst: worst});
})()`

// inBrowser adds the account to a fresh browser and answers messages per second from then until all are stored and
// listed.
func (w *benchWorld) inBrowser(roundTrip time.Duration, sealed bool) (float64, pace) {
	address := w.gateway.Addr("listen")
	if roundTrip > 0 {
		address = mailtest.Distant(w, address, roundTrip)
	}
	b := startBrowser(w, "bench")
	defer b.Close()
	b.Go(fmt.Sprintf("http://localhost:%d", portOf(w, address)))
	took, drawn := w.fetchIn(b, sealed)
	return benchMessages / took.Seconds(), drawn
}

// arrival waits within the page until all messages are listed and the fetch has ended: who asks from outside, forty times a
// second, is a load of his own.
const arrival = `new Promise((done, fail) => {
	const look = () => { if (+(%s?.dataset.total ?? 0) >= %d && %s?.dataset.state === "idle") { o.disconnect(); done() } };
	const o = new MutationObserver(look);
	o.observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["data-total", "data-state"]});
	setTimeout(fail, 180000, "not within 3 minutes");
	look();
})`

// typing is how long the form takes: half of what a person needs for an address, a password, two hosts and two ports.
const typing = 5 * time.Second

func (w *benchWorld) fetchIn(b *browser, sealed bool) (time.Duration, pace) {
	server := func(protocol, security string, port int) {
		b.Fill("setup-"+protocol+"-host", w.bed.Host)
		b.Choose("setup-"+protocol+"-security", security)
		b.Fill("setup-"+protocol+"-port", strconv.Itoa(port))
	}
	typed := time.After(typing)
	b.Type("signin-email", "bob@"+w.bed.Domain)
	b.Type("signin-password", "bob-pw")
	b.Click("setup-manual")
	if sealed {
		server("pop3", "tls", w.bed.POP3S)
		server("smtp", "tls", w.bed.Submissions)
	} else {
		server("pop3", "plain", w.bed.POP3)
		server("smtp", "plain", w.bed.Submission)
	}
	b.Fill("setup-user", "bob")
	<-typed
	b.Click("signin-submit")
	if sealed { // two servers, two questions
		for range 2 {
			b.Until("a certificate is shown", q("trust-certificate")+` !== null && !`+q("trust-certificate")+`.disabled`)
			b.Click("trust-certificate")
			b.Until("that is settled", q("trust-certificate")+` === null`)
		}
	}
	b.Until("the account is there", q("sync-state")+` !== null`)
	b.Eval(counting, nil)
	start := time.Now() // the servers have been tried, as part of setting up; the session that fetches begins
	b.Eval(fmt.Sprintf(arrival, q("message-list"), benchMessages, q("sync-state")), nil)
	took := time.Since(start)
	var drawn pace
	b.Eval(`drawn()`, &drawn)
	return took, drawn
}

// load measures what a person waits for: the first load and the second, and how the list scrolls.
func (w *benchWorld) load() {
	b := startBrowser(w, "load")
	defer b.Close()
	ready := `performance.getEntriesByName("postern-ready")[0]?.startTime ?? -1`
	watch := `new MutationObserver((_, o) => { if (document.querySelector('[data-ready="true"]')) { performance.mark("postern-ready"); o.disconnect() } }).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"]})`
	b.run(network.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(watch).Do(ctx)
		return err
	}))
	b.Go(w.gateway.URL())
	var first, paint, second float64
	b.Eval(ready, &first)
	b.Eval(`performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1`, &paint)
	var wire struct {
		Bytes float64
		Files int
	}
	b.Eval(`(es => ({Bytes: es.reduce((n, e) => n + (e.encodedBodySize || 0), 0), Files: es.length}))([...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")])`, &wire)
	w.table.Add("first load: bytes on the wire (page)", fmt.Sprintf("%.2f MB in %d files", wire.Bytes/1e6, wire.Files), "", "")
	w.table.Add("first load: navigation to first paint of the shell", fmt.Sprintf("%.0f ms", paint), "", "")
	w.table.Add("first load: navigation to the page", fmt.Sprintf("%.0f ms", first), "1.00", "")

	w.fetchIn(b, true)
	b.Until("the page can start offline", `navigator.serviceWorker.ready.then(r => !!r.active)`)
	b.Reload()
	b.Eval(ready, &second)
	w.table.Add("second load: navigation to the inbox of 10,000", fmt.Sprintf("%.0f ms", second), fmt.Sprintf("%.2f", second/first), "first load")

	var frames pace
	b.Eval(scroll, &frames)
	w.table.Add("scrolling 10,000 messages", fmt.Sprintf("%.1f frames/s", frames.FPS), fmt.Sprintf("%.2f", frames.FPS/60), "60 frames/s")
	w.table.Add("  longest frame", fmt.Sprintf("%.0f ms", frames.Worst), "", "")
}

// scroll moves the list by 40 px a frame for five seconds and counts the frames that the page managed to make.
const scroll = `new Promise(done => {
	let el = document.querySelector('[data-testid="message-list"]');
	while (el && !(el.scrollHeight > el.clientHeight + 1000 && /auto|scroll/.test(getComputedStyle(el).overflowY))) el = el.parentElement ?? null;
	el ??= [...document.querySelectorAll('[data-testid="message-list"], [data-testid="message-list"] *')].find(e => e.scrollHeight > e.clientHeight + 1000);
	if (!el) return done({FPS: 0, Worst: -1});
	let n = 0, worst = 0, t0 = 0, last = 0;
	requestAnimationFrame(function step(t) {
		if (t0 === 0) t0 = t; else worst = Math.max(worst, t - last);
		last = t; n++;
		el.scrollTop += 40;
		if (t - t0 < 5000) return requestAnimationFrame(step);
		done({FPS: (n - 1) / (t - t0) * 1000, Worst: worst});
	});
})`
