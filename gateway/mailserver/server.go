package mailserver

import (
	"context"
	"errors"
	"net"
)

// ErrDataInUse says that another process has the data folder open.
var ErrDataInUse = errors.New("data folder is in use by another process")

// Server is a mail server, open on its data folder and its ports.
type Server struct {
	cfg Config
}

// Open locks the data folder, opens the store and binds every listener. A port
// that cannot be bound is a *PortError.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	return &Server{cfg: cfg}, errors.New("mailserver: not built yet")
}

// Serve answers on every listener until ctx ends or Close is called.
func (s *Server) Serve(ctx context.Context) error { return nil }

// Addr is where a service listens; nil when it is off.
func (s *Server) Addr(service string) net.Addr { return nil }

// Fingerprint is the hex SHA-256 of the leaf certificate's DER.
func (s *Server) Fingerprint() string { return "" }

// AddUser makes an account.
func (s *Server) AddUser(ctx context.Context, a Account) error { return nil }

// EnsureUser makes the account if it is missing and sets its password and name.
func (s *Server) EnsureUser(ctx context.Context, a Account) error { return nil }

// Close stops the server.
func (s *Server) Close() error { return nil }
