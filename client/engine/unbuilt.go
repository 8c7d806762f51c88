package engine

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

var errUnbuilt = &api.Problem{Code: api.CodeInternal, Technical: "not built yet"}

func (e *Engine) Discover(context.Context, string) (api.Discovery, error) {
	return api.Discovery{}, errUnbuilt
}

func (e *Engine) Unlock(context.Context, string) error                { return errUnbuilt }
func (e *Engine) SetPassphrase(context.Context, api.Passphrase) error { return errUnbuilt }
