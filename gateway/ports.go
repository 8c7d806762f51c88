package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/postern-mail/postern/gateway/config"
)

// ports are the gateway's own listeners; the mail server has its own.
type ports struct{ page, http, metrics, ftp, ftps net.Listener } // nil: off

func openPorts(ctx context.Context, c config.Config) (*ports, error) {
	p := new(ports)
	for _, v := range []struct {
		service, address string
		listener         *net.Listener
	}{{pageService, c.Listen, &p.page}, {"http", c.HTTP, &p.http}, {"metrics", c.Metrics, &p.metrics}, {"ftp", c.FTP, &p.ftp}, {"ftps", c.FTPS, &p.ftps}} {
		if v.address == "" {
			continue
		}
		listen := (&net.ListenConfig{}).Listen
		if v.service == "ftp" && c.FTPAnyPort {
			listen = listenOr
		}
		l, err := listen(ctx, "tcp", v.address)
		if err != nil {
			p.Close()
			return nil, unavailable(v.service, v.address, err)
		}
		*v.listener = l
	}
	return p, nil
}

// Close gives the ports back, those too that a server has closed already.
func (p *ports) Close() {
	for _, l := range []net.Listener{p.page, p.http, p.metrics, p.ftp, p.ftps} {
		if l != nil {
			l.Close()
		}
	}
}

// unavailable says that a service cannot listen where it was told to: which port, why, and what to do.
func unavailable(service, address string, err error) error {
	flag := service
	if service == pageService {
		flag = "listen"
	}
	host, port, e := net.SplitHostPort(address)
	if e != nil {
		host, port = "127.0.0.1", "0"
	}
	change := fmt.Sprintf("--%s %s (or %s)", flag, net.JoinHostPort(host, "PORT"), config.Variable(flag))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %s, for %s, is in use by another program\nStop that program, or choose another port: %s", port, title(service), change)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("port %s, for %s, may not be opened by this user\nChoose a port above 1023: %s", port, title(service), change)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s, for %s, is no address of this machine\nChoose another: %s", address, title(service), strings.Replace(change, host, "ADDRESS", 1))
	}
	return fmt.Errorf("%s cannot listen at %s: %w\nChoose another address: %s", title(service), address, err, change)
}

// title is how a service is called in a sentence.
func title(service string) string {
	switch service {
	case pageService:
		return "the page"
	case "smtp", "pop3", "http", "ftp":
		return strings.ToUpper(service)
	case "ftps":
		return "FTP over TLS"
	case "pop3s":
		return "POP3 over TLS"
	case "submissions":
		return "submission over TLS"
	}
	return service
}
