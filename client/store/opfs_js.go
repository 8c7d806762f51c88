package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/internal/promise"
)

// ErrNoOPFS answers OpenOPFS where the browser has no origin private file system, or keeps it from this page: private
// windows of some browsers, and pages that are not served securely.
var ErrNoOPFS = errors.New("store: this browser gives the page no file system")

// chunk bounds the buffer through which a file's octets cross between Go and JavaScript.
const chunk = 256 << 10

// A sync access handle has one holder. After a worker was terminated the browser may take a moment to let go of what
// it held; another tab that really holds the file does not let go, so the wait ends.
const (
	heldRetry = 20 * time.Millisecond // the first wait; doubled up to heldMost
	heldMost  = 400 * time.Millisecond
	heldLimit = 8 * time.Second
)

// OpenOPFS opens a folder of the origin private file system, created if there is none. It works in a dedicated worker,
// which is the only place where the browser gives synchronous access to files.
func OpenOPFS(ctx context.Context, folder string) (FS, error) {
	storage := js.Global().Get("navigator").Get("storage")
	if storage.IsUndefined() || storage.Get("getDirectory").Type() != js.TypeFunction ||
		js.Global().Get("FileSystemSyncAccessHandle").IsUndefined() {
		return nil, ErrNoOPFS
	}
	root, err := promise.Await(ctx, storage.Call("getDirectory"))
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrNoOPFS, err)
	}
	fs := &opfs{dir: root, pool: &handles{open: map[string]*handle{}}}
	return fs.Sub(folder)
}

// opfs is a folder. Its folders share one pool of handles, by path.
type opfs struct {
	dir  js.Value
	path string
	pool *handles
}

var _ FS = (*opfs)(nil)

// Calls of FS have no context: the browser settles these promises, and the engine cannot go on without the answer.
func await(p js.Value) (js.Value, error) { return promise.Await(context.Background(), p) }

func (f *opfs) Sub(name string) (FS, error) {
	if !validName(name) {
		return nil, fmt.Errorf("store: invalid name %q", name)
	}
	d, err := await(f.dir.Call("getDirectoryHandle", name, map[string]any{"create": true}))
	if err != nil {
		return nil, opfsError("folder", name, err)
	}
	return &opfs{dir: d, path: f.path + "/" + name, pool: f.pool}, nil
}

func (f *opfs) List() ([]string, error) {
	var names []string
	it := f.dir.Call("keys")
	for {
		next, err := await(it.Call("next"))
		if err != nil {
			return nil, opfsError("list", f.path, err)
		}
		if next.Get("done").Bool() {
			slices.Sort(names)
			return names, nil
		}
		names = append(names, next.Get("value").String())
	}
}

func (f *opfs) Remove(name string) error {
	if !validName(name) {
		return fmt.Errorf("store: invalid name %q", name)
	}
	return f.removeEntry(name, false)
}

func (f *opfs) RemoveAll(name string) error {
	if !validName(name) {
		return fmt.Errorf("store: invalid name %q", name)
	}
	err := f.removeEntry(name, true)
	if errors.Is(err, promise.Named("NotFoundError")) {
		return nil
	}
	return err
}

// removeEntry waits like Open does for a file that somebody is just letting go of.
func (f *opfs) removeEntry(name string, recursive bool) error {
	if f.pool.holds(f.path+"/"+name, recursive) {
		return fmt.Errorf("store: remove %s: it is open", name)
	}
	err := patiently(func() error {
		_, err := await(f.dir.Call("removeEntry", name, map[string]any{"recursive": recursive}))
		return err
	})
	return opfsError("remove", name, err)
}

func (f *opfs) Open(name string) (File, error) {
	if !validName(name) {
		return nil, fmt.Errorf("store: invalid name %q", name)
	}
	h, err := f.pool.get(f.path+"/"+name, func() (js.Value, error) {
		file, err := await(f.dir.Call("getFileHandle", name, map[string]any{"create": true}))
		if err != nil {
			return js.Undefined(), err
		}
		var access js.Value
		err = patiently(func() error {
			access, err = await(file.Call("createSyncAccessHandle"))
			return err
		})
		return access, err
	})
	if err != nil {
		return nil, opfsError("open", name, err)
	}
	return &opfsFile{name: name, handle: h, pool: f.pool}, nil
}

// patiently repeats fn while the file is held by somebody who may be letting go.
func patiently(fn func() error) error {
	wait := heldRetry
	for end := time.Now().Add(heldLimit); ; {
		err := fn()
		if !errors.Is(err, promise.Named("NoModificationAllowedError")) && !errors.Is(err, promise.Named("InvalidStateError")) || time.Now().After(end) {
			return err
		}
		time.Sleep(wait)
		wait = min(2*wait, heldMost)
	}
}

// handles are the open sync access handles of this worker: a file opened twice is one handle, since a second one would
// be refused.
type handles struct {
	mu   sync.Mutex
	open map[string]*handle
}

type handle struct {
	path  string
	users int
	ready chan struct{} // closed when js and err are set
	err   error

	mu      sync.Mutex // guards the buffer
	js      js.Value
	buffer  js.Value // a Uint8Array of length chunk, made at first use
	options js.Value // {at: offset}
}

func (p *handles) get(path string, open func() (js.Value, error)) (*handle, error) {
	p.mu.Lock()
	h := p.open[path]
	if h != nil {
		h.users++
		p.mu.Unlock()
		<-h.ready
		if h.err != nil {
			return nil, h.err
		}
		return h, nil
	}
	h = &handle{path: path, users: 1, ready: make(chan struct{})}
	p.open[path] = h
	p.mu.Unlock()
	h.js, h.err = open()
	if h.err != nil {
		p.mu.Lock()
		delete(p.open, path)
		p.mu.Unlock()
	} else {
		h.options = js.Global().Get("Object").New()
	}
	close(h.ready)
	return h, h.err
}

func (p *handles) put(h *handle) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.users--
	if h.users > 0 {
		return nil
	}
	delete(p.open, h.path)
	return promise.Try(func() { h.js.Call("close") })
}

// holds says that path, or (below) anything in it, is open.
func (p *handles) holds(path string, below bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for o := range p.open {
		if o == path || below && len(o) > len(path) && o[:len(path)+1] == path+"/" {
			return true
		}
	}
	return false
}

// view is the buffer's first n octets; n is at most chunk.
func (h *handle) view(n int) js.Value {
	if h.buffer.IsUndefined() {
		h.buffer = js.Global().Get("Uint8Array").New(chunk)
	}
	if n == chunk {
		return h.buffer
	}
	return h.buffer.Call("subarray", 0, n)
}

type opfsFile struct {
	name   string
	handle *handle
	pool   *handles
	mu     sync.Mutex
	closed bool
}

var _ File = (*opfsFile)(nil)

// use runs fn on the handle, one at a time, and gives what JavaScript throws as an error.
func (f *opfsFile) use(what string, fn func(h *handle)) error {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	if closed {
		return fmt.Errorf("store: %s %s: file is closed", what, f.name)
	}
	f.handle.mu.Lock()
	defer f.handle.mu.Unlock()
	return opfsError(what, f.name, promise.Try(func() { fn(f.handle) }))
}

func (f *opfsFile) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, fmt.Errorf("store: read %s: negative offset", f.name)
	}
	short := false
	err = f.use("read", func(h *handle) {
		for n < len(p) {
			part := h.view(min(len(p)-n, chunk))
			h.options.Set("at", offset+int64(n))
			got := h.js.Call("read", part, h.options).Int()
			if got > 0 {
				js.CopyBytesToGo(p[n:n+got], part)
				n += got
			}
			if got <= 0 {
				short = true
				return
			}
		}
	})
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

func (f *opfsFile) WriteAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, fmt.Errorf("store: write %s: negative offset", f.name)
	}
	stuck := false
	err = f.use("write", func(h *handle) {
		for n < len(p) {
			some := p[n:min(n+chunk, len(p))]
			part := h.view(len(some))
			js.CopyBytesToJS(part, some)
			h.options.Set("at", offset+int64(n))
			put := h.js.Call("write", part, h.options).Int()
			n += max(put, 0)
			if put <= 0 {
				stuck = true
				return
			}
		}
	})
	if err == nil && stuck {
		err = fmt.Errorf("store: write %s: %w", f.name, ErrFull)
	}
	return n, err
}

func (f *opfsFile) Truncate(size int64) error {
	return f.use("truncate", func(h *handle) { h.js.Call("truncate", size) })
}

func (f *opfsFile) Size() (size int64, err error) {
	err = f.use("size of", func(h *handle) { size = int64(h.js.Call("getSize").Float()) })
	return size, err
}

func (f *opfsFile) Sync() error {
	return f.use("sync", func(h *handle) { h.js.Call("flush") })
}

func (f *opfsFile) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	f.mu.Unlock()
	return opfsError("close", f.name, f.pool.put(f.handle))
}

func opfsError(what, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, promise.Named("QuotaExceededError")):
		return fmt.Errorf("store: %s %s: %w: %w", what, name, ErrFull, err)
	}
	return fmt.Errorf("store: %s %s: %w", what, name, err)
}
