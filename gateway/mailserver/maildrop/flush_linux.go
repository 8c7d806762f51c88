package maildrop

import (
	"os"

	"golang.org/x/sys/unix"
)

// Flush flushes the whole file system that dir is on: one call, and one round of
// the disk, for any number of files. Where that is not what the call does they are
// flushed one by one.
func (d osDisk) Flush(dir string, files []string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	if !flushesWhole(uint32(st.Type)) {
		return d.flushEach(files)
	}
	return unix.Syncfs(int(f.Fd()))
}

// flushesWhole says of a file system, by its number in statfs(2), that syncfs(2) is as
// good as fsync(2) of each of its files. With others that end in another process or
// on another machine (FUSE, 9p, SMB: folders that a container or a virtual machine
// shares) the data go there, and nobody is told to flush them.
func flushesWhole(kind uint32) bool {
	const zfs = 0x2fc12fc1 // not in the kernel
	switch kind {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.TMPFS_MAGIC, zfs:
		return true
	}
	return false
}

// Sync flushes what fdatasync(2) does: not the times of a file, whose change would
// cost a commit of the file system's journal.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
