package bridge

import (
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/bridgetest"
)

// TestEverywhere is the same table here as on Workers (wasm/edge).
func TestEverywhere(t *testing.T) {
	bridgetest.Run(t, bridgetest.Place{Streams: 32, Resets: true, Looks: true, Start: func(t testing.TB, s bridgetest.Setup) string {
		c := Config{Access: Access{Tokens: []Token{{Name: "member", Secret: bridgetest.Token}}}, Origins: s.Origins, Resolver: names{}, Limits: Limits{TokenDelay: time.Millisecond}}
		for _, text := range s.Allow {
			rule, err := ParseRule(text)
			if err != nil {
				t.Fatal(err)
			}
			c.Policy.Allow = append(c.Policy.Allow, rule)
		}
		return start(t, c).url
	}})
}
