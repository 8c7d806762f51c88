package ftpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

var (
	// ErrDenied is what Users answers to a wrong name or password.
	ErrDenied = errors.New("ftpserver: name or password is wrong")
	// ErrBusy says that too many passwords wait to be checked.
	ErrBusy = errors.New("ftpserver: too many logins at once")
)

// Users are those of the mail server.
type Users interface {
	// Authenticate checks a name and password that came from remote, and makes guessing slow. ErrDenied and ErrBusy are told to
	// the client as such.
	Authenticate(ctx context.Context, remote net.Addr, user, password string) (User, error)
}

// User is somebody who has shown the right password.
type User struct {
	ID    string // of the account, for ever: the name of its folder
	Quota files.Quota
	// Still says whether the user may go on, and with which quota: accounts are disabled and removed, and passwords changed, because
	// of who has signed in. Nil: yes, and with the same.
	Still func(ctx context.Context) (files.Quota, bool)
}

// Ports is a range of them. Zero is any that is free.
type Ports struct{ First, Last uint16 }

// Config of a Server. Zero values are the defaults.
type Config struct {
	Hostname string
	Users    Users
	Files    *files.Store
	// TLS is that of control and data connections. They must share it: it has the keys by which sessions are resumed.
	TLS *tls.Config
	// Passive are the ports of data connections that clients open.
	Passive Ports
	// Public is the IPv4 address that PASV tells to clients of other machines, where a router in front of this one translates
	// it. Not valid: the one by which they came. EPSV (RFC 2428) does without.
	Public netip.Addr
	// Logger gets no name of a file or a person, and no path. Nil: slog.Default.
	Logger *slog.Logger
	Limits Limits
}

// Limits bound what clients can make the server do. Zero is the default.
type Limits struct {
	Idle            time.Duration // without a command or a transfer; 5 minutes
	Login           time.Duration // for the login, after which a stranger has to go; 1 minute
	DataWait        time.Duration // for a data connection to come about, and before that for its command; 30 seconds
	Recheck         time.Duration // between two questions whether a user may go on; 30 seconds
	Stall           time.Duration // for each read and write of a connection; 2 minutes
	SessionsPerUser int           // 20: a file manager opens one for each of its transfers
	Transfers       int           // at once, from EPSV or PORT on; 200: each is a port, two goroutines and, with TLS, some 80 KB
	TransfersOfUser int           // 10
	Listed          int           // entries of listings at once; 500,000: each has some 200 octets until the client has read the last
	ListedOfUser    int           // 100,000; one listing may always be, of as many as files.Limits allow
	WrongPasswords  int           // of one connection; 3, as in the mail server
}

func (l *Limits) setDefaults() {
	for _, v := range []struct {
		limit *time.Duration
		usual time.Duration
	}{{&l.Idle, 5 * time.Minute}, {&l.Login, time.Minute}, {&l.DataWait, 30 * time.Second}, {&l.Recheck, 30 * time.Second}, {&l.Stall, 2 * time.Minute}} {
		if *v.limit == 0 {
			*v.limit = v.usual
		}
	}
	for _, v := range []struct {
		limit *int
		usual int
	}{{&l.SessionsPerUser, 20}, {&l.Transfers, 200}, {&l.TransfersOfUser, 10}, {&l.Listed, 500_000}, {&l.ListedOfUser, 100_000}, {&l.WrongPasswords, 3}} {
		if *v.limit == 0 {
			*v.limit = v.usual
		}
	}
}

const (
	handshakeTime = 30 * time.Second // of TLS
	lastWord      = 2 * time.Second  // for the answer to a client that is being closed

	maxLine    = 2048     // a verb, and a path of 1,024 octets with its quotes, or a password
	maxDiscard = 64 << 10 // how much of a longer line is read to find its end
	maxErrors  = 20       // in a row end a connection that does not speak FTP
)

// Add adds those of another server.
func (f *Figures) Add(g Figures) {
	for _, v := range []struct {
		sum *int64
		one int64
	}{
		{&f.Sessions, g.Sessions}, {&f.Transfers, g.Transfers}, {&f.SessionsTotal, g.SessionsTotal}, {&f.Uploads, g.Uploads}, {&f.Downloads, g.Downloads}, {&f.Cut, g.Cut},
		{&f.OverQuota, g.OverQuota}, {&f.OctetsIn, g.OctetsIn}, {&f.OctetsOut, g.OctetsOut}, {&f.RefusedLogins, g.RefusedLogins},
		{&f.ForeignConnections, g.ForeignConnections}, {&f.RefusedActiveTargets, g.RefusedActiveTargets},
	} {
		*v.sum += v.one
	}
}

// Figures are what the server does at a moment, and has done since the start.
type Figures struct {
	Sessions, Transfers  int64 // now
	SessionsTotal        int64
	Uploads, Downloads   int64 // that were whole
	Cut                  int64 // transfers that were not
	OverQuota            int64 // uploads that were refused
	OctetsIn, OctetsOut  int64 // of files and listings
	RefusedLogins        int64
	ForeignConnections   int64 // to data ports, from others than the client
	RefusedActiveTargets int64 // PORT and EPRT to others than the client
}
