package deadline_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/gateway/edge/internal/deadline"
)

func passed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deadline.New()
		check := func(what string, want bool) {
			t.Helper()
			synctest.Wait()
			if passed(d.Passed()) != want {
				t.Errorf("%s: passed is %v", what, !want)
			}
		}
		check("none", false)
		d.Set(time.Now().Add(time.Second))
		waiting := d.Passed()
		check("to come", false)
		time.Sleep(time.Second)
		check("come", true)
		if !passed(waiting) {
			t.Error("who waited does not see it")
		}
		d.Set(time.Time{})
		check("taken back", false)
		d.Set(time.Now().Add(-time.Hour))
		check("gone by", true)
		d.Set(time.Now().Add(time.Second))
		check("set anew", false)
		waiting = d.Passed()
		d.Set(time.Now().Add(time.Hour))
		time.Sleep(2 * time.Second)
		check("put off", false)
		d.Set(time.Now())
		check("drawn near", true)
		if !passed(waiting) {
			t.Error("who waited does not see that it was drawn near")
		}
		d.Set(time.Time{})
	})
}
