package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/gateway/certificate"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
)

// check looks at what the settings lead to, and says what would be served. Nothing is opened for others, nothing written.
func check(c config.Config, out io.Writer) error {
	leaf, wrong := checkFiles(c)
	tunnel, err := bridgeConfig(c)
	if err == nil {
		_, err = bridge.New(tunnel)
	}
	if err != nil {
		wrong = append(wrong, err)
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	var b strings.Builder
	from := ""
	if c.File != "" {
		from = " (" + c.File + ", and what wins over it)"
	}
	fmt.Fprintf(&b, "The settings%s can be used. This would be served:\n\n", from)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	secured := "without TLS"
	if c.TLS() {
		secured = "TLS"
	}
	row("Page", "%s, %s, below %s", where(c.Listen), secured, c.BasePath)
	switch {
	case leaf != nil:
		row("Certificate", "%s, for %s, until %s", c.Certificate, strings.Join(leaf.DNSNames, ", "), leaf.NotAfter.UTC().Format(time.DateOnly))
	case len(c.ACME) > 0:
		row("Certificate", "by ACME from %s, for %s", c.ACMEDirectory, strings.Join(c.ACME, ", "))
	}
	if c.HTTP != "" {
		row("HTTP", "%s, leads to https", where(c.HTTP))
	}
	row("Tunnel", "for pages of %s", strings.Join(append([]string{"its own address"}, c.Origins...), ", "))
	row("  Open to", "%s", callers(tunnel.Access))
	row("  Leads to", "%s", targets(tunnel.Policy, c))
	if c.Mail {
		row("Mail server", "%s, home to %s, in %s", c.Hostname, strings.Join(c.Domains, ", "), c.Data)
		for _, s := range [][2]string{{"SMTP", c.SMTP}, {"Submission", c.Submission}, {"Submissions", c.Submissions}, {"POP3", c.POP3}, {"POP3S", c.POP3S}} {
			row("  "+s[0], "%s", where(s[1]))
		}
		if c.FTP != "" || c.FTPS != "" {
			row("Files", "of the same users, %s each, in %s", amount(c.FTPQuota), filepath.Join(c.Data, mailserver.FilesFolder))
			row("  FTP", "%s", where(c.FTP))
			row("  FTPS", "%s", where(c.FTPS))
			row("  Data", "%s", dataPorts(c))
		}
	}
	row("Metrics", "%s", where(c.Metrics))
	row("Log", "%s, as %s, to standard error", strings.ToLower(c.LogLevel.String()), c.LogFormat)
	t.Flush()
	if list := doubts(c, leaf); len(list) > 0 {
		b.WriteString("\nTo think about:\n")
		for _, d := range list {
			fmt.Fprintf(&b, "  - %s\n", d)
		}
	}
	_, err = io.WriteString(out, b.String())
	return err
}

// callers says who may open a tunnel.
func callers(a bridge.Access) string {
	var list []string
	if len(a.Tokens) > 0 {
		names := make([]string, 0, len(a.Tokens))
		for _, t := range a.Tokens {
			names = append(names, t.Name)
		}
		list = append(list, "those with a token ("+strings.Join(names, ", ")+")")
	}
	if a.UserHeader != "" {
		list = append(list, fmt.Sprintf("those whom a proxy at %s names in %s", strings.Join(texts(a.UserProxies), ", "), a.UserHeader))
	}
	if len(list) == 0 {
		return "everybody"
	}
	return strings.Join(list, ", and ")
}

func texts(networks []netip.Prefix) []string {
	list := make([]string, 0, len(networks))
	for _, p := range networks {
		list = append(list, p.String())
	}
	return list
}

// targets says where a tunnel leads.
func targets(p bridge.Policy, c config.Config) string {
	var list []string
	if c.Mail {
		list = append(list, "the mail server here")
	}
	if p.Mode == reach.Mail {
		list = append(list, "the mail ports of every public host")
	}
	list = append(list, c.Allow...)
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// amount is a limit as a person reads it.
func amount(octets int64) string {
	if octets == 0 {
		return "without a limit"
	}
	return "up to " + size(octets)
}

// dataPorts says where FTP's data connections go.
func dataPorts(c config.Config) string {
	text := "any port that is free"
	if p := c.FTPPassive; p != (config.Ports{}) {
		text = fmt.Sprintf("ports %d to %d", p.First, p.Last)
	}
	if c.FTPPublic != "" {
		text += ", for others at " + c.FTPPublic
	}
	return text
}

// where says who can reach a listener.
func where(address string) string {
	host, port, err := net.SplitHostPort(address)
	ip, e := netip.ParseAddr(host)
	switch {
	case address == "":
		return "off"
	case err != nil:
		return address
	case host == "" || e == nil && ip.IsUnspecified():
		return "port " + port + " of every network"
	case e == nil && ip.IsLoopback() || host == "localhost":
		return address + ", for this machine alone"
	}
	return address
}

// checkFiles opens what the settings name.
func checkFiles(c config.Config) (leaf *x509.Certificate, wrong []error) {
	if c.Certificate != "" {
		f, err := certificate.OpenFiles(c.Certificate, c.Key, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("--certificate and --key: %w", err))
		} else if pair, err := f.Certificate(nil); err == nil {
			leaf = pair.Leaf
		}
	}
	if len(c.ACME) > 0 && !c.TLS() && c.HTTP == "" {
		wrong = append(wrong, errors.New("--acme: the authority has no way to ask: it needs TLS at the page's address, or --http"))
	}
	if c.ACMERoot != "" {
		if text, err := os.ReadFile(c.ACMERoot); err != nil {
			wrong = append(wrong, fmt.Errorf("--acme-root: %w", err))
		} else if !x509.NewCertPool().AppendCertsFromPEM(text) {
			wrong = append(wrong, fmt.Errorf("--acme-root: %s holds no certificate", c.ACMERoot))
		}
	}
	if info, err := os.Stat(c.Data); err == nil && !info.IsDir() {
		wrong = append(wrong, fmt.Errorf("--data: %s is not a folder", c.Data))
	} else if _, e := os.Stat(filepath.Dir(filepath.Clean(c.Data))); err != nil && e != nil {
		wrong = append(wrong, fmt.Errorf("--data: %s cannot be made: %w", c.Data, e))
	}
	if c.Dev != "" {
		if info, err := os.Stat(c.Dev); err != nil || !info.IsDir() {
			wrong = append(wrong, fmt.Errorf("--dev: %s is not a folder", c.Dev))
		}
	}
	return leaf, wrong
}

// doubts are what can be meant, and often is not.
func doubts(c config.Config, leaf *x509.Certificate) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	open := func(address string) bool {
		return address != "" && !strings.Contains(where(address), "this machine alone")
	}
	if open(c.Listen) && !c.TLS() {
		say("The page has no TLS and other machines can reach it: browsers give a page its storage only over https. Give it a certificate, or let it listen for a proxy alone.")
	}
	if !c.TLS() && len(c.Origins) == 0 && len(c.TrustedProxies) > 0 {
		say("Behind a proxy the gateway does not know the page's address: --origin https://… names it.")
	}
	if !open(c.Listen) && !c.TLS() && len(c.Origins) > 0 && len(c.TrustedProxies) == 0 {
		say("Without --trusted-proxy all clients behind a proxy count as one, and share one's limits.")
	}
	for _, p := range c.TrustedProxies {
		if p.Bits() < 8 {
			say("--trusted-proxy %s lets nearly everybody say who they are.", p)
		}
	}
	if c.Token == "" && c.UserHeader == "" && len(c.Allow) > 0 {
		say("Nobody is asked for a token: what --allow names can be reached from this very machine alone.")
	}
	if !c.Mail && len(c.Allow) == 0 && c.Policy != string(reach.Mail) {
		say("There is no mail server here, and nothing else can be reached: --allow or --policy mail.")
	}
	if c.Demo && (open(c.Listen) || open(c.SMTP)) {
		say("The demo's passwords are no secrets, and other machines can reach it.")
	}
	if (open(c.FTP) || open(c.FTPS)) && c.FTPPassive == (config.Ports{}) {
		say("FTP's data connections go to any port: a firewall must let all of them through, or --ftp-passive says which.")
	}
	if open(c.Metrics) {
		say("Metrics ask for no password, and other machines can reach them.")
	}
	if info, err := os.Stat(c.Key); c.Key != "" && err == nil && info.Mode().Perm()&0o004 != 0 {
		say("Everybody on this machine can read %s, the certificate's key.", c.Key)
	}
	if leaf != nil {
		if err := leaf.VerifyHostname(c.Hostname); c.Mail && err != nil {
			say("The certificate is not for %s, the mail server's name: other mail programs will not believe it.", c.Hostname)
		}
		if time.Until(leaf.NotAfter) < 7*24*time.Hour {
			say("The certificate ends within a week, or has.")
		}
	}
	if len(c.ACME) > 0 && c.HTTP == "" && !strings.HasSuffix(c.Listen, ":443") {
		say("The authority asks at port 443, which must lead to %s.", c.Listen)
	}
	if c.HTTP != "" && len(c.ACME) > 0 && !strings.HasSuffix(c.HTTP, ":80") {
		say("The authority asks at port 80, too, which must lead to %s.", c.HTTP)
	}
	return list
}
