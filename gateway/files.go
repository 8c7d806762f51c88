package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/ftpserver"
	"github.com/postern-mail/postern/gateway/ftpserver/files"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/turnstile"
	"github.com/postern-mail/postern/shared/wire"
)

// filesOf are the files of a data folder's users, for those who look after the folder.
func filesOf(data string) *files.Store {
	return files.New(filepath.Join(data, mailserver.FilesFolder), nil)
}

// fileServers are the FTP servers: one beside each mail server.
type fileServers []*fileServer

// fileServer is one, with its listeners; nil: off.
type fileServer struct {
	*ftpserver.Server
	store     *files.Store
	quota     files.Quota
	ftp, ftps net.Listener
	// Those of tunnels; nil where the one beside it is.
	inside, insideTLS *door
}

// door is a listener of tunnels, and how it is listened to.
type door struct {
	*ftpserver.Inside
	gated net.Listener
}

func newDoor(gate *turnstile.Turnstile, busy string) *door {
	l := ftpserver.NewInside()
	return &door{l, gate.Listener(l, busy)}
}

// mostFiles and folders, of one user: a backup walks them all.
const mostFiles = 100_000

// Connections to an FTP server at a time, and from one place; a file manager has one for each of its transfers.
const (
	ftpConnections     = 500
	ftpConnectionsFrom = 50
)

// openFiles opens the FTP servers as the settings say. Ports has the first one's listeners.
func openFiles(ctx context.Context, c config.Config, p *ports, mail embedded, logger *slog.Logger) (fileServers, error) {
	if p.ftp == nil && p.ftps == nil {
		return nil, nil
	}
	var all fileServers
	for i, server := range mail.Servers() {
		ftp, ftps, logger := p.ftp, p.ftps, logger
		if i > 0 { // of the demo world: as the other ports of its second server, and none where the first has none
			if ftps, logger = nil, logger.With("server", server.Hostname()); p.ftp == nil {
				break
			}
			var err error
			if ftp, err = listenOr(ctx, "tcp", above(c.FTP)); err != nil {
				all.Close()
				return nil, unavailable("ftp", above(c.FTP), err)
			}
		}
		s := newFileServer(c, server, logger)
		gate := turnstile.New(ftpConnections, ftpConnectionsFrom)
		const busy = "421 too many connections, please come back later\r\n"
		if ftp != nil {
			s.ftp, s.inside = gate.Listener(ftp, busy), newDoor(gate, busy)
		}
		if ftps != nil {
			s.ftps, s.insideTLS = gate.Listener(ftps, ""), newDoor(gate, "")
		}
		all = append(all, s)
	}
	return all, nil
}

// Close gives the ports back, of servers that have not come to serve, too.
func (all fileServers) Close() {
	for _, s := range all {
		for _, l := range []net.Listener{s.ftp, s.ftps} {
			if l != nil {
				l.Close()
			}
		}
		for _, d := range []*door{s.inside, s.insideTLS} {
			if d != nil {
				d.Close()
			}
		}
	}
}

func newFileServer(c config.Config, mail *mailserver.Server, logger *slog.Logger) *fileServer {
	public, _ := netip.ParseAddr(c.FTPPublic) // which config has looked at
	s := &fileServer{
		store: files.New(filepath.Join(mail.Dir(), mailserver.FilesFolder), &files.Options{Room: mail.Room}),
		quota: files.Quota{Octets: c.FTPQuota, Files: mostFiles},
	}
	s.Server = ftpserver.New(ftpserver.Config{
		Hostname: mail.Hostname(), Users: fileUsers{mail, s.quota}, Files: s.store, TLS: mail.TLS(),
		Passive: ftpserver.Ports(c.FTPPassive), Public: public, Logger: logger.With("service", "ftp"),
	})
	return s
}

// listenOr listens at an address, or at any port of it where that one is in use.
func listenOr(ctx context.Context, network, address string) (net.Listener, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, network, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		if host, _, e := net.SplitHostPort(address); e == nil {
			return listen.Listen(ctx, network, net.JoinHostPort(host, "0"))
		}
	}
	return l, err
}

// fileUsers are a mail server's users, for its FTP server.
type fileUsers struct {
	mail  *mailserver.Server
	quota files.Quota
}

var _ ftpserver.Users = fileUsers{}

func (u fileUsers) Authenticate(ctx context.Context, remote net.Addr, user, password string) (ftpserver.User, error) {
	who, err := u.mail.SignIn(ctx, remote, user, password)
	switch {
	case errors.Is(err, account.ErrDenied):
		return ftpserver.User{}, ftpserver.ErrDenied
	case errors.Is(err, account.ErrBusy):
		return ftpserver.User{}, ftpserver.ErrBusy
	}
	return ftpserver.User{ID: who.ID, Quota: u.of(who), Still: func(ctx context.Context) (files.Quota, bool) {
		now, still, err := u.mail.Still(ctx, who)
		return u.of(now), still || err != nil // what cannot be asked now can be later
	}}, err
}

// of is the quota of a user: the one that all have, if he has none of his own.
func (u fileUsers) of(who mailserver.Identity) files.Quota {
	q := u.quota
	if who.FilesQuota != 0 {
		q.Octets = max(who.FilesQuota, 0) // -1: no limit
	}
	return q
}

// Serve answers on every listener until Shutdown.
func (all fileServers) Serve() error {
	var wg sync.WaitGroup
	ended := make(chan error, 4*len(all))
	for _, s := range all {
		if s.ftp != nil {
			wg.Go(func() { ended <- s.Serve(s.ftp) })
			wg.Go(func() { ended <- s.ServeInside(s.inside.gated, false) })
		}
		if s.ftps != nil {
			wg.Go(func() { ended <- s.ServeTLS(s.ftps) })
			wg.Go(func() { ended <- s.ServeInside(s.insideTLS.gated, true) })
		}
	}
	err := <-ended
	if err != nil { // one ends all
		err = fmt.Errorf("FTP: %w", err)
		now, cancel := context.WithCancel(context.Background())
		cancel()
		all.Shutdown(now)
	}
	wg.Wait()
	return err
}

// offer adds the services of files to what the bridge is told.
func (s *fileServer) offer(e *bridge.Embedded) {
	if s == nil {
		return
	}
	e.Data, e.Inside = s.OpenData, make(map[wire.ServiceName]func(context.Context) (net.Conn, error))
	for _, v := range []struct {
		name     wire.ServiceName
		listener net.Listener
		door     *door
	}{{wire.FTP, s.ftp, s.inside}, {wire.FTPS, s.ftps, s.insideTLS}} {
		if v.door == nil {
			continue
		}
		if addr, ok := v.listener.Addr().(*net.TCPAddr); ok {
			e.Info.Services = append(e.Info.Services, wire.Service{Name: v.name, Port: addr.Port})
			e.Inside[v.name] = v.door.Dial
		}
	}
}

// Shutdown lets transfers go on until ctx ends.
func (all fileServers) Shutdown(ctx context.Context) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { errs[i] = s.Server.Shutdown(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// addrs are where a server of files listens.
func (s *fileServer) addrs() (list []net.Addr) {
	for _, l := range []net.Listener{s.ftp, s.ftps} {
		if l != nil {
			list = append(list, l.Addr())
		}
	}
	return list
}

// of is the FTP server beside a mail server, by its place among them; nil if there is none.
func (all fileServers) of(i int) *fileServer {
	if i < len(all) {
		return all[i]
	}
	return nil
}

// Figures adds those of all.
func (all fileServers) Figures() (f ftpserver.Figures) {
	for _, s := range all {
		f.Add(s.Server.Figures())
	}
	return f
}
