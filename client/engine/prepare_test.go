package engine

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
)

// What Prepare begins, it begins once, and whoever signs in ends it; the engine's end does, too.
func TestPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begun, ended := 0, 0
		w.prepare = func(ctx context.Context) {
			begun++
			<-ctx.Done()
			ended++
		}
		prepare := func(want int) {
			t.Helper()
			if err := w.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if begun != want {
				t.Errorf("begun %d times, not %d", begun, want)
			}
		}
		w.start()
		prepare(1)
		prepare(1)
		if ended != 0 {
			t.Error("ended by itself")
		}
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: "wrong"}); err == nil {
			t.Error("signed in with a wrong password")
		}
		if ended != 1 {
			t.Error("goes on while somebody signs in")
		}
		prepare(1)
		w.halt()
		prepare(1)

		w.start()
		prepare(2)
		w.halt()
		if ended != 2 {
			t.Error("outlives the engine")
		}
	})
}
