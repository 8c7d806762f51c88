package mailtest

import (
	"bytes"
	"errors"
	"fmt"
	slash "path"
	"slices"
	"strings"
	"sync"
	"time"
)

// FTPFiles are the files of an [FTP] server. Paths begin with a slash.
type FTPFiles struct {
	mu    sync.Mutex
	nodes map[string]*ftpNode
}

// ftpNode is a file or a folder; it is not changed, but replaced.
type ftpNode struct {
	dir      bool
	content  []byte
	modified time.Time
}

// NewFTPFiles returns the root alone.
func NewFTPFiles() *FTPFiles {
	return &FTPFiles{nodes: map[string]*ftpNode{"/": {dir: true, modified: ftpEpoch}}}
}

// ftpEpoch is when everything was made that nobody gave another time.
var ftpEpoch = time.Date(2024, 2, 29, 12, 34, 56, 0, time.UTC)

// Put makes a file, and the folders above it.
func (f *FTPFiles) Put(name string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := slash.Dir(name); dir != "/"; dir = slash.Dir(dir) {
		f.nodes[dir] = &ftpNode{dir: true, modified: ftpEpoch}
	}
	f.nodes[name] = &ftpNode{content: bytes.Clone(content), modified: ftpEpoch}
}

// Get returns what is in a file, and whether there is one.
func (f *FTPFiles) Get(name string) ([]byte, bool) {
	n := f.node(name)
	if n == nil || n.dir {
		return nil, false
	}
	return n.content, true
}

func (f *FTPFiles) node(name string) *ftpNode {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[name]
}

// store replaces the content of a file from an octet on.
func (f *FTPFiles) store(name string, from int64, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.nodes[name]
	if parent := f.nodes[slash.Dir(name)]; parent == nil || !parent.dir || old != nil && old.dir {
		return errors.New("no such folder")
	}
	var kept []byte
	if old != nil && from > 0 {
		kept = old.content[:min(from, int64(len(old.content)))]
	}
	f.nodes[name] = &ftpNode{content: append(bytes.Clone(kept), content...), modified: ftpEpoch}
	return nil
}

func (f *FTPFiles) mkdir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes[name] != nil {
		return errors.New("file exists")
	}
	if parent := f.nodes[slash.Dir(name)]; parent == nil || !parent.dir {
		return errors.New("no such folder")
	}
	f.nodes[name] = &ftpNode{dir: true, modified: ftpEpoch}
	return nil
}

func (f *FTPFiles) remove(name string, dir bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[name]
	switch {
	case n == nil || name == "/":
		return errors.New("no such file")
	case n.dir != dir:
		return errors.New("not allowed for that kind")
	case dir && len(f.children(name)) > 0:
		return errors.New("directory not empty")
	}
	delete(f.nodes, name)
	return nil
}

func (f *FTPFiles) rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if parent := f.nodes[slash.Dir(to)]; f.nodes[from] == nil || parent == nil || !parent.dir {
		return errors.New("no such file")
	}
	for name, n := range f.nodes {
		if rest, ok := strings.CutPrefix(name, from); ok && (rest == "" || rest[0] == '/') {
			delete(f.nodes, name)
			f.nodes[to+rest] = n
		}
	}
	return nil
}

func (f *FTPFiles) touch(name, stamp string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := time.Parse("20060102150405", stamp)
	n := f.nodes[name]
	if err != nil || n == nil {
		return errors.New("no such file or time")
	}
	f.nodes[name] = &ftpNode{dir: n.dir, content: n.content, modified: t}
	return nil
}

// children are the names in a folder, in order. f.mu is held.
func (f *FTPFiles) children(dir string) (names []string) {
	for name := range f.nodes {
		if name != "/" && slash.Dir(name) == dir {
			names = append(names, slash.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

// list shows a folder, or a file, line by line.
func (f *FTPFiles) list(at string, show func(name string, n *ftpNode) string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	n := f.nodes[at]
	if !n.dir {
		return show(slash.Base(at), n) + "\r\n"
	}
	for _, name := range f.children(at) {
		b.WriteString(show(name, f.nodes[slash.Join(at, name)]) + "\r\n")
	}
	return b.String()
}

func (n *ftpNode) facts(name string) string {
	kind := "file"
	if n.dir {
		kind = "dir"
	}
	return fmt.Sprintf("type=%s;size=%d;modify=%s; %s", kind, len(n.content), n.modified.UTC().Format("20060102150405"), name)
}

func (n *ftpNode) unix(name string) string {
	mode := "-rw-r--r--"
	if n.dir {
		mode = "drwxr-xr-x"
	}
	return fmt.Sprintf("%s    1 bob      users    %8d %s %s", mode, len(n.content), n.modified.UTC().Format("Jan _2  2006"), name)
}

func (n *ftpNode) windows(name string) string {
	what := fmt.Sprintf("%20d", len(n.content))
	if n.dir {
		what = "       <DIR>         "
	}
	return fmt.Sprintf("%s%s %s", n.modified.UTC().Format("01-02-06  03:04PM"), what, name)
}

// Names returns the paths of all files, in order.
func (f *FTPFiles) Names() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, n := range f.nodes {
		if !n.dir {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
