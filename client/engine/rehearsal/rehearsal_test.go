package rehearsal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := Play(t.Context(), mail.Reader{}); err != nil {
			t.Error(err)
		}
	})
}

// Somebody signs in before it is over.
func TestPlayEndsEarly(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			if err := Play(ctx, mail.Reader{}); err == nil || ctx.Err() == nil {
				t.Errorf("after %v: %v", after, err)
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Logf("after %v it says %v", after, err)
			}
		})
	}
}
