package platform

import (
	"context"

	"github.com/postern-mail/postern/client/api"
	json "github.com/postern-mail/postern/client/internal/wirejson"
)

// Broken is a Conn to an engine that is not there: every call over it fails with p. It lets a page say why, in the
// places where it says everything else.
func Broken(p *api.Problem) api.Conn {
	near, far := api.Pipe()
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"code":"internal"}`)
	}
	go func() {
		for {
			f, err := far.Receive(context.Background())
			if err != nil {
				return
			}
			if f.Kind == api.KindCall && far.Send(api.Frame{ID: f.ID, Kind: api.KindFailure, Body: body}) != nil {
				return
			}
		}
	}()
	return near
}
