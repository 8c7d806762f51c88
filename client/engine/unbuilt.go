package engine

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

var errUnbuilt = &api.Problem{Code: api.CodeInternal, Technical: "not built yet"}

func (e *Engine) Discover(context.Context, string) (api.Discovery, error) {
	return api.Discovery{}, errUnbuilt
}
