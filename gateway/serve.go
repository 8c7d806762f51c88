package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/public"
	"github.com/postern-mail/postern/shared/wire"
)

const (
	// drainTime is what open tunnels, requests and mail sessions get to come to an end: most programs that stop others
	// wait ten seconds before they kill.
	drainTime = 4 * time.Second

	pageService = "page"
)

// serve runs everything until ctx ends. Every port is taken before anything is written, so that a port in use leaves
// the world as it was.
func serve(ctx context.Context, c config.Config, logger *slog.Logger, out io.Writer) (err error) {
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()

	var mail embedded
	if c.Mail {
		if mail, err = openMail(ctx, c, logger); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, mail.Close()) }()
	}
	tunnel, err := newBridge(c, mail, logger)
	if err != nil {
		return err
	}
	var draining atomic.Bool
	handler, err := web.Handler(web.Config{
		Assets: assets(c), Reload: c.Dev != "", Tunnel: guard(tunnel, listener.Addr(), c.Origins), TunnelPath: wire.Path, Logger: logger,
		Health: func() error {
			if draining.Load() {
				return errors.New("going down")
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	page := web.NewServer(handler, logger)

	// The first part to end, for whatever reason, ends all.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var parts sync.WaitGroup
	part := func(name string, run func() error) {
		parts.Go(func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, context.Canceled) {
				end(fmt.Errorf("%s: %w", name, err))
				return
			}
			end(nil)
		})
	}
	part(pageService, func() error { return page.Serve(web.Limit(listener, web.Limits{Proxies: c.TrustedProxies})) })
	if mail != nil {
		part("mail server", func() error { return mail.Serve(ctx) })
	}
	if c.Demo {
		if err := furnish(ctx, mail, logger); err != nil {
			end(err)
		}
	}
	if ctx.Err() == nil {
		banner(out, c, listener.Addr(), mail)
	}

	<-ctx.Done()
	draining.Store(true)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	// Streams first: they are requests of the page's server, which it does not count any more.
	if e := tunnel.Shutdown(within); e != nil {
		logger.Debug("tunnels were cut", "error", e)
	}
	if e := page.Shutdown(within); e != nil {
		logger.Debug("requests were cut", "error", e)
		page.Close()
	}
	parts.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func assets(c config.Config) fs.FS {
	if c.Dev != "" {
		return os.DirFS(c.Dev)
	}
	return public.Files()
}

// newBridge lets tunnels reach the embedded server and what the operator allows.
func newBridge(c config.Config, mail embedded, logger *slog.Logger) (*bridge.Bridge, error) {
	b := bridge.Config{
		Server: "postern " + version(), Origins: c.Origins,
		TrustedProxies: c.TrustedProxies, Logger: logger,
		Policy: bridge.Policy{Networks: c.AllowNetworks},
	}
	if c.Token != "" {
		b.Access.Tokens = []bridge.Token{{Name: "token", Secret: c.Token}}
	}
	for _, target := range c.Allow {
		rule, err := bridge.ParseRule(target)
		if err != nil {
			return nil, fmt.Errorf("--allow %s: %w", target, err)
		}
		b.Policy.Allow = append(b.Policy.Allow, rule)
	}
	if mail != nil {
		for i, server := range mail.Servers() {
			var demo []wire.DemoAccount
			if c.Demo {
				demo = demoAccounts(mail)[i]
			}
			b.Embedded = append(b.Embedded, offer(server, demo))
		}
	}
	return bridge.New(b)
}
