package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/shared/wire"
)

// newBridge lets tunnels reach the embedded server and what the operator allows.
func newBridge(c config.Config, mail embedded, files fileServers, logger *slog.Logger) (*bridge.Bridge, error) {
	b, err := bridgeConfig(c)
	if err != nil {
		return nil, err
	}
	b.Logger = logger
	if mail != nil {
		for i, server := range mail.Servers() {
			var demo []wire.DemoAccount
			if c.Demo {
				demo = demoAccounts(mail)[i]
			}
			b.Embedded = append(b.Embedded, offer(server, files.of(i), demo))
		}
	}
	return bridge.New(b)
}

// bridgeConfig is what the settings say of the tunnel. An error names those that are wrong, and no secret.
func bridgeConfig(c config.Config) (bridge.Config, error) {
	b := bridge.Config{
		Server: "postern " + version(), Origins: c.Origins, TrustedProxies: c.TrustedProxies,
		Access: bridge.Access{UserHeader: c.UserHeader, UserProxies: c.UserProxies},
		Policy: bridge.Policy{Mode: reach.Mode(c.Policy), Networks: c.AllowNetworks, Never: c.Never},
		Limits: bridgeLimits(c.Limits),
	}
	var wrong []error
	var err error
	if b.Access.Tokens, err = bridge.ParseTokens(strings.NewReader(c.Token)); err != nil {
		wrong = append(wrong, fmt.Errorf("--token: %w", err))
	}
	for _, target := range c.Allow {
		rule, err := bridge.ParseRule(target)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("--allow %s: %w", target, err))
		}
		b.Policy.Allow = append(b.Policy.Allow, rule)
	}
	return b, errors.Join(wrong...)
}

func bridgeLimits(l config.Limits) bridge.Limits {
	count := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	return bridge.Limits{
		Sessions: count(l.Sessions), SessionsPerClient: count(l.SessionsPerClient), SessionsPerUser: count(l.SessionsPerUser),
		NewSessionsPerMinute: count(l.NewSessions),
		Streams:              count(l.StreamsPerSession), StreamsPerClient: count(l.StreamsPerClient), StreamsPerUser: count(l.StreamsPerUser),
		StreamsPerTarget: count(l.StreamsPerTarget), StreamsInAll: count(l.Streams),
		NewStreamsPerMinute: count(l.NewStreams), NewStreamsPerTarget: count(l.NewStreamsPerTarget),
		BytesPerSecond: count(int(l.BytesPerSecond)), Lookups: count(l.Lookups),
		IdleTimeout: l.IdleTime, StreamTime: l.StreamTime, SessionTime: l.SessionTime,
		WrongTokens: count(l.WrongTokens), Lockout: l.Lockout,
	}
}
