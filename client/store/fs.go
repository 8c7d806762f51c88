package store

import (
	"io"
	"strings"
)

// FS is a folder of files, the little of a file system that a mailbox needs: the browser's origin private file system,
// a folder of the operating system, and memory with faults all can do it. Names are of one segment: no "/", no "..".
type FS interface {
	// Open opens a file for reading and writing, and creates it if there is none.
	Open(name string) (File, error)
	// List names the files and folders in this folder, sorted.
	List() ([]string, error)
	Remove(name string) error
	// Sub answers a folder within this one, and creates it if there is none.
	Sub(name string) (FS, error)
	// RemoveAll removes a file, or a folder with all in it; that there is none is no error.
	RemoveAll(name string) error
}

// File is an open file. A write past the end extends it. What was written is safe against a crash once Sync returned,
// and so is that the file exists. Writes that fail for want of room answer an error that is ErrFull.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Size() (int64, error)
	Sync() error
	Close() error
}

func validName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00")
}
