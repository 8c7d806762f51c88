//go:build js

// The gateway's bridge as a Cloudflare Worker: one instance for each session, in a Durable Object of its own. What it is
// started by is worker.mjs, what it is told is in wrangler.jsonc.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"unicode"

	"github.com/syumai/workers"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/gateway/edge"
)

func main() {
	here := edge.Here()
	b, err := newBridge(here)
	if err != nil {
		fmt.Println("postern:", err)
		// Nobody is let in: better than a gateway that is another than was meant.
		workers.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "this gateway is not set up right; its log says why", http.StatusServiceUnavailable)
		}))
		return
	}
	workers.ServeNonBlock(edge.Handler(b))
	workers.Ready()
	select {
	case <-workers.Done(): // refused, and told so
	case s := <-here.Accepted():
		<-s.Done()
		_ = b.Shutdown(context.Background()) // its streams end with it
	}
}

// newBridge is set by the variables of the same names that the native gateway has. It must have a token: there is no server
// of its own here, and others are not for everybody. A variable that it does not know is an error, for it was meant to say something.
func newBridge(here *edge.Runtime) (*bridge.Bridge, error) {
	c := bridge.Config{
		Server: "postern (Workers)",
		Dialer: here.Dialer(), Accept: here.Accept,
		Limits: bridge.Limits{Sessions: 1, Streams: edge.Streams},
		Logger: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}
	for name, value := range here.Variables("POSTERN_") {
		var err error
		switch name {
		case "POSTERN_TOKEN":
			c.Access.Tokens, err = bridge.ParseTokens(strings.NewReader(value))
		case "POSTERN_ORIGIN":
			c.Origins = list(value)
		case "POSTERN_POLICY":
			c.Policy.Mode = reach.Mode(strings.ToLower(strings.TrimSpace(value)))
		case "POSTERN_ALLOW":
			c.Policy.Allow, err = rules(value)
		case "POSTERN_NEVER", "POSTERN_ALLOW_NETWORK":
			err = errors.New("cannot be kept here: names are looked up by the platform")
		default:
			err = errors.New("is no setting of a Worker's")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if c.Access.Open() {
		return nil, errors.New("POSTERN_TOKEN: there must be one (npx wrangler secret put POSTERN_TOKEN)")
	}
	return bridge.New(c)
}

func rules(text string) (parsed []bridge.Rule, err error) {
	for _, target := range list(text) {
		rule, err := bridge.ParseRule(target)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, rule)
	}
	return parsed, nil
}

// list reads values that commas or spaces part.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
