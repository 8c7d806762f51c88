package bridge

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Who comes too fast is told why for a while, and then waits for a status. Others are let in meanwhile.
func TestFloodOfSessions(t *testing.T) {
	g := start(t, Config{TrustedProxies: loopbackNet, Limits: Limits{NewSessionsPerMinute: 2, TokenDelay: 50 * time.Millisecond}})
	from := func(client string) http.Header { return http.Header{"X-Forwarded-For": {client}} }
	for n := range 2 + toldPerMinute {
		s, err := g.as(t, "", from("192.0.2.1"))
		switch {
		case err == nil && n < 2:
			_ = s.Close()
		case reason(err) != wire.TooFast:
			t.Fatalf("session %d: %v", n, err)
		}
	}
	eventually(t, "refused sessions stay", func() bool { return g.Stats().Sessions == 0 })
	for range 3 {
		began := time.Now()
		_, resp, err := g.webSocket(t, from("192.0.2.1"))
		if err == nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("over what is told: %v, %+v", err, resp)
		}
		if took := time.Since(began); took < 50*time.Millisecond {
			t.Errorf("it had its answer after %v", took)
		}
	}
	if n := g.Stats().Refused[wire.TooFast]; n != toldPerMinute+3 {
		t.Errorf("%d are counted, want %d", n, toldPerMinute+3)
	}
	if s, err := g.as(t, "", from("192.0.2.2")); err != nil {
		t.Errorf("somebody else: %v", err)
	} else {
		_ = s.Close()
	}
}

// No more wait for a refusal than may; and who goes does not.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := New(Config{Limits: Limits{TokenDelay: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		for range mostWaiting {
			go b.letWait(ctx)
		}
		synctest.Wait()
		began := time.Now()
		b.letWait(ctx)
		if time.Since(began) > 0 {
			t.Error("one more waits")
		}
		leave()
		synctest.Wait()
		if n := b.waiting.Load(); n != 0 {
			t.Errorf("%d wait that have gone", n)
		}
		b.letWait(t.Context())
		if took := time.Since(began); took != time.Minute {
			t.Errorf("with room again it takes %v", took)
		}
	})
}
