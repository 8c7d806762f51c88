// Package rehearsal fetches made-up mail from nobody, so that the code which fetches mail is fast when it is needed.
//
// A browser compiles WebAssembly twice: quickly when it is loaded, and well once it has run a while. What fetches and
// reads mail ran at half its speed for the first 10,000 messages of a new account, with two threads of the browser
// compiling beside it. The time in which somebody types an address and a password is long enough for both.
package rehearsal

import (
	"context"
	"fmt"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// messages is how many are fetched: after so many the browser has little left to compile.
const messages = 6000

// Play signs a made-up person in at an engine of its own, with mailbox and servers in memory, and waits until all of
// that person's mail is fetched. Nothing of it touches the device or the network. It takes seconds, for it pauses a
// hundred times a second: other work of the thread goes first. It ends early when ctx does.
func Play(ctx context.Context, reader mail.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newStage(messages)
	e, err := engine.New(engine.Config{FS: store.NewMemFS(), Gateway: s, Mail: reader, Version: "rehearsal"})
	if err != nil {
		return err
	}
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		e.Run(ctx)
	}()
	err = play(ctx, e, s)
	cancel()
	<-ran
	s.wait()
	return err
}

func play(ctx context.Context, e *engine.Engine, s *stage) error {
	at := func(port int) api.Server { return api.Server{Host: host, Port: port, Security: api.Plain} }
	a, err := e.SignIn(ctx, api.SignIn{Email: "nobody@" + host, Password: "none", Name: "Nobody", Servers: &api.Servers{POP3: at(110), SMTP: at(587)}})
	if err != nil {
		return err
	}
	select {
	case <-s.fetched:
	case <-ctx.Done():
		return ctx.Err()
	}
	// As a page that shows the list.
	p, err := e.List(ctx, api.ListQuery{Account: a.ID, Folder: api.Inbox, Limit: 50})
	if err == nil && p.Total != messages {
		err = fmt.Errorf("rehearsal: %d messages of %d", p.Total, messages)
	}
	return err
}
