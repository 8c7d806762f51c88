package files

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Check looks through all users' files, which nobody may have open, and counts them. Known says whether an ID is an account's. Found
// is told what should not be there: what it is, where within the store, what is wrong with it, and what mending does, or has done; ""
// for what is left to a person. Only what an upload has left that was never whole is mended: it is deleted.
func (s *Store) Check(mend bool, known func(id string) bool, found func(kind, where, wrong, remedy string, mended bool)) (octets, files int64, err error) {
	top, err := s.top(false)
	if errors.Is(err, ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer top.Close()
	c := &check{limits: s.opts.Limits, mend: mend, found: found}
	err = each(top, func(info fs.FileInfo) error {
		switch id := info.Name(); {
		case !info.IsDir() || checkID(id) != nil:
			c.strange(id, "it is not of this server, and left alone")
		case !known(id):
			c.found("folder of nobody", id, "no account has it", "", false)
		default:
			return c.folder(top, id, id, 0)
		}
		return nil
	})
	return c.octets, c.files, err
}

type check struct {
	limits        Limits
	mend          bool
	found         func(kind, where, wrong, remedy string, mended bool)
	octets, files int64
}

// strange is what no client sees.
func (c *check) strange(where, wrong string) { c.found("strange file", where, wrong, "", false) }

func (c *check) folder(in *os.Root, name, at string, depth int) error {
	folder, err := enter(in, name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return each(folder, func(info fs.FileInfo) error {
		name := info.Name()
		at := path.Join(at, name)
		switch {
		case strings.HasPrefix(name, temporary) && info.Mode().IsRegular():
			if c.mend {
				if err := folder.Remove(name); err != nil {
					return err
				}
			}
			c.found("leftover", at, "an upload that did not come to its end", "deleted", c.mend)
		case c.limits.usable(name) != nil:
			c.strange(at, "it has a name that no client can use")
		case info.IsDir() && depth >= c.limits.Depth:
			c.strange(at, "it is deeper than any client comes")
		case info.IsDir():
			c.files++
			return c.folder(folder, name, at, depth+1)
		case !plain(info):
			c.strange(at, "it is a link or the like, which no client sees")
		default:
			c.octets, c.files = c.octets+info.Size(), c.files+1
		}
		return nil
	})
}
