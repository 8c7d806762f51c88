//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// unblocked keeps an opening from waiting for the other end of a pipe.
const unblocked = syscall.O_NONBLOCK

// names is how many names a file has: hard links.
func names(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}
