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
func banner(w io.Writer, c config.Config, page net.Addr, mail embedded, files fileServers) {
	var b strings.Builder
	b.WriteString("\nPostern is running.\n\n")
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "  Page\t%s\n", pageURL(c, page))
	if mail != nil {
		for i, server := range mail.Servers() {
			if i > 0 {
				fmt.Fprintf(t, "\n  And %s, another mail server, for mail between the two:\n\n", server.Domains()[0])
			}
			if c.Demo {
				for _, a := range demoAccounts(mail)[i] {
					fmt.Fprintf(t, "  Sign in as\t%s with the password %s\n", a.Email, a.Password)
				}
			}
			listening(t, server, files.of(i))
		}
	}
	t.Flush()
	if c.Demo && mail != nil {
		fmt.Fprintf(&b, "\n  postern world%s shows what is between them, and lets things go wrong there.\n", dataFlag(c))
	}
	if a, ok := page.(*net.TCPAddr); ok && !a.IP.IsLoopback() && len(c.Origins) == 0 && !c.TLS() {
		b.WriteString("\n  Browsers on other machines need https and --origin with the page's address there.\n")
	}
	if c.Demo && exposed(page, mail, files) {
		b.WriteString("\n  Other machines can reach this one, and the demo passwords are no secrets: whoever comes can sign in. Leave --demo out.\n")
	}
	b.WriteString("\n  Ctrl+C stops it.\n\n")
	io.WriteString(w, b.String())
}

// listening says where a server can be reached, and where its mail is.
func listening(w io.Writer, server *mailserver.Server, files *fileServer) {
	fmt.Fprintf(w, "  SMTP\t%s\n", offered(server, [2]string{mailserver.SMTP, "STARTTLS"}))
	fmt.Fprintf(w, "  Submission\t%s\n", offered(server, [2]string{mailserver.Submission, "STARTTLS"}, [2]string{mailserver.Submissions, "TLS"}))
	fmt.Fprintf(w, "  POP3\t%s\n", offered(server, [2]string{mailserver.POP3, "STLS"}, [2]string{mailserver.POP3S, "TLS"}))
	if files != nil {
		var list []string
		for _, l := range []struct {
			net.Listener
			how string
		}{{files.ftp, "AUTH TLS"}, {files.ftps, "TLS"}} {
			if l.Listener != nil {
				list = append(list, fmt.Sprintf("%s (%s)", l.Addr(), l.how))
			}
		}
		fmt.Fprintf(w, "  FTP\t%s\n", strings.Join(list, ", "))
	}
	folder := server.Dir()
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	fmt.Fprintf(w, "  Mail is in\t%s\n", folder)
}

// dataFlag is what a command needs to find this gateway; nothing where the folder is the usual one.
func dataFlag(c config.Config) string {
	if usual, err := config.Parse(nil, func(string) (string, bool) { return "", false }); err == nil && usual.Data == c.Data {
		return ""
	}
	return " --data " + c.Data
}

// exposed says whether anything listens beyond the loopback interface.
func exposed(page net.Addr, mail embedded, files fileServers) bool {
	listeners := []net.Addr{page}
	for _, s := range files {
		listeners = append(listeners, s.addrs()...)
	}
	if mail != nil {
		for _, server := range mail.Servers() {
			for _, name := range []string{mailserver.SMTP, mailserver.Submission, mailserver.Submissions, mailserver.POP3, mailserver.POP3S} {
				listeners = append(listeners, server.Addr(name))
			}
		}
	}
	for _, l := range listeners {
		if a, ok := l.(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			return true
		}
	}
	return false
}

// pageURL is the page's address as a person types it: on this machine, for a browser counts localhost as secure, or by
// the name of the certificate.
func pageURL(c config.Config, addr net.Addr) string {
	a, ok := addr.(*net.TCPAddr)
	if !ok {
		return "http://" + addr.String()
	}
	scheme, usual, host := "http://", 80, a.IP.String()
	if a.IP.IsLoopback() || a.IP.IsUnspecified() {
		host = "localhost"
	}
	if c.TLS() {
		scheme, usual = "https://", 443
		if len(c.ACME) > 0 {
			host = c.ACME[0]
		}
	}
	at := net.JoinHostPort(host, fmt.Sprint(a.Port))
	if a.Port == usual {
		at = strings.TrimSuffix(at, fmt.Sprint(":", usual))
	}
	if c.BasePath == "/" {
		return scheme + at
	}
	return scheme + at + c.BasePath
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
