//go:build !js

package api

import (
	"testing"

	"github.com/postern-mail/postern/client/internal/browsertest"
)

func TestPortsInChromium(t *testing.T) {
	site := browsertest.Serve(t, "internal/ports", "", nil)
	b := browsertest.Open(t, site)
	for _, name := range []string{"exchange", "closed", "broadcast"} {
		t.Run(name, func(t *testing.T) {
			if s := b.Call(name, ""); s != "ok" {
				t.Error(s)
			}
		})
	}
	t.Log(b.Call("calls", ""))
}
