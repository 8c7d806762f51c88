//go:build !js

package platform_test

import (
	"context"
	"errors"
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/platform"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBrokenSaysWhy(t *testing.T) {
	why := &api.Problem{Code: api.CodeStorage, Detail: "no room"}
	c := api.NewClient(platform.Broken(why), nil)
	done := make(chan error, 1)
	go func() { done <- c.Run(context.Background()) }()
	for range 2 {
		_, err := c.Status(context.Background())
		var p *api.Problem
		if !errors.As(err, &p) || *p != *why {
			t.Errorf("Status: %v", err)
		}
	}
	c.Close()
	if err := <-done; !errors.Is(err, api.ErrClosed) {
		t.Error(err)
	}
}
