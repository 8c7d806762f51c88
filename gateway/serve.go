package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"github.com/postern-mail/postern/gateway/certificate"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/public"
	"github.com/postern-mail/postern/shared/trust"
)

// pageService is the page's listener in errors; the names of others are those of their flags.
const pageService = "page"

// serve runs everything until ctx ends. Every port is taken before anything is written, so that a port in use leaves
// the world as it was.
func serve(ctx context.Context, c config.Config, logger *slog.Logger, env environment) (err error) {
	believe()
	ports, err := openPorts(ctx, c)
	if err != nil {
		return err
	}
	defer ports.Close()
	source, err := openCertificate(c, ports, logger)
	if err != nil {
		return err
	}
	var mail embedded
	if c.Mail {
		if mail, err = openMail(ctx, c, source, logger); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, mail.Close()) }()
	}
	files, err := openFiles(ctx, c, ports, mail, logger)
	if err != nil {
		return err
	}
	defer files.Close()
	tunnel, err := newBridge(c, mail, files, logger)
	if err != nil {
		return err
	}
	var stage stage
	page, err := newPage(c, ports, tunnel, &stage, logger)
	if err != nil {
		return err
	}

	// The first part to end, for whatever reason, ends all. Background outlives ctx until what is open has ended.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
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
	servers := []*http.Server{page}
	part(pageService, func() error { return servePage(page, ports, c, source) })
	if ports.http != nil {
		plain := newPlain(c, ports, source, logger)
		servers = append(servers, plain)
		part("http", func() error { return plain.Serve(web.Limit(ports.http, web.Limits{})) })
	}
	if ports.metrics != nil {
		figures := web.NewServer(newMetrics(tunnel, mail, files, logger), logger)
		servers = append(servers, figures)
		part("metrics", func() error { return figures.Serve(web.Limit(ports.metrics, web.Limits{})) })
	}
	if source != nil {
		parts.Go(func() { source.Run(background) })
	}
	if mail != nil {
		part("mail server", func() error { return mail.Serve(ctx) })
	}
	if files != nil {
		part("files", files.Serve)
	}
	if c.Demo {
		if err := furnish(ctx, mail, files, logger); err != nil {
			end(err)
		}
	}
	if ctx.Err() == nil {
		stage.Store(ready)
		banner(env.stdout, c, ports.page.Addr(), mail, files)
		notify(env, logger, "READY=1")
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-env.hangups:
			reload(env, source, logger)
		}
	}

	stage.Store(draining)
	notify(env, logger, "STOPPING=1")
	logger.Info("draining", "sessions", tunnel.Stats().Sessions, "streams", tunnel.Stats().Streams, "within", c.Drain)
	within, cancel := context.WithTimeout(background, c.Drain)
	defer cancel()
	transfers := make(chan error, 1)
	go func() { transfers <- files.Shutdown(within) }()
	// Tunnels first, for they are what the page's server does not count any more. It goes on meanwhile: who asks whether
	// to send clients here is told no, and a page that has lost its tunnel may still fetch its files.
	if e := tunnel.Shutdown(within); e != nil {
		logger.Warn("tunnels were cut at the end of their time", "error", e)
	}
	for _, s := range servers {
		if e := s.Shutdown(within); e != nil {
			logger.Debug("requests were cut", "error", e)
			s.Close()
		}
	}
	if e := <-transfers; e != nil {
		logger.Warn("transfers were cut at the end of their time; what came of them stays", "error", e)
	}
	endBackground()
	parts.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// believe gives a machine without authorities, such as an image that holds nothing but this program, those that browsers
// have: other servers, and the one that certificates come from, are believed by them.
var believe = sync.OnceFunc(func() { x509.SetFallbackRoots(trust.Roots(nil)) })

// reload reads the certificate again.
func reload(env environment, source certificate.Source, logger *slog.Logger) {
	notify(env, logger, reloading())
	switch {
	case source == nil:
		logger.Info("told to read the certificate again, and there is none")
	default:
		if err := source.Reload(); err != nil {
			logger.Error("the certificate before goes on", "error", err)
		} else {
			logger.Info("the certificate was read again")
		}
	}
	notify(env, logger, "READY=1")
}

func assets(c config.Config) fs.FS {
	if c.Dev != "" {
		return os.DirFS(c.Dev)
	}
	return public.Files()
}
