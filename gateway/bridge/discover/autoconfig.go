package discover

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/wire"
)

// places are where a domain may publish its file, the preferred first. See
// https://www.ietf.org/archive/id/draft-ietf-mailmaint-autoconfig-04.html section 3.
var places = [...]func(domain string) string{
	func(domain string) string { return "https://autoconfig." + domain + "/mail/config-v1.1.xml" },
	func(domain string) string {
		return "https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml"
	},
}

const (
	maxFile      = 256 << 10 // octets; real ones have 2 to 5 KB
	maxRedirects = 3
)

// clientConfig is as much of the file as matters here.
type clientConfig struct {
	Provider struct {
		Name     string   `xml:"displayName"`
		Incoming []server `xml:"incomingServer"`
		Outgoing []server `xml:"outgoingServer"`
	} `xml:"emailProvider"`
}

type server struct {
	Type   string `xml:"type,attr"`
	Host   string `xml:"hostname"`
	Port   string `xml:"port"`
	Socket string `xml:"socketType"`
	User   string `xml:"username"`
}

// file answers what the file at url says, nothing if there is none that can be read.
func (f *Finder) file(ctx context.Context, url string) wire.Discovered {
	content, err := f.fetch(ctx, url)
	if err != nil {
		return wire.Discovered{}
	}
	return parse(content)
}

var errNoFile = errors.New("discover: no file")

// fetch gets a file over HTTPS, and follows redirects over HTTPS alone. Each connection goes through f.Dial.
func (f *Finder) fetch(ctx context.Context, url string) ([]byte, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			n, err := strconv.Atoi(port)
			if err != nil || n != 443 { // a redirect may name any port, and this is no port scanner
				return nil, fmt.Errorf("discover: port %s", port)
			}
			return f.Dial(ctx, host, n)
		},
		TLSClientConfig:        &tls.Config{RootCAs: f.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	client := &http.Client{
		Transport: transport,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" || len(via) > maxRedirects {
				return errNoFile
			}
			return nil
		},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "postern")
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errNoFile
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = errNoFile
	}
	return content, err
}

// parse reads a file. What is not POP3 or SMTP with TLS, or cannot be, is passed over.
func parse(content []byte) wire.Discovered {
	var c clientConfig
	if xml.Unmarshal(content, &c) != nil {
		return wire.Discovered{}
	}
	d := wire.Discovered{Provider: oneLine(c.Provider.Name)}
	add := func(servers []server, kind string, implicit, upgraded wire.ServiceName) {
		count := 0
		for _, s := range servers {
			one, ok := s.found(kind, implicit, upgraded)
			if ok && count < 2*most {
				d.Services = append(d.Services, one)
				count++
			}
		}
	}
	add(c.Provider.Incoming, "pop3", wire.POP3S, wire.POP3)
	add(c.Provider.Outgoing, "smtp", wire.Submissions, wire.Submission)
	if d.Validate() != nil {
		return wire.Discovered{}
	}
	return d
}

func (s *server) found(kind string, implicit, upgraded wire.ServiceName) (wire.Found, bool) {
	port, err := strconv.Atoi(strings.TrimSpace(s.Port))
	one := wire.Found{
		Host: strings.ToLower(strings.TrimSpace(s.Host)), Port: port,
		Source: wire.SourceAutoconfig, User: strings.TrimSpace(s.User),
	}
	switch strings.ToUpper(strings.TrimSpace(s.Socket)) {
	case "SSL", "TLS":
		one.Service = implicit
	case "STARTTLS":
		one.Service = upgraded
	}
	return one, err == nil && strings.EqualFold(s.Type, kind) && one.Validate() == nil
}

// oneLine is a name fit for a frame: printable, short.
func oneLine(s string) string {
	const limit = 30 // characters, of four octets at most
	return printable.Short(strings.Join(strings.Fields(printable.Line(s)), " "), limit)
}
