package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
)

// banner tells the person who started the gateway what they can do with it now.
func banner(w io.Writer, c config.Config, page net.Addr, mail *mailserver.Server) {
	var b strings.Builder
	b.WriteString("\nPostern is running.\n\n")
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "  Page\t%s\n", pageURL(page))
	if c.Demo {
		for _, a := range demoAccounts(c) {
			fmt.Fprintf(t, "  Sign in as\t%s with the password %s\n", a.Email, a.Password)
		}
	}
	if mail != nil {
		fmt.Fprintf(t, "  SMTP\t%s\n", offered(mail, [2]string{mailserver.SMTP, "STARTTLS"}))
		fmt.Fprintf(t, "  Submission\t%s\n", offered(mail, [2]string{mailserver.Submission, "STARTTLS"}, [2]string{mailserver.Submissions, "TLS"}))
		fmt.Fprintf(t, "  POP3\t%s\n", offered(mail, [2]string{mailserver.POP3, "STLS"}, [2]string{mailserver.POP3S, "TLS"}))
		folder := c.Data
		if abs, err := filepath.Abs(folder); err == nil {
			folder = abs
		}
		fmt.Fprintf(t, "  Mail is in\t%s\n", folder)
	}
	t.Flush()
	if a, ok := page.(*net.TCPAddr); ok && !a.IP.IsLoopback() && len(c.Origins) == 0 {
		b.WriteString("\n  Browsers on other machines need https and --origin with the page's address there.\n")
	}
	if c.Demo && exposed(page, mail) {
		b.WriteString("\n  Other machines can reach this one, and the demo passwords are no secrets: whoever comes can sign in. Leave --demo out.\n")
	}
	b.WriteString("\n  Ctrl+C stops it.\n\n")
	io.WriteString(w, b.String())
}

// exposed says whether anything listens beyond the loopback interface.
func exposed(page net.Addr, mail *mailserver.Server) bool {
	listeners := []net.Addr{page}
	if mail != nil {
		for _, name := range []string{mailserver.SMTP, mailserver.Submission, mailserver.Submissions, mailserver.POP3, mailserver.POP3S} {
			listeners = append(listeners, mail.Addr(name))
		}
	}
	for _, l := range listeners {
		if a, ok := l.(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			return true
		}
	}
	return false
}

// pageURL is the page's address as a person types it on this machine. A browser counts localhost as secure.
func pageURL(addr net.Addr) string {
	a, ok := addr.(*net.TCPAddr)
	if !ok {
		return "http://" + addr.String()
	}
	host := a.IP.String()
	if a.IP.IsLoopback() || a.IP.IsUnspecified() {
		host = "localhost"
	}
	if a.Port == 80 {
		return "http://" + strings.TrimSuffix(net.JoinHostPort(host, ""), ":")
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(a.Port))
}

// offered lists the addresses of services, each with how it comes to be encrypted.
func offered(mail *mailserver.Server, services ...[2]string) string {
	var list []string
	for _, s := range services {
		if addr := mail.Addr(s[0]); addr != nil {
			list = append(list, addr.String()+" ("+s[1]+")")
		}
	}
	if len(list) == 0 {
		return "off"
	}
	return strings.Join(list, ", ")
}
