//go:build !js

package store

import (
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/storage"
	"github.com/postern-mail/postern/client/internal/browsertest"
)

func TestOPFSInChromium(t *testing.T) {
	site := browsertest.Serve(t, "internal/opfs", "", nil)
	b := browsertest.Open(t, site)

	t.Run("files", func(t *testing.T) {
		if s := b.InWorker("files", "suite"); s != "ok" {
			t.Error(s)
		}
	})
	t.Run("a page has none", func(t *testing.T) {
		if s := b.Call("page", "suite"); s != "true" {
			t.Error("no ErrNoOPFS outside of a worker")
		}
	})
	t.Run("a mailbox is the same after a reload", func(t *testing.T) {
		if n := b.InWorker("add", "mailbox"); n != "1000" {
			t.Fatal(n)
		}
		b.Reload()
		if n := b.InWorker("add", "mailbox"); n != "2000" {
			t.Fatal(n)
		}
		if n := b.InWorker("verify", "mailbox"); n != "2000" {
			t.Error(n)
		}
	})
	t.Run("a worker killed while it writes", func(t *testing.T) {
		for range 5 {
			b.JS(`inWorker("crash", "crash", true).then(async () => { await new Promise(r => setTimeout(r, 60)); kept.terminate() })`, nil)
			n, err := strconv.Atoi(b.InWorker("verify", "crash"))
			if err != nil || n%50 != 0 {
				t.Errorf("%d messages, %v: an update was torn", n, err)
			}
		}
	})
	t.Run("a file that is still held", func(t *testing.T) {
		b.JS(`inWorker("hold", "held", true)`, nil)
		b.JS(`(() => { const w = kept; setTimeout(() => w.terminate(), 500) })()`, nil)
		ms, err := strconv.Atoi(b.InWorker("wait", "held"))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("opened %d ms after it was asked for, held for 500", ms)
	})
	t.Run("no room", func(t *testing.T) {
		b.Do(storage.OverrideQuotaForOrigin(site.URL).WithQuotaSize(64 << 20))
		if s := b.InWorker("full", "full"); s != "true" {
			t.Error("a full device is not ErrFull")
		}
	})
}
