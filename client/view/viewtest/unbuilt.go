package viewtest

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

var errUnbuilt = &api.Problem{Code: api.CodeInternal, Technical: "not built yet"}

func (s *Service) FetchRest(context.Context, api.MessageRef) error { return errUnbuilt }
func (s *Service) Wire(context.Context, api.WireQuery) (api.WirePage, error) {
	return api.WirePage{}, errUnbuilt
}
