package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/wire"
)

// names is a Resolver from a table.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, errors.New("unexpected network " + network)
	}
	found, ok := n[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, a := range found {
		switch a {
		case "timeout":
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		case "servfail":
			return nil, &net.DNSError{Err: "server misbehaving", Name: host, Server: "10.0.0.53:53", IsTemporary: true}
		}
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

func rules(t testing.TB, rules ...string) (parsed []Rule) {
	t.Helper()
	for _, s := range rules {
		r, err := ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, r)
	}
	return parsed
}

func open(host string, port int) wire.Open {
	return wire.Open{Service: wire.POP3S, Host: host, Port: port}
}

// members has one token, which is member.
var members = Access{Tokens: []Token{{Name: "member", Secret: member}}}

const member = "open sesame, says Ali"
