//go:build linux || darwin

package maildrop

import "golang.org/x/sys/unix"

// Free is how many octets this user may still write to the file system that dir
// is on.
func (osDisk) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
