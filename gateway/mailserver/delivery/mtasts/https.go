package mtasts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
)

// HTTPS fetches policies as RFC 8461 section 3.3 has it: from https://mta-sts.DOMAIN/.well-known/mta-sts.txt, with a certificate that
// verifies, following no redirect, and not from caches.
type HTTPS struct {
	client http.Client
}

// NewHTTPS makes a fetcher. dial connects to a host's port 443, and says which addresses it will not connect to; config is for
// the client's TLS, the server's name aside.
func NewHTTPS(dial func(ctx context.Context, network, address string) (net.Conn, error), config *tls.Config) *HTTPS {
	return &HTTPS{client: http.Client{
		Transport: &http.Transport{
			DialContext:            dial,
			TLSClientConfig:        config,
			DisableKeepAlives:      true, // a domain is asked once in a long while
			MaxResponseHeaderBytes: maxPolicy,
			DisableCompression:     true, // 64 KiB are 64 KiB
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}}
}

var errRedirect = errors.New("a redirect")

// Fetch implements [Fetcher].
func (h *HTTPS) Fetch(ctx context.Context, domain string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+wellKnown, nil)
	if err != nil {
		return nil, fmt.Errorf("mtasts: %w", err)
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("mtasts: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("mtasts: %s", answer.Status)
	}
	if media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); media != "text/plain" {
		return nil, fmt.Errorf("mtasts: a policy of type %.80q", answer.Header.Get("Content-Type"))
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("mtasts: %w", err)
	}
	if len(b) > maxPolicy {
		return nil, fmt.Errorf("mtasts: a policy of more than %d octets", maxPolicy)
	}
	return b, nil
}
