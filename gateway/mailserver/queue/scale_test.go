package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// halfDead are servers of which the half does not answer: to find that out takes as long as the test lasts.
type halfDead struct {
	live, dead, most atomic.Int64
	all              chan struct{} // closed when the living have everything
	want             int64
}

func (h *halfDead) Deliver(ctx context.Context, domain string, m delivery.Message) (results []delivery.Result, _ delivery.Transcript) {
	if strings.HasPrefix(domain, "dead") {
		n := h.dead.Add(1)
		for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
		}
		<-ctx.Done()
		for range m.Recipients {
			results = append(results, delivery.Result{Outcome: delivery.Deferred, Enhanced: "4.4.1", Text: "no answer", Local: true})
		}
		return results, nil
	}
	for range m.Recipients {
		results = append(results, delivery.Result{Outcome: delivery.Delivered, Code: 250})
	}
	if h.live.Add(int64(len(results))) == h.want {
		close(h.all)
	}
	return results, nil
}

// TestThousandsToAThousand: what is for the living leaves while the dead half keeps everybody waiting, and the heap does not
// grow with the queue. There are 20,000 rows, or POSTERN_QUEUE_ROWS.
func TestThousandsToAThousand(t *testing.T) {
	rows, destinations := 20_000, 1000
	if n, err := strconv.Atoi(os.Getenv("POSTERN_QUEUE_ROWS")); err == nil {
		rows = n / destinations * destinations
	}
	if testing.Short() || underRace {
		rows, destinations = 1000, 50
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	store, err := maildrop.Open(t.Context(), filepath.Join(t.TempDir(), "mail"), &maildrop.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.AddAccount(account.Record{Account: account.Account{Email: alice}, Hash: "x"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for n := 0; n < rows; n += destinations { // a message to everybody
		var list []maildrop.Recipient
		for d := range destinations {
			kind := "dead"
			if d%2 == 0 {
				kind = "live"
			}
			list = append(list, maildrop.Recipient{Address: fmt.Sprintf("bob@%s%d.test", kind, d)})
		}
		if err := store.Put(t.Context(), []byte(letter), maildrop.Envelope{From: alice, Remote: list}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rows in %v", rows, time.Since(began).Round(time.Millisecond))
	before := heap()

	world := &halfDead{all: make(chan struct{}), want: int64(rows / 2)}
	q := New(Config{Store: store, Deliverer: world, Hostname: "postern.test", Postmaster: "postmaster@postern.test", Logger: quiet})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	began = time.Now()
	go func() { ended <- q.Run(ctx) }()
	select {
	case <-world.all:
	case <-time.After(time.Minute):
		t.Errorf("after a minute the living have %d of %d", world.live.Load(), world.want)
	}
	took := time.Since(began)
	used := heap() - before
	t.Logf("%d delivered in %v; %d attempts wait for the dead; %.1f MB of heap for them", world.live.Load(), took.Round(time.Millisecond), world.dead.Load(), float64(used)/1e6)
	if n := world.dead.Load(); n > int64(destinations/2) {
		t.Errorf("%d attempts at %d destinations that were never seen to answer", n, destinations/2)
	}
	if used > 20e6 {
		t.Errorf("%d MB of heap", used>>20)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	left, err := store.Tally(t.Context())
	if err != nil || left[maildrop.Waiting] != rows/2 || left[maildrop.Sending] != 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// heap is what is in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
