package viewtest

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

var errUnbuilt = &api.Problem{Code: api.CodeInternal, Technical: "not built yet"}

func (s *Service) Discover(context.Context, string) (api.Discovery, error) {
	return api.Discovery{}, errUnbuilt
}

func (s *Service) Settings(context.Context, api.AccountID) (api.Settings, error) {
	return api.Settings{}, errUnbuilt
}

func (s *Service) Configure(context.Context, api.Settings) (api.Settings, error) {
	return api.Settings{}, errUnbuilt
}

func (s *Service) Trust(context.Context, api.Trust) error              { return errUnbuilt }
func (s *Service) Unlock(context.Context, string) error                { return errUnbuilt }
func (s *Service) SetPassphrase(context.Context, api.Passphrase) error { return errUnbuilt }
func (s *Service) FetchRest(context.Context, api.MessageRef) error     { return errUnbuilt }
func (s *Service) Wire(context.Context, api.WireQuery) (api.WirePage, error) {
	return api.WirePage{}, errUnbuilt
}
