package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/config"
)

// Who offers the demo accounts to other machines is told what that means.
func TestBannerWarnsOfExposedDemo(t *testing.T) {
	near, far := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, c := range []struct {
		demo bool
		page net.Addr
		want bool
	}{{true, near, false}, {true, far, true}, {true, &net.TCPAddr{IP: net.IPv6unspecified}, true}, {false, far, false}} {
		var b bytes.Buffer
		banner(&b, config.Config{Demo: c.demo, Domains: []string{"postern.test"}}, c.page, nil, nil)
		if got := strings.Contains(b.String(), "no secrets"); got != c.want {
			t.Errorf("demo %v at %v: warned %v", c.demo, c.page, got)
		}
	}
}
