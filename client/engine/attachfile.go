package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// AttachFile fetches a file for a draft.
func (e *Engine) AttachFile(ctx context.Context, r api.AttachFile) (api.DraftAttachment, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.DraftAttachment{}, err
	}
	if _, err := e.mailbox(r.Account); err != nil {
		return api.DraftAttachment{}, err
	}
	path, err := octets(r.Path)
	if err != nil {
		return api.DraftAttachment{}, err
	}
	_, name := parentOf(path)
	fetched := &attaching{e: e}
	for try := 0; ; try++ {
		err = s.inTurn(ctx, s.attaching, func(x *siteSession) error { return fetched.fetch(ctx, x, path) })
		code, _ := classify(err)
		if err == nil || try >= len(attachPauses) || ctx.Err() != nil || !passing(problemOf(err).Code) && !passing(code) {
			break
		}
		select {
		case <-e.Clock.After(attachPauses[try]):
		case <-ctx.Done():
		}
	}
	if err != nil {
		return api.DraftAttachment{}, problemOf(err)
	}
	shown := ftp.Entry{Name: name, Kind: ftp.File}.Shown()
	return e.Upload(ctx, api.Upload{Account: r.Account, Name: shown, Type: ""}, fetched.octets)
}

// attachPauses are between attempts to fetch a file for a draft: somebody waits, and does not wait for ever.
var attachPauses = []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}

// passing says that a problem may be over soon.
func passing(c api.Code) bool {
	switch c {
	case api.CodeGatewayOffline, api.CodeGatewayCut, api.CodeServerClosed, api.CodeServerTimeout, api.CodeServerBusy, api.CodeTruncated:
		return true
	}
	return false
}

// attaching is a file on its way into a draft.
type attaching struct {
	e      *Engine
	found  remote
	octets []byte
}

func (a *attaching) fetch(ctx context.Context, x *siteSession, path string) error {
	found, err := x.look(ctx, path)
	if err != nil {
		return err
	}
	if err := a.e.checkTotal(found.Size); err != nil {
		return err
	}
	if !a.found.same(found) {
		a.octets = nil
	}
	a.found = found
	_, err = x.Retr(ctx, path, int64(len(a.octets)), found.Size, a)
	if err == nil && found.Size >= 0 && int64(len(a.octets)) != found.Size {
		a.octets = nil
		return fmt.Errorf("%w: it changed meanwhile", ftp.ErrTruncated)
	}
	return err
}

// Write implements io.Writer.
func (a *attaching) Write(p []byte) (int, error) {
	if err := a.e.checkTotal(int64(len(a.octets) + len(p))); err != nil {
		return 0, err
	}
	a.octets = append(a.octets, p...)
	return len(p), nil
}
