package wasm

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// banned are packages that the page must not link, and why. Sizes are what each adds after brotli to a page with vugu.
var banned = map[string]string{
	"net/http":                    "1.3 MB; the page fetches through the browser, and mail through the engine",
	"crypto/tls":                  "0.8 MB; TLS is the engine's",
	"crypto/x509":                 "part of crypto/tls; certificates are the engine's",
	"html/template":               "0.5 MB; components are compiled by vugugen",
	"text/template":               "components are compiled by vugugen; text is written by code",
	"encoding/json":               "55 KB; client/internal/wirejson speaks what page and engine say",
	"net/url":                     "a route is parsed by hand, an address of the web by the browser",
	"regexp":                      "0.1 MB, and slow in WebAssembly; the page parses by hand",
	"github.com/coder/websocket":  "0.5 MB; the tunnel is the engine's",
	"github.com/hashicorp/yamux":  "the tunnel has a multiplexer of its own; this one is for its tests",
	"github.com/emersion/go-smtp": "0.5 MB; protocols are the engine's",
	module + "client/engine":      "the engine has a program of its own",
	module + "client/store":       "mail is read through the engine",
	module + "client/sanitize":    "0.2 MB; HTML is made safe in the engine",
	module + "shared/mail":        "0.5 MB with charsets; MIME is read in the engine",
	module + "shared/tunnel":      "the tunnel is the engine's",
}

// bannedEngine are packages that the engine must not link, and why.
var bannedEngine = map[string]string{
	"net/http":                   "0.1 MB without its client, 1.3 MB with it; the browser's own WebSocket is in client/platform",
	"github.com/coder/websocket": "net/http comes with it",
	"html/template":              "0.5 MB",
	"text/template":              "nothing here is written by a template",
	"encoding/xml":               "the gateway reads XML for the engine",
	"github.com/hashicorp/yamux": "the tunnel has a multiplexer of its own; this one is for its tests",
}

// bannedEdge are packages that the Worker must not link, and why. Sizes are after gzip.
var bannedEdge = map[string]string{
	"github.com/coder/websocket":       "the WebSocket is the platform's",
	module + "gateway/bridge/discover": "0.7 MB with net/http's client; nothing can be looked up there",
	module + "gateway/web":             "files are the platform's to serve",
	module + "gateway/mailserver":      "there is no disk for mail",
	"github.com/hashicorp/yamux":       "the tunnel has a multiplexer of its own; this one is for its tests",
	"html/template":                    "0.5 MB",
}

func TestDependencies(t *testing.T) {
	for program, banned := range map[string]map[string]string{"app": banned, "engine": bannedEngine, "edge": bannedEdge} {
		cmd := exec.Command("go", "list", "-deps", "./wasm/"+program)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		linked := strings.Fields(string(out))
		if len(linked) < 20 {
			t.Fatalf("go list names %d packages only", len(linked))
		}
		for _, pkg := range linked {
			if reason, ok := banned[pkg]; ok {
				t.Errorf("%s links %s: %s", program, pkg, reason)
			}
		}
	}
}
