//go:build unix

package certificate

import (
	"io/fs"
	"syscall"
)

// inode is a file's number within its file system: another one under the same name has another.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
