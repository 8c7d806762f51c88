package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/wire"
)

// probe is a guess, and what came of it.
type probe struct {
	protocol api.Protocol
	server   api.Server
	err      error
}

// guesses are the usual names of a domain's servers: TLS from the first octet first, then the names in the order of
// their being usual.
func guesses(p api.Protocol, domain string) (all []probe) {
	names, ports := []string{"pop.", "mail.", "pop3.", ""}, []string{":995", ":110"}
	if p == api.SMTP {
		names, ports = []string{"smtp.", "mail.", ""}, []string{":465", ":587"}
	}
	for _, port := range ports {
		for _, name := range names {
			all = append(all, probe{protocol: p, server: serverAt(name + domain + port)})
		}
	}
	return all
}

// guess tries the usual names for the sides that nobody has told of, several at a time. What it answers has spoken its
// protocol under TLS; where there is nothing better, under a certificate that is not believed, for which the user is
// asked at sign-in. The error is the gateway's policy, if that was in the way.
func (e *Engine) guess(ctx context.Context, domain string, told []group) (group, error) {
	var todo []probe
	pops, smtps := guesses(api.POP3, domain), guesses(api.SMTP, domain)
	for _, g := range told {
		if len(g.pop3) > 0 {
			pops = nil
		}
		if len(g.smtp) > 0 {
			smtps = nil
		}
	}
	for i := range max(len(pops), len(smtps)) {
		if i < len(pops) {
			todo = append(todo, pops[i])
		}
		if i < len(smtps) {
			todo = append(todo, smtps[i])
		}
	}
	done := e.probeAll(ctx, todo)

	g := group{origin: api.OriginGuess}
	var policy error
	for _, believed := range []bool{true, false} {
		for _, p := range done {
			if problemOf(p.err) != nil && problemOf(p.err).Code == api.CodeTargetRefused {
				policy = firstOf(policy, p.err)
			}
			if believed && p.err != nil || !believed && !errors.As(p.err, new(*trust.CertificateError)) {
				continue
			}
			list := &g.pop3
			if p.protocol == api.SMTP {
				list = &g.smtp
			}
			if believed || len(*list) == 0 {
				*list = append(*list, p.server)
			}
		}
	}
	return g, policy
}

// probeAll tries guesses until all have ended, or both sides have had an answer and a moment for a better one has passed.
// It answers those that ended, in the order of todo.
func (e *Engine) probeAll(ctx context.Context, todo []probe) []probe {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	guessed := slices.Clone(todo) // to be read by those who try
	next := make(chan int)
	type outcome struct {
		i   int
		err error
	}
	ended := make(chan outcome)
	for range min(probesAtOnce, len(todo)) {
		go func() {
			for i := range next {
				ended <- outcome{i, e.probe(ctx, guessed[i])}
			}
		}()
	}
	defer close(next)
	finished := make([]bool, len(todo))
	var enough <-chan time.Time
	begun, running := 0, 0
	for begun < len(todo) || running > 0 {
		begin := next
		if begun == len(todo) || ctx.Err() != nil {
			if running == 0 {
				break
			}
			begin = nil
		}
		select {
		case begin <- begun:
			begun++
			running++
		case o := <-ended:
			running--
			finished[o.i], todo[o.i].err = true, o.err
			if enough == nil && answered(todo, finished) {
				enough = e.Clock.After(betterWait)
			}
		case <-enough:
			cancel()
		}
	}
	var done []probe
	for i, p := range todo {
		if finished[i] {
			done = append(done, p)
		}
	}
	return done
}

// answered says whether every side that is looked for has a server.
func answered(todo []probe, finished []bool) bool {
	wanted, good := map[api.Protocol]bool{}, map[api.Protocol]bool{}
	for i, p := range todo {
		wanted[p.protocol] = true
		if finished[i] && p.err == nil {
			good[p.protocol] = true
		}
	}
	return len(wanted) == len(good)
}

// probe finds out whether a server is there and has TLS. It says hello, and nothing of anybody.
func (e *Engine) probe(ctx context.Context, p probe) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	name := services[p.protocol][1]
	if p.server.Security == api.TLS {
		name = services[p.protocol][0]
	}
	to := endpoint{
		open:     wire.Open{Service: name, Host: p.server.Host, Port: p.server.Port},
		address:  net.JoinHostPort(p.server.Host, strconv.Itoa(p.server.Port)),
		security: p.server.Security,
		tls:      trust.Config(trust.Options{ServerName: p.server.Host, Roots: e.Roots}),
	}
	conn, err := e.connect(ctx, to, nil)
	if err != nil {
		return err
	}
	if p.protocol == api.SMTP {
		c := smtp.New(conn, &smtp.Options{Timeout: probeTime})
		defer c.Close()
		if to.security == api.TLS {
			return c.Noop(ctx)
		}
		return secured(c.StartTLS(ctx, to.tls), c.TLS, nil)
	}
	c := pop3.New(conn, &pop3.Options{Timeout: probeTime})
	defer c.Close()
	if to.security != api.TLS {
		return secured(c.STLS(ctx, to.tls), c.TLS, nil)
	}
	_, err = c.Capa(ctx)
	var refused *pop3.Error
	if errors.As(err, &refused) && refused.Command != "" {
		return nil // a server from before RFC 2449
	}
	return err
}
