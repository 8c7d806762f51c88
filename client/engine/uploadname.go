package engine

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// name gives a file that is whole its name. there says that it is where it was sent to: if not, a cut may have come between the name and
// its answer.
func (t *transfer) name(ctx context.Context, x *siteSession, temp string, there bool) (err error) {
	path := t.path()
	if there {
		path, err = t.rename(ctx, x, temp, path)
	} else {
		err = t.isNamed(ctx, x, path)
	}
	if err == nil {
		err = t.removeAside(ctx, x)
	}
	if err != nil {
		return err
	}
	return t.named(path)
}

// rename gives the file the name that is free for it, and answers which one that is.
func (t *transfer) rename(ctx context.Context, x *siteSession, temp, path string) (string, error) {
	replaces := t.record().Exists == api.ExistsReplace
	if !replaces { // somebody else may have put one there meanwhile
		free, err := x.freeName(ctx, path, func(string) bool { return false })
		if err != nil {
			return "", err
		}
		if free != path {
			if err := t.keep(func(r *transferRecord) { r.Path = crossing(free) }); err != nil {
				return "", err
			}
			path = free
		}
	}
	refused := x.Rename(ctx, temp, path)
	if !isFTPRefusal(refused) {
		return path, refused
	}
	switch there, _, err := x.fileThere(ctx, temp); {
	case err != nil:
		return "", err
	case !there: // whatever it said, the file is not where it was
		return path, t.isNamed(ctx, x, path)
	case !replaces:
		return "", refused
	}
	there, _, err := x.fileThere(ctx, path)
	if err == nil && !there {
		err = refused
	}
	if err == nil {
		err = t.exchange(ctx, x, temp, path)
	}
	return path, err
}

// exchange puts the file that is replaced aside first. It is not removed before the new one has its name.
//
// QUIRK: servers of Windows do not rename to a name that there is.
func (t *transfer) exchange(ctx context.Context, x *siteSession, temp, path string) error {
	aside := besidePath(path, ".old")
	if err := t.keep(func(r *transferRecord) { r.Aside = crossing(aside) }); err != nil {
		return err
	}
	err := x.Rename(ctx, path, aside)
	if isFTPRefusal(err) {
		if there, _, failed := x.fileThere(ctx, path); failed != nil || there {
			return cmp.Or(failed, err)
		}
	} else if err != nil {
		return err
	}
	if err = x.Rename(ctx, temp, path); !isFTPRefusal(err) {
		return err
	}
	if there, _, failed := x.fileThere(ctx, temp); failed != nil {
		return failed
	} else if !there {
		return t.isNamed(ctx, x, path)
	}
	if back := x.Rename(ctx, aside, path); back != nil && !isFTPRefusal(back) {
		return back
	}
	return err
}

// removeAside removes the file that was replaced, where it had to be put aside.
func (t *transfer) removeAside(ctx context.Context, x *siteSession) error {
	aside, err := octets(t.record().Aside)
	if err != nil || aside == "" {
		return err
	}
	var refused *ftp.Error
	if err := x.Dele(ctx, aside); err != nil && (!errors.As(err, &refused) || refused.Temporary()) {
		return err
	}
	return t.keep(func(r *transferRecord) { r.Aside = "" })
}

// isNamed says that a file which is whole, and not where it was, has its name already; else it is sent again, for somebody has removed
// it. Where the server tells no sizes, one that replaces another cannot be told from that.
func (t *transfer) isNamed(ctx context.Context, x *siteSession, path string) error {
	rec := t.record()
	there, _, err := x.fileThere(ctx, path)
	size := int64(-1)
	if err == nil && there {
		size, err = x.sizeOf(ctx, path)
	}
	switch {
	case err != nil:
		return err
	case there && (size == rec.Size || size < 0 && rec.Exists != api.ExistsReplace):
		return nil
	}
	if err := t.keep(func(r *transferRecord) { r.Whole, r.Begun, r.Anew = false, false, true }); err != nil {
		return err
	}
	return t.again()
}

// named is the end of an upload.
func (t *transfer) named(path string) error {
	rec := t.record()
	address, modified := t.address(), t.e.Clock.Now()
	t.mu.Lock()
	if t.timed {
		modified = rec.File.Modified
	}
	t.done, t.url = rec.Size, address
	t.mu.Unlock()
	t.site.placed(path, fileEntry{size: rec.Size, modified: modified.Unix(), kind: ftp.File})
	return nil
}

// address is where a person finds the file, without a password. Where the login does not lead to the root, the path begins with "%2F":
// it is taken from the login's folder else, which may be another for another person. See RFC 1738 section 3.2.2.
func (t *transfer) address() string {
	rec := t.site.record()
	p := place{e: t.e, protocol: api.FTP, server: rec.Server, email: rec.Server.User}
	to, err := p.endpoint()
	if err != nil {
		return ""
	}
	u := url.URL{Scheme: "ftp", Host: to.address, Path: t.path()}
	if rec.Home != "" && rec.Home != "/" && strings.HasPrefix(u.Path, "/") {
		u.RawPath = "/%2F" + strings.TrimPrefix(u.EscapedPath(), "/")
		u.Path = "/" + u.Path
	}
	usual := "21"
	if to.security == api.TLS {
		u.Scheme, usual = "ftps", "990"
	}
	if host, port, err := net.SplitHostPort(to.address); err == nil && port == usual {
		u.Host = host
		if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
			u.Host = "[" + host + "]"
		}
	}
	return u.String()
}
