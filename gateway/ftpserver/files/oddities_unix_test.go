//go:build unix

package files

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// oddities makes what is neither file nor folder.
func oddities(t *testing.T, dir string) (names []string) {
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	names = append(names, "pipe")
	if l, err := net.Listen("unix", filepath.Join(dir, "socket")); err == nil { // a path may be too long for one
		t.Cleanup(func() { l.Close() })
		names = append(names, "socket")
	}
	if os.Getuid() == 0 {
		if unix.Mknod(filepath.Join(dir, "zero"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) == nil {
			names = append(names, "zero")
		}
	}
	return names
}
