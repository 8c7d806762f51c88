package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// mostFolders bounds the folders that are kept of a site. Of entries, and of octets in their names, twice those of the largest folder
// are kept, in all of them.
const mostFolders = 32

// folderCache is what is known of a site's folders: as they were listed, with what was done to them since.
type folderCache struct {
	mu       sync.Mutex
	limits   *Limits
	serial   int       // of the last listing
	revision uint64    // of the last change of any
	folders  []*folder // that was asked for last is the last
	hidden   map[string]int
}

// folder is one that was listed.
type folder struct {
	path     string
	entries  []fileEntry
	listed   time.Time
	serial   int
	cut      bool
	octets   int // of the names, when it was listed
	problem  *api.Problem
	revision uint64
	changes  int // made by ourselves since it was listed

	names []string // as they are shown, in lower case, beside entries; nil until they are needed
	order []int32  // of entries, for a view
	view  folderView
}

// folderView is what an order is for.
type folderView struct {
	revision   uint64
	sort       api.FileSort
	descending bool
	filter     string
}

func (c *folderCache) find(path string) *folder {
	for _, f := range c.folders {
		if f.path == path {
			return f
		}
	}
	return nil
}

// has says whether a folder was listed since then, by a listing that is no earlier than that.
func (c *folderCache) has(path string, since time.Time, begun int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.find(path)
	return f != nil && !f.listed.Before(since) && f.serial >= begun
}

// begun is the number of the last listing.
func (c *folderCache) begun() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serial
}

// begin numbers a listing, and counts the changes of its folder so far, for put.
func (c *folderCache) begin(f *folder) (changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	f.serial = c.serial
	if o := c.find(f.path); o != nil {
		return o.changes
	}
	return 0
}

// put takes a folder that was listed. If something was done to it meanwhile, it may or may not be in the listing, which then is old
// from the start.
func (c *folderCache) put(f *folder, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revision++
	f.revision = c.revision
	if o := c.find(f.path); o != nil {
		if f.changes = o.changes; o.changes != changes {
			f.listed = time.Time{}
		}
	}
	c.folders = append(slices.DeleteFunc(c.folders, func(o *folder) bool { return o.path == f.path }), f)
	total, octets := 0, 0
	for i, o := range slices.Backward(c.folders) {
		total, octets = total+len(o.entries), octets+o.octets
		if kept := len(c.folders) - i; kept > 1 && (kept > mostFolders || total > 2*c.limits.Folder || octets > 2*c.limits.Names) {
			c.folders = slices.Clone(c.folders[i+1:])
			break
		}
	}
}

func (c *folderCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folders = nil
}

// window answers some entries of a folder, in an order.
func (c *folderCache) window(path string, q api.FilesQuery) (p api.FilesPage, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.find(path)
	if f == nil {
		return p, false
	}
	if i := slices.Index(c.folders, f); i < len(c.folders)-1 {
		c.folders = append(slices.Delete(c.folders, i, i+1), f)
	}
	order := c.ordered(f, folderView{f.revision, q.Sort, q.Descending, strings.ToLower(strings.TrimSpace(q.Filter))})
	p = api.FilesPage{Total: len(order), Offset: min(max(q.Offset, 0), len(order)), Cut: f.cut, Revision: f.revision, Listed: f.listed.UTC(), Problem: f.problem}
	for _, i := range order[p.Offset:min(p.Offset+q.Limit, len(order))] {
		p.Files = append(p.Files, f.entries[i].file(f.path))
	}
	return p, true
}

// ordered is the order of a view. The last one is kept: windows of one view come one after another.
func (c *folderCache) ordered(f *folder, v folderView) []int32 {
	if f.order != nil && f.view == v {
		return f.order
	}
	if f.names == nil {
		f.names = make([]string, len(f.entries))
		for i := range f.entries {
			f.names[i] = strings.ToLower(f.entries[i].shown())
		}
	}
	order := make([]int32, 0, len(f.entries))
	for i := range f.entries {
		if strings.Contains(f.names[i], v.filter) && !(len(c.hidden) > 0 && c.hidden[f.entries[i].path(f.path)] > 0) {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(i, j int32) int {
		a, b := &f.entries[i], &f.entries[j]
		if x, y := a.kind == ftp.Folder, b.kind == ftp.Folder; x != y {
			if x {
				return -1
			}
			return 1
		}
		by := 0
		switch v.sort {
		case api.SortSize:
			by = cmp.Compare(a.size, b.size)
		case api.SortDate:
			by = cmp.Compare(a.modified, b.modified)
		}
		if by == 0 {
			by = cmp.Or(strings.Compare(f.names[i], f.names[j]), strings.Compare(a.name, b.name), cmp.Compare(i, j))
		}
		if v.descending {
			return -by
		}
		return by
	})
	f.order, f.view = order, v
	return order
}

// entry is what is known of a path from the listing of its folder.
func (c *folderCache) entry(path string) (e fileEntry, known bool) {
	parent, name := parentOf(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.find(parent); f != nil {
		for i := range f.entries {
			if f.entries[i].name == name {
				return f.entries[i], true
			}
		}
	}
	return fileEntry{}, false
}

// change changes what is known of a folder, and answers what to tell of it; nil if nothing is known.
func (c *folderCache) change(path string, fn func(f *folder)) *folder {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.find(path)
	if f == nil {
		return nil
	}
	fn(f)
	c.touch(f)
	return f
}

// touch gives a folder a new revision. Call it with mu held.
func (c *folderCache) touch(f *folder) {
	c.revision++
	f.revision, f.names, f.order = c.revision, nil, nil
	f.changes++
}

// without takes a name out.
func (f *folder) without(name string) {
	f.entries = slices.DeleteFunc(slices.Clone(f.entries), func(e fileEntry) bool { return e.name == name })
}

// with puts an entry in, in the place of one of its name.
func (f *folder) with(e fileEntry) {
	f.without(e.name)
	f.entries = append(f.entries, e)
}

// hide takes paths out of what is answered, or with -1 lets them be answered again.
func (c *folderCache) hide(paths []string, by int) (touched []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hidden == nil {
		c.hidden = make(map[string]int)
	}
	for _, p := range paths {
		if c.hidden[p] += by; c.hidden[p] <= 0 {
			delete(c.hidden, p)
		}
		parent, _ := parentOf(p)
		if f := c.find(parent); f != nil && !slices.Contains(touched, parent) {
			touched = append(touched, parent)
			c.touch(f)
		}
	}
	return touched
}

// tell tells every page that folders are others than they were.
func (s *site) tell(folders ...string) {
	for _, path := range folders {
		s.e.events.emit(func() api.Event {
			s.tree.mu.Lock()
			defer s.tree.mu.Unlock()
			changed := &api.FilesChanged{Site: s.id, Path: crossing(path)}
			if f := s.tree.find(path); f != nil {
				changed.Revision = f.revision
			}
			return api.Event{Files: changed}
		})
	}
}

// placed notes that something is at a path now, and tells of it.
func (s *site) placed(path string, e fileEntry) {
	parent, name := parentOf(path)
	e.name, e.usable = name, true
	if s.tree.change(parent, func(f *folder) { f.with(e) }) != nil {
		s.tell(parent)
	}
}

// removed notes that nothing is at a path any more.
func (s *site) removed(path string) {
	parent, name := parentOf(path)
	if s.tree.change(parent, func(f *folder) { f.without(name) }) != nil {
		s.tell(parent)
	}
}

// forgetBelow forgets a folder and those in it: they have another path now, or none.
func (c *folderCache) forgetBelow(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folders = slices.DeleteFunc(c.folders, func(f *folder) bool { return f.path == path || strings.HasPrefix(f.path, path+"/") })
}
