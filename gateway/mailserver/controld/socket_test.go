//go:build unix

package controld

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/control"
)

func TestSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNoServer) {
		t.Errorf("without a server: %v", err)
	}
	for range 2 { // the second time there is the rest of a server that crashed
		l, err := Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("socket: %v, %v", info.Mode(), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		s := &control.Server{Operations: users{}, Limits: control.Limits{Connections: 1}}
		go func() { served <- s.Serve(ctx, l) }()
		c, err := Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if users, err := c.Users(t.Context()); len(users) != 1 || err != nil {
			t.Errorf("%v %v", users, err)
		}
		second, err := Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.Users(t.Context()); err == nil {
			t.Error("more connections than the limit")
		}
		second.Close()
		cancel() // with a connection open
		if err := <-served; err != nil {
			t.Error(err)
		}
		c.Close()
		os.WriteFile(path, nil, 0o600)
	}
	if _, err := Listen(filepath.Join(dir, strings.Repeat("long/", 30))); err == nil || !strings.Contains(err.Error(), "at most 100 octets") {
		t.Errorf("a long path: %v", err)
	}
}
