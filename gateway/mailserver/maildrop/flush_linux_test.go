package maildrop

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Only of a file system that is known to flush all by one call is it asked so.
func TestFlushesWhole(t *testing.T) {
	for kind, whole := range map[uint32]bool{
		unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.OVERLAYFS_SUPER_MAGIC: true,
		unix.FUSE_SUPER_MAGIC: false, unix.V9FS_MAGIC: false, unix.SMB2_SUPER_MAGIC: false, unix.CIFS_SUPER_MAGIC: false, unix.NFS_SUPER_MAGIC: false, 0: false,
	} {
		if flushesWhole(kind) != whole {
			t.Errorf("%#x: %v", kind, !whole)
		}
	}
}

// Files are flushed in each of the ways; one that is gone meanwhile is no error, one that cannot be opened is.
func TestFlush(t *testing.T) {
	dir, d := t.TempDir(), osDisk{}
	there := filepath.Join(dir, "there")
	must(t, os.WriteFile(there, []byte("x"), 0o600))
	files := []string{there, filepath.Join(dir, "gone")}
	must(t, d.Flush(dir, files))
	must(t, d.flushEach(files))
	if err := d.flushEach([]string{there, filepath.Join(there, "x")}); err == nil {
		t.Error("what cannot be opened is flushed")
	}
}
